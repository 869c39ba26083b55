"""`checkpoint`, `custom_gradient` and `approximate_gradient`."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from autodiff import (
    Value,
    approximate_gradient,
    checkpoint,
    custom_gradient,
    grad,
    hessian,
    jvp,
    no_grad,
    ops,
)
from autodiff.errors import ArgumentError, ArgumentTypeError, GraphError, RegistrationError, RuleError
from autodiff.testing import check_grads

DATA = np.random.default_rng(0).standard_normal((3, 4))


def _gradients(function: Any) -> list[Any]:
    x, w, k = (Value(DATA[n].copy()) for n in range(3))
    function(x, w, k).sum().backward()
    return [v.grad for v in (x, w, k)]


def test_gradients_reach_arguments_keywords_and_closures() -> None:
    """A checkpointed function has the gradients of the plain one, wherever its Values come from."""

    def run(wrap: Any) -> Any:
        return lambda x, w, k: wrap(lambda v, *, k: (v * w * k).tanh() * v)(x, k=k)

    for plain, ours in zip(_gradients(run(lambda f: f)), _gradients(run(checkpoint)), strict=True):
        np.testing.assert_array_equal(ours, plain)


def test_it_keeps_its_inputs_alone() -> None:
    """Between the passes nothing is alive of what the ops inside would have saved."""
    data = np.ones((200, 500))

    def kept(f: Any) -> int:
        x = Value(data)
        tracemalloc.start()
        y = f(x).sum()
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        y.backward()
        assert x.grad.shape == data.shape
        return size

    def deep(v: Any) -> Any:
        for _ in range(10):
            v = (v * 1.01).tanh()
        return v

    assert kept(deep) > 9 * data.nbytes
    assert kept(checkpoint(deep)) < 1.2 * data.nbytes


def test_every_order_and_both_modes() -> None:
    """Second derivatives, and forward mode, go through a checkpoint."""

    def f(v: Any) -> Any:
        return (v * v).tanh() * v

    x, t = DATA[0], DATA[1]
    plain, ours = (lambda v: f(v).sum()), (lambda v: checkpoint(f)(v).sum())

    np.testing.assert_allclose(hessian(ours)(x), hessian(plain)(x), rtol=1e-12)
    np.testing.assert_allclose(jvp(checkpoint(f), (x,), (t,))[1], jvp(f, (x,), (t,))[1], rtol=1e-12)
    check_grads(checkpoint(f), (x,), order=2)


def test_several_outputs_in_nestings() -> None:
    """Outputs keep their structure; those that are not used cost nothing."""
    x = Value(np.array([1.0, 2.0]))
    result = checkpoint(lambda v: {"a": v * 2, "b": [v * v, 7]})(x)
    result["b"][0].sum().backward()

    assert result["b"][1] == 7
    assert x.grad.tolist() == [2.0, 4.0]


@pytest.mark.parametrize("nested", [False, True])
def test_random_ops_are_replayed(nested: bool) -> None:
    """The backward pass sees the same masks, and the generator goes on where it was."""
    generator, twin = np.random.default_rng(3), np.random.default_rng(3)

    def drop(v: Any) -> Any:
        return ops.dropout(v, p=0.5, generator=generator)

    f = checkpoint(lambda v: checkpoint(drop)(v) + drop(v)) if nested else checkpoint(drop)
    x = Value(np.ones(50))
    y = f(x)
    y.sum().backward()
    twin.random((100 if nested else 50,))

    np.testing.assert_array_equal(x.grad, y.data)
    assert generator.random() == twin.random()


def test_a_random_op_without_generator_is_refused() -> None:
    """It could not be replayed."""
    with pytest.raises(ArgumentError, match="generator"):
        checkpoint(ops.dropout)(Value(np.ones(3)))


def test_handles_may_be_re_bound_in_between() -> None:
    """What the caller does to its names after the call does not matter."""
    x = Value(np.array([1.0, 2.0]))
    h = x * 3
    y = checkpoint(lambda v: v * v)(h)
    h += 100
    y.sum().backward()

    assert x.grad.tolist() == [18.0, 36.0]


def test_a_function_that_changes_is_reported() -> None:
    """Computed again, it must return the same structure."""
    calls = []

    def fickle(v: Any) -> Any:
        calls.append(1)
        return v * 2 if len(calls) == 1 else 3.0

    y = checkpoint(fickle)(Value(1.0))
    with pytest.raises(GraphError, match="fickle"):
        y.backward()


def test_constants_and_no_grad() -> None:
    """Where there is nothing to differentiate the function is just called."""
    assert not checkpoint(lambda v: v * 2)(Value(1.0, requires_grad=False)).requires_grad
    with no_grad():
        assert not checkpoint(lambda v: v * 2)(Value(1.0)).requires_grad


def test_custom_gradient_of_numpy_code() -> None:
    """A function of raw arrays, its rule beside it; every order, both modes, nothing registered."""

    @custom_gradient(vjps=(lambda g, x, xp, power: g * power * x ** (power - 1), None))
    def powers(x: Any, shift: Any, *, power: int = 3) -> Any:
        assert type(x) is np.ndarray
        return np.power(x, power) + shift

    check_grads(lambda x: powers(x, np.ones(3), power=3), (np.array([0.5, 1.0, -2.0]),), order=3)
    assert powers.id not in {op.id for op in ops}


def _solution_vjp(g: Any, a: Any, y: Any, xp: Any) -> Any:
    w = xp.linalg.solve(a.T, g)
    return -w[:, None] * y[None, :]


def test_rules_find_linear_algebra_in_every_pass() -> None:
    """`xp` has the namespaces that NumPy has, in a pass that is recorded as in one that is not."""
    b = np.array([1.0, -2.0, 0.5])
    solution = custom_gradient(vjps=(_solution_vjp,))(lambda a: np.linalg.solve(a, b))
    check_grads(solution, (DATA[:, :3] + 3 * np.eye(3),), order=2)
    spectrum = custom_gradient(vjps=(lambda g, x, xp: 2 * xp.fft.ifft(g * xp.fft.fft(x)).real * 4,))(
        lambda x: np.abs(np.fft.fft(x)) ** 2
    )
    check_grads(spectrum, (DATA[0],), order=2)


def test_functions_in_the_wrong_place_are_refused() -> None:
    """Habits from other libraries meet a sentence, not a count of parameters."""
    with pytest.raises(ArgumentTypeError, match=r"checkpoint\(.*\)\(\.\.\.\)"):
        checkpoint(lambda v: v, Value(1.0))
    with pytest.raises(ArgumentTypeError, match="takes rules"):
        custom_gradient(lambda v: v)
    with pytest.raises(ArgumentTypeError, match="returned None"):
        grad(lambda v: None)(1.0)


def test_custom_gradient_refuses_a_rule_that_does_not_fit() -> None:
    """As a registered op would."""
    with pytest.raises(RegistrationError, match="zz"):
        custom_gradient(vjps=(lambda g, zz: g,))(lambda x: x)


def test_approximate_gradient() -> None:
    """Central differences of an opaque function; a second derivative is refused."""

    def opaque(x: Any, y: Any) -> Any:
        return np.array([float(x[0]) ** 2 * float(y), float(x[1]) * float(y) ** 2])

    f = approximate_gradient(opaque)
    x, y = Value(np.array([1.0, 2.0])), Value(3.0)
    f(x, y).sum().backward()

    np.testing.assert_allclose(x.grad, [6.0, 9.0], rtol=1e-8)
    np.testing.assert_allclose(y.grad, 13.0, rtol=1e-8)
    with pytest.raises(RuleError, match="first order"):
        grad(lambda a: grad(lambda b: f(b, 3.0).sum())(a).sum())(np.array([1.0, 2.0]))
