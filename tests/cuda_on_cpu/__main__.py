"""Run the tests of CuPy on the CPU: ``PYTHONPATH=tests python -m cuda_on_cpu [--full] [pytest's options]``.

``--check`` only says whether this machine can, before anything is installed: it exits with 0, or with 3 and the reason.

It builds the stand-ins if need be, runs the tests in one process for each core, and has the real NVRTC compile
every kernel that they used: for an H100, or with ``--full`` for all architectures, after the slow tests, in both
orders of threads. That takes long and writes `docs/cuda-on-cpu.md`, anew after each part. Broken off, it goes on where
it was when it is started again at the same commit.
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
#: What ``--check`` exits with where CuPy cannot run: no exit code of a Python that crashes.
CANNOT = 3
#: What pytest exits with where all tests have passed before.
NOTHING_LEFT = 5


def python(*arguments: object, **environment: str) -> tuple[int, str]:
    """Run Python in the repository's root, show what it says; return its exit code and its last line."""
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        # There is a process for each core, and threads of OpenBLAS wait for each other without sleeping.
        env={"OPENBLAS_NUM_THREADS": "1", **os.environ, **environment},
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
        return CANNOT if "--check" in options else 0
    if "--check" in options:
        return 0
    full = "--full" in options
    options = tuple(o for o in options if o != "--full")
    start = time.perf_counter()
    code, _ = python("-m", "cuda_on_cpu.build")
    if code:
        return code
    print(f"built in {time.perf_counter() - start:.0f} s", flush=True)
    tests = [t for t in TESTS if (ROOT / t).exists()]
    pytest = ("-m", "pytest", "-p", "cuda_on_cpu.emulation", "-n", len(os.sched_getaffinity(0)), *tests, *options)
    with tempfile.TemporaryDirectory() as scratch:
        code = everything(*pytest) if full else once(Path(scratch), *pytest)
    print(f"CuPy on the CPU: {time.perf_counter() - start:.0f} s")
    return code


def once(folder: Path, *pytest: object) -> int:
    """Run the quick tests, and NVRTC for one architecture."""
    code, _ = python(*pytest, CUDA_ON_CPU_DUMP=str(folder))
    failed, _ = python("-m", "cuda_on_cpu.nvrtc", folder, *QUICK)
    return code or failed


def everything(*pytest: object) -> int:
    """Run all tests in both orders of threads, and NVRTC for all architectures; keep what has been done."""
    from cuda_on_cpu.names import cache_folder
    from cuda_on_cpu.report import report

    commit = state()
    folder = cache_folder() / "full" / commit
    folder.mkdir(parents=True, exist_ok=True)
    page = ROOT / "docs" / "cuda-on-cpu.md"
    records: dict[str, Path] = {}
    code = 0
    for order in ("forward", "reverse"):
        records[order] = folder / f"{order}.jsonl"
        where = {"CUDA_ON_CPU_DUMP": str(folder / "kernels"), "CUDA_ON_CPU_RECORD": str(records[order])}
        slow = ("-m", "slow or not slow", "-p", "cuda_on_cpu.record", "--dist", "worksteal")
        failed, _ = python(*pytest, *slow, CUDA_ON_CPU_ORDER=order, **where)
        code = code or (failed if failed != NOTHING_LEFT else 0)
        page.write_text(report(records, [], commit))
    said = []
    for architecture in ALL:
        failed, line = python("-m", "cuda_on_cpu.nvrtc", folder / "kernels", architecture)
        code = code or failed
        said.append(line)
        page.write_text(report(records, said, commit))
    return code


def state() -> str:
    """Name the commit, and say if there are changes that are not in it."""
    command = ["git", "describe", "--always", "--abbrev=10", "--match=", "--dirty"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
