"""The order in which gradients flow, and what a graph remembers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, enable_grad, grad, no_grad, ops, vjp
from autodiff.errors import GraphError
from autodiff.extend import primitive
from autodiff.registry import registry


def test_01_diamond_reuse() -> None:
    """A node that is reached twice is visited once, after both uses have been added up."""
    a = Value(1.0)
    b = a + a
    c = b + b
    c.backward()
    assert a.grad == 4.0


def test_01_diamond_of_unequal_depth() -> None:
    """A long and a short path from one node meet there before it is pulled back: depth-first order gets this wrong."""
    x = Value(2.0)
    b = x * x
    long = ((b * 1.0) * 1.0) * 1.0
    (b * long).backward()
    assert x.grad == 4 * 2.0**3


def test_02_one_value_in_all_places_of_one_op() -> None:
    """``x * x * x`` counts every place: 3 x**2."""
    x = Value(2.0)
    (x * x * x).backward()
    assert x.grad == 12.0


def test_03_second_backward_does_not_propagate_stale_gradients() -> None:
    """Two passes over one graph give twice the gradient, not three times."""
    a, b = Value(2.0), Value(3.0)
    e = (a + b) * 1
    e.backward(retain_graph=True)
    e.backward()
    assert (a.grad, b.grad) == (2.0, 2.0)


def test_03_a_retained_intermediate_is_not_propagated_twice() -> None:
    """The accumulated grad of an intermediate result is for reading: the second pass starts afresh."""
    a = Value(2.0)
    d = (a * 3.0).retain_grad()
    e = d * 1.0
    e.backward(retain_graph=True)
    e.backward()
    assert (d.grad, a.grad) == (2.0, 6.0)


@pytest.mark.parametrize("uses", [2, 24, 25, 1000])
def test_04_many_uses_of_one_value(uses: int) -> None:
    """However often one value is used, no term is lost."""
    x = Value(np.ones(3))
    total: Any = 0.0
    for k in range(uses):
        total = total + x * float(k)
    total.sum().backward()
    assert x.grad.tolist() == [uses * (uses - 1) / 2] * 3


def test_04_many_uses_in_one_op() -> None:
    """The same value thirty times among the inputs of one op."""
    x = Value(np.array([1.0, 2.0]))
    (ops.concat(*[x] * 30) * np.arange(60.0)).sum().backward()
    assert x.grad.tolist() == [sum(range(0, 60, 2)), sum(range(1, 60, 2))]


def test_36_output_survives_its_sibling() -> None:
    """Dropping one output of an op leaves the others differentiable."""
    x = Value(np.arange(4.0))
    left, right = ops.split(x, sections=2)
    del left
    (right * right).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 4.0, 6.0]


def test_37_unused_output_is_none_for_the_rule() -> None:
    """A rule is told None for an output that nobody used."""
    told = []

    def both_vjp(g: Any) -> Any:
        told.append([part is None for part in g])
        return (g[1] * 3.0,)

    @primitive(vjp=both_vjp)
    def both(xp: Any, x: Any) -> Any:
        return x * 2.0, x * 3.0

    x = Value(np.ones(2))
    both(x)[1].sum().backward()
    assert (told, x.grad.tolist()) == ([[True, False]], [3.0, 3.0])


def test_37_unused_parameter_keeps_none() -> None:
    """A parameter that the result does not depend on has no gradient, not zeros."""
    used, unused = Value(1.0), Value(1.0)
    (used * 2).backward()
    assert (used.grad, unused.grad) == (2.0, None)


def test_37_rule_without_gradient_leaves_none() -> None:
    """None from a rule is a structural zero: nothing arrives below."""

    @primitive(vjps=(lambda g: None,))
    def stop(xp: Any, x: Any) -> Any:
        return x * 1.0

    x = Value(1.0)
    stop(x * 2).backward()
    assert x.grad is None


def test_38_identity_op() -> None:
    """An op that returns its input as its output, and saves it, differentiates to every order."""

    @primitive(vjps=(lambda g, y, x: g + 0 * (x - y),))
    def identity(xp: Any, x: Any) -> Any:
        return x

    assert grad(lambda q: identity(q) ** 3)(2.0) == 12.0
    assert grad(grad(lambda q: identity(q) ** 3))(2.0) == 12.0
    x = Value(np.ones(2))
    y = identity(x)
    assert y.is_leaf is False
    (y * y + x).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_40_overlapping_calls_of_one_op() -> None:
    """Two forward calls of one op before either backward pass keep what they saved apart."""
    x, y = Value(2.0), Value(5.0)
    a, b = x * x, y * y
    b.backward()
    a.backward()
    assert (x.grad, y.grad) == (4.0, 10.0)


def test_40_residuals_of_overlapping_calls() -> None:
    """The mask of one dropout is not that of the next."""
    x, y = Value(np.ones(200)), Value(np.ones(200))
    a = ops.dropout(x, p=0.5, generator=np.random.default_rng(0))
    b = ops.dropout(y, p=0.5, generator=np.random.default_rng(1))
    b.sum().backward()
    a.sum().backward()
    assert x.grad.tolist() == a.data.tolist()
    assert y.grad.tolist() == b.data.tolist()
    assert x.grad.tolist() != y.grad.tolist()


def test_43_modes_of_the_forward_pass_are_those_of_the_backward_pass() -> None:
    """Where backward() is called, under no_grad or with another default backend, changes nothing."""
    with registry.scoped() as scoped, no_grad():
        x = Value(np.ones(2))
        with enable_grad():
            y = (x * x).sum()
        scoped.default_backend = "none of ours"
        y.backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_45_nested_transforms_leave_the_outer_graph_alone() -> None:
    """An inner gradient neither ends nor frees what the outer one still needs."""
    x = Value(3.0)
    y = x * x
    inner = grad(lambda w: w * w * y)(2.0)
    y.backward()
    assert (inner, x.grad) == (36.0, 6.0)
    assert grad(lambda a: a * grad(lambda b: a * b)(a))(2.0) == 4.0


def test_45_spent_graph_off_the_path() -> None:
    """A spent node hides whether a path leads through it: the pass is refused, and no gradient is silently short."""
    x, w = Value(1.0), Value(2.0)
    beside = w * w * x
    beside.backward()
    with pytest.raises(GraphError, match="retain_graph"):
        (x * 3 + beside).backward(inputs=[x])


def test_46_hook_sees_the_whole_gradient() -> None:
    """A hook is called once, when all uses have been added up."""
    seen: list[Any] = []
    x = Value(np.ones(2))
    y = x * 1.0
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y + y * 2 + y * 3).sum().backward()
    assert seen == [[6.0, 6.0]]


def test_46_hook_on_a_leaf_sees_the_whole_gradient() -> None:
    """So is a hook on a leaf."""
    seen: list[Any] = []
    x = Value(np.ones(2))
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x + x * 2 + x * 3).sum().backward()
    assert seen == [[6.0, 6.0]]


def _run_once() -> list[bytes]:
    x, w = Value(np.random.default_rng(0).normal(size=(20, 20))), Value(np.random.default_rng(1).normal(size=(20, 20)))
    hidden = [(x @ w).tanh() * float(k) for k in range(5)]
    sum((h.softmax() * h for h in hidden), Value(0.0)).sum().backward()
    return [x.grad.tobytes(), w.grad.tobytes()]


def test_48_two_runs_are_bit_identical() -> None:
    """The order of additions does not depend on addresses, hashes or sets."""
    first = _run_once()
    ballast = [object() for _ in range(1000)]
    assert _run_once() == first
    assert len(ballast) == 1000


def test_45_pull_of_vjp_may_be_called_again() -> None:
    """A vjp's pull gives the same answer twice."""
    _, pull = vjp(lambda x: x * x * x, 2.0)
    assert (pull(1.0), pull(1.0)) == ((12.0,), (12.0,))
