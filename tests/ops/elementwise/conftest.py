"""What the tests of elementwise ops share."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # torch_oracle.py
