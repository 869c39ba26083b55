"""Jacobians and Hessians by batched passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import grad, hessian, jacobian, jvp, vmap
from autodiff.errors import ArgumentError
from autodiff.extend import elementwise

RNG = np.random.default_rng(3)
X = RNG.uniform(0.5, 2.0, (4, 3))
Y = RNG.uniform(0.5, 2.0, (4, 3))
W = RNG.uniform(0.5, 2.0, (3, 2))


def close(found: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    """Compare, shapes included."""
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def _counting() -> tuple[Any, list[int]]:
    pulls: list[int] = []

    def rule(g: Any, y: Any) -> Any:
        pulls.append(1)
        return g * y

    @elementwise(vjps=(rule,), jvps=(lambda t, y: (pulls.append(1), t * y)[1],))
    def counted(xp: Any, x: Any) -> Any:
        return xp.exp(x)

    return counted, pulls


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize(("chunk", "passes"), [(None, 1), (100, 1), (30, 4), (99, 2), (1, 100)])
def test_the_passes_of_a_jacobian_are_batched(mode: str, chunk: int | None, passes: int) -> None:
    """A hundred rows or columns are one pass, or as many as there are chunks."""
    op, calls = _counting()
    x = np.linspace(0.0, 1.0, 100)
    found = jacobian(op, mode=mode, chunk_size=chunk)(x)
    assert len(calls) == passes
    np.testing.assert_allclose(found, np.diag(np.exp(x)))


def test_the_default_chunk_is_bounded_by_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows as the arrays of the graph leave room for."""
    from autodiff import derivatives

    monkeypatch.setattr(derivatives, "_MEMORY", 8 * 1000)
    op, calls = _counting()
    # The graph holds x and exp(x), 200 numbers: of 1000 there is room for 5 rows.
    found = jacobian(op, mode="reverse")(np.linspace(0.0, 1.0, 100))
    assert len(calls) == 20
    assert found.shape == (100, 100)


@pytest.mark.parametrize("chunk", [0, -1, 1.5, True])
def test_a_chunk_is_a_positive_int(chunk: Any) -> None:
    """Anything else is refused when the Jacobian is asked for."""
    with pytest.raises(ArgumentError, match="chunk_size"):
        jacobian(lambda x: x, chunk_size=chunk)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("chunk", [None, 2])
def test_jacobians_of_nested_arguments(mode: str, chunk: int | None) -> None:
    """Block by block, in both modes, with None among the arguments."""

    def f(p: Any, y: Any) -> Any:
        return {"m": (p["x"][0] * y) @ W, "s": (p["x"][0] ** 2).sum() * y[0]}

    p = {"x": [X[0], None]}
    found = jacobian(f, (0, 1), mode, chunk_size=chunk)(p, Y[0])
    close(found["m"][0]["x"][0], (W * Y[0][:, None]).T)
    close(found["m"][1], (W * X[0][:, None]).T)
    close(found["s"][0]["x"][0], 2 * X[0] * Y[0][0])
    close(found["s"][1], np.array([(X[0] ** 2).sum(), 0.0, 0.0]))
    assert found["m"][0]["x"][1] is None


def test_the_function_of_a_jacobian_is_called_once() -> None:
    """In every mode."""
    calls = []

    def f(x: Any) -> Any:
        calls.append(1)
        return x * x

    for mode in ("auto", "forward", "reverse"):
        jacobian(f, mode=mode)(X[0])
    assert len(calls) == 3


def test_higher_derivatives_through_jacobians() -> None:
    """A Jacobian of a Jacobian, a gradient of a Hessian, a Hessian in vmap."""
    f = lambda x: (x**4).sum() + (x[0] * x[1] * x[2])  # once, in one line
    third = jacobian(hessian(f))(X[0])
    wanted = np.zeros((3, 3, 3))
    for i in range(3):
        wanted[i, i, i] = 24 * X[0][i]
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        wanted[i, j, k] = 1.0
    close(third, wanted, 1e-10)
    close(grad(lambda x: hessian(f)(x).sum())(X[0]), wanted.sum(axis=(0, 1)), 1e-10)
    close(vmap(hessian(f))(X), np.stack([hessian(f)(x) for x in X]), 1e-10)
    close(jvp(hessian(f), (X[0],), (np.eye(3)[1],))[1], wanted[:, :, 1], 1e-10)
