"""Queries of the history at 20,000 pictures against the same at 200: a page must not take longer because there are more before it.

python -m tests.benchmarks.history [--pictures 20000] [--pairs 30]

A bound of 10 stands for "not with the number": it is 100 times as many, and what a page reads grows with its own 60 rows only. What counts
rows (the column's foot) grows with them and is told with its own time.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from studio.kept import Entry, Query
from studio.request import GenerationRequest
from studio.storage.history_rows import Rows
from tests.benchmarks.pairs import compare, conclude

WORDS = ("red", "blue", "green", "white", "large", "small", "sphere", "cube", "torus", "grass", "snow", "night", "left", "above", "two")
RARE = 66
"""So many pictures are starred, deleted or have a rare word, in either database: more than a page shows."""
STEP = 1_000_000
QUERIES = {
    "first page": (Query(), False),
    "page in the middle": (Query(), True),
    "two words": (Query(text="red cube"), False),
    "one rare word": (Query(text="needle"), False),
    "two letters": (Query(text="re"), False),
    "a model": (Query(model="Other"), False),
    "starred": (Query(shelf="starred"), False),
    "trash": (Query(shelf="deleted"), False),
    "a day": (Query(since=STEP * 100, until=STEP * 150), False),
}


def filled(place: Path, count: int) -> Rows:
    """Return a database of so many rows with different prompts."""
    chance, rows = random.Random(count), Rows(place)
    for start in range(0, count, 1000):
        rows.add(entry(i, chance, needle=i % (count // RARE) == 0) for i in range(start, min(start + 1000, count)))
    for offset, change in ((1, "star"), (2, "delete")):
        keys = [f"{i:016x}" for i in range(offset, count, count // RARE)]
        rows.change("owner", keys, change, now=1)  # type: ignore[arg-type]
    return rows


def entry(number: int, chance: random.Random, *, needle: bool) -> Entry:
    prompt = " ".join(chance.choices(WORDS, k=12)) + (" needle" if needle else "")
    request = GenerationRequest(prompt=prompt, seed=number, model="Other" if number % 5 == 0 else "Mini", width=512, height=512)
    path = f"2026-01-01/{number}.png"
    return Entry(id=f"{number:016x}", made=STEP * number, person="owner", run=str(number), path=path, bytes=500_000, request=request)


def milliseconds(rows: Rows, query: Query, before: int | None) -> float:
    began = time.perf_counter()
    rows.page("owner", query, before=before, count=60)
    return 1000 * (time.perf_counter() - began)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        many, few = filled(Path(folder, "many.db"), options.pictures), filled(Path(folder, "few.db"), 200)
        results = []
        for name, (query, middle) in QUERIES.items():
            keys = [STEP * count // 2 if middle else None for count in (options.pictures, 200)]

            def of_many(_: int, query: Query = query, key: int | None = keys[0]) -> None:
                many.page("owner", query, before=key, count=60)

            def of_few(_: int, query: Query = query, key: int | None = keys[1]) -> None:
                few.page("owner", query, before=key, count=60)

            at_many, at_few = milliseconds(many, query, keys[0]), milliseconds(few, query, keys[1])
            print(f"{name}: {at_many:.1f} ms at {options.pictures:,}, {at_few:.1f} ms at 200")
            results.append(compare(name, first=of_many, second=of_few, pairs=options.pairs, bound=10))
        began = time.perf_counter()
        print(f"{many.shelves('owner').count:,} counted in {1000 * (time.perf_counter() - began):.1f} ms")
        many.close()
        few.close()
    return conclude(*results)


if __name__ == "__main__":
    sys.exit(main())
