"""Repeating, tiling, padding, grids: agreement with PyTorch and NumPy, and half precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import AutodiffError, Value, ops

X = np.random.default_rng(0).normal(size=(2, 3))


@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("repeats", [0, 1, 3])
def test_repeat_as_pytorch(repeats, axis):
    """Values and gradients are PyTorch's, no copies at all included."""
    torch = pytest.importorskip("torch")
    compare(lambda x: ops.repeat(x, repeats=repeats, axis=axis), lambda x: x.repeat_interleave(repeats, axis), X)
    counts = [2, 0, 1]
    each = np.array(counts)
    theirs = torch.tensor(counts)
    compare(lambda x: ops.repeat(x, repeats=tuple(counts), axis=1), lambda x: x.repeat_interleave(theirs, 1), X)
    compare(lambda x: ops.repeat(x, repeats=each, axis=1), lambda x: x.repeat_interleave(theirs, 1), X)


@pytest.mark.parametrize("repetitions", [2, (2,), (1, 3), (2, 1, 2), (0, 2), ()])
def test_tile_as_pytorch(repetitions):
    """Values and gradients are PyTorch's, for fewer and for more repetitions than axes."""
    torch = pytest.importorskip("torch")
    dims = (repetitions,) if isinstance(repetitions, int) else repetitions
    compare(lambda x: ops.tile(x, repetitions=repetitions), lambda x: torch.tile(x, dims), X)


@pytest.mark.parametrize("constant", [0.0, -1.5])
def test_pad_as_pytorch(constant):
    """Values and gradients are PyTorch's."""
    torch = pytest.importorskip("torch")
    compare(
        lambda x: ops.pad(x, pad_width=((1, 0), (2, 3)), constant_values=constant),
        lambda x: torch.nn.functional.pad(x, (2, 3, 1, 0), value=constant),
        X,
    )


@pytest.mark.parametrize("pad_width", [1, (1, 2), ((1, 2),), ((0, 1), (2, 0)), ((1,), (2,))])
def test_every_way_to_write_a_margin_is_numpys(pad_width):
    """One number, a pair, a pair for each axis."""
    assert ops.pad(X, pad_width=pad_width).tolist() == np.pad(X, pad_width).tolist()


@pytest.mark.parametrize("indexing", ["xy", "ij"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_meshgrid_as_pytorch(count, indexing):
    """Values and gradients are PyTorch's, for one, two and three axes."""
    torch = pytest.importorskip("torch")
    xs = [np.arange(1.0, n) for n in (3, 4, 5)][:count]

    def mixed(grids):
        return math.prod(grid * (i + 2) for i, grid in enumerate(grids))

    compare(
        lambda *v: mixed(ops.meshgrid(*v, indexing=indexing)),
        lambda *v: mixed(torch.meshgrid(*v, indexing=indexing)),
        *xs,
    )
    grids = ops.meshgrid(*xs, indexing=indexing)
    assert [g.tolist() for g in grids] == [g.tolist() for g in np.meshgrid(*xs, indexing=indexing)]


def test_one_coordinate_alone():
    """A coordinate that is not used gets no gradient, and the other is summed over the grid."""
    x, y = Value(np.arange(2.0)), Value(np.arange(3.0))
    ops.meshgrid(x, y)[0].sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert y.grad is None


@pytest.mark.parametrize("f", [lambda x: ops.repeat(x, repeats=30_000), lambda x: ops.tile(x, repetitions=30_000)])
def test_half_precision_gradients_are_summed_in_single(f):
    """30 000 copies give a gradient of 30 000 in float16."""
    x = Value(np.ones(2, np.float16))
    y = f(x)
    y.backward(np.ones(y.shape, np.float16))
    assert (x.grad.dtype, x.grad.tolist()) == (np.dtype(np.float16), [30_000.0, 30_000.0])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: ops.pad(x, pad_width=-1), "-1"),
        (lambda x: ops.pad(x, pad_width=((1, 1), (1, 1), (1, 1))), "2 axes"),
        (lambda x: ops.tile(x, repetitions=(1, -1)), "-1"),
        (lambda x: ops.repeat(x, repeats=-1), "repeat"),
        (lambda x: ops.repeat(x, repeats=(1, 2), axis=1), "repeat"),
        (lambda x: ops.repeat(x, repeats=2, axis=2), "repeat"),
        (lambda x: ops.meshgrid(x[0], indexing="yx"), "'yx'"),
    ],
)
def test_what_cannot_be_done_says_why(call, said):
    """Negative numbers and axes that do not exist are errors that name them."""
    with pytest.raises(AutodiffError, match=said):
        call(Value(X))
