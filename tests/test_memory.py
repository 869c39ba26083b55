"""Between forward and backward a graph keeps exactly the arrays that the rules of the differentiated inputs name.

Arrays are compared by identity: a copy of an input would be memory of its own.
"""

from __future__ import annotations

import gc
import inspect
import itertools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from autodiff import Value, ops
from autodiff.op import Op
from autodiff.registry import registry
from autodiff.samples import Array
from autodiff.testing.drawing import draw

ROWS = np.array([0, 2, 0])
MASK = np.array([True, False, True])

#: For each op: a call of it, and for each choice of the inputs that need a gradient what is kept of the inputs
#: a and b, the output y and the mask m. By calculus, not by reading the rules.
KEPT: dict[str, tuple[Callable[..., Any], dict[str, str]]] = {
    "add": (ops.add, {"a": "", "b": "", "ab": ""}),
    "subtract": (ops.subtract, {"a": "", "b": "", "ab": ""}),
    "multiply": (ops.multiply, {"a": "b", "b": "a", "ab": "ab"}),
    "divide": (ops.divide, {"a": "b", "b": "by", "ab": "by"}),
    "pow": (ops.pow, {"a": "ab", "b": "aby", "ab": "aby"}),
    "matmul": (ops.matmul, {"a": "b", "b": "a", "ab": "ab"}),
    "where": (lambda a, b: ops.where(MASK, a, b), {"a": "m", "b": "m", "ab": "m"}),
    "tanh": (ops.tanh, {"a": "y"}),
    "exp": (ops.exp, {"a": "y"}),
    "negative": (ops.negative, {"a": ""}),
    "sum": (lambda a: ops.sum(a, axis=0), {"a": ""}),
    "mean": (lambda a: ops.mean(a, axis=0), {"a": ""}),
    "max": (lambda a: ops.max(a, axis=0), {"a": "ay"}),
    "softmax": (ops.softmax, {"a": "y"}),
    "reshape": (lambda a: ops.reshape(a, shape=(9,)), {"a": ""}),
    "getitem": (lambda a: a[1:], {"a": ""}),
}
CASES = [(name, wrt) for name, (_, choices) in KEPT.items() for wrt in choices]


def arrays(saved: Any) -> Iterator[Any]:
    """Return the arrays in what a node saved."""
    if isinstance(saved, tuple | list):
        for part in saved:
            yield from arrays(part)
    elif isinstance(saved, np.ndarray | np.generic):
        yield saved


def kept(result: Value) -> list[Any]:
    """Return the arrays that the node of a result keeps for the backward pass."""
    edge: Any = result._edge
    return list(arrays(edge.saved))


@pytest.mark.parametrize(("name", "wrt"), CASES, ids=[f"{name}-{wrt}" for name, wrt in CASES])
def test_node_keeps_what_the_derivative_needs(name: str, wrt: str) -> None:
    """Exactly the arrays of the table are kept, themselves and not copies of them."""
    call, choices = KEPT[name]
    inputs = "ab" if "b" in choices else "a"
    raw = {i: np.full((3, 3), 1.5) for i in inputs}
    values = {i: Value(raw[i], requires_grad=i in wrt) for i in inputs}

    result = call(*values.values())

    named = {id(x): i for i, x in [*raw.items(), ("y", result._array), ("m", MASK)]}
    assert sorted(choices[wrt]) == sorted(named.get(id(x), "a stranger") for x in kept(result))


def test_table_has_every_combination() -> None:
    """Each op of the table states what is kept for every choice of its inputs."""
    for _, choices in KEPT.values():
        inputs = sorted({i for wrt in choices for i in wrt})
        combinations = [c for n in range(1, len(inputs) + 1) for c in itertools.combinations(inputs, n)]

        assert {"".join(c) for c in combinations} == set(choices)


@pytest.mark.parametrize("index", [ROWS, MASK], ids=["rows", "mask"])
def test_getitem_keeps_its_index_alone(index: Any) -> None:
    """Reading by an array keeps that index, and not what was read from."""
    result = Value(np.ones((3, 3)))[index]

    assert [index.tolist()] == [x.tolist() for x in kept(result)]


@pytest.mark.parametrize(
    ("call", "lives"),
    [
        pytest.param(lambda x, c: x * c, {"c"}, id="multiply"),
        pytest.param(lambda x, c: x + c, set(), id="add"),
        pytest.param(lambda x, c: (x + c).tanh(), set(), id="add-tanh"),
        pytest.param(lambda x, c: x @ c, {"c"}, id="matmul"),
        pytest.param(lambda x, c: c / x, {"x"}, id="divide"),
        pytest.param(lambda x, c: x.exp().sum(), set(), id="exp-sum"),
        pytest.param(lambda x, c: ops.where(c > 0, x, c), set(), id="where"),
    ],
)
def test_arrays_that_are_not_kept_are_freed(call: Callable[..., Any], lives: set[str]) -> None:
    """Once the user has let go of the inputs, only those that the graph needs live on, without the collector."""
    raw = {"x": np.ones((3, 3)), "c": np.full((3, 3), 2.0)}
    watched = {name: weakref.ref(array) for name, array in raw.items()}
    gc.disable()
    try:
        result = call(Value(raw["x"]), raw["c"])
        raw.clear()
        assert lives == {name for name, array in watched.items() if array() is not None}
    finally:
        gc.enable()
    assert result.requires_grad


@pytest.mark.parametrize("call", [lambda x: x * x, lambda x: x.tanh(), lambda x: x.max(axis=0)])
def test_backward_lets_go_of_everything(call: Callable[..., Any]) -> None:
    """After the pass a node keeps no array, though its result is still there."""
    x = Value(np.ones((3, 3)))
    result = call(x)
    before = kept(result)

    result.backward(np.ones(result.shape))

    assert before
    assert kept(result) == []


def test_nothing_is_kept_where_no_gradient_flows() -> None:
    """A result of constants has no node at all."""
    assert (Value(np.ones(3), requires_grad=False) * 2.0)._edge is None


def differentiable() -> dict[str, tuple[Op, Any]]:
    """Return each registered op that has a rule for each input, with its first sample of arrays alone."""
    found = {}
    for op_id, op in registry.load().ops.items():
        if not isinstance(op, Op) or op.joint_vjp or op.residuals or not all(hasattr(r, "sources") for r in op.vjps):
            continue
        samples = [s for s in op.samples if all(isinstance(i, Array) and i.kind == "float" for i in s.inputs)]
        if samples:
            found[op_id] = (op, max(samples, key=lambda s: sum(len(i.shape) for i in s.inputs)))
    return found


@pytest.mark.parametrize("op_id", differentiable())
def test_every_op_keeps_what_its_rules_name(op_id: str) -> None:
    """For each choice of inputs, inputs and output are kept if, and only if, a rule has a parameter of that name."""
    op, sample = differentiable()[op_id]
    rng = np.random.default_rng(0)
    raw = [draw(i, rng) for i in sample.inputs]
    for wrt in itertools.product([False, True], repeat=len(raw)):
        if not any(wrt):
            continue
        result = op(*[Value(x, requires_grad=needs) for x, needs in zip(raw, wrt, strict=True)], **sample.attrs)
        if not isinstance(result, Value):  # several outputs: each has a node of its own above the op's
            continue

        rules = [rule for rule, needs in zip(op.vjps, wrt, strict=True) if needs]
        names = {name for r in rules if r.number is None for name in getattr(r.function, "inputs", ()) or parameters(r)}
        here = {**dict(zip(op.inputs, raw, strict=True)), "y": result._array}
        expected = {name for name in here if name in names}
        got = {name for name, x in here.items() if any(x is k for k in kept(result))}
        assert expected == got, (op_id, wrt)


def parameters(rule: Any) -> set[str]:
    """Return the names that a rule takes."""
    return set(inspect.signature(rule.function).parameters)
