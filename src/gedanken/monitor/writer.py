"""Writer: rows into a lab from a thread of its own, so that a training step never waits for a disk."""

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from gedanken.status import Failure

LOG = logging.getLogger("gedanken.monitor")
MOST_WAITING = 256
"""Snapshots kept in memory while a lab cannot be written (a full disk): the oldest are given up after that."""


class Writer:
    """Does jobs in order, in the background. A job that fails is kept and tried again with the next one.

    The interpreter waits for the jobs at its exit.
    """

    def __init__(self):
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gedanken-writer")
        self._waiting: deque[Callable[[], None]] = deque(maxlen=MOST_WAITING)
        self._told: list[Future] = []

    def write(self, job: Callable[[], None]) -> None:
        """Queue a job that raises Failure if the lab cannot be written."""
        self._thread.submit(self._do, job)

    def tell(self, job: Callable[[], None]) -> None:
        """Queue a job for somebody else (a tracker), whose errors are logged and cost nothing."""
        self._told = [told for told in self._told if not _settled(told)] + [self._thread.submit(job)]

    def close(self) -> None:
        """Wait for everything. Raises Failure if something could still not be written."""
        self._thread.shutdown(wait=True)
        for told in self._told:
            _settled(told)
        while self._waiting:
            self._waiting[0]()
            self._waiting.popleft()

    def _do(self, job: Callable[[], None]) -> None:
        self._waiting.append(job)
        try:
            while self._waiting:
                self._waiting[0]()
                self._waiting.popleft()
        except Failure as failure:
            if len(self._waiting) == 1:
                LOG.warning("%s Training goes on; it is tried again at the next snapshot.", failure.sentence)


def _settled(told: Future) -> bool:
    """Whether a tracker's job is over; what went wrong is logged."""
    if not told.done():
        return False
    if error := told.exception():
        LOG.warning("A tracker did not take its rows (%s: %s).", type(error).__name__, error)
    return True
