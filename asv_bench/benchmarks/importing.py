"""How long a fresh process takes until autodiff is there, and until the first op has run (row S5)."""

import subprocess
import sys

_FIRST_OP = "import autodiff; x = autodiff.Value(3.0); (x * x).backward()"


class Importing:
    """Each in a process of its own; the time for NumPy is to be taken off the others."""

    number = 1  # in one process only the first import is one

    def timeraw_numpy(self):
        return "import numpy"

    def timeraw_autodiff(self):
        return "import autodiff"

    def timeraw_first_op(self):
        return _FIRST_OP


class Modules:
    """How many modules are loaded beside those of NumPy: exact where the time is noise."""

    unit = "modules"

    def track_first_op(self):
        code = f"import numpy, sys; before = set(sys.modules); {_FIRST_OP}; print(len(set(sys.modules) - before))"
        return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
