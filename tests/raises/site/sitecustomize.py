"""Python imports this at its start where the folder is on its path: a test may start another Python."""

import os
import runpy
from pathlib import Path

if os.environ.get("RAISES_NOTES"):
    runpy.run_path(str(Path(__file__).parents[1] / "hook.py"))["install"](os.environ["RAISES_NOTES"])
