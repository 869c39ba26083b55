"""What depends on the machine, and on the versions of CUDA and CuPy: names, folders, and what is missing."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

__all__ = [
    "DRIVER",
    "LIBRARIES",
    "RUNTIME_MODULE",
    "RUNTIME_REFUSAL",
    "WHEEL",
    "Library",
    "cache_folder",
    "compiler",
    "missing",
]

HERE = Path(__file__).parent
WHEEL = "cupy-cuda13x"

#: The one module of CuPy that is rebuilt: in the wheel, NVIDIA's runtime is linked into it.
RUNTIME_MODULE = "cupy_backends.cuda.api.runtime"

#: The stand-in for the driver, and for the runtime that the rebuilt module looks for.
DRIVER = "libcuda.so.1"
RUNTIME_REFUSAL = 801  # cudaErrorNotSupported


@dataclass(frozen=True)
class Library:
    """A stand-in for a library of CUDA 13: under which name it is looked for, and what it is made of.

    `prefix` begins the names of its functions; those that the wheel asks for and `source` has not return `refusal`.
    """

    soname: str
    prefix: str
    source: str
    refusal: int


#: By the name that CuPy's loader and its modules have for them.
LIBRARIES = {
    "cublas": Library("libcublas.so.13", "cublas", "blas", 15),  # CUBLAS_STATUS_NOT_SUPPORTED
    "cusolver": Library("libcusolver.so.12", "cusolver", "solver", 9),  # CUSOLVER_STATUS_NOT_SUPPORTED
    "curand": Library("libcurand.so.10", "curand", "random", 999),  # CURAND_STATUS_INTERNAL_ERROR
}


def compiler() -> str:
    """Return the command of the C++ compiler."""
    return os.environ.get("CXX", "g++")


def missing() -> str:
    """Say what this machine lacks to run CuPy on the CPU; nothing if it lacks nothing."""
    machine = f"{platform.system()} on {platform.machine()}"
    if machine != "Linux on x86_64":
        return f"it runs on Linux on x86_64, and this is {machine}"
    wanting = [f"the command {tool}" for tool in (compiler(), "nm") if not shutil.which(tool)]
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        wanting.append(f"Python.h of {platform.python_version()}")
    return f"{' and '.join(wanting)}: apt-get install g++ python3-dev" if wanting else ""


@cache
def cache_folder() -> Path:
    """Return the folder for this version of the emulation, of CuPy, Python and the compiler.

    It is below ``CUDA_ON_CPU_CACHE``, which is ``autodiff/cuda_on_cpu`` in the user's cache unless it is set, or in
    the folder for temporary files where that cannot be written to.
    """
    if missing():
        raise RuntimeError(f"CuPy cannot run on the CPU here: {missing()}")
    sources = [*sorted((HERE / "native").iterdir()), HERE / "build.py", HERE / "kernels.py", HERE / "names.py"]
    version = subprocess.run([compiler(), "-dumpfullversion", "-dumpmachine"], capture_output=True, check=True).stdout
    wheel = distribution(WHEEL).version
    facts = [p.read_bytes() for p in sources] + [
        version,
        wheel.encode(),
        sysconfig.get_config_var("EXT_SUFFIX").encode(),
    ]
    key = hashlib.sha256(b"\0".join(facts)).hexdigest()[:16]
    return _cache_root() / f"cupy-{wheel}-{key}"


def _cache_root() -> Path:
    given = os.environ.get("CUDA_ON_CPU_CACHE")
    if given:
        return Path(given)
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "autodiff" / "cuda_on_cpu"
    try:
        root.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=root).close()
    except OSError:
        return Path(tempfile.gettempdir()) / f"autodiff-cuda_on_cpu-{os.getuid()}"
    return root
