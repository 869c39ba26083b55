"""The checks that make up `check_op`, in their order: each takes a `Case` and raises `ConformanceError`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from autodiff.testing import gradient_checks as gradients
from autodiff.testing import hand_checks as hands
from autodiff.testing import value_checks as values
from autodiff.testing.batch_checks import check_batched_forward, check_batching
from autodiff.testing.c_expressions import check_c_expressions
from autodiff.testing.case import Case
from autodiff.testing.large_checks import check_large, check_reuse
from autodiff.testing.special_checks import check_special_forward, check_special_numbers, check_special_recorded

__all__ = ["CHECKS", "Check"]


class Check(NamedTuple):
    """One check, and the derivative that it verifies: none for 0 and None.

    `against` is another mode, whose first derivative it needs to compare with.
    """

    run: Callable[[Case], None]
    order: int = 0
    mode: str | None = None
    against: str | None = None


#: In this order, so that the first to fail is the one that says most: writing into an array spoils other checks.
#: Another transform gets a module of checks and its rows here.
CHECKS: tuple[Check, ...] = (
    Check(values.check_value),
    Check(gradients.check_gradient_flags),
    Check(hands.check_mutation, 1, "rev"),
    Check(gradients.check_backend_rule, 1, "rev"),
    Check(gradients.check_gradient, 1, "rev"),
    Check(gradients.check_gradient_types, 1, "rev"),
    Check(check_c_expressions, 1, "rev"),
    Check(hands.check_aliasing, 1, "rev"),
    Check(hands.check_repetition, 1, "rev"),
    Check(hands.check_overlap, 1, "rev"),
    Check(hands.check_memory, 1, "rev"),
    Check(hands.check_subsets, 1, "rev"),
    Check(hands.check_same_input, 1, "rev"),
    Check(hands.check_needs, 1, "rev"),
    Check(values.check_layouts, 1, "rev"),
    Check(values.check_broadcast, 1, "rev"),
    Check(values.check_precision, 1, "rev"),
    Check(check_large, 1, "rev"),
    Check(check_reuse, 1, "rev"),
    Check(gradients.check_recorded, 2, "rev"),
    Check(hands.check_recorded_mutation, 2, "rev"),
    Check(hands.check_recorded_memory, 2, "rev"),
    Check(gradients.check_second_order, 2, "rev"),
    Check(gradients.check_third_order, 3, "rev"),
    Check(gradients.check_forward, 1, "fwd"),
    Check(hands.check_forward_mutation, 1, "fwd"),
    Check(hands.check_forward_memory, 1, "fwd"),
    Check(gradients.check_forward_second_order, 2, "fwd"),
    Check(gradients.check_forward_third_order, 3, "fwd"),
    Check(check_special_numbers, 1, "rev"),
    Check(check_special_recorded, 2, "rev"),
    Check(check_special_forward, 1, "fwd", against="rev"),
    Check(check_batching, 1, "rev"),
    Check(check_batched_forward, 2, "fwd", against="rev"),
)
