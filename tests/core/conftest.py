"""What the tests of the core share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autodiff.modes import MODE

sys.path.append(str(Path(__file__).parents[1]))  # strict_backend.py


@pytest.fixture(autouse=True)
def modes_are_restored() -> Iterator[None]:
    """No test may leave a mode behind."""
    before = MODE.get()
    yield
    assert MODE.get() == before
