"""Freed memory stays with the process, so that the next batch asks the system for no page."""

import ctypes
import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, resource
from gedanken.cli.memory import keep_freed_memory
{}
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.memset.argtypes, libc.free.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t], [ctypes.c_void_p]
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(64 << 20)
    libc.memset(block, 1, 64 << 20)
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library than glibc")
def test_a_second_batch_asks_for_no_page():
    def faults(first: str) -> int:
        script = [sys.executable, "-c", SCRIPT.format(first)]
        return int(subprocess.run(script, capture_output=True, text=True, check=True).stdout)

    # 64 MB are 16,384 pages, or 32 large ones.
    kept, plain = faults("keep_freed_memory()"), faults("")
    assert kept < 20 and kept < plain
