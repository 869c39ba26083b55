"""Reading, writing and adding by index: PyTorch's gradients, NumPy's sums, duplicates, memory layouts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_oracle import compare

from autodiff import AutodiffError, Value, ops

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3, 2))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("indices", [[0, 1, 0], [-1], [], [1, 1, 1, 1]])
def test_take_as_pytorch(indices, axis):
    """Values and gradients are PyTorch's; what is taken several times adds up."""
    torch = pytest.importorskip("torch")
    index = np.array(indices, dtype=np.int64)
    theirs = torch.tensor(index % X.shape[axis])
    for x in (X, X + 1j * X[::-1]):
        compare(lambda v: ops.take(v, index, axis=axis), lambda v: torch.index_select(v, axis, theirs), x)


def test_take_of_any_shape():
    """Indices of any shape, of flattened arrays, numbers, lists and Values give what NumPy gives."""
    index = np.array([[0, 2], [1, 1]])
    for indices in (index, index.tolist(), Value(index), np.array(2), 2, np.int32(1)):
        raw = indices.data if isinstance(indices, Value) else indices
        for axis in (None, 0, -2):
            x = Value(X)
            y = ops.take(x, indices, axis=axis)
            y.backward(np.ones(y.shape))
            assert y.data.tolist() == np.take(X, raw, axis).tolist()
            assert (x.grad.shape, x.grad.sum()) == (X.shape, y.size)
    assert Value(X).take(index, 0).shape == (2, 2, 3, 2)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_take_along_axis_as_pytorch(axis):
    """Values and gradients are PyTorch's; what is read several times adds up."""
    torch = pytest.importorskip("torch")
    index = RNG.integers(0, X.shape[axis], X.shape)
    compare(
        lambda x: ops.take_along_axis(x, index, axis=axis),
        lambda x: torch.take_along_dim(x, torch.tensor(index), axis),
        X,
    )


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_put_along_axis_as_pytorch(axis):
    """Values and gradients are PyTorch's where no place is written twice; what is overwritten gets nothing."""
    torch = pytest.importorskip("torch")
    index = np.take(np.argsort(RNG.normal(size=X.shape), axis=axis), [0, 1], axis=axis)
    compare(
        lambda x, v: ops.put_along_axis(x, index, v, axis=axis),
        lambda x, v: torch.scatter(x, axis, torch.tensor(index), v),
        X,
        RNG.normal(size=index.shape),
    )


def test_the_last_write_wins():
    """Of two writes to one place the last stays, and it alone gets the gradient, whatever the memory layout."""
    index = np.array([[1, 1, 0], [1, 2, 2]])
    values = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    for order_of_index in "CF":
        for order_of_values in "CF":
            i, v = np.array(index, order=order_of_index), Value(np.array(values, order=order_of_values))
            y = ops.put_along_axis(np.zeros((2, 3)), i, v, axis=1)
            y.sum().backward()
            assert y.data.tolist() == [[3.0, 2.0, 0.0], [0.0, 4.0, 6.0]]
            assert v.grad.tolist() == [[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]
            w = Value(np.array(values, order=order_of_values))
            z = ops.setitem(np.zeros(3), w, index=(i,))
            z.sum().backward()
            assert (z.data.tolist(), w.grad.tolist()) == ([3.0, 4.0, 6.0], [[0.0, 0.0, 1.0], [1.0, 0.0, 1.0]])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: ops.take(x, np.array([4]), axis=0), "take"),
        (lambda x: ops.take(x, np.array([0]), axis=3), "axis 3"),
        (lambda x: ops.take(x, [0.5], axis=0), "fraction"),
        (lambda x: ops.take_along_axis(x, [[[0.5]]], axis=0), "fraction"),
        (lambda x: ops.take_along_axis(x, np.array([0]), axis=0), "take_along_axis"),
        (lambda x: ops.put_along_axis(x, np.array([0]), 1.0, axis=0), "3, not 1"),
        (lambda x: ops.put_along_axis(x, np.array([[[4]]]), 1.0, axis=0), "put_along_axis"),
    ],
)
def test_indices_that_do_not_fit(call, said):
    """Indices out of range, with a fraction, or of other dimensions are errors."""
    with pytest.raises(AutodiffError, match=said):
        call(Value(X))


# ---- adding by index, against numpy.add.at ----------------------------------------------------------------------

_INDICES = {
    "rows": (np.array([0, 2, 0, -1]),),
    "all different": (np.array([3, 0, 1]),),
    "two arrays": (np.array([0, 2, 0, -1]), np.array([0, 1, 0, 2])),
    "broadcast arrays": (np.array([[0], [2]]), np.array([1, 1, 2])),
    "apart": (np.array([0, 0, 1]), slice(None), np.array([1, 1, 0])),
    "with a number": (np.array([0, 0, 1]), 2),
    "behind dots": (Ellipsis, np.array([0, 1, 1])),
    "with a new axis": (None, np.array([0, 1, 1])),
    "with a slice": (np.array([3, 3, 1]), slice(2, None, -1)),
    "mask": (np.array([True, False, True, True]),),
    "mask of two axes": (np.arange(12).reshape(4, 3) % 2 == 0,),
    "mask and array": (np.array([True, False, True, True]), np.array([1, 1, 0])),
    "lists": ((0, 2, 0), (1, 1, 1)),
    "nothing": (np.array([], dtype=int),),
    "numbers": (1, -1),
    "slices": (slice(None, None, 2), slice(1, None)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "longdouble", "int64"])
@pytest.mark.parametrize("name", _INDICES)
@pytest.mark.parametrize("shape", [(4, 3, 2), (4, 3, 8), (4, 3, 2, 5), (4, 3, 300)])
def test_scatter_add_is_numpys_add_at(shape, name, dtype):
    """Whatever the index, the sums are those of numpy.add.at, to the last bit."""
    index = _INDICES[name]
    expected = np.zeros(shape, dtype)
    x = (RNG.normal(size=expected[index].shape) * 100).astype(dtype)
    np.add.at(expected, index, x)
    for layout in (x, np.asfortranarray(x), x[..., ::-1].copy()[..., ::-1]):
        found = ops.scatter_add(layout, shape=shape, index=index)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 9), st.integers(0, 30), st.sampled_from([1, 3, 4, 7, 300]), st.integers(0, 1000))
def test_scatter_add_of_random_rows(rows, count, width, seed):
    """Random rows, some of them several times, add up as with numpy.add.at."""
    rng = np.random.default_rng(seed)
    index, x = rng.integers(-rows, rows, count), rng.normal(size=(count, width)).astype(np.float32)
    expected = np.zeros((rows, width), np.float32)
    np.add.at(expected, index, x)
    np.testing.assert_array_equal(ops.scatter_add(x, shape=(rows, width), index=(index,)), expected)


def test_scatter_add_in_half_precision():
    """30 000 ones in one place add up to 30 000 in float16."""
    for width in (1, 4, 300):
        x = Value(np.ones((2, width), np.float16))
        y = x[np.zeros(30_000, int)]
        y.backward(np.ones(y.shape, np.float16))
        assert (x.grad.dtype, x.grad.tolist()) == (np.dtype(np.float16), [[30_000.0] * width, [0.0] * width])
