"""The kit against faults planted in forward rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff.extend import elementwise, primitive, sample, unary
from autodiff.testing import ConformanceError, check_grads, check_op


def _double(factor: Any) -> Any:
    @elementwise(vjps=(lambda g: 2 * g,), jvps=(factor,), samples=unary())
    def double(xp: Any, x: Any) -> Any:
        return 2 * x

    return double


def _total(rule: Any) -> Any:
    @primitive(vjps=(lambda g, x_shape, xp: xp.broadcast_to(g, x_shape),), jvps=(rule,), samples=[sample((2, 3))])
    def total(xp: Any, x: Any) -> Any:
        return xp.sum(x)

    return total


def _joint(rule: Any) -> Any:
    @primitive(vjps=(lambda g, x2: g * x2, lambda g, x1: g * x1), jvp=rule, samples=[sample((3,), (3,))])
    def product(xp: Any, x1: Any, x2: Any) -> Any:
        return x1 * x2

    return product


def _pushed(t: Any, x1: Any, x2: Any) -> Any:
    if t[0] is None or t[1] is None:
        return 2 * t[0] * x2 if t[1] is None else t[1] * x1
    return t[0] * x2 + t[1] * x1


FAULTS = {
    "factor": _double(lambda t: 4 * t),
    "sign": _double(lambda t: -2 * t),
    "dropped": _double(lambda: None),
    "NaN": _double(lambda t: t * float("nan")),
    "shape": _total(lambda t: t),
    "axis": _total(lambda t, xp: xp.sum(t, axis=0)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_forward_rule_is_caught(fault: str) -> None:
    """check_op and check_grads find a jvp that does not belong to the op."""
    op = FAULTS[fault]

    with pytest.raises(ConformanceError):
        check_op(op)
    with pytest.raises(ConformanceError):
        check_grads(op, (np.ones((2, 3)),), modes=("fwd",))


def test_a_wrong_forward_rule_is_no_matter_of_reverse_mode() -> None:
    """What is asked for is what is checked."""
    check_grads(FAULTS["factor"], (np.ones(3),), modes=("rev",))


def test_a_forward_rule_that_is_wrong_for_one_tangent_alone_is_caught() -> None:
    """Tangents of one input, the others being constants, add up to those of all together."""
    with pytest.raises(ConformanceError, match="one moving input each"):
        check_op(_joint(_pushed))


@pytest.mark.parametrize("op", [_double(lambda t: 2 * t), _total(lambda t, xp: xp.sum(t))], ids=["double", "total"])
def test_a_right_forward_rule_passes(op: Any) -> None:
    """Also to order three."""
    check_op(op)
    check_grads(op, (np.ones((2, 3)),), order=3)
