"""What the tests of autodiff_nn share."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # strict_backend, a module of the tests
