"""Draws previews when somebody looks, and no more of them than a run can spare time for."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from studio.events import Preview
from studio.images import jpeg_bytes, sheet, sheet_columns
from studio.ports import Draw

log = logging.getLogger("studio")
FAILED = "the preview of step %d could not be drawn"


class PreviewPump:
    """Has previews begun on the engine's thread, and drawn and encoded on its own, when somebody looks.

    Keeps to a budget: steps are skipped so that their frames take at most `budget` of the run's time. Only their own work is counted;
    what they hold up in the model's threads is about as much again.
    """

    def __init__(self, *, budget: float = 0.01) -> None:
        self._budget = budget
        # One thread, as torch makes a pool of threads for each that calculates.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="studio-previews")
        self._open = threading.Lock()
        self._closed = False
        self._job_id = ""
        self._spent = self._shown_at = 0.0
        # The least of a few, which are drawn in any case: the first frame also pays for what later ones find ready.
        self._costs: deque[float] = deque(maxlen=5)

    def frame(self, job_id: str, index: int, *, seconds: float, begin: Callable[[], Draw | None]) -> Callable[[], Preview | None] | None:
        """Return what draws the preview after step `index` when it is called, or None when this step has none.

        Args:
            job_id: whose; the accounts begin anew with another job.
            index: steps done.
            seconds: the run's time so far.
            begin: does what has to be done at once, and returns what draws the pictures on another thread.
        """
        if job_id != self._job_id:
            self._job_id, self._spent, self._shown_at = job_id, 0.0, -1.0
            self._costs.clear()
        if seconds - self._shown_at < self._pause():
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

        def shown() -> Preview | None:
            with self._open:
                if self._closed:
                    return None
                drawing = self._thread.submit(self._show, job_id, index, seconds=seconds, spent=spent, draw=draw)
            return drawing.result()

        return shown

    def close(self) -> None:
        """End the thread; frames that were not drawn yet are skipped from now on."""
        with self._open:
            self._closed = True
        self._thread.shutdown()

    def _pause(self) -> float:
        """Seconds from a frame that somebody saw to the next."""
        return min(self._costs) / self._budget if len(self._costs) == self._costs.maxlen else 0.0

    def _show(self, job_id: str, index: int, *, seconds: float, spent: float, draw: Draw) -> Preview | None:
        began = time.thread_time()
        try:
            pictures = draw()
            jpeg = jpeg_bytes(sheet(pictures))
        except Exception:
            log.exception(FAILED, index)
            return None
        if job_id == self._job_id:
            self._costs.append(spent + time.thread_time() - began)
            self._spent += self._costs[-1]
            self._shown_at = seconds
        cost = self._spent / max(seconds, 1e-6)
        return Preview(job_id=job_id, index=index, jpeg=jpeg, columns=sheet_columns(len(pictures)), cost=cost)
