"""What has to catch a mutant: `check_op` of the ops that a rule belongs to; and the second look at survivors."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from test_docs import KINKS_PAGE, blocks, kinks

from autodiff.registry import registry
from autodiff.testing import ConformanceError, check_op
from autodiff.testing.report import mismatch
from autodiff.testing.tolerances import rounding
from autodiff_numpy import loops
from sabotage.equivalence import INPUTS, outcomes
from sabotage.mutations import reached

__all__ = ["SURVIVED", "before", "check_ops", "check_rule", "compare", "differing", "told_of"]

SURVIVED = ("survived", "")
UNREACHED = ("unreached", "nothing that was tried comes to this place")
_BATCH = 250
#: What many ops use has to pass the long checks of so many of them.
_LONG = 3
_DOUBLE = ("float64", "complex128")

#: The cheapest, which catch most: first derivatives in double precision.
FIRST: list[dict[str, Any]] = [{"dtypes": ("float64",), "order": 1}]
#: What the tests run of every op.
REST: list[dict[str, Any]] = [{}, {"seed": 1, "dtypes": _DOUBLE}]
#: What runs where there is no Numba.
PLAIN: list[dict[str, Any]] = [{"dtypes": ("float64", "float32", "complex128"), "order": 1}]
Outcomes = dict[int, Any]


def check_rule(mutant: Any, expected: Outcomes) -> tuple[str, str]:
    """Plant the fault; check the op, or the ops, whose rule it is in, and what is documented of kinks.

    Most survivors of the first checks change nothing: gradients are compared with those `expected` before the long ones.
    """
    if not mutant.plant():
        return "unplanted", "no function was changed"
    outcome = check_ops(mutant.ops, FIRST)
    if outcome == SURVIVED:
        outcome = check_kinks()
    if outcome != SURVIVED:
        return outcome
    compared = compare(mutant, expected)
    if compared[0] == "equivalent" and reached():
        return compared
    outcome = check_everything(mutant.ops)
    return told_of(compared) if outcome == SURVIVED else outcome


def told_of(compared: tuple[str, str]) -> tuple[str, str]:
    """Return what became of a mutant that nothing caught: equal gradients mean nothing where its place never ran."""
    return compared if compared[0] == "survived" or reached() else UNREACHED


def check_everything(op_ids: list[str]) -> tuple[str, str]:
    """Return what the kit says of the first ops, with Numba and without."""
    outcome = check_ops(op_ids[:_LONG], REST)
    if outcome == SURVIVED:
        with loops.without():
            outcome = check_ops(op_ids[:_LONG], PLAIN)
    return outcome


def check_ops(op_ids: list[str], passes: list[dict[str, Any]]) -> tuple[str, str]:
    """Return what the kit says of the first op that it refuses.

    What a part of the kit catches, the kit catches.
    """
    for options in passes:
        for op_id in op_ids:
            try:
                check_op(op_id, **options)
            except ConformanceError as exc:
                return "caught", f"check_op({op_id!r}): {str(exc).splitlines()[0][:200]}"
            except Exception as exc:
                return "caught", f"check_op({op_id!r}) raised {type(exc).__name__}: {exc}"[:200]
    return SURVIVED


def check_kinks() -> tuple[str, str]:
    """Run the rows of `docs/kinks.md`: where there is no derivative, no check can know what was chosen."""
    namespace: dict[str, Any] = {}
    for block in blocks(KINKS_PAGE):
        exec(block, namespace)
    for op, example, result in kinks():
        try:
            told = str(eval(example, namespace))
        except Exception as exc:
            told = f"{type(exc).__name__}: {exc}"
        if told != result:
            return "caught by the page of kinks", f"{op}: {example} is {told:.80}"
    return SURVIVED


# ---- survivors -------------------------------------------------------------------------------------------------------


def before(op_ids: list[str]) -> Outcomes:
    """Return the gradients of `INPUTS` random calls, as they are without a fault.

    Without one the checks have to pass: otherwise they would catch everything.
    """
    outcome = check_everything(op_ids)
    if outcome != SURVIVED:
        raise RuntimeError(f"no fault is planted, and the checks fail: {outcome[1]}")
    found: Outcomes = {}
    number = 0
    while len(found) < INPUTS and number < 40 * INPUTS:
        batch = range(number, number + _BATCH)
        found |= {n: parts for n in batch if (parts := _outcome(op_ids, n)) is not None}
        number += _BATCH
    return found


def compare(mutant: Any, expected: Outcomes) -> tuple[str, str]:
    """Compare the gradients, now that the fault is planted, with those before, bit by bit.

    Where they only differ by rounding, or as far as the kit's tolerance goes, that is said, and the mutant is a
    survivor all the same.
    """
    near = 0
    for n, parts in expected.items():
        different = differing(parts, _outcome(mutant.ops, n))
        if different == "much":
            return "survived", f"gradients differ on random input {n} of {mutant.ops[n % len(mutant.ops)]}"
        near += different == "little"
    if near:
        return "rounding", f"gradients differ within the tolerance on {near} of {len(expected)} random inputs"
    return "equivalent", f"bitwise equal on {len(expected)} random inputs"


def differing(expected: Any, actual: Any) -> str:
    """Tell whether gradients differ, and whether by more than the tolerance between two ways of computing them."""
    if actual is None or len(actual) != len(expected):
        return "much"
    worst = ""
    for a, e in zip(actual, expected, strict=True):
        if not isinstance(a, np.ndarray) or not isinstance(e, np.ndarray):
            if repr(a) != repr(e):
                return "much"
        elif (a.shape, a.dtype) != (e.shape, e.dtype):
            return "much"
        elif _bits(a) != _bits(e):
            worst = "little"
            if a.dtype.kind not in "fc" or not np.array_equal(np.isnan(a), np.isnan(e)):
                return "much"
            tolerance = rounding(e.dtype)
            with np.errstate(all="ignore"):
                if mismatch(np.where(np.isnan(a), 0, a), np.where(np.isnan(e), 0, e), tolerance, 0.0):
                    return "much"
    return worst


def _bits(x: Any) -> bytes:
    """Return the bits of an array, with one NaN for all: of which sign it is may be another at each run."""
    if x.dtype.kind in "fc":
        x = np.array(x, order="C", ndmin=1)
        parts = x.view(x.real.dtype)
        parts[np.isnan(parts)] = np.nan
    return bytes(x.tobytes())


def _outcome(op_ids: list[str], number: int) -> Any:
    """Return that of `outcomes`, for odd numbers by the kernels and rules for large arrays."""
    with registry.backend("numpy").testing() if number % 2 else contextlib.nullcontext():
        return outcomes(op_ids, [number])[0]
