"""These tests run where `cuda_on_cpu.emulation` is on; elsewhere they are skipped, and say what to run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_HOW = "needs CuPy on the CPU: nox -s cuda_on_cpu"


def pytest_collection_modifyitems(items):
    """Skip the tests of this folder that need the emulation in a process without it."""
    if "cuda_on_cpu.emulation" not in sys.modules:
        for item in items:
            if _HERE in item.path.parents and item.path.name != "test_without_driver.py":
                item.add_marker(pytest.mark.skip(reason=_HOW))
