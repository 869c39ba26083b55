"""Rules that a backend has of its own: for real numbers, in passes that are not recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, ops
from autodiff.errors import RegistrationError, RuleError
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


def _scaled() -> tuple[Any, list[Any]]:
    """Return an op of two arrays with a joint rule for NumPy, and the `needs` that this was handed."""

    @elementwise(vjps=(lambda g, scale: g * scale, lambda g, x: g * x))
    def scaled(xp: Any, x: Any, scale: Any) -> Any:
        return x * scale

    seen: list[Any] = []

    def joint(g: Any, x: Any, scale: Any, needs: Any) -> Any:
        seen.append(needs)
        return g * scale, g * x

    scaled.vjp_kernel("numpy", joint=joint)((lambda g, scale: g * scale, lambda g, x: g * x))
    return scaled, seen


def test_a_joint_rule_is_called_once_for_all_inputs() -> None:
    """It stands in for the rules of each input; a recorded pass has no use for it."""
    scaled, seen = _scaled()
    x, scale = Value(np.array([1.0, 2.0])), Value(np.array([3.0, 4.0]))
    scaled(x, scale).sum().backward()

    assert seen == [(True, True)]
    assert (x.grad.tolist(), scale.grad.tolist()) == ([3.0, 4.0], [1.0, 2.0])
    scaled(x, scale).sum().backward(create_graph=True)
    assert len(seen) == 1


def test_a_joint_rule_waits_until_all_that_it_names_is_kept() -> None:
    """For one input alone less is kept, and the rule of that input does."""
    scaled, seen = _scaled()
    x = Value(np.array([1.0, 2.0]))
    scaled(x, np.array([3.0, 4.0])).sum().backward()

    assert seen == []
    assert x.grad.tolist() == [3.0, 4.0]


def test_a_joint_rule_skips_inputs_that_nobody_asks_for() -> None:
    """`autodiff.grad` and ``inputs=`` take their part of what it returns."""
    scaled, seen = _scaled()
    x, scale = Value(np.array([1.0, 2.0])), Value(np.array([3.0, 4.0]))
    scaled(x, scale).sum().backward(inputs=[scale])

    assert seen == [(True, True)]
    assert (x.grad, scale.grad.tolist()) == (None, [1.0, 2.0])


def test_a_joint_rule_of_the_wrong_length_is_refused() -> None:
    """By the name of the op."""
    scaled, _ = _scaled()
    scaled.vjp_kernel("numpy", joint=lambda g, x, scale: (g,))((None, None))

    with pytest.raises(RuleError, match=r"scaled.*1 cotangents"):
        scaled(Value(np.ones(2)), Value(np.ones(2))).sum().backward()


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
