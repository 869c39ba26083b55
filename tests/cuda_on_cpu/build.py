"""Build the stand-ins for the CUDA libraries: ``python -m cuda_on_cpu.build``, once for each version.

It needs g++, binutils (``nm``), the packages of ``requirements.txt``, and the package index for the sources of CuPy,
of which one module is compiled. All goes to `names.cache_folder`; two builds at a time do not disturb each other.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution
from pathlib import Path

from cuda_on_cpu.kernels import FLAGS, PREFIXES, include_options
from cuda_on_cpu.names import DRIVER, HERE, LIBRARIES, RUNTIME_MODULE, RUNTIME_REFUSAL, WHEEL, cache_folder, compiler

__all__ = ["build"]

NATIVE = HERE / "native"
PACKAGES = Path(sysconfig.get_path("purelib"))
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


def run(*command: object, **options: object) -> str:
    """Run a command and return what it prints; with what it says, if it fails."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def cuda_headers() -> Path:
    """Return the folder of the CUDA headers, which the package nvidia-cuda-runtime brings."""
    found = sorted((PACKAGES / "nvidia").rglob("cuda_runtime_api.h"))
    if not found:
        raise RuntimeError("There are no CUDA headers here: pip install -r tests/cuda_on_cpu/requirements.txt")
    return found[0].parent


def rebuild_runtime(out: Path) -> Path:
    """Compile `RUNTIME_MODULE` from CuPy's own sources, without NVIDIA's static runtime."""
    version = distribution(WHEEL).version
    download = ["download", "-q", "--no-deps", "--no-binary", "cupy", f"cupy=={version}"]
    env = {**os.environ, "CUPY_INSTALL_USE_STUB": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    run(sys.executable, "-m", "pip", *download, "-d", out, env=env)
    (archive,) = out.glob("cupy-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(out, filter="data")
    sources = out / f"cupy-{version}"
    name = RUNTIME_MODULE.replace(".", "/")
    # Its compile-time names, as CuPy's own build sets them for this wheel.
    facts = {
        "CUPY_USE_CUDA_PYTHON": False,
        "CUPY_CUFFT_STATIC": False,
        "CUPY_HIP_VERSION": 0,
        "CUPY_CUDA_VERSION": 13020,
    }
    given = [part for k, v in facts.items() for part in ("-E", f"{k}={v}")]
    cython = [sys.executable, "-m", "cython", "--cplus", "-3", "-X", "embedsignature=True", *given]
    cpp = out / "runtime.cpp"
    run(*cython, f"{name}.pyx", "-o", cpp, cwd=sources)
    includes = [
        sources,
        sources / "cupy_backends",
        (sources / name).parent,
        sysconfig.get_path("include"),
        cuda_headers(),
    ]
    target = out / f"runtime{SUFFIX}"
    run(compiler(), "-O1", "-shared", "-fPIC", "-std=c++17", "-w", *(f"-I{i}" for i in includes), cpp, "-o", target)
    return target


def compile_object(source: str, out: Path) -> Path:
    """Compile one of the files in ``native/``."""
    target = out / f"{source}.o"
    flags = ["-O2", "-c", "-fPIC", "-std=c++17", "-Wall", f"-I{cuda_headers()}"]
    run(compiler(), *flags, NATIVE / f"{source}.cpp", "-o", target)
    return target


def symbols(path: Path, *options: str) -> set[str]:
    """Return the names that an object file or library defines or asks for."""
    return {line.split()[-1].split("@")[0] for line in run("nm", *options, path).splitlines() if line.strip()}


def link(client: Path, prefix: str, refusal: int, objects: list[Path], soname: str, out: Path) -> None:
    """Link a stand-in; functions that `client` asks for and `objects` have not say so on stderr and return `refusal`."""
    wanted = {s for s in symbols(client, "-D", "--undefined-only") if s.startswith(prefix)}
    missing = sorted(wanted.difference(*(symbols(o, "--defined-only") for o in objects)))
    stub = 'int {0}() {{ fprintf(stderr, "cuda_on_cpu: {0} is not emulated\\n"); return {1}; }}\n'
    code = out / f"{soname}.stubs.c"
    code.write_text("#include <stdio.h>\n" + "".join(stub.format(name, refusal) for name in missing))
    run(compiler(), "-x", "c", "-shared", "-fPIC", code, "-x", "none", *objects, f"-Wl,-soname,{soname}", "-ldl", "-o",
        out / soname)  # fmt: skip


def precompile_headers(out: Path) -> None:
    """Copy the headers for kernels, CuPy's too, so that what is cached depends on no other folder; compile them."""
    shutil.copytree(NATIVE, out / "native")
    shutil.copytree(PACKAGES / "cupy" / "_core" / "include", out / "include")
    for prefix in PREFIXES:
        header = out / "native" / prefix
        run(compiler(), *FLAGS, *include_options(out), "-x", "c++-header", header, "-o", f"{header}.gch")


def build_into(out: Path) -> None:
    """Build everything in an empty folder, two things at a time."""
    clients = {name: PACKAGES / "cupy_backends/cuda/libs" / f"{name}{SUFFIX}" for name in LIBRARIES}
    scratch = out / "scratch"
    scratch.mkdir()
    with ThreadPoolExecutor(2) as pool:
        runtime = pool.submit(rebuild_runtime, scratch)
        headers = pool.submit(precompile_headers, out)
        names = ["engine", "runtime", "driver", *(library.source for library in LIBRARIES.values())]
        objects = dict(zip(names, pool.map(lambda name: compile_object(name, scratch), names), strict=True))
        headers.result()
        shutil.move(runtime.result(), out)
    own = [objects[name] for name in ("engine", "runtime", "driver")]
    link(out / f"runtime{SUFFIX}", "cuda", RUNTIME_REFUSAL, own, DRIVER, out)
    for name, library in LIBRARIES.items():
        link(clients[name], library.prefix, library.refusal, [objects[library.source]], library.soname, out)
    (out / "kernels").mkdir()
    shutil.rmtree(scratch)


def build() -> Path:
    """Build what is missing, and return the folder where it is."""
    folder = cache_folder()
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        build_into(made)
        try:
            made.rename(folder)
        except OSError:
            if not folder.exists():  # otherwise another build was faster
                raise
    return folder


if __name__ == "__main__":
    print(build())
