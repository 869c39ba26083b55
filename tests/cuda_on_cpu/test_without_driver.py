"""CuPy as it is installed, without the emulation and without a driver: for CUDA 12 and 13 alike."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("cupy") is None, reason="needs CuPy, not a card: nox -s cuda_on_cpu"
)
TESTS = Path(__file__).parents[1]


def run(*arguments):
    """Run Python in a process of its own; return the exit code and what it printed."""
    path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_cupy_has_what_the_backend_uses():
    """Every attribute and keyword in the sources of the backend exists."""
    code, text = run("-m", "cuda_on_cpu.api")
    assert (code, "0 problems" in text) == (0, True), text


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("import cupy; cupy.summ(x)", "cupy.summ does not exist"),
        ("import cupy; cupy.sum(x, where=m)", "cupy.sum takes no keyword 'where'"),
        ("import cupy as cp; cp.add(x, y, where=m)", "cupy.add takes no keyword 'where'"),
        ("from cupy import geomspace", "cupy.geomspace does not exist"),
        ("import cupyx; cupyx.scatter_mul(x, y)", "cupyx.scatter_mul does not exist"),
        ("self.xp.var(x, correction=1)", "cupy.var takes no keyword 'correction'"),
        ("def kernel(xp, x): return xp.linalg.vecdot(x, x)", "cupy.linalg.vecdot does not exist"),
    ],
)
def test_the_check_sees_what_cupy_lacks(line, problem, tmp_path):
    """A misspelt or missing function, a keyword that only NumPy has: each is found in a planted file."""
    path = tmp_path / "planted.py"
    path.write_text(f"{line}\n")
    code, text = run("-m", "cuda_on_cpu.api", str(path))
    assert (code, problem in text) == (1, True), text


def test_without_a_driver_the_error_says_what_is_missing():
    """Asking for the backend is an error that names the driver and the command that tells more."""
    code = "import cupy; print(cupy.is_available())"
    if run("-c", code)[1].strip() != "False":
        pytest.skip("there is a card here")
    code, text = run("-c", "import autodiff; autodiff.Value([1.0], backend='cupy')")
    assert code == 1
    assert "BackendUnavailableError: The backend 'cupy' cannot run here" in text
    assert "no NVIDIA driver" in text
    assert "nvidia-smi" in text


def test_importing_autodiff_and_its_backend_imports_no_cupy():
    """CuPy is loaded when the backend is asked for, and not before."""
    code = "import autodiff, autodiff_cupy, sys; autodiff.Value([1.0]).sum().backward(); print('cupy' in sys.modules)"
    assert run("-c", code) == (0, "False\n")


@pytest.mark.parametrize(
    ("environment", "code", "text"),
    [({}, 0, ""), ({"CXX": "no-such-compiler"}, 1, "the command no-such-compiler"), ({"PATH": "/none"}, 1, "apt-get")],
)
def test_a_machine_that_cannot_says_what_it_lacks(environment, code, text):
    """``--check`` needs nothing installed; the run itself is skipped with the same words."""
    if sys.platform != "linux":
        pytest.skip("it runs on Linux alone")
    env = {**os.environ, **environment, "PYTHONPATH": str(TESTS)}
    for options, expected in ((["--check"], code), ([], 0)) if code else ((["--check"], 0),):
        command = [sys.executable, "-m", "cuda_on_cpu", *options]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == expected
        assert text in done.stdout


def test_a_home_that_cannot_be_written_to_is_no_obstacle():
    """What is built then goes to the folder for temporary files."""
    code = "from cuda_on_cpu.names import _cache_root; print(_cache_root())"
    env = {**os.environ, "PYTHONPATH": str(TESTS), "HOME": "/proc/none", "XDG_CACHE_HOME": "", "CUDA_ON_CPU_CACHE": ""}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tempfile.gettempdir()}/autodiff-cuda_on_cpu-")


def test_nvrtc_refuses_a_broken_kernel(tmp_path):
    """The check of kernels is red for a source that is no CUDA C++, and green for one that is."""
    if importlib.util.find_spec("nvidia.cu13") is None:
        pytest.skip("needs NVRTC of CUDA 13")
    source = 'extern "C" __global__ void kernel(float* x) {{ x[0] = {}; }}'
    for value, expected in (("1", 0), ("nonsense", 1)):
        kernel = {"source": source.format(value), "options": [], "name_expressions": []}
        folder = tmp_path / value
        folder.mkdir()
        (folder / f"{value}-{tmp_path.name}.json").write_text(json.dumps(kernel))
        code, text = run("-m", "cuda_on_cpu.nvrtc", str(folder), "90")
        assert (expected, f"{expected} refused" in text) == (code, True), text
