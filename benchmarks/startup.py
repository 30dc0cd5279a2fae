"""Start-up: `import gedanken` (at most 150 ms) and `gedanken --help` (at most 400 ms), beside a bare interpreter.

python benchmarks/startup.py
"""

import subprocess
import sys
import time

RUNS = 7


def fastest(*command: str) -> float:
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    bare = fastest(sys.executable, "-c", "pass")
    imported = fastest(sys.executable, "-c", "import gedanken")
    helped = fastest(sys.executable, "-m", "gedanken", "--help")
    print(f"bare interpreter        {1e3 * bare:6.0f} ms")
    print(f"import gedanken         {1e3 * imported:6.0f} ms   {1e3 * (imported - bare):.0f} ms of it ours (limit 150)")
    print(f"gedanken --help         {1e3 * helped:6.0f} ms   (limit 400)")


if __name__ == "__main__":
    main()
