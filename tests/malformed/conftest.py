"""What the tests of malformed calls share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))  # strict_backend.py

from strict_backend import StrictBackend

from autodiff.registry import registry  # after the path


@pytest.fixture(autouse=True, scope="module")
def strict() -> Iterator[None]:
    """Let there be a second backend, so that arrays can be on the wrong one."""
    with registry.scoped():
        registry.register_backend(StrictBackend())
        yield
