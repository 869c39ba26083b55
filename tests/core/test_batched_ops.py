"""Ops in vmap: what authors declare for batches, and what happens where they declare nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, approximate_gradient, custom_gradient, grad, jacobian, vmap
from autodiff.errors import ArgumentError, AutodiffError
from autodiff.extend import elementwise, primitive

RNG = np.random.default_rng(3)
X = RNG.uniform(0.5, 2.0, (4, 3))
Y = RNG.uniform(0.5, 2.0, (4, 3))
W = RNG.uniform(0.5, 2.0, (3, 2))


def close(found: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    """Compare, shapes included."""
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def _plain_vjp(g: Any, x: Any) -> Any:
    return np.asarray(g) * np.cos(np.asarray(x))  # leaves the ops: no batch, no second derivative


@primitive(vjps=(_plain_vjp,))
def _loop_only(xp: Any, x: Any) -> Any:
    return np.sin(np.asarray(x))


@custom_gradient(vjps=(lambda g, x, xp: g * xp.cos(x),))
def _sine(x: Any) -> Any:
    assert type(x) is np.ndarray
    assert x.shape == (3,)
    return np.sin(x)


def _pair_vjp(g: Any, kept: Any, note: Any) -> Any:
    assert note == {"sizes": 3}
    return (0.0 if g[0] is None else g[0]) + (0.0 if g[1] is None else g[1] * kept)


@primitive(vjps=(_pair_vjp,), residuals=("kept", "note"))
def _pair(xp: Any, x: Any) -> Any:
    return (x + 1.0, x * x), 2 * x, {"sizes": len(x)}


@elementwise(partials=(lambda x: np.cos(x) * 1.0,))
def _elementwise(xp: Any, x: Any) -> Any:
    return np.sin(x)


@elementwise(vjps=(lambda g, x: np.multiply.outer(np.asarray(g), np.cos(np.asarray(x))).diagonal(),))
def _bad_mannered(xp: Any, x: Any) -> Any:
    return np.sin(x)


_CUBE = RNG.standard_normal((4, 3, 5, 2))
STRANGERS = {
    "a rule outside of the ops": _loop_only,
    "custom_gradient": _sine,
    "approximate_gradient": approximate_gradient(np.sin),
    "elementwise": _elementwise,
    "elementwise, with a rule outside of the ops": _bad_mannered,
}


@pytest.mark.parametrize("name", STRANGERS)
def test_every_op_has_a_fallback(name: str) -> None:
    """An op and rules that know nothing of batches are right for one, in every combination."""
    op = STRANGERS[name]
    total = lambda x: (op(x) * np.arange(1.0, 4.0)).sum()  # once, in one line
    wanted = np.cos(X) * np.arange(1.0, 4.0)

    close(vmap(op)(X), np.sin(X))
    close(vmap(grad(total))(X), wanted, 1e-8)
    close(grad(lambda x: vmap(total)(x).sum())(X), wanted, 1e-8)
    close(vmap(vmap(grad(total)))(np.stack([X, Y])), np.cos(np.stack([X, Y])) * np.arange(1.0, 4.0), 1e-8)
    close(jacobian(op, mode="reverse")(X[0]), np.diag(np.cos(X[0])), 1e-8)
    # Inside the batch, but of what is the same for all examples.
    close(grad(lambda w: vmap(lambda x: (op(w * 1.0) * x).sum())(X).sum())(Y[0]), X.sum(0) * np.cos(Y[0]), 1e-8)
    per_example = vmap(lambda x: grad(lambda w: (op(w * 1.0) * x).sum())(Y[0]))(X)
    close(per_example, X * np.cos(Y[0]), 1e-8)


def test_residuals_that_are_no_arrays() -> None:
    """Several outputs, and what the kernel kept for the rules of each example."""
    first, second = vmap(_pair)(X)
    close(first, X + 1.0)
    close(second, X * X)
    close(vmap(grad(lambda x: _pair(x)[1].sum()))(X), 2 * X)
    close(grad(lambda x: sum(part.sum() for part in vmap(_pair)(x)))(X), 1 + 2 * X)


def test_results_of_different_shapes_are_refused() -> None:
    """There is no array of them."""

    @primitive(vjps=(None,))
    def chosen(xp: Any, x: Any) -> Any:
        return x[x > 1.0]

    with pytest.raises(ArgumentError, match="different shapes"):
        vmap(chosen)(X)


def test_a_batching_rule_is_used() -> None:
    """One of the author's own, by the names of what it needs; the axes of a tuple are shifted."""
    calls: list[Any] = []

    def rule(x: Any, w: Any, scale: Any, batched: Any) -> Any:
        calls.append((x.shape, w.shape, scale, batched))
        return x * w * scale

    @primitive(vjps=(lambda g, w, scale: g * w * scale, None), batching=rule)
    def scaled(xp: Any, x: Any, w: Any, *, scale: float = 2.0) -> Any:
        return x * w * scale

    close(vmap(scaled, (0, None))(X, Y[0]), X * Y[0] * 2.0)
    assert calls == [((4, 3), (3,), 2.0, (True, False))]

    @primitive(vjps=(None,), batching=("along",))
    def softest(xp: Any, x: Any, *, along: Any = None) -> Any:
        return xp.min(x, axis=along)

    close(vmap(softest)(_CUBE), _CUBE.min(axis=(1, 2, 3)))
    close(vmap(lambda x: softest(x, along=(0, -1)))(_CUBE), _CUBE.min(axis=(1, 3)))


def test_a_batching_rule_that_names_what_there_is_not() -> None:
    """It is refused when it is declared."""
    with pytest.raises(AutodiffError, match="'z'"):
        primitive(vjps=(None,), batching=lambda z: z)(lambda xp, x: x)
    with pytest.raises(AutodiffError, match="'axis'"):
        primitive(vjps=(None,), batching=("axis",))(lambda xp, x: x)
    with pytest.raises(AutodiffError, match="batching is"):
        primitive(vjps=(None,), batching=3)(lambda xp, x: x)


def test_rules_may_use_operators_and_methods() -> None:
    """What a rule is handed in vmap has those of a Value, and gives no Values."""
    seen: list[Any] = []

    def rule(g: Any, x: Any) -> Any:
        seen.append((type(g), type(x.T), type(x.sum(axis=0, keepdims=True)), type(divmod(x, 2.0)[0]), type(2.0 - x)))
        return (g * x.reshape(1, 3).sum(axis=0) * 3.0 - g.mean(keepdims=True) * 0.0) * abs(-x) ** 1

    @primitive(vjps=(rule,), batching=())
    def cube(xp: Any, x: Any) -> Any:
        return x**3

    close(vmap(grad(lambda x: cube(x).sum()))(X), 3 * X**2)
    assert len(seen) == 1
    assert not {np.ndarray, Value} & {*seen[0]}
