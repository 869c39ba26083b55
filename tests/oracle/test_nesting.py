"""Transforms nested in odd ways give what they give in JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as anp

jax = pytest.importorskip("jax", reason="the extra `oracle` brings it")
jax.config.update("jax_enable_x64", True)
jnp = jax.numpy

X, V = np.linspace(0.2, 1.1, 4), np.cos(np.arange(4.0))
M = np.arange(16.0).reshape(4, 4) / 10


class _Autodiff:
    """The transforms under the names that both have."""

    np: Any = anp
    grad, jvp, vjp, hessian, vmap = map(staticmethod, (ad.grad, ad.jvp, ad.vjp, ad.hessian, ad.vmap))
    jacobian, checkpoint, stop = map(staticmethod, (ad.jacobian, ad.checkpoint, ad.stop_gradient))
    hvp = staticmethod(ad.hvp)


class _Jax:
    np: Any = jnp
    grad, jvp, vjp, hessian, vmap = map(staticmethod, (jax.grad, jax.jvp, jax.vjp, jax.hessian, jax.vmap))
    jacobian, checkpoint, stop = map(staticmethod, (jax.jacobian, jax.checkpoint, jax.lax.stop_gradient))

    @staticmethod
    def hvp(f: Any, x: Any, v: Any) -> Any:
        """Forward over reverse, as JAX's documentation has it."""
        return jax.jvp(jax.grad(f), (x,), (v,))[1]


def _f(t: Any, x: Any) -> Any:
    return t.np.sum(t.np.sin(x) * t.np.exp(M @ x) / (1 + x * x))


def _chain(t: Any) -> Any:
    def run(x: Any) -> Any:
        for i in range(11):
            x = t.checkpoint(lambda u, i=i: t.np.tanh(M @ u + i / 7))(x)
        return t.np.sum(x**2)

    return run


CASES = {
    "hessian of checkpoint": lambda t: t.hessian(t.checkpoint(lambda u: _f(t, u)))(X),
    "hvp in vmap in jvp": lambda t: t.jvp(
        t.vmap(lambda u: t.hvp(lambda w: _f(t, w), u, V)), (np.stack([X, V]),), (np.stack([V, X]),)
    )[1],
    "grad of jvp of grad": lambda t: t.grad(
        lambda u: t.jvp(lambda w: t.grad(lambda q: _f(t, q))(w) @ V, (u,), (V,))[1]
    )(X),
    "jacobian of a pull": lambda t: t.jacobian(lambda u: t.vjp(lambda q: t.np.sin(q) * q, u)[1](V)[0])(X),
    "jvp by the cotangent": lambda t: t.jvp(t.vjp(lambda q: t.np.sin(q) * q, X)[1], (V,), (X,))[1][0],
    "two directions, one name": lambda t: t.jvp(
        lambda a: a * t.jvp(lambda b: a * b, (1.0,), (1.0,))[1], (3.0,), (1.0,)
    )[1],
    "stopped inside": lambda t: t.hessian(lambda u: t.np.sum(t.stop(u) * u * u))(X),
    "a constant": lambda t: t.jacobian(lambda u: t.np.ones(3))(X),
    "the identity": lambda t: t.jacobian(lambda u: u)(X),
    "complex inside": lambda t: t.hessian(lambda u: t.np.sum(t.np.abs(t.np.fft.fft(u * (1 + 2j))) ** 2 * V))(X),
    "checkpoints in a row": lambda t: t.hessian(_chain(t))(X),
    "checkpoints in a row in a checkpoint": lambda t: t.hessian(t.checkpoint(_chain(t)))(X),
    "checkpoints in a row, jvp in grad": lambda t: t.grad(lambda u: t.jvp(_chain(t), (u,), (V,))[1])(X),
    "checkpoints in a row, hvp in vmap": lambda t: t.vmap(lambda u: t.hvp(_chain(t), u, V))(np.stack([X, V])),
}


@pytest.mark.parametrize("case", CASES)
def test_nesting_agrees_with_jax(case: str) -> None:
    """The number is that of JAX."""
    ours, theirs = CASES[case](_Autodiff), CASES[case](_Jax)
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-9, atol=1e-11)
