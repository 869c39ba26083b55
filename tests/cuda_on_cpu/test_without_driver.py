"""CuPy as it is installed, without the emulation and without a driver: for CUDA 12 and 13 alike."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("cupy") is None, reason="needs CuPy, not a card: nox -s cuda_on_cpu"
)
TESTS = Path(__file__).parents[1]


def run(*arguments, **environment):
    """Run Python in a process of its own; return the exit code and what it printed."""
    path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": path, **environment}
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
    [({}, 0, ""), ({"CXX": "no-such-compiler"}, 3, "the command no-such-compiler"), ({"PATH": "/none"}, 3, "apt-get")],
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


@pytest.mark.parametrize(("code", "expected", "runs"), [(0, 0, True), (3, 0, False), (1, 1, False), (2, 2, False)])
def test_ci_fails_where_the_check_itself_crashes(tmp_path, code, expected, runs):
    """`.ci/run` goes on without these tests where the check says no, and nowhere else."""
    script = (TESTS.parent / ".ci" / "run").read_text()
    block = script[script.index("# CuPy's tests, on the CPU") :]
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "-m cuda_on_cpu --check" ] && exit {code}\nexit 0\n')
    fake.chmod(0o755)
    head = f'set -euo pipefail; inside() {{ echo "in $1: $2"; }}; python={fake}; work={tmp_path}\n'
    done = subprocess.run(["bash", "-c", head + block], capture_output=True, text=True, check=False)
    assert done.returncode == expected
    assert ("python -m cuda_on_cpu -q" in done.stdout) is runs


def test_a_run_that_was_broken_off_goes_on(tmp_path):
    """What has passed is not run again, what failed is; the report counts the last outcome of each."""
    pytest.importorskip("xdist")
    sys.path.append(str(TESTS))
    from cuda_on_cpu.report import counts

    file, record = tmp_path / "test_parts.py", tmp_path / "record.jsonl"
    options = ["-m", "pytest", "-q", "-p", "cuda_on_cpu.record", "-n", "2", "--rootdir", str(tmp_path), str(file)]
    tests = """
import pytest
@pytest.mark.parametrize("i", [0, 1, 2])
def test_one(i): assert i != {failing}
@pytest.fixture
def broken(): assert {failing} == -1
def test_two(broken): pass
def test_three(): pytest.skip("no reason")
"""
    found = []
    for failing in (1, -1):
        file.write_text(tests.format(failing=failing))
        found.append((*run(*options, CUDA_ON_CPU_RECORD=str(record)), *counts(record)))
    (first, _, _, failed), (second, text, table, none) = found
    assert (first, second, failed, none) == (1, 0, ["test_parts.test_one[1]", "test_parts.test_two"], [])
    assert "2 passed, 1 skipped" in text
    assert {name: dict(count) for name, count in table.items()} == {
        "test_parts.test_one": {"passed": 3},
        "test_parts.test_two": {"passed": 1},
        "test_parts.test_three": {"skipped": 1},
    }


def test_a_home_that_cannot_be_written_to_is_no_obstacle():
    """What is built then goes to the folder for temporary files."""
    code = "from cuda_on_cpu.names import _cache_root; print(_cache_root())"
    env = {**os.environ, "PYTHONPATH": str(TESTS), "HOME": "/proc/none", "XDG_CACHE_HOME": "", "CUDA_ON_CPU_CACHE": ""}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tempfile.gettempdir()}/autodiff-cuda_on_cpu-")


def test_nvrtc_refuses_a_broken_kernel(tmp_path):
    """The check of kernels is red for a source that is no CUDA C++, and green for one that is."""
    pytest.importorskip("nvidia.cu13", reason="needs NVRTC of CUDA 13")
    source = 'extern "C" __global__ void kernel(float* x) {{ x[0] = {}; }}'
    for value, expected in (("1", 0), ("nonsense", 1)):
        kernel = {"source": source.format(value), "options": [], "name_expressions": []}
        folder = tmp_path / value
        folder.mkdir()
        (folder / f"{value}-{tmp_path.name}.json").write_text(json.dumps(kernel))
        code, text = run("-m", "cuda_on_cpu.nvrtc", str(folder), "90")
        assert (expected, f"{expected} refused" in text) == (code, True), text


def test_every_difference_has_a_test_that_exists():
    """The table of differences names tests, and none that is gone."""
    named = set(re.findall(r"`(test_\w+)`", (TESTS / "cupy_backend" / "README.md").read_text()))
    sources = [p.read_text() for folder in ("cupy_backend", "cuda_on_cpu") for p in (TESTS / folder).glob("test_*.py")]
    assert len(named) > 30
    assert named - set(re.findall(r"^def (test_\w+)", "\n".join(sources), re.MULTILINE)) == set()
