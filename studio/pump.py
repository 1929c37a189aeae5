"""Begins previews as steps are done and draws them when somebody looks, no more of them than a run can spare time for."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from studio.events import Preview
from studio.images import jpeg_bytes, sheet, sheet_columns
from studio.ports import Draw

log = logging.getLogger("studio")
FAILED = "the preview of step %d could not be drawn"


@dataclass
class _Accounts:
    """What one run's previews have cost, in processor seconds: `begun` on the engine's thread, `drawn` on the other."""

    job_id: str = ""
    begun: float = 0.0
    drawn: float = 0.0
    shown_at: float = -1.0
    # The least of a few, which are drawn in any case: the first frame also pays for what later ones find ready.
    costs: deque[float] = field(default_factory=lambda: deque(maxlen=5))

    def pause(self, budget: float) -> float:
        """Seconds from a frame that somebody saw to the next."""
        return min(self.costs) / budget if len(self.costs) == self.costs.maxlen else 0.0


class PreviewPump:
    """Has previews begun on the engine's thread, and drawn and encoded on its own, when somebody looks.

    Keeps to a budget: after a frame that somebody saw, steps are skipped so that such frames take at most `budget` of the run's time. Only
    their own work is counted; what they hold up in the model's threads is about as much again. From then on each step begins one until
    somebody looks, so that who comes sees the newest.
    """

    def __init__(self, *, budget: float = 0.008) -> None:
        self._budget = budget
        # One thread, as torch makes a pool of threads for each that calculates.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="studio-previews")
        self._open = threading.Lock()
        self._closed = False
        self._accounts = _Accounts()

    def frame(self, job_id: str, index: int, *, seconds: float, begin: Callable[[], Draw | None]) -> Callable[[], Preview | None] | None:
        """Return what draws the preview after step `index` when it is called, or None when this step has none.

        Args:
            job_id: whose; the accounts begin anew with another job.
            index: steps done.
            seconds: the run's time so far.
            begin: does what has to be done at once, and returns what draws the pictures on another thread.
        """
        if job_id != self._accounts.job_id:
            self._accounts = _Accounts(job_id)
        accounts = self._accounts
        if seconds - accounts.shown_at < accounts.pause(self._budget):
            return None
        began = time.thread_time()
        try:
            draw = begin()
        except Exception:
            # A preview is a courtesy: the run goes on without it, and the log says why.
            log.exception(FAILED, index)
            return None
        if draw is None:
            return None
        spent = time.thread_time() - began
        accounts.begun += spent

        def shown() -> Preview | None:
            with self._open:
                if self._closed:
                    return None
                drawing = self._thread.submit(_show, accounts, index, seconds=seconds, spent=spent, draw=draw)
            return drawing.result()

        return shown

    def close(self) -> None:
        """End the thread; frames that were not drawn yet are skipped from now on."""
        with self._open:
            self._closed = True
        self._thread.shutdown()


def _show(accounts: _Accounts, index: int, *, seconds: float, spent: float, draw: Draw) -> Preview | None:
    """Draw and encode a frame that took `spent` to begin. The pause after it counts from here: steps go on meanwhile."""
    began, accounts.shown_at = time.thread_time(), seconds
    try:
        pictures = draw()
        jpeg = jpeg_bytes(sheet(pictures))
    except Exception:
        log.exception(FAILED, index)
        return None
    finally:
        cost = time.thread_time() - began
        accounts.drawn += cost
        accounts.costs.append(spent + cost)
    share = (accounts.begun + accounts.drawn) / max(seconds, 1e-6)
    return Preview(job_id=accounts.job_id, index=index, jpeg=jpeg, columns=sheet_columns(len(pictures)), cost=share)
