"""Compile kernels with the real NVRTC: ``python -m cuda_on_cpu.nvrtc FOLDER 90 100 ...``.

FOLDER holds the sources that the emulation wrote to ``CUDA_ON_CPU_DUMP``. NVRTC needs neither a driver nor a card;
it looks for the driver, though, and crashes beside a stand-in: hence processes of its own, without the emulation.
What NVRTC has accepted once is remembered in the cache.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import distribution
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cupy.cuda.compiler as compiler

from cuda_on_cpu.names import cache_folder

__all__ = ["compile_for", "main"]

ELF = b"\x7fELF"


def compile_for(architecture: str, kernel: dict[str, Any], headers: Path) -> None:
    """Compile a kernel for a compute capability such as ``"90"``, as CuPy would on that card.

    NVRTC keeps CuPy's headers precompiled in the folder `headers`, which halves its time.

    Raises
    ------
    CompileException
        NVRTC refuses it.
    """
    # CuPy asks the device for its architecture, and remembers the answer.
    compiler._get_arch_for_options_for_nvrtc = lambda arch=None: (f"-arch=sm_{arch}", "cubin")
    own = headers / f"sm_{architecture}-{os.getpid()}"
    own.mkdir(exist_ok=True)
    options = (*kernel["options"], "-ftz=true", "--pch", f"--pch-dir={own}")
    names = kernel["name_expressions"] or None
    binary, _ = compiler._compile_using_nvrtc_no_warning(kernel["source"], options, architecture, "kernel.cu", names)
    if not binary.startswith(ELF):
        raise RuntimeError(f"NVRTC made no machine code for sm_{architecture}")


def complaint(job: tuple[str, Path, Path], headers: Path) -> str:
    """Return what NVRTC says against a kernel; nothing if it accepts it, now or at an earlier time."""
    architecture, path, accepted = job
    if accepted.exists():
        return ""
    kernel = json.loads(path.read_text())
    try:
        compile_for(architecture, kernel, headers)
    except compiler.CompileException as exc:
        return f"sm_{architecture} {path.name}: {str(exc)[:400]}\n{kernel['source'][-600:]}"
    accepted.touch()
    return ""


def main(folder: str, *architectures: str) -> int:
    """Compile every kernel for every architecture; print the failures and a count, return the exit code."""
    start = time.perf_counter()
    paths = sorted(Path(folder).glob("*.json"))
    nvrtc = distribution("nvidia-cuda-nvrtc").version
    memory = cache_folder() / "nvrtc"
    memory.mkdir(exist_ok=True)
    jobs = [(a, path, memory / f"{path.stem}-sm_{a}-{nvrtc}") for a, path in product(architectures, paths)]
    known = sum(accepted.exists() for _, _, accepted in jobs)
    with tempfile.TemporaryDirectory() as headers, ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        check = partial(complaint, headers=Path(headers))
        complaints = [text for text in pool.map(check, jobs, chunksize=16) if text]
    print(*complaints, sep="\n")
    print(
        f"NVRTC {nvrtc}: {len(paths)} kernels for {', '.join(f'sm_{a}' for a in architectures)}: "
        f"{len(complaints)} refused; {known} of {len(jobs)} from the cache, {time.perf_counter() - start:.0f} s"
    )
    return int(bool(complaints) or not jobs)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
