"""Operators, in place ones included, indexing and item assignment."""

from __future__ import annotations

import math
import operator
import unittest.mock
from typing import Any

import numpy as np
import pytest

from autodiff import Value, ops
from autodiff.errors import AutodiffError, GradientTypeError, GraphError, IndexingError, KernelError
from autodiff.extend import primitive, unary

_BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
]


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
@pytest.mark.parametrize("number", [np.float64(2.5), np.float32(2.5), np.array(2.5), np.array([2.5])], ids=repr)
def test_complex_numbers_of_python_in_both_orders(op: Any, number: Any) -> None:
    """Also with a 0-d Value, whose number Python's complex would take for a float of its own."""
    v, z = Value(number), 2.0 - 1j
    for result, expected in ((op(z, v), op(z, np.asarray(number))), (op(v, z), op(np.asarray(number), z))):
        np.testing.assert_allclose(result.data, expected, rtol=1e-6)
        assert (result.dtype, result.requires_grad) == (expected.dtype, True)


@pytest.mark.parametrize("op", _BINARY)
@pytest.mark.parametrize("other", [2.0, 2, np.float64(2.5), np.array([1.0, 2.0, 4.0]), np.array(3.0)], ids=repr)
def test_binary_operators(op: Any, other: Any) -> None:
    """Both orders give what NumPy gives for the data."""
    data = np.array([1.5, 2.5, 5.0])
    for found, wanted in ((op(Value(data), other), op(data, other)), (op(other, Value(data)), op(other, data))):
        assert type(found) is Value
        np.testing.assert_allclose(found.data, wanted)


@pytest.mark.parametrize(
    "other",
    [2.0, np.array([1.0, 2.0])],
    ids=repr,
)
def test_divmod(other: Any) -> None:
    """divmod gives quotient and remainder, in both orders."""
    data = np.array([1.5, 5.0])
    for found, wanted in (
        (divmod(Value(data), other), divmod(data, other)),
        (divmod(other, Value(data)), divmod(other, data)),
    ):
        assert [f.data.tolist() for f in found] == [w.tolist() for w in wanted]


@pytest.mark.parametrize("op", [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne])
@pytest.mark.parametrize("other", [2.0, np.array([1.0, 2.0, 3.0]), np.float64(2.0)], ids=repr)
def test_comparisons(op: Any, other: Any) -> None:
    """Comparisons are elementwise Values of booleans without a gradient."""
    data = np.array([1.0, 2.0, 4.0])
    for found, wanted in ((op(Value(data), other), op(data, other)), (op(other, Value(data)), op(other, data))):
        assert (type(found), found.requires_grad, found.data.tolist()) == (Value, False, wanted.tolist())


@pytest.mark.parametrize("op", [operator.and_, operator.or_, operator.xor])
def test_bits(op: Any) -> None:
    """Masks combine; floats do not."""
    a, b = np.array([True, True, False]), np.array([True, False, False])
    assert op(Value(a), b).data.tolist() == op(a, b).tolist()
    assert op(b, Value(a)).data.tolist() == op(a, b).tolist()
    assert (~Value(a)).data.tolist() == (~a).tolist()
    with pytest.raises(TypeError) as caught:
        op(Value(1.0), 1)
    assert isinstance(caught.value, AutodiffError)


@pytest.mark.parametrize("symbol", ["iadd", "isub", "imul", "itruediv", "ipow", "ifloordiv", "imod"])
def test_in_place_operators_rebind(symbol: str) -> None:
    """``y += w`` makes a new Value under the same name; other names and graphs keep the old one."""
    x = Value(np.array([2.0, 3.0]))
    before = x
    squared = x * x
    after = getattr(operator, symbol)(x, 2.0)
    assert after is not before
    assert before.data.tolist() == [2.0, 3.0]
    np.testing.assert_allclose(after.data, getattr(operator, symbol)(np.array([2.0, 3.0]), 2.0))
    squared.sum().backward()
    assert before.grad.tolist() == [4.0, 6.0]


def test_in_place_matmul_and_array_on_the_left() -> None:
    """``@=`` works on Values; a raw array cannot take a Value in place."""
    x = Value(np.eye(2))
    x @= np.ones((2, 2))
    assert x.data.tolist() == [[1.0, 1.0]] * 2
    raw = np.ones(2)
    with pytest.raises(AutodiffError, match="out"):
        raw *= Value(np.ones(2))


@pytest.mark.parametrize("bad", [None, {}, "a", b"a", {1.0}, object()], ids=lambda b: type(b).__name__)
@pytest.mark.parametrize("op", [operator.add, operator.mul, operator.pow, operator.lt, operator.matmul])
def test_refused_operands(op: Any, bad: Any) -> None:
    """On either side: a TypeError that names the op and shows what was given."""
    for left, right in ((Value(np.ones(2)), bad), (bad, Value(np.ones(2)))):
        with pytest.raises(TypeError) as caught:
            op(left, right)
        assert isinstance(caught.value, AutodiffError)


@pytest.mark.parametrize("other", [np.array([1, 2], object), np.array([1, 2], "m8[s]")], ids=["object", "timedelta"])
def test_object_arrays_are_refused(other: Any) -> None:
    """An array of objects or of times does not take the gradient away in silence."""
    with pytest.raises(AutodiffError):
        Value(np.ones(2)) * other


def test_weak_python_numbers() -> None:
    """Python numbers take the dtype of what they meet; NumPy's scalars do not."""
    x = Value(np.ones(2, np.float32))
    assert [(x * 2.0).dtype, (2 / x).dtype, (x + 1).dtype, (x**2).dtype] == [np.float32] * 4
    assert (x * np.float64(2)).dtype == np.float64
    assert (Value(np.float32(3)) * 2.0).dtype == np.float32


_ROWS = np.array([0, 2, 0, -1])
_INDICES: list[Any] = [
    1,
    -1,
    np.int64(2),
    slice(None),
    slice(None, None, -2),
    slice(3, 0, -1),
    slice(5, 9),
    ...,
    None,
    (1, 2, 0),
    (..., 0),
    (None, ..., None),
    (slice(1, 3), ..., slice(None, None, 2)),
    _ROWS,
    [0, 0, 1],
    [],
    [[0, 1], [1, 0]],
    (_ROWS, [0, 1, 0, 2]),
    (0, _ROWS[:2]),
    (slice(None), None, [0, 2]),
    ([0, 1], slice(None), [1, 1]),
    (_ROWS, ..., None),
    np.array([True, False, True, False]),
    np.zeros(4, bool),
    (slice(None), np.array([True, False, True])),
    ([True, False, True, True], 1),
    np.arange(24).reshape(4, 3, 2) % 5 == 0,
    True,
    np.False_,
    (),
]


@pytest.mark.parametrize("index", _INDICES, ids=repr)
def test_indexing(index: Any) -> None:
    """Each element read adds its cotangent where it was read from, duplicates included."""
    data = np.arange(24.0).reshape(4, 3, 2)
    x = Value(data.copy())
    y = x[index]
    assert np.array_equal(y.data, data[index])
    weights = np.random.default_rng(0).normal(size=y.shape)
    y.backward(weights)
    wanted = np.zeros(24)
    np.add.at(wanted, np.arange(24).reshape(4, 3, 2)[index], weights)
    np.testing.assert_allclose(x.grad, wanted.reshape(4, 3, 2))


@pytest.mark.parametrize("index", _INDICES, ids=repr)
def test_item_assignment(index: Any) -> None:
    """What is overwritten gets no gradient; what was written gets that of the place where it is left."""
    data = np.arange(24.0).reshape(4, 3, 2)
    x = Value(data.copy())
    new = Value(np.arange(100.0, 100.0 + data[index].size).reshape(data[index].shape))
    y = x * 1
    y[index] = new
    wanted = data.copy()
    wanted[index] = new.data
    assert np.array_equal(y.data, wanted)
    weights = np.random.default_rng(0).normal(size=y.shape)
    y.backward(weights)
    # Each new number is unique: where it is left in the result, there its gradient comes from.
    np.testing.assert_allclose(x.grad, np.where(wanted < 100, weights, 0.0))
    places = dict(zip(wanted.ravel().tolist(), weights.ravel().tolist(), strict=True))
    np.testing.assert_allclose(new.grad, np.vectorize(lambda v: places.get(v, 0.0), otypes=[float])(new.data))


@pytest.mark.parametrize(
    "index", [7, -5, 1.5, "a", (0, 0, 0, 0), np.array([9]), np.zeros(3, bool), (..., ...), slice(0, 3, 0)]
)
def test_refused_indices(index: Any) -> None:
    """An index that does not fit gives the index and the shape, and is what NumPy raises."""
    x = Value(np.zeros((4, 3, 2)))
    with pytest.raises((IndexError, ValueError), match=r"\(4, 3, 2\)") as caught:
        x[index]
    assert isinstance(caught.value, AutodiffError)


def test_values_as_indices() -> None:
    """Integer and boolean Values index; one that needs a gradient does not."""
    x = Value(np.arange(3.0))
    assert x[Value(np.array([2, 0]))].data.tolist() == [2.0, 0.0]
    assert x[x > 0].data.tolist() == [1.0, 2.0]
    with pytest.raises(GradientTypeError, match="index"):
        x[Value(1.0)]
    with pytest.raises(IndexingError):
        x[Value(np.array(5))]


def test_item_assignment_to_a_leaf() -> None:
    """It would lose the leaf: the error shows both ways out."""
    x = Value(np.ones(2))
    with pytest.raises(GraphError, match="no_grad"):
        x[0] = 5.0
    assert x.data.tolist() == [1.0, 1.0]


def test_item_assignment_makes_a_constant_need_a_gradient() -> None:
    """Writing a parameter into a constant makes the result depend on it."""
    buffer, x = Value(np.zeros(3), requires_grad=False), Value(2.0)
    buffer[1] = x * x
    assert buffer.requires_grad
    buffer.sum().backward()
    assert x.grad == 4.0


def test_item_assignment_into_integers_drops_no_gradient() -> None:
    """A parameter written into an integer array is an error, not a silent constant."""
    buffer = Value(np.zeros(3, int))
    with pytest.raises(AutodiffError):
        buffer[1] = Value(1.5)


def test_methods_take_what_numpys_take() -> None:
    """Axes by position, shapes as one tuple, list or several numbers."""
    x = Value(np.arange(6.0).reshape(2, 3))
    assert x.sum(0).data.tolist() == [3.0, 5.0, 7.0]
    assert x.mean((0, 1), True).shape == (1, 1)
    assert [x.reshape(s).shape for s in (6, -1, (3, 2), [3, 2])] == [(6,), (6,), (3, 2), (3, 2)]
    assert [x.reshape(3, -1).shape, x.transpose().shape, x.transpose(1, 0).shape, x.transpose((1, 0)).shape] == [
        (3, 2)
    ] * 4
    assert x.softmax(0).sum(0).data.tolist() == pytest.approx([1.0] * 3)
    assert ops.sum(x, axis=-1).shape == (2,)


def test_shifts_and_rounding() -> None:
    """Shifts of integers in both orders; round, floor, ceil and trunc, whose derivative is zero."""
    bits = Value(np.array([1, 2]))
    x = Value(np.array([1.26, -1.74]))
    assert ((bits << 2).data.tolist(), (8 >> bits).data.tolist()) == ([4, 8], [4, 2])
    assert [f(x).data.tolist() for f in (round, math.floor, math.ceil, math.trunc)] == [
        [1.0, -2.0], [1.0, -2.0], [2.0, -1.0], [1.0, -1.0],
    ]  # fmt: skip
    assert (round(x, 1).data.tolist(), np.round(x, 1).data.tolist()) == ([1.3, -1.7], [1.3, -1.7])


def test_transpose_by_a_list() -> None:
    """``v.transpose([1, 0])`` as in NumPy."""
    assert Value(np.zeros((2, 3))).transpose([1, 0]).shape == (3, 2)


def test_equality_with_what_holds_no_numbers_asks_the_other_side() -> None:
    """As Python has it: `==` never raises for a foreign object, which may know better; then identity decides."""
    v = Value(np.array([3.0])).detach()
    strange = object()
    assert (v == unittest.mock.ANY) is True
    assert v == pytest.approx([3.0])
    assert v != pytest.approx([4.0])
    assert [v == other for other in (strange, None, "3.0", {}, [None], ...)] == [False] * 6
    assert (v != strange) is True
    assert [strange, v].index(v) == 1
    with pytest.raises(KernelError):
        operator.eq(Value(np.ones(3)), np.ones(2))


@pytest.mark.parametrize(
    "call",
    [
        ops.tanh,
        lambda x: ops.add(x, x),
        lambda x: ops.add(x, 2.0),
        lambda x: ops.sum(x, axis=0),
        lambda x: ops.where(x > 1, x, x),
        lambda x: ops.concat(x, x, axis=0),
        lambda x: ops.cross_entropy_with_logits(x, np.array([0, 2]), axis=1),
    ],
)
def test_arrays_take_the_short_path_from_the_second_call_on(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and raw arrays alike, with attributes and without."""
    x = np.linspace(0.5, 1.5, 6).reshape(2, 3)
    expected = call(x)
    call(Value(x))

    def full(*args: Any) -> Any:
        raise AssertionError("the long way")

    monkeypatch.setattr(type(ops.tanh), "_full", full)

    assert np.array_equal(call(x), expected)
    assert np.array_equal(call(Value(x)).data, expected)


def test_residuals_are_kept_on_the_short_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule reads those of its own call, the first and the later ones; results are without them."""

    @primitive(vjps=(lambda g, left, times: g * left * times,), residuals=("left",), samples=unary())
    def product(xp: Any, x: Any, *, times: float = 2.0) -> Any:
        return x * times, x + 10.0

    for data in (1.0, 2.0, 3.0):
        x = Value(np.array([data]))
        y = product(x, times=data)
        y.backward(np.ones(1))
        assert (y.data.tolist(), x.grad.tolist()) == ([data * data], [(data + 10) * data])
        assert product(np.array([data])).tolist() == [2 * data]
        monkeypatch.setattr(type(product), "_full", None)
