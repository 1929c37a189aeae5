"""Draws previews when somebody looks, and no more of them than a run can spare time for."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from studio.events import Preview
from studio.images import jpeg_bytes, sheet, sheet_columns

log = logging.getLogger("studio")
Draw = Callable[[], list[Image.Image]]


class PreviewPump:
    """Draws and encodes previews on its own thread, when somebody looks.

    Keeps to a budget: frames are skipped so that drawing them takes at most `budget` of the run's time.
    """

    def __init__(self, *, budget: float = 0.02) -> None:
        self._budget = budget
        # One thread, as torch makes a pool of threads for each that calculates.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="studio-previews")
        self._open = threading.Lock()
        self._closed = False
        self._job_id = ""
        self._spent = self._shown_at = 0.0
        # The least of a few, which are drawn in any case: the first frame also pays for what later ones find ready.
        self._costs: deque[float] = deque(maxlen=5)

    def frame(self, job_id: str, index: int, *, seconds: float, draw: Draw) -> Callable[[], Preview | None]:
        """Return what draws the preview after step `index` when it is called; `seconds` is the run's time so far."""

        def shown() -> Preview | None:
            with self._open:
                if self._closed:
                    return None
                drawing = self._thread.submit(self._show, job_id, index, seconds=seconds, draw=draw)
            return drawing.result()

        return shown

    def close(self) -> None:
        """End the thread; frames that were not drawn yet are skipped from now on."""
        with self._open:
            self._closed = True
        self._thread.shutdown()

    def _show(self, job_id: str, index: int, *, seconds: float, draw: Draw) -> Preview | None:
        if job_id != self._job_id:
            self._job_id, self._spent, self._shown_at = job_id, 0.0, -1.0
            self._costs.clear()
        if len(self._costs) == self._costs.maxlen and seconds - self._shown_at < min(self._costs) / self._budget:
            return None
        self._shown_at = seconds
        began = time.thread_time()
        try:
            pictures = draw()
            jpeg = jpeg_bytes(sheet(pictures))
        except Exception:
            # A preview is a courtesy: the run goes on without it, and the log says why.
            log.exception("the preview of step %d could not be drawn", index)
            return None
        self._costs.append(time.thread_time() - began)
        self._spent += self._costs[-1]
        cost = self._spent / max(seconds, 1e-6)
        return Preview(job_id=job_id, index=index, jpeg=jpeg, columns=sheet_columns(len(pictures)), cost=cost)
