"""Deep graphs, and graphs that go away by themselves."""

from __future__ import annotations

import contextlib
import copy
import gc
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from autodiff import Value, debug, grad, ops, vjp
from autodiff.graph import Leaf, Node


def chain(length: int) -> tuple[Value, Value]:
    """Return a number and the end of a chain of additions to it."""
    x = Value(1.0)
    y = x
    for _ in range(length):
        y = y + 1.0
    return x, y


def test_34_chain_of_100_000_ops() -> None:
    """Forward, backward, repr, deepcopy, copy, pickle and del of a deep graph need no recursion."""
    x, y = chain(100_000)
    assert repr(y).startswith("Value(100001.")
    for copied in (copy.deepcopy(y), pickle.loads(pickle.dumps(y))):
        assert (copied.item(), copied.is_leaf, copied.requires_grad) == (100_001.0, True, True)
    again = copy.copy(y)
    y.backward(retain_graph=True)
    del y
    again.backward(create_graph=True)
    assert x.grad.item() == 2.0
    del again


def test_34_deep_graph_that_is_dropped() -> None:
    """Dropping a deep graph without a pass needs no recursion either."""
    x, y = chain(100_000)
    del y
    assert x.grad is None


def test_34_deep_graph_whose_pass_fails() -> None:
    """A failing pass over a deep graph can be cleaned up and reported."""
    x, y = chain(50_000)
    x.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        y.backward()
    assert x.grad is None


def test_34_second_order_of_a_deep_chain() -> None:
    """The gradient's own graph is as deep, and works."""
    x = Value(0.5)
    y = x
    for _ in range(5_000):
        y = y * 1.0001
    (y * y).backward(create_graph=True)
    g, x.grad = x.grad, None
    g.backward()
    np.testing.assert_allclose(x.grad, 2 * 1.0001**10_000, rtol=1e-9)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Run without the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


def alive() -> int:
    """Count the parts of graphs that exist."""
    return sum(type(obj) in (Node, Leaf, Value) for obj in gc.get_objects())


def _graph() -> tuple[Value, Value]:
    x = Value(np.ones(3))
    y = x
    for _ in range(10):
        y = (y * 2.0).tanh() + x
    return x, y.sum()


def _dropped() -> None:
    _graph()


def _backward() -> None:
    _graph()[1].backward()


def _retained() -> None:
    _, y = _graph()
    z = (y * y).retain_grad()
    z.register_hook(lambda g: g * 2)
    z.backward(retain_graph=True)


def _second_order() -> None:
    x, y = _graph()
    y.backward(create_graph=True)
    g, x.grad = x.grad, None
    g.sum().backward()


def _transforms() -> None:
    grad(grad(lambda q: q * q * q))(2.0)
    x, _ = _graph()
    vjp(lambda a: a * a, x)[1](np.ones(3))
    grad(lambda a: (a * x).sum())(x)


def _failing() -> None:
    x, y = _graph()
    x.register_hook(lambda g: 1 / 0)
    with contextlib.suppress(ZeroDivisionError):
        y.backward()


def _several_outputs() -> None:
    x = Value(np.ones(4))
    first, second = ops.split(x, sections=2)
    del first
    second.sum().backward()


def _item_assignment() -> None:
    x = Value(np.ones(4))
    y = x * 1
    y[0] = y[1] * y[2]
    y.sum().backward()


def _debugged() -> None:
    with debug():
        _graph()[1].backward()


@pytest.mark.parametrize(
    "work",
    [
        _dropped,
        _backward,
        _retained,
        _second_order,
        _transforms,
        _failing,
        _several_outputs,
        _item_assignment,
        _debugged,
    ],
)
def test_35_graphs_free_themselves(work: Callable[[], None], no_collector: None) -> None:
    """With the garbage collector off, nothing of a graph is left when the last handle goes."""
    work()
    before = alive()
    for _ in range(3):
        work()
    assert alive() == before


def test_35_create_graph_frees_itself(no_collector: None) -> None:
    """Also after backward(create_graph=True), with the gradient still in .grad."""

    def work() -> None:
        _graph()[1].backward(create_graph=True)

    work()
    before = alive()
    work()
    assert alive() == before


def test_35_backward_frees_as_it_goes(no_collector: None) -> None:
    """After a pass that does not retain the graph, the saved arrays are gone although the root is alive."""
    x = Value(np.ones(3))
    y = x
    for _ in range(10):
        y = (y * 2.0).tanh()
    z = y.sum()
    del y
    before = alive()
    z.backward()
    assert alive() < before - 15
    assert z.item() < 3


def test_35_a_failed_pass_keeps_nothing(no_collector: None) -> None:
    """After a failure the graph is spent: what it saved is freed at once, although the root is alive."""
    x, y = _graph()
    x.register_hook(lambda g: 1 / 0)
    before: Any = alive()
    with contextlib.suppress(ZeroDivisionError):
        y.backward()
    assert alive() < before - 15
