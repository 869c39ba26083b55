"""From the source of a kernel in CUDA C++ to a shared library: `compile_kernels`, through g++, cached on disk."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cuda_on_cpu.names import cache_folder, compiler

__all__ = ["FLAGS", "PREFIXES", "CompilationError", "compile_kernels", "include_options"]

#: The headers that come before a kernel, precompiled: g++ uses that only with the same flags.
PREFIXES = ("device.h", "cupy_device.h")
#: `-O1` compiles as fast as `-O0`, since there is less to write. `-ffp-contract=off` rounds as NumPy does.
FLAGS = ("-O1", "-std=c++17", "-fPIC", "-w", "-ffp-contract=off")
#: A kernel asks for little that this process has not loaded, and looking through the libraries takes time.
LINK = ("-shared", "-nostdlib", "-pipe")

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_ENTRY = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(')
_DYNAMIC_SHARED = re.compile(
    r"extern\s+__shared__\s+(?:__align__\s*\(\s*\d+\s*\)\s*)?([\w:<> ]+?)\s+(\w+)\s*\[\s*\]\s*;"
)
_BARRIER = re.compile(r"__sync|__shfl|__ballot|__any_|__all_")


class CompilationError(Exception):
    """g++ refused a kernel: what it said."""


def include_options(folder: Path) -> list[str]:
    """Return g++'s options for CuPy's headers, of which `folder` has a copy."""
    bundled = folder / "include" / "cupy" / "_cccl"
    folders = [folder / "include", *(bundled / part for part in ("cub", "thrust", "libcudacxx"))]
    return [f"-I{f}" for f in folders]


def translate(source: str, name_expressions: Sequence[str] = ()) -> tuple[str, dict[str, str]]:
    """Return the source as g++ takes it, and under which name each of the instantiated templates is to be found."""
    bare = _COMMENT.sub("", source)
    prefix = "cupy_device.h" if "<cupy/" in source else "device.h"
    shared = r"\1* \2 = reinterpret_cast<\1*>(engine::dynamic_shared);"
    names = {expression: f"instance_{i}" for i, expression in enumerate(name_expressions)}
    entries = [(name, name) for name in dict.fromkeys(_ENTRY.findall(bare))]
    lines = [
        f'#include "{prefix}"',
        _DYNAMIC_SHARED.sub(shared, source),
        f'extern "C" {{ int uses_barriers = {int(bool(_BARRIER.search(bare)))}; }}',
        *(f"CUDA_ON_CPU_ENTRY({name}, {kernel})" for name, kernel in entries),
        *(f"CUDA_ON_CPU_ENTRY({name}, ({expression}))" for expression, name in names.items()),
    ]
    return "\n".join(lines) + "\n", names


def compile_kernels(
    source: str, options: Sequence[str] = (), name_expressions: Sequence[str] = ()
) -> tuple[Path, dict[str, str]]:
    """Return the library with the kernels of a source, compiled unless it is cached, and the names of templates."""
    folder = cache_folder()
    code, names = translate(source, name_expressions)
    # Folders of the wheel and of CUDA are replaced by our copies, so that the key does not depend on where they are.
    own = [o for o in options if o.startswith("-D") or (o.startswith("-I") and not _is_bundled(o))]
    key = hashlib.sha256("\0".join((code, *own)).encode()).hexdigest()[:32]
    library = folder / "kernels" / f"{key}.so"
    if not library.exists():
        written = library.with_suffix(f".{os.getpid()}.cpp")
        made = library.with_suffix(f".{os.getpid()}.so")
        written.write_text(code)
        command = [compiler(), *FLAGS, *LINK, f"-I{folder / 'native'}", *include_options(folder), *own]
        done = subprocess.run([*command, written, "-lgcc", "-o", made], capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompilationError(done.stderr[:6000])
        made.replace(library)  # at once, for whoever runs beside us
        written.replace(library.with_suffix(".cpp"))
    return library, names


def _is_bundled(option: str) -> bool:
    return any(part in option for part in ("cupy/_core/include", "/nvidia/", "/cuda"))
