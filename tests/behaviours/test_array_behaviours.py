"""Empty axes, duplicates, zeros and contractions, in ops of whole arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from finite import central

from autodiff import Value, grad, ops
from autodiff import numpy as anp

A = np.array([[0.3, -1.2, 0.7], [1.1, 0.4, -0.6]])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: ops.tile(x, repetitions=0),
        lambda x: ops.tile(x, repetitions=(2, 0, 1)),
        lambda x: ops.repeat(x, repeats=0),
        lambda x: ops.repeat(x, repeats=0, axis=1),
        lambda x: ops.repeat(x, repeats=(0, 0), axis=0),
    ],
)
def test_12_tile_and_repeat_by_zero(f: Any) -> None:
    """Nothing is left of the value, and the gradient is zeros."""
    x = Value(A.copy())
    y = f(x)
    y.backward(np.ones(y.shape))
    assert (y.size, x.grad.tolist()) == (0, np.zeros((2, 3)).tolist())


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
@pytest.mark.parametrize("initial", [False, True])
@pytest.mark.parametrize(("shape", "axis"), [((0,), 0), ((2, 0), 1), ((2, 0), 0), ((0, 3), -2)])
def test_13_running_results_of_nothing(name: str, initial: bool, shape: tuple[int, ...], axis: int) -> None:
    """Along an empty axis the gradient is empty, of the input's shape; the second one too."""
    op = ops[f"autodiff_ops.{name}"]

    def f(x: Any) -> Any:
        return op(x, axis=axis, include_initial=initial)

    for g in (grad(lambda x: f(x).sum()), grad(lambda x: grad(lambda z: f(z).sum())(x).sum())):
        assert g(np.zeros(shape)).shape == shape


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        (0, (2, 2)),
        (1, (2, 3)),
        (2, (3, 2, 4)),
        ((-1, 0), (2, 3)),
        ((1, -1), (2, 3)),
        ((-1, -2), (3, 2, 4)),
        (([2], [-2]), (3, 2, 4)),
        (((-1, -2), (0, 1)), (2, 3, 4)),
        (((0, 2), (2, 0)), (2, 4, 2)),
    ],
)
def test_16_tensordot_axes(axes: Any, shape: tuple[int, ...]) -> None:
    """Value and gradients are right for negative, single and reordered axes."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 2)), rng.normal(size=shape)
    wanted = np.tensordot(x, y, axes)
    weights = rng.normal(size=wanted.shape)
    v, w = Value(x), Value(y)
    found = anp.tensordot(v, w, axes)
    np.testing.assert_allclose(found.data, wanted, rtol=1e-12)
    found.backward(weights)
    np.testing.assert_allclose(v.grad, central(lambda a: (np.tensordot(a, y, axes) * weights).sum(), x), rtol=1e-6)
    np.testing.assert_allclose(w.grad, central(lambda a: (np.tensordot(x, a, axes) * weights).sum(), y), rtol=1e-6)


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij->i", [(2, 3)]),
        ("ij->", [(2, 3)]),
        ("ij,kl->k", [(2, 3), (2, 4)]),
        ("ii->", [(3, 3)]),
        ("ii->i", [(3, 3)]),
        ("iji->j", [(3, 2, 3)]),
        ("iii->i", [(2, 2, 2)]),
        ("ii,ij->j", [(3, 3), (3, 2)]),
        ("i,i,i", [(3,), (3,), (3,)]),
        ("b...i,bi...->...b", [(2, 3, 4), (2, 4, 3)]),
    ],
)
def test_17_einsum_of_repeated_and_summed_out_indices(subscripts: str, shapes: Any) -> None:
    """Value and gradients are right where an index is repeated, summed out or stands for several."""
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=shape) for shape in shapes]
    wanted = np.einsum(subscripts, *xs)
    weights = rng.normal(size=wanted.shape)
    values = [Value(x) for x in xs]
    found = anp.einsum(subscripts, *values)
    np.testing.assert_allclose(found.data, wanted, rtol=1e-12)
    found.backward(weights)
    for i, x in enumerate(xs):

        def f(a: Any, i: int = i) -> Any:
            return (np.einsum(subscripts, *xs[:i], a, *xs[i + 1 :]) * weights).sum()

        np.testing.assert_allclose(values[i].grad, central(f, x), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("shape", "indices", "axis"),
    [
        ((2, 3), [[0, 2, 0]], 1),
        ((1, 3), [[0, 2], [1, 1]], -1),
        ((2, 3), [[1], [0]], 0),
        ((2, 3, 2), [[[0], [2], [2], [1]]], 1),
    ],
)
def test_19_take_along_axis_with_broadcast_indices(shape: Any, indices: Any, axis: int) -> None:
    """Both sides broadcast but for the axis, and the gradient is summed over what was read again."""
    rng = np.random.default_rng(0)
    x, index = rng.normal(size=shape), np.array(indices)
    wanted = np.take_along_axis(x, index, axis)
    weights = rng.normal(size=wanted.shape)
    v = Value(x)
    found = ops.take_along_axis(v, index, axis=axis)
    np.testing.assert_array_equal(found.data, wanted)
    found.backward(weights)
    expected = central(lambda a: (np.take_along_axis(a, index, axis) * weights).sum(), x)
    np.testing.assert_allclose(v.grad, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("ord", [1, 2, 3, 1.5, 0.5, np.inf])
def test_22_norm_at_zero(ord: float) -> None:
    """At the tip of the cone the gradient is 0, of first and of second order, and there is no warning."""
    x = Value(np.zeros(3))
    ops.norm(x, ord=ord).backward()
    second = grad(lambda z: grad(lambda w: ops.norm(w, ord=ord))(z).sum())(np.zeros(3))
    assert (x.grad.tolist(), second.tolist()) == ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])


def test_22_norm_of_rows_one_of_them_zero() -> None:
    """A row of zeros gets 0 and leaves the others alone."""
    x = Value([[0.0, 0.0], [3.0, 4.0]])
    ops.norm(x, axis=1).sum().backward()
    assert x.grad.tolist() == [[0.0, 0.0], [0.6, 0.8]]


@pytest.mark.parametrize("name", ["std", "var"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("number", [0.0, 0.1, 100.1, -3.0])
@pytest.mark.parametrize("count", [1, 3, 1000])
def test_23_spread_of_constants(name: str, dtype: Any, number: float, count: int) -> None:
    """The gradient is exactly 0, although the mean of equal numbers may be rounded."""
    x = Value(np.full((2, count), number, dtype))
    ops[f"autodiff_ops.{name}"](x, axis=1).sum().backward()
    assert (x.grad.dtype, x.grad.any()) == (np.dtype(dtype), np.False_)


def test_23_spread_of_constants_second_order() -> None:
    """The second derivative of the standard deviation of constants is 0, not NaN."""
    second = grad(lambda z: grad(ops.std)(z)[0])(np.full(3, 2.0))
    assert second.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("x", "first"),
    [
        ([0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
        ([0.0, 2.0, 0.0], [0.0, 0.0, 0.0]),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ([5.0], [1.0]),
        ([0.0], [1.0]),
        ([2.0, 3.0], [3.0, 2.0]),
    ],
)
def test_24_product_with_zeros(x: list[float], first: list[float]) -> None:
    """The gradient is the product of the others, with none, one, two or three zeros."""
    v = Value(x)
    v.prod().backward()
    assert v.grad.tolist() == first


@pytest.mark.parametrize("x", [[0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0, 2.0]])
@pytest.mark.parametrize("name", ["prod", "cumulative_prod"])
def test_24_higher_derivatives_of_products_with_zeros(name: str, x: list[float]) -> None:
    """Second and third derivatives are finite and those of the polynomial."""
    op = ops[f"autodiff_ops.{name}"]
    weights = np.arange(1.0, len(x) + 1.0)

    def first(z: Any) -> Any:
        return (grad(lambda w: op(w).sum())(z) * weights).sum()

    def second(z: Any) -> Any:
        return (grad(first)(z) * weights**2).sum()

    for f in (first, second):
        np.testing.assert_allclose(grad(f)(np.array(x)), central(f, x), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1), (-1, 0)])
def test_24_zeros_along_axes(axis: Any) -> None:
    """Zeros in some rows do no harm to others."""
    x = np.array([[0.0, 2.0, 3.0], [4.0, 0.0, 0.0]])
    v = Value(x)
    ops.prod(v, axis=axis).sum().backward()
    np.testing.assert_allclose(v.grad, central(lambda a: np.prod(a, axis=axis).sum(), x), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float16", "float32", "longdouble"])
@pytest.mark.parametrize("name", ["std", "var", "prod", "min", "norm", "nanmean", "nansum", "cumulative_prod", "sort"])
def test_30_dtypes_of_array_ops(name: str, dtype: str) -> None:
    """Result and gradient have the dtype of the input, also of one narrower or wider than usual."""
    x = Value(np.arange(1.0, 4.0).astype(dtype))
    y = ops[f"autodiff_ops.{name}"](x)
    y.sum().backward()
    assert (y.dtype, x.grad.dtype) == (np.dtype(dtype), np.dtype(dtype))
