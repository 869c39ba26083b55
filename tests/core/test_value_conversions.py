"""Leaving the graph: float, int, index, repr, copies and pickles."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

from autodiff import AutodiffError, Value, no_grad, ops
from autodiff.errors import ArgumentError, ArgumentTypeError, GradientTypeError


@pytest.mark.parametrize("convert", [float, int, complex, np.asarray, np.float64, math.sin, np.array])
def test_no_gradient_is_dropped_in_silence(convert: Any) -> None:
    """Converting a Value that needs a gradient says what to do, and works under no_grad and on detached Values."""
    x = Value(0.5)
    with pytest.raises(GradientTypeError, match=r"item\(\)"):
        convert(x)
    with no_grad():
        inside = convert(x)
    assert inside == convert(x.detach()) == convert(0.5)


def test_writing_into_an_array_drops_no_gradient() -> None:
    """Neither do ``z[0] = v``, ``z[:] = v`` and ``z += v``."""
    z = np.zeros(2)
    with pytest.raises((TypeError, ValueError)):
        z[0] = Value(1.0)
    with pytest.raises(GradientTypeError):
        z[:] = Value(np.ones(2))
    with pytest.raises(ArgumentTypeError):
        z += Value(np.ones(2))
    assert z.tolist() == [0.0, 0.0]


def test_columns_of_tables_on_either_side() -> None:
    """A pandas Series is data, on the left as on the right; one that would swallow a gradient is refused."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    v = Value([10.0, 20.0])
    for found, wanted in (
        (table.a * v, [10.0, 40.0]),
        (v * table.a, [10.0, 40.0]),
        (table.a - v, [-9.0, -18.0]),
        (table > v, [[False, False], [False, False]]),
    ):
        assert type(found) is Value
        assert found.tolist() == wanted
    for swallow in (lambda: table.assign(c=v), lambda: table @ v):
        with pytest.raises(GradientTypeError):
            swallow()
    (table.a * v).sum().backward()
    assert v.grad.tolist() == [1.0, 2.0]


def test_truth() -> None:
    """One element has a truth, also while it needs a gradient; none or several have not."""
    assert bool(Value(2.0)) is True
    assert bool(Value(np.zeros((1, 1)))) is False
    assert bool(Value(3.0) > 2) is True
    for several in (np.ones(2), np.ones(0)):
        with pytest.raises(ArgumentError, match="any") as caught:
            bool(Value(several))
        assert isinstance(caught.value, ValueError)


def test_index() -> None:
    """An integer number works as an index; anything else does not."""
    assert [10, 20, 30][Value(np.array(1))] == 20
    assert list(range(Value(np.int64(2)))) == [0, 1]
    for bad in (Value(1.0), Value(1.0, requires_grad=False), Value(np.array([1])), Value(True)):
        with pytest.raises(ArgumentTypeError, match=r"integer"):
            [10, 20, 30][bad]


def test_len_and_iteration() -> None:
    """A Value of shape () has neither."""
    v = Value(np.arange(6.0).reshape(2, 3))
    assert len(v) == 2
    first, second = v
    (first * second).sum().backward()
    assert v.grad.tolist() == [[3.0, 4.0, 5.0], [0.0, 1.0, 2.0]]
    for call in (len, iter, list):
        with pytest.raises(ArgumentTypeError):
            call(Value(1.0))
    assert [x.item() for x in reversed(Value([1.0, 2.0]))] == [2.0, 1.0]
    assert 2.0 in Value([1.0, 2.0])
    assert sum(Value([1.0, 2.0])).item() == 3.0


def test_item() -> None:
    """item returns a Python number of one element, of any dtype."""
    for data, wanted in ((np.ones((1, 1)), 1.0), (np.int64(2), 2), (True, True), (1j, 1j)):
        found = Value(data).item()
        assert (found, type(found)) == (wanted, type(wanted))
    with pytest.raises(ArgumentError, match=r"\(2,\)"):
        Value([1.0, 2.0]).item()


def test_float_of_several_or_complex() -> None:
    """A TypeError with the shape; a complex number is a TypeError too."""
    with pytest.raises(ArgumentTypeError, match=r"\(2,\)"):
        float(Value([1.0, 2.0]))
    with pytest.raises(TypeError):
        float(Value(1j, requires_grad=False))


def test_repr_says_what_it_is() -> None:
    """Value, dtype, backend, the op it came from, and whether it needs a gradient."""
    x = Value(3.0)
    assert repr(x) == "Value(3., dtype=float64, backend='numpy')"
    assert repr(x * x) == "Value(9., dtype=float64, backend='numpy', op='autodiff_ops.multiply')"
    assert repr(Value(np.arange(2))) == "Value([0, 1], dtype=int64, backend='numpy', requires_grad=False)"
    assert len(repr(Value(np.zeros(10_000)))) < 300


def test_format() -> None:
    """A single number takes a format, more do not."""
    assert f"{Value(3.14159):.2f}" == "3.14"
    assert f"{Value(3.0)}" == repr(Value(3.0))
    with pytest.raises(ArgumentTypeError, match=r"\.2f"):
        f"{Value([1.0, 2.0]):.2f}"


def test_hash_is_identity() -> None:
    """Equal numbers are different keys."""
    a, b = Value(1.0), Value(1.0)
    assert hash(a) != hash(b)
    assert {a: 1, b: 2}[a] == 1


@pytest.mark.parametrize("make", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
@pytest.mark.parametrize("data", [3.0, np.ones((2, 2), np.float32), np.arange(3), 1j])
def test_copies_are_detached_with_their_gradient(make: Any, data: Any) -> None:
    """deepcopy and pickle give a leaf of its own, with the gradient and nothing shared."""
    x = Value(data)
    if x.requires_grad:
        ops.sum(ops.abs(x)).backward()
    found = make(x)
    assert (found.requires_grad, found.dtype, found.is_leaf) == (x.requires_grad, x.dtype, True)
    assert np.array_equal(found.data, x.data)
    assert not np.shares_memory(found.data, x.data)
    if x.requires_grad:
        assert np.array_equal(found.grad, x.grad)
        found.grad += 1
        assert not np.array_equal(found.grad, x.grad)


@pytest.mark.parametrize("make", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copy_of_a_result_is_a_leaf(make: Any) -> None:
    """An intermediate result is copied as a parameter of its own."""
    x = Value(3.0)
    found = make(x * x)
    found.backward()
    assert (found.is_leaf, found.grad, x.grad) == (True, 1.0, None)


def test_shallow_copy_is_a_second_handle() -> None:
    """copy.copy shares data and leaf."""
    x = Value(3.0)
    found = copy.copy(x)
    (x * x).backward()
    assert found.grad == 6.0


def test_deepcopy_detaches_a_gradient_that_is_a_value() -> None:
    """After create_graph the copy's gradient is no part of the graph of the original, as with pickle."""
    x = Value(3.0)
    (x * x * x).backward(create_graph=True)
    assert type(copy.deepcopy(x).grad) is np.ndarray


def test_ops_pickle_by_name() -> None:
    """An op comes back as itself."""
    assert pickle.loads(pickle.dumps(ops.tanh)) is ops.tanh
    assert copy.deepcopy(ops.tanh) is ops.tanh


def test_array_protocol() -> None:
    """What needs no gradient converts, to a copy, in the dtype asked for."""
    v = Value(np.arange(3))
    array = np.asarray(v)
    array[0] = 9
    assert v.data.tolist() == [0, 1, 2]
    assert np.asarray(v, dtype=np.float32).dtype == np.float32
    assert np.arange(10.0)[v].tolist() == [0.0, 1.0, 2.0]
    assert v.numpy().tolist() == [0, 1, 2]


def test_errors_are_ours() -> None:
    """Every refusal above can be caught as AutodiffError."""
    for act in (lambda: float(Value(1.0)), lambda: len(Value(1.0)), lambda: bool(Value([1.0, 2.0]))):
        with pytest.raises(AutodiffError):
            act()
