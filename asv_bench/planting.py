"""Slowdowns planted into copies of the source, to see whether `asv_bench.regress` catches them.

Each is appended to the module where ops are called, costs about a fifth of the time of a row, and is of its own kind:
instructions of the interpreter, an array too many, an object too many.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from .regress import compare, export

__all__ = ["PLANTS", "self_test"]

#: What replaces the call of an op with two inputs, the path of every operator.
_WRAPPER = """

_before_planting = binary


def binary(op, a, b):
    value = _before_planting(op, a, b)
    {statement}
    return value
"""

#: By kind: the row on which it costs about a fifth, and the statement.
PLANTS = {
    "bytecode": ("scalars", "for _ in range(75): pass"),
    "temporary array": ("arrays of 10,000", "value._array * (value._array + 1.0)"),
    "allocation": ("scalars", "{0: 0}, {0: 0}, {0: 0}, {0: 0}, {0: 0}"),
}


def plant(tree: Path, statement: str) -> None:
    """Append a slowdown to the sources in `tree`."""
    module = tree / "core" / "autodiff" / "calls.py"
    module.write_text(module.read_text() + _WRAPPER.format(statement=statement))


def self_test(times: int, limit: float) -> int:
    """Print how often each slowdown is caught on its row, and how often an unchanged copy passes; return 1 for a miss."""
    complete = True
    for kind, (row, statement) in [*PLANTS.items(), ("nothing", ("", ""))]:
        right, said, start = 0, "", time.perf_counter()
        for _ in range(times):
            with TemporaryDirectory() as folder:
                base, head = (export("HEAD", Path(folder) / name) for name in ("base", "head"))
                if statement:
                    plant(head, statement)
                # With the plant, its row alone; unchanged, all of them, since any could raise a false alarm.
                verdicts = compare(base, head, limit, rows=[row] if statement else None)
            slower = [verdict for verdict in verdicts if verdict.slower]
            right += bool(slower) == bool(statement)
            said = "; ".join(f"{v.row}: {v.text}" for v in slower) or said
        seconds = (time.perf_counter() - start) / times
        wanted = "caught" if statement else "passed"
        print(f"{kind:16} {wanted} {right} of {times}, {seconds:.0f} s each  {said}", flush=True)
        complete &= right == times
    return int(not complete)
