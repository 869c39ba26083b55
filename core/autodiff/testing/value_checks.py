"""Checks of an op's values: against its kernels, a reference, NumPy, other layouts, and for its own sake."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from autodiff.errors import GraphError, RuleError
from autodiff.registry import registry
from autodiff.testing.case import Case, Run
from autodiff.testing.drawing import LAYOUTS
from autodiff.testing.dtypes import cast, is_narrow, widened
from autodiff.testing.tolerances import rounding
from autodiff.value import Value

__all__ = [
    "check_broadcast",
    "check_layouts",
    "check_precision",
    "check_value",
    "compare_runs",
    "compare_values",
    "run_if_possible",
]


def check_value(case: Case) -> None:
    """Compare the op with its kernels, and a call on Values with a call on arrays; no NaN."""
    report, op, backend = case.report, case.op, case.backend
    result = case.call(case.raw())
    numbers = [case.numpy(y) for y in case.outputs_of(result)]
    for n, y in enumerate(numbers):
        if y.dtype.kind in "fc" and np.isnan(y).any():
            report.fail(f"output {n} has a NaN", expected="numbers", actual=y)
    for what, kernel in _kernels(case):
        attrs = {**op.attrs, **case.attrs()}
        y = kernel(*case.raw(), **attrs)
        if op.residuals:
            y = y[0]
        y = case.determined(y)
        compare_values(case, f"the value against {what}", numbers, [case.numpy(part) for part in case.outputs_of(y)])
    _check_against_reference(case, numbers)
    _check_against_numpy(case, numbers)
    if isinstance(result, tuple | list):
        report.same("what holds several outputs, for arrays", type(result).__name__, "tuple")
    on_values = case.call([Value(x) if case.is_array(x) else x for x in case.raw()])
    again = [case.numpy(y) for y in case.outputs_of(on_values)]
    compare_values(case, "the value for Values against that for arrays", again, numbers)
    if isinstance(result, tuple):
        report.same("what holds several outputs, for Values", type(on_values).__name__, "tuple")
    for n, (y, v) in enumerate(zip(case.outputs_of(result), case.outputs_of(on_values), strict=True)):
        if not _known(y):
            report.fail(f"output {n} of a call on arrays", expected=f"an array of {backend.name!r}", actual=type(y))
        if type(v) is not Value:
            report.fail(f"output {n} of a call on Values", expected="a Value", actual=type(v))
        report.same(f"dtype of output {n}, for Values against arrays", str(v.dtype), str(y.dtype))
    if "device" not in op.attrs:
        inputs = {backend.device(x) for x in case.raw() if case.is_array(x)}
        for n, y in enumerate(case.outputs_of(result)):
            if inputs and case.is_array(y) and backend.device(y) not in inputs:
                report.fail(f"device of output {n}", expected=" or ".join(inputs), actual=backend.device(y))


def _known(y: Any) -> bool:
    return registry.backend_of(type(y)) is not None


def _kernels(case: Case) -> list[tuple[str, Callable[..., Any]]]:
    """Return the kernel that the op would choose, and the generic one if there is one."""
    op, backend = case.op, case.backend
    if op.kind == "composite":
        return []
    types = [type(x) for x in case.raw() if case.is_array(x)]
    found = [("its kernel", op.kernel_on(backend, types[0]))] if types else []
    if op.takes_xp and backend.follows_standard:
        found.append(("the generic kernel", lambda *xs, **attrs: op.function(backend.xp, *xs, **attrs)))
    return found


def _check_against_reference(case: Case, numbers: list[Any]) -> None:
    """Compare the values with those of the op's reference, where there is one and it can be imported."""
    reference = case.op.reference
    if reference is None:
        return
    if isinstance(reference, str):
        module, _, name = reference.partition(":")
        try:
            reference = getattr(importlib.import_module(module), name)
        except ImportError:
            return  # it is of a package that need not be there
    expected = [
        np.asarray(y)
        for y in case.outputs_of(case.determined(reference(*map(widened, case.arrays), **case.attributes)))
    ]
    tolerance = None if not is_narrow(case.dtype) else rounding(case.dtype)
    ours, theirs = _determined(case, numbers), _determined(case, expected)
    compare_values(case, "the value against the reference", ours, theirs, tolerance)


def _check_against_numpy(case: Case, numbers: list[Any]) -> None:
    """Compare the values, and their dtypes, with NumPy's on the same numbers; random ops draw others."""
    if case.backend.name == "numpy" or "generator" in case.op.attrs:
        return
    references = [np.asarray(y) for y in case.outputs_of(case.call(deepcopy(case.arrays)))]
    compare_values(case, "the value against NumPy's", _determined(case, numbers), _determined(case, references))
    for n, (ours, theirs) in enumerate(zip(numbers, references, strict=True)):
        case.report.same(f"dtype of output {n}, against NumPy's", str(ours.dtype), str(theirs.dtype))


def _determined(case: Case, numbers: list[Any]) -> list[Any]:
    """Return what of the outputs all libraries agree on: all, unless the op says otherwise."""
    if case.op.invariants is None or case.has_invariants:
        return numbers  # they are what the call gave
    return [np.asarray(y) for y in case.outputs_of(case.op.invariants(*numbers))]


def check_layouts(case: Case) -> None:
    """Compare results and gradients of inputs that are read-only, strided, reversed, in Fortran order, or scalars."""
    plain = case.run()
    for layout in LAYOUTS:
        run = case.run(layout=layout)
        compare_runs(case, f"with inputs {layout}", run, plain)


def check_precision(case: Case) -> None:
    """Compare results and gradients of narrow dtypes with those in double precision; they keep their dtype."""
    if not is_narrow(case.dtype):
        return
    tolerance = rounding(case.dtype)
    ours, theirs = case.run(), case.run(case.raw([widened(x) for x in case.arrays]))
    compare_values(case, f"the value in {case.dtype} against double precision", ours.numbers, theirs.numbers, tolerance)
    # An op that is told a dtype follows that; an array of integers makes NumPy's results wide.
    integers = any(isinstance(x, np.ndarray) and x.dtype.kind in "iu" for x in case.arrays)
    if "dtype" not in case.op.attrs and not integers:
        for n, y in enumerate(ours.numbers):
            if y.dtype.kind in "fc":
                told = f"dtype of output {n} for {case.dtype} inputs"
                case.report.same(told, str(y.dtype), str(cast(y, case.dtype).dtype))
    for i in case.differentiable:
        what = f"the gradient of {case.name(i)} in {case.dtype}"
        case.report.same(f"dtype of {what}", str(ours.grads[i].dtype), str(case.arrays[i].dtype))
        case.report.close(f"{what} against double precision", ours.grads[i], theirs.grads[i], tolerance, finite=True)


def check_broadcast(case: Case) -> None:
    """Compare results and gradients of inputs that repeat one element in memory with those of plain copies."""
    repeated = [i for i in case.floating if case.arrays[i].ndim and case.arrays[i].shape[-1] > 1]
    if not repeated:
        return
    arrays = list(case.arrays)
    for i in repeated:
        arrays[i] = np.repeat(arrays[i][..., :1], arrays[i].shape[-1], axis=-1)
    plain = run_if_possible(case, arrays)
    if plain is None:
        return
    spread = case.raw(arrays)
    for i in repeated:
        first = case.lay(np.ascontiguousarray(arrays[i][..., :1]))
        spread[i] = case.backend.xp.broadcast_to(first, arrays[i].shape)
    compare_runs(case, "with inputs that broadcasting made", case.run(spread), plain)


def run_if_possible(case: Case, arrays: list[Any]) -> Run | None:
    """Run the op on numbers that were not drawn for it; None if they are not for it: a singular matrix, a negative base.

    Libraries say that by a ValueError (NumPy's LinAlgError is one), one of arithmetic, or a RuntimeError (PyTorch's is
    one). A rule that returns no gradient, or a graph that is misused, is a fault all the same.
    """
    try:
        with np.errstate(all="ignore"):
            run = case.run(case.raw(arrays))
    except (RuleError, GraphError):
        raise
    except (ValueError, ArithmeticError, RuntimeError):
        return None
    return run if all(np.isfinite(y).all() for y in (*run.numbers, *run.grads.values())) else None


def compare_runs(case: Case, how: str, run: Run, plain: Run) -> None:
    compare_values(case, f"the value {how} against plain ones", run.numbers, plain.numbers)
    for i in plain.grads:
        what = f"the gradient of {case.name(i)} {how} against plain ones"
        case.report.close(what, run.grads[i], plain.grads[i], rounding(plain.grads[i].dtype), finite=True)


def compare_values(
    case: Case, what: str, actual: list[Any], expected: list[Any], tolerance: float | None = None
) -> None:
    case.report.same(f"{what}: number of outputs", len(actual), len(expected))
    for n, (a, e) in enumerate(zip(actual, expected, strict=True)):
        which = f" (output {n})" if len(actual) > 1 else ""
        case.report.close(f"{what}{which}", a, e, rounding(e.dtype) if tolerance is None else tolerance)
