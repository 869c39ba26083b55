"""Checks at numbers where derivatives may not exist: whatever an op chooses there, it chooses in every pass."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from autodiff.backend import Backend
from autodiff.errors import GraphError, RuleError
from autodiff.testing.case import Case, Run
from autodiff.testing.drawing import draw_like
from autodiff.testing.dtypes import is_narrow
from autodiff.testing.spying import with_its_own_rules
from autodiff.testing.tolerances import rounding
from autodiff.transforms import jvp

__all__ = ["check_special_forward", "check_special_numbers", "check_special_recorded"]

#: Kinks and poles are at such numbers, and arrays of them have ties.
_NUMBERS = (0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -3.0, 6.0)
#: The share of elements that are replaced.
_SHARE = 0.75


def check_special_numbers(case: Case) -> None:
    """Compare plain passes with each other at kinks, ties and poles: NaN agrees with NaN here.

    The numbers are zeros, small integers, and those that are attributes. Differences say nothing there, so that which
    derivative is chosen is not checked; that all rules choose the same is.
    """
    _compare(case, _plain_passes)


def check_special_recorded(case: Case) -> None:
    """Compare recorded passes with a plain one at such numbers."""
    _compare(case, _recorded_passes)


def check_special_forward(case: Case) -> None:
    """Compare forward with reverse mode at such numbers."""
    _compare(case, None)


def _compare(case: Case, passes: Callable[[Case, list[Any]], Generator[tuple[str, Run]]] | None) -> None:
    if not case.differentiable or is_narrow(case.dtype):
        return
    with np.errstate(all="ignore"):
        arrays = _special(case, 0)
        plain = _run(case, arrays)
        if plain is None:
            return
        if passes is None:
            _check_forward(case, arrays, plain)
            return
        with closing(passes(case, arrays)) as runs:  # so that the backend is itself again if one fails
            for how, run in runs:
                for i in case.differentiable:
                    what = f"the gradient of {case.name(i)} at special numbers, {how} against a plain one"
                    _agree(case, what, run.grads[i], plain.grads[i])


def _special(case: Case, number: int) -> list[Any]:
    """Return the inputs with most of the floating numbers replaced."""
    rng = np.random.default_rng([case.seed, number])
    attributes = [float(a) for a in case.attributes.values() if type(a) in (int, float) and np.isfinite(a)]
    numbers = np.array([*_NUMBERS, *attributes])

    def drawn(shape: tuple[int, ...]) -> Any:
        return rng.choice(numbers, shape)

    found = list(case.arrays)
    for i in case.floating:
        x = found[i]
        new = drawn(x.shape) + 1j * drawn(x.shape) if x.dtype.kind == "c" else drawn(x.shape)
        found[i] = np.asarray(np.where(rng.random(x.shape) < _SHARE, new, x), x.dtype)
    return found


def _run(case: Case, arrays: list[Any], **options: Any) -> Run | None:
    """Run the op; None if such numbers are not for it. `run_if_possible` says which exceptions mean that."""
    try:
        numbers = [case.numpy(y) for y in case.outputs_of(case.call(case.raw(arrays)))]
        if any(c is not None and y.shape != c.shape for y, c in zip(numbers, case.cotangents, strict=True)):
            return None
        return case.run(case.raw(arrays), **options)
    except (RuleError, GraphError):
        raise
    except (ValueError, ArithmeticError, RuntimeError):
        return None


def _plain_passes(case: Case, arrays: list[Any]) -> Generator[tuple[str, Run]]:
    """Return runs on the same numbers: by the op's own rules, after another call, as large arrays are."""
    if case.has_backend_rules:
        own = replace(case, op=with_its_own_rules(case.op))
        yield "by the op's own rules", _needed(_run(own, arrays))
    for where in _sizes(case):
        yield "in a plain pass" + where, _needed(_run(case, arrays))
        _run(case, _special(case, 1))
        yield "after a call with other numbers" + where, _needed(_run(case, arrays))


def _recorded_passes(case: Case, arrays: list[Any]) -> Generator[tuple[str, Run]]:
    for where in _sizes(case):
        yield "in a recorded pass" + where, _needed(_run(case, arrays, record=True))


def _sizes(case: Case) -> Iterator[str]:
    """Let the backend treat the arrays as they are, then as large ones if it can."""
    yield ""
    if type(case.backend).testing is not Backend.testing:
        with case.backend.testing():
            yield " of large arrays"


def _needed(run: Run | None) -> Run:
    if run is None:
        raise RuleError("the op refuses numbers that it has taken in a plain pass")
    return run


def _check_forward(case: Case, arrays: list[Any], plain: Run) -> None:
    """Compare forward with reverse mode, ``<c, J t> = <J^H c, t>``, where both are finite."""
    rng = np.random.default_rng(case.seed)
    tangents = [draw_like(arrays[i], rng) for i in case.differentiable]
    primals = [case.lay(arrays[i]) for i in case.differentiable]
    pushed = [case.numpy(t) for t in jvp(case.function_at(arrays), primals, [case.lay(t) for t in tangents])[1]]
    gradients = [plain.grads[i] for i in case.differentiable]
    cotangents = [c for c in case.cotangents if c is not None]
    if not all(np.isfinite(x).all() for x in (*pushed, *gradients)):
        return
    forward = [np.real(np.conj(c) * t) for c, t in zip(cotangents, pushed, strict=True)]
    reverse = [np.real(np.conj(g) * t) for g, t in zip(gradients, tangents, strict=True)]
    scale = sum(np.abs(part).sum() for part in (*forward, *reverse)) or 1.0
    ours, theirs = [np.asarray(sum(part.sum() for part in parts) / scale) for parts in (forward, reverse)]
    what = (
        "the forward derivative at special numbers against the gradient, both multiplied with a tangent and cotangent"
    )
    involved = [np.dtype(x.dtype) for x in (*cotangents, *tangents)]
    case.report.close(what, ours, theirs, max(rounding(dtype) for dtype in involved), finite=True)


def _agree(case: Case, what: str, actual: Any, expected: Any) -> None:
    if actual.shape == expected.shape and expected.dtype.kind in "fc":
        both = np.isnan(actual) & np.isnan(expected)
        actual, expected = np.where(both, 0, actual), np.where(both, 0, expected)
    case.report.close(what, actual, expected, rounding(expected.dtype))
