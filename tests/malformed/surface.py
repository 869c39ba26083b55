"""Everything public: what faults are planted in.

`TARGETS` has an entry for each public function, method, property, operator and command; `missing` compares it with
what the packages publish.
"""

from __future__ import annotations

import autodiff
import autodiff.testing as kit
import autodiff_nn as nn
from autodiff import Value, extend, ops
from malformed import arrays, packages  # noqa: F401  # importing them notes the calls
from malformed.targets import TARGETS, Target

__all__ = ["TARGETS", "Target", "missing"]


def missing() -> list[str]:
    """Return the public names that no target is made of."""
    words = " ".join(TARGETS)
    published = {
        "autodiff": [n for n in autodiff.__all__ if n not in ("AutodiffError", "COMPILED", "ops", "Value")],
        "extend": [
            n for n in extend.__all__ if not n.endswith("Error") and n not in ("Backend", "Composite", "Op", "hookimpl")
        ],
        "testing": [n for n in kit.__all__ if n not in ("ConformanceError", "DTYPES")],
        "nn": [n for n in nn.__all__ if n not in ("Module", "MissingPackageError")],
        "Value": [n for n in dir(Value) if not n.startswith("_")] + [*registry_methods()],
        "numpy": arrays.PUBLIC,
        "ops": [op.id for op in ops],
    }
    return [f"{place}.{name}" for place, names in published.items() for name in names if f"{place}.{name}" not in words]


def registry_methods() -> list[str]:
    """Return the ops that are methods."""
    return [op.name for op in ops if op.method]
