"""What a hundred runs leave behind once the studio rests: memory against that after ten (bound 1.02), threads, temporary files."""

import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from studio.worker import REST_AFTER
from tests.benchmarks.studios import arguments, open_on, request

BOUND = 1.02


def main() -> int:
    options = arguments(__doc__ or "", runs=100, early=10)
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as own, open_on(options.model) as studio:
        # A folder of this process alone, as others on the machine make temporary files too.
        tempfile.tempdir = own
        seen = {}
        for i in range(1, options.runs + 1):
            studio.submit(request(i, steps=options.steps, batch_size=1 + i % 2)).result()
            if i in (options.early, options.runs):
                time.sleep(REST_AFTER + 5)
                seen[i] = process.memory_info().rss, process.num_threads(), {str(path) for path in Path(own).rglob("*")}
        tempfile.tempdir = None
    (early, threads, before), (late, threads_late, after) = seen[options.early], seen[options.runs]
    ratio, new_files = late / early, sorted(after - before)
    print(f"memory after {options.runs} runs / after {options.early}: {ratio:.4f} ({early / 1e6:.0f} MB), bound {BOUND}")
    print(f"threads: {threads} then {threads_late}; {[thread.name for thread in threading.enumerate()]}")
    print(f"new temporary files: {len(new_files)} {new_files[:5]}")
    return int(ratio > BOUND or threads_late > threads or bool(new_files))


if __name__ == "__main__":
    sys.exit(main())
