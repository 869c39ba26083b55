"""Cotangents that arrive at one edge are summed in the memory of the first, where nobody else can reach it."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from autodiff import Value, grad, ops
from autodiff.backend import Backend
from autodiff.registry import registry

SIZE = 200_000


def _x() -> Value:
    return Value(np.linspace(0.1, 1.0, SIZE))


def test_two_cotangents_are_summed_in_the_memory_of_the_first() -> None:
    """A pass holds a cotangent for each use of x, and no third array for their sum."""
    x = _x()
    y = ops.multiply(x, 2.0) + ops.multiply(x, 3.0)
    seed = np.ones(SIZE)
    y.backward(seed, retain_graph=True)
    x.zero_grad()
    tracemalloc.start()
    y.backward(seed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert np.array_equal(x.grad, np.full(SIZE, 5.0))
    assert peak < 2.5 * seed.nbytes


def test_the_seed_is_not_written_into() -> None:
    """It arrives as the first cotangent of x, by two ops that pass it on."""
    x, seed = _x(), np.ones(SIZE)
    (x + (x + 1.0)).backward(seed)

    assert seed.max() == 1
    assert x.grad.min() == 2


def test_a_view_is_not_written_into() -> None:
    """The cotangent of a reshaped array is a view of the seed."""
    x, seed = _x(), np.ones((SIZE // 2, 2))
    (ops.reshape(x, shape=seed.shape) + 0.0).backward(seed, retain_graph=True)
    (ops.reshape(x, shape=seed.shape) + ops.reshape(x * 2.0, shape=seed.shape)).backward(seed)

    assert seed.max() == 1
    assert x.grad.min() == 4


def test_what_a_rule_keeps_is_not_written_into() -> None:
    """A rule may return an array that it, or the graph, needs again: here the other factor, for a seed of ones."""
    from autodiff.extend import primitive

    kept = np.full(SIZE, 7.0)

    @primitive(vjps=(lambda g, x: kept,))
    def stubborn(xp: Any, x: Any) -> Any:
        return x * 7.0

    x = _x()
    (stubborn(x) + x * 2.0).backward(np.ones(SIZE))
    (x * 2.0 + stubborn(x)).backward(np.ones(SIZE))

    assert kept.min() == kept.max() == 7
    assert x.grad.min() == 18


def test_siblings_and_hooks_keep_theirs() -> None:
    """Cotangents that a hook, a retained gradient, or another edge holds stay what they were."""
    x = _x()
    seen: list[Any] = []
    y = x * 3.0
    y.retain_grad()
    y.register_hook(seen.append)
    z = y + y.exp() * 0.0
    z.backward(np.ones(SIZE))
    held = [np.array(s) for s in seen]
    (x * 1.0).backward(np.ones(SIZE))

    assert all(np.array_equal(a, b) for a, b in zip(seen, held, strict=True))
    assert y.grad.min() == 1
    assert x.grad.min() == 4


def test_a_retained_graph_gives_the_same_again() -> None:
    """What is written into is never what the graph keeps."""
    x = _x()
    y = x * x + x.exp() * x.exp() + x
    gradients = []
    for _ in range(3):
        x.zero_grad()
        y.backward(np.ones(SIZE), retain_graph=True)
        gradients.append(np.array(x.grad))

    assert np.array_equal(gradients[0], gradients[1])
    assert np.array_equal(gradients[0], gradients[2])
    assert np.allclose(gradients[0], 2 * x.data + 2 * np.exp(2 * x.data) + 1)


def test_gradients_of_several_inputs_are_apart() -> None:
    """The same cotangent for two inputs is not added to in place for one of them."""
    a, b = grad(lambda a, b: (a + b + a).sum(), (0, 1))(np.ones(SIZE), np.ones(SIZE))

    assert (a.min(), a.max(), b.min(), b.max()) == (2, 2, 1, 1)


@pytest.mark.parametrize("alone", [False, True])
def test_numpy_adds_in_place_to_arrays_of_its_own_alone(alone: bool) -> None:
    """Not to a view, not to read-only memory, not to what is smaller."""
    own: Backend = registry.backend("numpy")
    base = np.ones(4)
    read_only = np.ones(4)
    read_only.flags.writeable = False
    for a, b in ((base[:2], np.ones(2)), (base.view(), base), (read_only, base), (np.ones(1), base)):
        before = np.array(a)

        assert np.array_equal(own.add(a, b, alone=alone), before + b)
        assert np.array_equal(a, before)
    assert (own.add(base, np.ones(4), alone=alone) is base) is alone
