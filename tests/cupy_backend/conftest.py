"""Tests of the CuPy backend: on a card, or on the real CuPy run on the CPU; elsewhere skipped."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def _why_not() -> str | None:
    if "cuda_on_cpu.emulation" in sys.modules:
        return None
    if importlib.util.find_spec("cupy") is None:
        return "needs CuPy: on a card, or on the CPU by nox -s cuda_on_cpu"
    import cupy

    return None if cupy.is_available() else "needs a CUDA device, or the CPU in its place: nox -s cuda_on_cpu"


def pytest_collection_modifyitems(items):
    """Skip the tests of this folder where nothing runs CUDA kernels."""
    reason = _why_not()
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.gpu)
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def cupy():
    """Give the library, without its pool of memory, which would hide what was never written."""
    import cupy

    before = cupy.cuda.get_allocator()
    cupy.cuda.set_allocator(None)
    yield cupy
    cupy.cuda.set_allocator(before)


@pytest.fixture
def counted():
    """Give what counts launches and copies, which only the emulation does."""
    emulation = sys.modules.get("cuda_on_cpu.emulation")
    if emulation is None:
        pytest.skip("only the emulation counts launches and copies")
    return emulation.counted
