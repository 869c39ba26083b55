"""Rules that a backend has of its own: for real numbers, in passes that are not recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, ops
from autodiff.errors import RegistrationError
from autodiff.extend import elementwise
from autodiff.registry import registry
from autodiff_numpy.kernels import ARRAY_RULES, SCALAR_RULES


def _tripled() -> Any:
    @elementwise(partials=(lambda x: 3.0,))
    def tripled(xp: Any, x: Any) -> Any:
        return 3.0 * x

    return tripled


def test_a_declared_rule_is_used_in_plain_passes_only() -> None:
    """The replacement runs on raw arrays; a recorded pass runs the op's own rule, which can be differentiated."""
    tripled = _tripled()
    seen = []

    @tripled.vjp_kernel("numpy")
    def _(g: Any) -> Any:
        seen.append(type(g))
        return 3.0 * g

    x = Value(np.ones(2))
    tripled(x).sum().backward()
    tripled(x).sum().backward(create_graph=True)

    assert seen == [np.ndarray]
    assert x.grad.data.tolist() == [6.0, 6.0]


def test_a_declared_rule_is_not_used_for_complex_numbers() -> None:
    """Conjugation is the business of the op's own rule."""
    tripled = _tripled()
    tripled.vjp_kernel("numpy")(lambda g: g * 100)
    z = Value(1 + 2j)
    abs(tripled(z)).backward()

    np.testing.assert_allclose(z.grad, 3 * (1 + 2j) / abs(1 + 2j))


def test_a_declared_rule_names_no_more_than_the_op_does() -> None:
    """What is kept from the forward pass is decided by the op's own rules."""
    tripled = _tripled()
    tripled.vjp_kernel("numpy")(lambda g, y: g * y)

    with pytest.raises(RegistrationError, match=r"tripled.*numpy"):
        tripled(Value(np.ones(2))).sum().backward()


#: Those of other inputs have their tests in `tests/numpy_backend`.
_OF_NUMBERS = sorted({*ARRAY_RULES, *SCALAR_RULES} - {"autodiff_ops.take_along_axis"})


@pytest.mark.parametrize("op_id", _OF_NUMBERS)
@pytest.mark.parametrize("shape", [(), (8,), (8192,)], ids=["scalar", "array", "large"])
def test_numpy_rules_agree_with_the_rules_of_the_op(op_id: str, shape: tuple[int, ...]) -> None:
    """A plain pass, which uses them, and a recorded pass, which does not, give the same gradient."""
    op = ops[op_id]
    if op.kind != "elementwise" and shape == ():
        pytest.skip("it works over an axis")
    rng = np.random.default_rng(0)
    data = [rng.uniform(-0.9, 0.9, shape)[()] for _ in op.inputs]
    plain, recorded = [Value(d) for d in data], [Value(d) for d in data]
    y = op(*plain)
    seed = rng.standard_normal(y.shape)
    y.backward(seed)
    op(*recorded).backward(seed, create_graph=True)

    for p, r in zip(plain, recorded, strict=True):
        np.testing.assert_allclose(p.grad, r.grad.data, rtol=1e-14, atol=1e-15)


def test_numpy_rules_are_in_use() -> None:
    """The tables name ops that exist."""
    assert {*ARRAY_RULES, *SCALAR_RULES} <= set(registry.ops)
