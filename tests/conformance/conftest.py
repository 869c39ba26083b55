"""Make ``coverage_table`` and ``strict_backend``, modules of the tests, importable from this folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
