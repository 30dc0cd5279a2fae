"""Writer: rows into a lab from a thread of its own, so that a training step never waits for a disk."""

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from gedanken.status import Failure

LOG = logging.getLogger("gedanken.monitor")


class Writer:
    """Does jobs in order, in the background. A job that fails waits, and those after it, and is tried again with the next:
    while a disk is full, the rows of fifty matrices take about 1 MB of memory.

    The interpreter waits for the jobs at its exit.
    """

    def __init__(self):
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gedanken-writer")
        self._waiting: deque[Callable[[], None]] = deque()
        self._told: list[Future] = []

    def write(self, job: Callable[[], None]) -> None:
        """Queue a job that raises Failure if the lab cannot be written."""
        self._thread.submit(self._do, job)

    def tell(self, job: Callable[[], None]) -> None:
        """Queue a job for somebody else (a tracker), whose errors are logged and cost nothing."""
        self._told = [told for told in self._told if not _settled(told)] + [self._thread.submit(job)]

    def flush(self) -> None:
        """Wait for everything. Raises Failure if something could still not be written; it goes on waiting."""
        self._thread.submit(self._work).result()

    def close(self) -> None:
        """Wait for everything and end the thread, unless `flush` raises Failure."""
        self.flush()
        self._thread.shutdown(wait=True)
        for told in self._told:
            _settled(told)

    def _do(self, job: Callable[[], None]) -> None:
        self._waiting.append(job)
        try:
            self._work()
        except Failure as failure:
            if len(self._waiting) == 1:
                LOG.warning("%s Training goes on; it is tried again at the next snapshot.", failure.sentence)

    def _work(self) -> None:
        while self._waiting:
            self._waiting[0]()
            self._waiting.popleft()


def _settled(told: Future) -> bool:
    """Whether a tracker's job is over; what went wrong is logged."""
    if not told.done():
        return False
    if error := told.exception():
        LOG.warning("A tracker did not take its rows (%s: %s).", type(error).__name__, error)
    return True
