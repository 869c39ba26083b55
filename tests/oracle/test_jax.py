"""Every transform agrees with JAX's on random programs, nested transforms included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from random_programs import Program, programs

import autodiff
import autodiff.numpy as anp
from autodiff import Value

jax = pytest.importorskip("jax", reason="the extra `oracle` brings it")
jnp = pytest.importorskip("jax.numpy")


@pytest.fixture(autouse=True)
def double() -> Any:
    """Let JAX compute in double precision."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


class Theirs:
    """What a transform is made of, on JAX's side; `Ours` has the same names."""

    xp = jnp
    grad, jvp, vjp, vmap = jax.grad, jax.jvp, jax.vjp, jax.vmap
    linearize, checkpoint, stop_gradient = jax.linearize, jax.checkpoint, jax.lax.stop_gradient
    value_and_grad = jax.value_and_grad
    jacobians = (jax.jacrev, jax.jacfwd)
    hessian = jax.hessian


class Ours:
    """The same on ours."""

    xp = anp
    grad, jvp, vjp, vmap = autodiff.grad, autodiff.jvp, autodiff.vjp, autodiff.vmap
    linearize, checkpoint, stop_gradient = autodiff.linearize, autodiff.checkpoint, autodiff.stop_gradient
    value_and_grad = autodiff.value_and_grad
    jacobians = (
        lambda f: autodiff.jacobian(f, mode="reverse", chunk_size=3),
        lambda f: autodiff.jacobian(f, mode="forward"),
    )
    hessian = autodiff.hessian


def _run(side: Any, program: Program) -> Callable[[Any], Any]:
    return lambda xs: program(side.xp, [side.xp.asarray(x) for x in xs])


def _total(side: Any, program: Program) -> Callable[[Any], Any]:
    return lambda xs: program.total(side.xp, [side.xp.asarray(x) for x in xs])


def _slope(side: Any, f: Any, vs: Any) -> Callable[[Any], Any]:
    return lambda xs: sum(side.xp.sum(g * v) for g, v in zip(side.grad(f)(xs), vs, strict=True))


def _halves(side: Any, program: Program) -> Callable[[Any], Any]:
    """Return the program with half of its arguments held constant."""

    def f(xs: Any) -> Any:
        held = [side.stop_gradient(x) if i % 2 else x for i, x in enumerate(xs)]
        return _total(side, program)(held) + _total(side, program)(xs)

    return f


def _batch(xs: Any) -> Any:
    return [np.stack([x, x[::-1] if x.ndim else -x, 0.5 * x]) for x in xs]


#: Each takes a side, a program, arguments and directions, and returns arrays.
TRANSFORMS: dict[str, Callable[..., Any]] = {
    "value_and_grad": lambda s, p, xs, vs: s.value_and_grad(_total(s, p))(xs),
    "jvp": lambda s, p, xs, vs: s.jvp(_run(s, p), (xs,), (vs,)),
    "vjp": lambda s, p, xs, vs: s.vjp(_run(s, p), xs)[1](p.weights()),
    "linearize": lambda s, p, xs, vs: s.linearize(_run(s, p), xs)[1](vs),
    "jacobian by rows": lambda s, p, xs, vs: s.jacobians[0](_run(s, p))(xs),
    "jacobian by columns": lambda s, p, xs, vs: s.jacobians[1](_run(s, p))(xs),
    "hessian": lambda s, p, xs, vs: s.hessian(_total(s, p))(xs),
    "vmap": lambda s, p, xs, vs: s.vmap(_run(s, p))(_batch(xs)),
    "stop_gradient": lambda s, p, xs, vs: s.grad(_halves(s, p))(xs),
    "grad of grad": lambda s, p, xs, vs: s.grad(_slope(s, _total(s, p), vs))(xs),
    "grad of grad of grad": lambda s, p, xs, vs: s.grad(_slope(s, _slope(s, _total(s, p), vs), vs))(xs),
    "jvp of grad": lambda s, p, xs, vs: s.jvp(s.grad(_total(s, p)), (xs,), (vs,)),
    "grad of jvp": lambda s, p, xs, vs: s.grad(lambda xs: s.jvp(_total(s, p), (xs,), (vs,))[1])(xs),
    "jvp of jvp of jvp": lambda s, p, xs, vs: s.jvp(
        lambda xs: s.jvp(lambda xs: s.jvp(_total(s, p), (xs,), (vs,))[1], (xs,), (vs,))[1], (xs,), (vs,)
    ),
    "vmap of grad": lambda s, p, xs, vs: s.vmap(s.grad(_total(s, p)))(_batch(xs)),
    "grad of vmap": lambda s, p, xs, vs: s.grad(lambda xs: s.xp.sum(s.vmap(_total(s, p))(xs)))(_batch(xs)),
    "vmap of vmap of jvp": lambda s, p, xs, vs: s.vmap(s.vmap(lambda xs: s.jvp(_total(s, p), (xs,), (vs,))[1]))(
        _batch(_batch(xs))
    ),
    "vmap of hessian": lambda s, p, xs, vs: s.vmap(s.hessian(_total(s, p)))(_batch(xs)),
    "grad of checkpoint": lambda s, p, xs, vs: s.grad(s.checkpoint(_total(s, p)))(xs),
    "vmap of jvp of checkpoint": lambda s, p, xs, vs: s.vmap(
        lambda xs: s.jvp(s.grad(s.checkpoint(_total(s, p))), (xs,), (vs,))[1]
    )(_batch(xs)),
}  # fmt: skip


@pytest.mark.parametrize("examples", [4, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transform_is_that_of_jax(name: str, examples: int) -> None:
    """All arrays that it returns, of random programs."""

    def check(program: Program) -> None:
        xs, vs = program.arguments(), program.arguments(5)
        ours, theirs = (
            jax.tree.leaves(TRANSFORMS[name](side, program, xs, vs), is_leaf=lambda y: type(y) is Value)
            for side in (Ours, Theirs)
        )
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            mine = np.asarray(one.data if type(one) is Value else one)
            wanted = np.asarray(other)
            assert mine.shape == wanted.shape
            scale = max(1.0, np.abs(wanted).max(initial=0.0))
            np.testing.assert_allclose(mine, wanted, rtol=1e-9, atol=1e-9 * scale)

    suppressed = [HealthCheck.too_slow, HealthCheck.data_too_large]
    settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples == 4,
        database=None,
        suppress_health_check=suppressed,
    )(given(programs(longest=6))(check))()
