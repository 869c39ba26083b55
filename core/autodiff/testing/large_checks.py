"""Checks of what a backend has for large arrays, on small ones."""

from __future__ import annotations

from autodiff.backend import Backend
from autodiff.registry import registry
from autodiff.testing import gradient_checks as gradients
from autodiff.testing import hand_checks as hands
from autodiff.testing import value_checks as values
from autodiff.testing.case import Case

__all__ = ["check_large"]

_CHECKS = (
    values.check_value,
    hands.check_mutation,
    gradients.check_backend_rule,
    hands.check_repetition,
    hands.check_overlap,
    hands.check_memory,
    hands.check_subsets,
    values.check_layouts,
)


def check_large(case: Case) -> None:
    """Repeat the comparisons where the backend takes small arrays for large ones, if it has something for these.

    What is the same for a kernel, a rule and their references there, a helper of all of them, is compared with what the
    backend does with arrays as small as they are.
    """
    if type(case.backend).testing is Backend.testing or not _has_its_own(case):
        return
    small = case.run()
    case.report.facts["arrays"] = f"treated as large ones are (the backend's {type(case.backend).__name__}.testing())"
    with case.backend.testing():
        for check in _CHECKS:
            check(case)
        values.compare_runs(case, "of arrays treated as large ones", case.run(), small)
    del case.report.facts["arrays"]


def _has_its_own(case: Case) -> bool:
    """Tell whether the backend has a kernel or a rule of its own for the op."""
    if case.op.kind == "composite":
        return False
    if any(backend is case.backend for backend, *_ in registry.vjp_kernels(case.op)):
        return True
    types = {type(x) for x in case.raw() if case.is_array(x)}
    return case.backend.name in case.op.own_kernels or any(case.backend.kernel_for(case.op, t) for t in types)
