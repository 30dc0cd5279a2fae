"""One BLAS thread for as long as anything is measured, and the host's setting afterwards."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController


class SingleBlas:
    """`with single:` from several threads at once: the first in limits, the last out restores.

    Limits nested across threads would restore in the wrong order and leave the host at one thread. OpenMP, which the
    host's own kernels use, is never touched.
    """

    def __init__(self):
        self._controller = ThreadpoolController()
        self._lock = threading.Lock()
        self._inside = 0
        self._limiter = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._limiter = self._controller.limit(limits=1, user_api="blas")
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._limiter.restore_original_limits()
