"""What has to catch a mutant: `check_op` of the ops that a rule belongs to; and the second look at survivors."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from autodiff.registry import registry
from autodiff.testing import ConformanceError, check_op
from sabotage.equivalence import INPUTS, outcomes

__all__ = ["SURVIVED", "check_rule", "compare"]

SURVIVED = ("survived", "")
_BATCH = 250


def check_rule(mutant: Any) -> tuple[str, str]:
    """Plant the fault, and check the op, or the ops, whose rule it is in."""
    if not mutant.plant():
        return "unplanted", "no function was changed"
    return check_ops(mutant.ops)


def check_ops(op_ids: list[str]) -> tuple[str, str]:
    """Return what the kit says of the first op that it refuses.

    What a part of the kit catches, the kit catches: most faults are seen in double precision.
    """
    passes: list[dict[str, Any]] = [{"dtypes": ("float64",), "order": 2}, {}, {"seed": 1}]
    for options in passes:
        for op_id in op_ids:
            try:
                check_op(op_id, **options)
            except ConformanceError as exc:
                return "caught", f"check_op({op_id!r}): {str(exc).splitlines()[0][:200]}"
            except Exception as exc:
                return "caught", f"check_op({op_id!r}) raised {type(exc).__name__}: {exc}"[:200]
    return SURVIVED


def compare(mutant: Any) -> tuple[str, str]:
    """Compare the gradients before and after the fault is planted, bit by bit, until `INPUTS` of them agree."""
    before: list[tuple[int, str]] = []
    number = 0
    while len(before) < INPUTS and number < 40 * INPUTS:
        batch = list(range(number, number + _BATCH))
        before += [
            (n, digest) for n, digest in zip(batch, _outcomes(mutant.ops, batch), strict=True) if digest is not None
        ]
        number += _BATCH
    mutant.plant()
    for n, digest in before:
        if _outcomes(mutant.ops, [n]) != [digest]:
            return "survived", f"gradients differ on random input {n} of {mutant.ops[n % len(mutant.ops)]}"
    return "equivalent", f"bitwise equal on {len(before)} random inputs"


def _outcomes(op_ids: list[str], numbers: list[int]) -> list[str | None]:
    """Return those of `outcomes`, for odd numbers by the kernels and rules for large arrays."""
    found: list[str | None] = []
    for n in numbers:
        with registry.backend("numpy").testing() if n % 2 else nullcontext():
            found += outcomes(op_ids, [n])
    return found
