"""Import this before CuPy, or run ``pytest -p cuda_on_cpu.emulation``: CuPy then runs on the CPU in this process.

- `stats`, `counted`: launches, copies, synchronisations, memory; how many of each a block of code takes.
- `reversed_order`: run the blocks and threads of kernels in the reverse order.
- `limited_memory`: let a device have less memory.
- `history`: what each stream was told to do, in order.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import json
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cuda_on_cpu.kernels import CompilationError, compile_kernels
from cuda_on_cpu.names import DRIVER, LIBRARIES, RUNTIME_MODULE, cache_folder

__all__ = ["Step", "counted", "history", "limited_memory", "reversed_order", "stats"]

_COUNTERS = ("launches", "h2d", "d2h", "d2d", "syncs", "bytes", "allocations")
_POISON = 0xFF  # NaN in every floating type, -1 in every signed integer


# ---- what tests use ---------------------------------------------------------------------------------------------


def stats() -> dict[str, int]:
    """Count since the start: launches, h2d/d2h/d2d copies, syncs, allocations; and the bytes in use now."""
    values = (ctypes.c_long * len(_COUNTERS))()
    _driver.cuda_on_cpu_stats(values)
    return dict(zip(_COUNTERS, values, strict=True))


@contextlib.contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Give a dict that holds, after the block, how many of each of `stats` the block took."""
    counts: dict[str, int] = {}
    before = stats()
    yield counts
    counts.update({name: value - before[name] for name, value in stats().items()})


@contextlib.contextmanager
def reversed_order() -> Iterator[None]:
    """Run blocks and threads from the last to the first, so that a result which depends on their order changes."""
    _driver.cuda_on_cpu_reverse(1)
    try:
        yield
    finally:
        _driver.cuda_on_cpu_reverse(_REVERSED)


@contextlib.contextmanager
def limited_memory(size: int) -> Iterator[None]:
    """Let each device have `size` bytes, those in use already among them."""
    _driver.cuda_on_cpu_limit_memory(ctypes.c_size_t(size))
    try:
        yield
    finally:
        _driver.cuda_on_cpu_limit_memory(ctypes.c_size_t(0))


class Step(NamedTuple):
    """What a stream was told: to ``launch`` a kernel, to ``record`` an event, or to ``wait`` for one."""

    what: str
    stream: int
    subject: Any  # the kernel's name, or the event


@contextlib.contextmanager
def history() -> Iterator[list[Step]]:
    """Give a list that grows with each launch, record and wait of the block; the default stream is 0."""
    steps: list[Step] = []

    def told(what: bytes, stream: int | None, subject: int) -> None:
        event = what != b"launch"
        steps.append(Step(what.decode(), stream or 0, subject if event else ctypes.string_at(subject).decode()))

    callback = _WATCHER(told)
    _driver.cuda_on_cpu_watch(callback)
    try:
        yield steps
    finally:
        _driver.cuda_on_cpu_watch(None)


_WATCHER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p)


# ---- turning it on ----------------------------------------------------------------------------------------------


def _order() -> bool:
    order = os.environ.get("CUDA_ON_CPU_ORDER", "forward")
    if order not in ("forward", "reverse"):
        raise RuntimeError(f"CUDA_ON_CPU_ORDER is 'forward' or 'reverse'; it was {order!r}")
    return order == "reverse"


def _load_stand_ins(folder: Path) -> ctypes.CDLL:
    """Load the stand-ins under the names by which CuPy's modules will ask for them."""
    (lapack,) = Path(np.__file__).parents[1].glob("numpy.libs/libscipy_openblas64_*") or (None,)
    os.environ["CUDA_ON_CPU_LAPACK"] = str(lapack)
    driver = ctypes.CDLL(str(folder / DRIVER), ctypes.RTLD_GLOBAL)
    for library in LIBRARIES.values():
        ctypes.CDLL(str(folder / library.soname), ctypes.RTLD_GLOBAL)
    return driver


class _RuntimeFinder:
    """Finds the rebuilt module in the place of the wheel's."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"runtime{sysconfig.get_config_var('EXT_SUFFIX')}"

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return importlib.util.spec_from_file_location(name, self.path) if name == RUNTIME_MODULE else None


def _find_stand_ins(folder: Path) -> None:
    """Let NVIDIA's finder of libraries find the stand-ins."""
    import cuda.pathfinder as pathfinder

    find = pathfinder.load_nvidia_dynamic_lib

    def load(name: str) -> Any:
        if name not in LIBRARIES:
            return find(name)
        path = str(folder / LIBRARIES[name].soname)
        return type("Loaded", (), {"_handle_uint": ctypes.CDLL(path)._handle, "abs_path": path})()

    pathfinder.load_nvidia_dynamic_lib = load


def _replace_compiler() -> None:
    """Let CuPy hand the sources of kernels to g++ in the place of NVRTC, and write them to ``CUDA_ON_CPU_DUMP``."""
    import cupy.cuda.compiler
    from cupy.cuda.function import Module

    dump = os.environ.get("CUDA_ON_CPU_DUMP")

    def compile_module(source: str, options: Sequence[str] = (), **others: Any) -> Any:
        names = list(others.get("name_expressions") or ())
        try:
            library, mapping = compile_kernels(source, options, names)
        except CompilationError as exc:
            raise cupy.cuda.compiler.CompileException(str(exc), source, "kernel.cu", options, "g++") from None
        if dump:
            _dump(Path(dump), {"source": source, "options": list(options), "name_expressions": names})
        module = Module()
        module._set_mapping(mapping or None)
        module.load(b"cuda_on_cpu:" + bytes(library) + b"\0")
        return module

    cupy.cuda.compiler._compile_module_with_cache = compile_module


def _dump(folder: Path, kernel: dict[str, Any]) -> None:
    # Named by all but where the headers are, so that NVRTC's verdict is known again in another environment.
    named = {**kernel, "options": [o for o in kernel["options"] if not o.startswith("-I")]}
    path = folder / f"{hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = path.with_suffix(f".{os.getpid()}")
        made.write_text(json.dumps(kernel))
        made.replace(path)


def _poison_fresh_memory() -> None:
    """Fill whatever CuPy's pool hands out, which may have been used before."""
    import cupy

    pool = cupy.get_default_memory_pool()

    def allocate(size: int) -> Any:
        memory = pool.malloc(size)
        if size:
            ctypes.memset(memory.ptr, _POISON, size)
        return memory

    cupy.cuda.set_allocator(allocate)


def _activate() -> ctypes.CDLL:
    if "cupy" in sys.modules:
        raise RuntimeError("cuda_on_cpu.emulation has to be imported before cupy")
    folder = cache_folder()
    if not folder.exists():
        raise RuntimeError("The stand-ins are not built yet: PYTHONPATH=tests python -m cuda_on_cpu.build")
    os.environ["CUPY_ACCELERATORS"] = ""  # CUB and cuTENSOR are compiled device code
    driver = _load_stand_ins(folder)
    driver.cuda_on_cpu_reverse(_REVERSED)
    sys.meta_path.insert(0, _RuntimeFinder(folder))
    _find_stand_ins(folder)
    _replace_compiler()
    from cuda_on_cpu.precompiled import replace_precompiled

    replace_precompiled()
    _poison_fresh_memory()
    return driver


_REVERSED = _order()
_driver = _activate()
