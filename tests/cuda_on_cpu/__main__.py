"""Run the tests of CuPy on the CPU: ``PYTHONPATH=tests python -m cuda_on_cpu [--full] [pytest's options]``.

``--check`` only says whether this machine can, before anything is installed: it exits with 1 and the reason if not.

It builds the stand-ins if need be, runs the tests in one process for each core, and has the real NVRTC compile
every kernel that they used: for an H100, or with ``--full`` for all architectures, after the slow tests, in both
orders of threads; that writes `docs/cuda-on-cpu.md`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cuda_on_cpu.names import missing

ROOT = Path(__file__).parents[2]
TESTS = ["tests/cuda_on_cpu", "tests/cupy_backend"]
QUICK, ALL = ("90",), ("75", "80", "86", "89", "90", "100", "120")


def python(*arguments: object, **environment: str) -> tuple[int, str]:
    """Run Python in the repository's root, show what it says; return its exit code and its last line."""
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    last = ""
    for line in process.stdout or ():
        print(line, end="", flush=True)
        last = line.strip() or last
    return process.wait(), last


def main(*options: str) -> int:
    """Build, test, compile; return the exit code of the first that failed."""
    if missing():
        print(f"skipped: CuPy cannot run on the CPU here: {missing()}")
        return int("--check" in options)
    if "--check" in options:
        return 0
    full = "--full" in options
    options = tuple(o for o in options if o != "--full")
    start = time.perf_counter()
    code, _ = python("-m", "cuda_on_cpu.build")
    if code:
        return code
    print(f"built in {time.perf_counter() - start:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        dump, results = Path(scratch) / "kernels", {}
        tests = [t for t in TESTS if (ROOT / t).exists()]
        pytest = ["-m", "pytest", "-p", "cuda_on_cpu.emulation", "-n", len(os.sched_getaffinity(0)), *tests, *options]
        for order in ("forward", "reverse") if full else ("forward",):
            results[order] = Path(scratch) / f"{order}.xml"
            slow = ["-m", "slow or not slow"] if full else []
            environment = {"CUDA_ON_CPU_DUMP": str(dump), "CUDA_ON_CPU_ORDER": order}
            failed, _ = python(*pytest, *slow, f"--junitxml={results[order]}", **environment)
            code = code or failed
        failed, nvrtc = python("-m", "cuda_on_cpu.nvrtc", dump, *(ALL if full else QUICK))
        if full:
            from cuda_on_cpu.report import report

            (ROOT / "docs" / "cuda-on-cpu.md").write_text(report(results, nvrtc))
    print(f"CuPy on the CPU: {time.perf_counter() - start:.0f} s")
    return code or failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
