"""Checks of what a backend, and a pass, have for large arrays, on small ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff import reuse
from autodiff.backend import Backend
from autodiff.registry import registry
from autodiff.testing import gradient_checks as gradients
from autodiff.testing import hand_checks as hands
from autodiff.testing import value_checks as values
from autodiff.testing.case import Case
from autodiff.testing.dtypes import is_narrow
from autodiff.testing.tolerances import rounding
from autodiff.value import Value

__all__ = ["check_large", "check_reuse"]

#: So many times the op is called on the same Values: the third gradient is added to a sum that the pass has made.
_TIMES = 3

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


def check_reuse(case: Case) -> None:
    """Compare gradients with those of a pass that writes results into memory which is not needed any more.

    That happens in the midst of a graph, where a cotangent is the pass's own.
    """
    cotangents = [c for c in case.cotangents if c is not None]
    if not (case.backend.reuses and case.differentiable) or is_narrow(case.dtype):
        return
    if any(c.dtype.kind == "c" for c in cotangents):  # of complex cotangents nothing is written into
        return
    plain = case.run()
    inputs: list[Any] = case.raw()
    leaves = {i: Value(inputs[i]) for i in case.differentiable}
    inputs = [leaves[i] * 1 if i in leaves else x for i, x in enumerate(inputs)]
    seeds = [case.lay(c) for c in cotangents]
    with reuse.always(), case.backend.testing(), np.errstate(all="ignore"):
        total: Any = 0
        for _ in range(_TIMES):
            total = total + sum((y * c).sum() for y, c in zip(case.floating_outputs(inputs), seeds, strict=True))
        total.backward()
    for i, expected in plain.grads.items():
        what = f"the gradient of {case.name(i)} from {_TIMES} calls, where what is not needed any more is written into"
        actual = case.gradient(leaves[i].grad, leaves[i].data)
        case.report.close(what, actual, _TIMES * expected, rounding(expected.dtype), finite=True)


def _has_its_own(case: Case) -> bool:
    """Tell whether the backend has a kernel or a rule of its own for the op."""
    if case.op.kind == "composite":
        return False
    if any(backend is case.backend for backend, *_ in registry.vjp_kernels(case.op)):
        return True
    types = {type(x) for x in case.raw() if case.is_array(x)}
    return case.backend.name in case.op.own_kernels or any(case.backend.kernel_for(case.op, t) for t in types)
