"""How long a fresh process takes until autodiff is there, and until the first op has run (row S5)."""


class Importing:
    """Each in a process of its own; the time for NumPy is to be taken off the others."""

    number = 1  # in one process only the first import is one

    def timeraw_numpy(self):
        return "import numpy"

    def timeraw_autodiff(self):
        return "import autodiff"

    def timeraw_first_op(self):
        return "import autodiff; x = autodiff.Value(3.0); x * x"
