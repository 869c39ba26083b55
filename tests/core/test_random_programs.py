"""Derivatives of random programs: of whatever composition, they agree with each other and with NumPy's complex step.

The programs are drawn by hypothesis: broadcasting, shared results, several outputs, reductions, indices, products.
A hundred of them are tried for each test, and 2,000 where the slow tests are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from random_programs import Program, complex_step, programs

import autodiff.numpy as anp
from autodiff import Value, checkpoint, grad, hvp, jvp, vjp, vmap


def on_programs(check: Callable[[Program], None]) -> Callable[[Any], None]:
    """Run a check on many random programs: more of them in the slow tests."""

    @pytest.mark.parametrize("examples", [100, pytest.param(2000, marks=pytest.mark.slow)])
    def test(examples: int) -> None:
        suppressed = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
        settings(
            max_examples=examples,
            deadline=None,
            derandomize=examples == 100,
            database=None,
            suppress_health_check=suppressed,
        )(given(programs())(check))()

    test.__name__ = check.__name__
    test.__doc__ = check.__doc__
    return test


def close(found: Any, wanted: Any, tolerance: float = 1e-10) -> None:
    """Compare lists of arrays, relative to the largest number."""
    assert len(found) == len(wanted)
    for pair in zip(found, wanted, strict=True):
        one, other = (np.asarray(_raw(x)) for x in pair)
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * max(1.0, np.abs(other).max(initial=0)))


def recorded(program: Program) -> Callable[[list[Any]], list[Any]]:
    """Return a program as a function of a list of arrays, run by autodiff."""
    return lambda xs: program(anp, xs)


def total(program: Program) -> Callable[[list[Any]], Any]:
    """Return the weighted sum of the results of a program."""
    return lambda xs: program.total(anp, [anp.asarray(x) for x in xs])


def unit_vectors(xs: list[Any]) -> list[list[Any]]:
    """Return a direction for each element of the arguments."""
    found = []
    for i, x in enumerate(xs):
        for n in range(x.size):
            found.append([np.zeros(other.shape) for other in xs])
            found[-1][i].flat[n] = 1.0
    return found


@on_programs
def test_gradients_are_those_of_the_complex_step(program: Program) -> None:
    """Values and gradients agree with NumPy alone, element by element."""
    xs = program.arguments()
    close(recorded(program)([Value(x) for x in xs]), program(np, xs))
    gradient = grad(total(program))(xs)
    slopes = [complex_step(lambda zs: program.total(np, zs), xs, v) for v in unit_vectors(xs)]
    flat = np.concatenate([g.ravel() for g in gradient])
    close([flat], [np.array(slopes)])


@on_programs
def test_jvp_is_the_transpose_of_vjp(program: Program) -> None:
    """And both are the complex step of each output."""
    xs, vs = program.arguments(), program.arguments(5)
    _, tangents = jvp(recorded(program), (xs,), (vs,))
    _, pull = vjp(recorded(program), xs)
    (pulled,) = pull(program.weights())
    close(tangents, [complex_step(lambda zs, k=k: program(np, zs)[k], xs, vs) for k in range(len(tangents))])
    forward = sum(np.sum(t * w) for t, w in zip(tangents, program.weights(), strict=True))
    backward = sum(np.sum(g * v) for g, v in zip(pulled, vs, strict=True))
    close([forward], [backward])


@on_programs
def test_hvp_is_the_difference_of_gradients(program: Program) -> None:
    """Forward over reverse, reverse over reverse, and central differences."""
    xs, vs = program.arguments(), program.arguments(5)
    f = total(program)
    product = hvp(f, xs, vs)
    slope = lambda xs: sum(anp.sum(g * v) for g, v in zip(grad(f)(xs), vs, strict=True))  # in one line
    close(grad(slope)(xs), product)
    h = 1e-5
    ends = [grad(f)([x + step * v for x, v in zip(xs, vs, strict=True)]) for step in (h, -h)]
    close([(a - b) / (2 * h) for a, b in zip(*ends, strict=True)], product, 1e-6)


@on_programs
def test_the_third_derivative(program: Program) -> None:
    """Along a direction, by three passes forwards and by three gradients."""
    xs, vs = program.arguments(), program.arguments(5)
    f = total(program)

    def along(f: Any) -> Any:
        return lambda xs: jvp(f, (xs,), (vs,))[1]

    def sloped(f: Any) -> Any:
        return lambda xs: sum(anp.sum(g * v) for g, v in zip(grad(f)(xs), vs, strict=True))

    close([along(along(along(f)))(xs)], [sloped(sloped(sloped(f)))(xs)])
    close([along(sloped(along(f)))(xs)], [sloped(along(sloped(f)))(xs)])


@on_programs
def test_checkpointed_is_plain(program: Program) -> None:
    """The whole program as one block, and its first half inside of another."""
    xs = program.arguments()
    plain = grad(total(program))(xs)
    block = checkpoint(recorded(program))

    def outside(xs: Any) -> Any:
        return sum(anp.sum(y * w) for y, w in zip(block(xs), program.weights(), strict=True))

    close(grad(outside)(xs), plain)
    close(grad(checkpoint(outside))(xs), plain)
    vs = program.arguments(5)
    close(hvp(outside, xs, vs), hvp(total(program), xs, vs))


@on_programs
def test_batched_is_looped(program: Program) -> None:
    """Values, gradients inside and around vmap, and second derivatives, with one argument that has no batch."""
    many = [program.arguments(seed) for seed in range(3)]
    shared = len(program.inputs) - 1 if len(program.inputs) > 1 else None
    for xs in many:
        if shared is not None:
            xs[shared] = many[0][shared]
    xs = [many[0][i] if i == shared else np.stack([m[i] for m in many]) for i in range(len(many[0]))]
    axes = [None if i == shared else 0 for i in range(len(xs))]
    f, vs = total(program), program.arguments(5)

    def run(xs: Any) -> Any:
        return program(anp, [anp.asarray(x) for x in xs])

    def curved(xs: Any) -> Any:
        return jvp(grad(f), (xs,), (vs,))[1]

    for g in (run, grad(f), curved):
        looped = [[_raw(y) for y in g(m)] for m in many]
        close(vmap(g, (axes,))(xs), [np.stack(parts) for parts in zip(*looped, strict=True)])
    each = [grad(f)(m) for m in many]
    around = grad(lambda xs: anp.sum(vmap(f, (axes,))(xs)))(xs)
    sums = [sum(m[i] for m in each) if i == shared else np.stack([m[i] for m in each]) for i in range(len(xs))]
    close(around, sums)


def _raw(y: Any) -> Any:
    return y.data if type(y) is Value else y
