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
_INFINITE = (np.inf, -np.inf, np.nan)
#: The share of elements that are replaced; by infinities and NaN, which spread.
_SHARE, _FEW = 0.75, 0.25
#: So many times other numbers are tried in the same places.
_DRAWS = 2


def check_special_numbers(case: Case) -> None:
    """Compare plain passes with each other at kinks, ties and poles: NaN agrees with NaN here.

    The numbers are zeros, small integers, and those that are attributes; infinities and NaN for a rule that a backend
    has of its own. Differences say nothing there, so that which derivative is chosen is not checked; that all rules
    choose the same is.
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
        for where, arrays in _inputs(case, infinite=passes is _plain_passes):
            plain = _run(case, arrays)
            if plain is None:
                continue
            if passes is None:
                _check_forward(case, where, arrays, plain)
                continue
            with closing(passes(case, arrays)) as runs:  # so that the backend is itself again if one fails
                for how, run in runs:
                    for i in case.differentiable:
                        what = f"the gradient of {case.name(i)} {where}, {how} against a plain one"
                        _agree(case, what, run.grads[i], plain.grads[i])


def _inputs(case: Case, *, infinite: bool) -> Iterator[tuple[str, list[Any]]]:
    """Return in words what the inputs are, and them."""
    for number in range(_DRAWS):
        yield "at special numbers", _special(case, number)
    yield "at zeros", [np.zeros_like(x) if i in case.floating else x for i, x in enumerate(case.arrays)]
    # Only a backend's rule is asked what it does there: LAPACK may search for the singular values of NaN for ever.
    if infinite and case.has_backend_rules:
        for number in range(len(_INFINITE)):
            yield "at infinities and NaN", _special(case, number, _INFINITE, _FEW)


def _special(case: Case, number: int, numbers: tuple[float, ...] = _NUMBERS, share: float = _SHARE) -> list[Any]:
    """Return the inputs with a share of the floating numbers replaced, by the next ones for the next `number`."""
    attributes = [float(a) for a in case.attributes.values() if type(a) in (int, float) and np.isfinite(a)]
    found = list(case.arrays)
    for i in case.floating:
        x = found[i]
        # In turn rather than at random, in another order for arrays of another size: so that none is left out.
        rng = np.random.default_rng([case.seed, x.size, i])
        order = rng.permutation([*numbers, *attributes])
        count = min(x.size, max(1, round(share * x.size)))
        places = rng.permutation(x.size)[:count]
        turns = number * count + np.arange(count)
        found[i] = x.copy()
        found[i].flat[places] = order[turns % len(order)]
        if x.dtype.kind == "c":
            found[i].imag.flat[places] = order[(turns + len(order) // 2) % len(order)]
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
        _run(case, _special(case, _DRAWS))
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


def _check_forward(case: Case, where: str, arrays: list[Any], plain: Run) -> None:
    """Compare forward with reverse mode, ``<c, J t> = <J^H c, t>``, where the gradient is finite."""
    rng = np.random.default_rng(case.seed)
    tangents = [draw_like(arrays[i], rng) for i in case.differentiable]
    primals = [case.lay(arrays[i]) for i in case.differentiable]
    pushed = [case.numpy(t) for t in jvp(case.function_at(arrays), primals, [case.lay(t) for t in tangents])[1]]
    gradients = [plain.grads[i] for i in case.differentiable]
    cotangents = [c for c in case.cotangents if c is not None]
    if not all(np.isfinite(x).all() for x in gradients):
        return
    for n, t in enumerate(pushed):
        if not np.isfinite(t).all():
            told = f"the forward derivative of output {n} {where} is not finite, and the gradient is"
            case.report.fail(told, expected=gradients, actual=t)
    forward = [np.real(np.conj(c) * t) for c, t in zip(cotangents, pushed, strict=True)]
    reverse = [np.real(np.conj(g) * t) for g, t in zip(gradients, tangents, strict=True)]
    scale = sum(np.abs(part).sum() for part in (*forward, *reverse)) or 1.0
    ours, theirs = [np.asarray(sum(part.sum() for part in parts) / scale) for parts in (forward, reverse)]
    what = f"the forward derivative {where} against the gradient, both multiplied with a tangent and cotangent"
    involved = [np.dtype(x.dtype) for x in (*cotangents, *tangents)]
    case.report.close(what, ours, theirs, max(rounding(dtype) for dtype in involved), finite=True)


def _agree(case: Case, what: str, actual: Any, expected: Any) -> None:
    if actual.shape == expected.shape and expected.dtype.kind in "fc":
        both = np.isnan(actual) & np.isnan(expected)
        actual, expected = np.where(both, 0, actual), np.where(both, 0, expected)
    case.report.close(what, actual, expected, rounding(expected.dtype))
