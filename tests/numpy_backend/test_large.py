"""Kernels and rules for large arrays: the conformance kit on blocks of a few elements, and special numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autodiff_nn as nn
from autodiff import Value, ops
from autodiff.errors import KernelError
from autodiff.testing import check_op
from autodiff_numpy import activations, arithmetic, blocks, loops, reductions, running, spreading

_OPS = sorted({*reductions.KERNELS, *reductions.RULES, *running.KERNELS, *running.RULES})
_SPREAD = sorted({*spreading.KERNELS, *spreading.RULES} - {*_OPS})


@pytest.fixture
def tiny_blocks() -> Iterator[None]:
    """Make every array count as large, and cut it into blocks of a few elements."""
    with blocks.tiny():
        yield


@pytest.fixture(autouse=True)
def _by_numpy() -> Iterator[None]:
    """Call NumPy's functions, also where Numba is installed: what that compiles is for `test_loops.py`."""
    with loops.without():
        yield


@pytest.mark.usefixtures("tiny_blocks")
@pytest.mark.parametrize("op_id", [*_OPS, *_SPREAD])
def test_ops_conform_in_tiny_blocks(op_id: str) -> None:
    """Each sample of each op, cut as small as can be."""
    check_op(ops[op_id])


@pytest.mark.usefixtures("tiny_blocks")
@pytest.mark.parametrize("op_id", [*arithmetic.KERNELS, "autodiff_ops.tanh", "autodiff_ops.exp"])
def test_arithmetic_conforms_in_tiny_blocks(op_id: str) -> None:
    """Each sample of each op of arithmetic, cut as small as can be."""
    check_op(ops[op_id])


@pytest.mark.usefixtures("tiny_blocks")
@pytest.mark.parametrize("op", [nn.layer_norm, nn.cross_entropy_with_logits], ids=lambda op: op.name)
def test_fused_ops_conform_in_tiny_blocks(op: Any) -> None:
    """The fused ops of networks cut their rows by the same functions."""
    check_op(op)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (0, 3), (200, 3), (20_000, 3)])
@pytest.mark.parametrize("given", [(), (1,), (3,), (1, 3), (2,), (1, 1, 3)])
def test_arrays_are_spread_as_numpy_spreads_them(given: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Small ones too, which are filled; what does not fit is refused, also what could be written into a place of the shape."""
    x = np.arange(max(np.prod(given), 1.0)).reshape(given)
    for array in (x, x[()]):
        try:
            expected = np.broadcast_to(array, shape)
        except ValueError:
            with pytest.raises(KernelError):
                ops["autodiff.broadcast_to"](array, shape=shape)
            continue
        actual = ops["autodiff.broadcast_to"](array, shape=shape)

        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
        assert np.array_equal(actual, expected)


def _special(kind: str, shape: tuple[int, ...], dtype: Any) -> Any:
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 1.5, shape)
    x *= rng.choice([-1, 1], shape)
    places = rng.random(shape) < 0.01
    if kind == "ties":
        x = np.round(x, 1) * 2
    elif kind == "zeros":
        x[places] = rng.choice([0.0, -0.0], int(places.sum()))
    elif kind == "infinities":
        x[places] = rng.choice([np.inf, -np.inf], int(places.sum()))
    elif kind == "not a number":
        x[places] = rng.choice([np.nan, -np.nan], int(places.sum()))
    elif kind == "tiny":
        x *= 1e-3
    elif kind == "huge":
        x *= 1e3
    elif kind == "nothing":
        x[...] = -np.inf
    return x.astype(dtype)


_KINDS = ["plain", "ties", "zeros", "infinities", "not a number", "tiny", "huge", "nothing"]
_SHAPES = {
    "rows": ((400, 330), -1),
    "columns": ((220, 600), 0),
    "middle": ((10, 50, 300), 1),
    "narrow": ((60_000, 3), 1),
    "two axes": ((10, 30, 500), (0, 1)),
    "long": ((2, 70_000), 1),
}
_ONE_AXIS = {"cumulative_sum", "cumulative_prod", "sort", "argsort"}
_LANES = [op_id for op_id in _OPS if "along_axis" not in op_id]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("place", _SHAPES)
@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("op_id", _LANES)
def test_large_arrays_agree_with_the_generic_kernels_and_rules(op_id: str, kind: str, place: str, dtype: Any) -> None:
    """NaN, infinities, zeros of both signs, ties, and products that leave the range are what they are elsewhere."""
    op = ops[op_id]
    shape, axis = _SHAPES[place]
    if op.name in _ONE_AXIS and isinstance(axis, tuple):
        pytest.skip("it works along one axis")
    x = _special(kind, shape, dtype)
    v = Value(x)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        y = op(v, axis=axis)
        expected = op.function(np, x, **{**op.attrs, "axis": axis}) if op.takes_xp else getattr(np, op.name)(x, axis)
    tolerance = {np.float32: 2e-4, np.float64: 1e-11}[dtype]
    if op.name == "argsort":
        assert np.array_equal(y.data, expected)
        return
    _compare(np.asarray(y.data), expected, tolerance)

    seed = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
    # The generic rule, given the result that the pass had: a sum in another order differs in its last digit.
    with np.errstate(all="ignore"):
        recorded = Value(x)
        op(recorded, axis=axis).backward(seed, create_graph=True)
    v.zero_grad()
    y.backward(seed)
    _compare(v.grad, recorded.grad.data, tolerance)


def _compare(actual: Any, expected: Any, tolerance: float) -> None:
    assert actual.dtype == expected.dtype
    assert np.array_equal(np.isnan(actual), np.isnan(expected))
    finite = np.isfinite(expected)
    assert np.array_equal(actual[~finite & ~np.isnan(expected)], expected[~finite & ~np.isnan(expected)])
    # Below the least normal number the order of the factors decides.
    absolute = tolerance * np.abs(expected[finite]).max(initial=0) + np.finfo(actual.dtype).smallest_normal
    np.testing.assert_allclose(actual[finite], expected[finite], rtol=tolerance, atol=absolute)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32])
def test_orders_are_stable(dtype: Any, kind: str, descending: bool) -> None:
    """Equal elements, zeros of both signs and NaN among them, keep their order."""
    with np.errstate(invalid="ignore"):
        x = _special(kind, (300, 500), np.float32).astype(dtype)
    for axis in (0, 1):
        flipped = np.flip(x, axis) if descending else x
        expected = np.argsort(flipped, axis=axis, stable=True)
        expected = x.shape[axis] - 1 - np.flip(expected, axis) if descending else expected

        assert np.array_equal(ops.argsort(x, axis=axis, descending=descending), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", [0, 1])
def test_gathers_add_up_at_their_places(axis: int, dtype: Any) -> None:
    """Indices from both ends, many times each."""
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 400, 400)).astype(dtype)
    places = rng.integers(-400, 400, (400, 400))
    v = Value(x)
    y = ops.take_along_axis(v, places, axis=axis)
    y.backward(g)
    expected = np.zeros(x.shape)
    others = np.arange(400)[:, None] if axis == 1 else np.arange(400)
    np.add.at(expected, (others, places) if axis == 1 else (places, others), g)

    assert np.array_equal(y.data, np.take_along_axis(x, places, axis))
    np.testing.assert_allclose(v.grad, expected, rtol=1e-5, atol=1e-5)


def test_a_gather_out_of_range_is_refused() -> None:
    """NumPy's error, as of small arrays."""
    x = np.ones((400, 400), np.float32)
    with pytest.raises(Exception, match="out of bounds"):
        ops.take_along_axis(x, np.full((400, 400), 400), axis=1)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "prod", "logsumexp", "softmax", "cumulative_sum"])
def test_arrays_that_are_not_in_order(name: str) -> None:
    """Transposed, strided and read-only arrays give what contiguous ones give."""
    x = np.random.default_rng(0).uniform(0.9, 1.1, (800, 600))
    for view in (x.T, x[::2], np.broadcast_to(x[0], (500, 600))):
        v, w = Value(view), Value(np.ascontiguousarray(view))
        y, z = ops[name](v, axis=1), ops[name](w, axis=1)
        seed = np.random.default_rng(1).standard_normal(y.shape)
        y.backward(seed.T.copy().T)
        z.backward(seed)

        np.testing.assert_allclose(y.data, z.data, rtol=1e-12)
        np.testing.assert_allclose(v.grad, w.grad, rtol=1e-12, atol=1e-12 * np.abs(w.grad).max())


@pytest.mark.parametrize("name", ["sum", "max", "prod", "softmax", "logsumexp"])
@pytest.mark.parametrize("axis", [2, -3, (0, 0), (0, 5)])
def test_axes_that_do_not_exist_are_refused(name: str, axis: Any) -> None:
    """Large arrays are no exception."""
    with pytest.raises(Exception, match=r"axis|axes|dimension"):
        ops[name](np.ones((400, 400)), axis=axis)


def test_rows_are_summed_accurately() -> None:
    """Of a hundred thousand float32 numbers the sum keeps six digits, as NumPy's own."""
    x = np.random.default_rng(0).uniform(0, 1, (3, 100_000)).astype(np.float32)

    np.testing.assert_allclose(ops.sum(x, axis=1), x.astype(np.float64).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(ops.sum(x), x.astype(np.float64).sum(), rtol=1e-6)


@pytest.mark.parametrize("shape", [(10_000, 40), (40, 10_000), (300_000, 2), (2, 300_000), (20, 3, 9000)])
@pytest.mark.parametrize("axis", [0, 1, -1, None])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_any_shape_are_accurate(shape: tuple[int, ...], axis: Any, dtype: Any) -> None:
    """Of long, narrow and short arrays; what is infinite, or NaN, is where NumPy has it."""
    x = np.random.default_rng(0).uniform(0, 1, shape).astype(dtype)
    tolerance = {np.float32: 2e-5, np.float64: 1e-13}[dtype]

    for name in ("sum", "mean"):
        y, expected = ops[f"autodiff_ops.{name}"](x, axis=axis), getattr(np, name)(x.astype(np.float64), axis=axis)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, expected, rtol=tolerance)
    x[(0,) * x.ndim], x[(-1,) * x.ndim] = np.inf, np.nan
    special = ops["autodiff_ops.sum"](x, axis=axis)
    assert np.array_equal(np.isnan(special), np.isnan(x.sum(axis=axis)))
    assert np.array_equal(np.isposinf(special), np.isposinf(x.sum(axis=axis)))


@pytest.mark.parametrize("axis", [0, 1])
def test_sums_of_large_arrays_warn_as_numpys_do(axis: int) -> None:
    """Of what is too large, and of infinities of both signs, wherever they are."""
    for numbers, what in (((3e38, 3e38), "over"), ((np.inf, -np.inf), "invalid")):
        for place in (0, 598):
            x = np.ones((600, 600), np.float32)
            x[place : place + 2, 598] = x[598, place : place + 2] = numbers
            with np.errstate(**{what: "raise"}), pytest.raises(FloatingPointError):
                ops["autodiff_ops.sum"](x, axis=axis)
            with np.errstate(all="ignore"):
                assert not np.isfinite(ops["autodiff_ops.sum"](x, axis=axis)).all()


_ELEMENTWISE = sorted(op_id for op_id in {*activations.KERNELS, *activations.RULES} if not op_id.endswith(".glu"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("op_id", [*_ELEMENTWISE, "autodiff_ops.tanh", "autodiff_ops.erf", "autodiff_activations.gelu"])
def test_activations_of_large_arrays_are_those_of_small_ones(op_id: str, dtype: Any) -> None:
    """Bit for bit, in value and gradient, with special numbers among them; attributes are handed on."""
    op = ops[op_id]
    x = np.random.default_rng(0).uniform(-8, 8, (500, 400)).astype(dtype)
    x.reshape(-1)[::1000] = np.resize([0.0, -0.0, np.inf, -np.inf, np.nan, 1e30], 200)
    attrs = {"alpha": 0.7} if "alpha" in op.attrs else {}
    seed = np.random.default_rng(1).standard_normal(x.shape).astype(dtype)
    results = []
    for parts in ([slice(None)], [slice(i, i + 100) for i in range(0, 500, 100)]):
        outputs, gradients = [], []
        for part in parts:
            v = Value(x[part])
            with np.errstate(all="ignore"):
                y = op(v, **attrs)
            y.backward(seed[part])
            outputs.append(y.data)
            gradients.append(v.grad)
        results.append((np.concatenate(outputs), np.concatenate(gradients)))

    for large, small in zip(*results, strict=True):
        assert large.dtype == dtype
        assert np.array_equal(large, small, equal_nan=True)


def _operands() -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 500, 400))
    halves = [a.astype(np.float16) for a in (x, y)]
    return [
        *((a, b) for t in (np.float32, np.float64) for a in (x.astype(t),) for b in (y.astype(t), 3, 0.1, t(0.1))),
        *((b, a) for t in (np.float32, np.float64) for a in (x.astype(t),) for b in (3, 0.1, t(0.1), np.array(0.1, t))),
        *((x, y.astype(np.float32)), (x.astype(np.float32), np.float64(0.1)), (x, y[0]), (x[:, :1], y), (x.T, y.T)),
        *((x[::2], y[::2]), (x + 1j * y, y), (x + 1j * y, 2.0), (x, 1j), (halves[0], halves[1]), (halves[0], 0.1)),
        *((np.asfortranarray(x), y), (np.broadcast_to(x[0], x.shape), y)),
    ]


@pytest.mark.parametrize("op_id", arithmetic.KERNELS)
def test_arithmetic_of_large_arrays_is_that_of_numpy(op_id: str) -> None:
    """Bit for bit and of one dtype, for numbers on either side, broadcasting, other orders and other dtypes."""
    function = getattr(np, op_id.partition(".")[2])
    for a, b in _operands():
        with np.errstate(all="ignore"):
            y, expected = ops[op_id](a, b), function(a, b)

        assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
        assert np.array_equal(y, expected, equal_nan=True)


def test_arithmetic_of_large_arrays_warns_as_numpy_does() -> None:
    """In a helper's blocks as in the caller's, and not where NumPy was told to be silent."""
    x = np.ones((1000, 1000))
    for place in (0, -1):
        y = np.ones((1000, 1000))
        y[place] = 0
        with pytest.warns(RuntimeWarning, match="divide by zero"):
            ops.divide(x, y)
        with np.errstate(divide="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
            ops.divide(x, y)
        with warnings.catch_warnings(), np.errstate(divide="ignore"):
            warnings.simplefilter("error")
            ops.divide(x, y)


def test_a_sum_of_large_arrays_is_written_into_the_first() -> None:
    """Each block of it, in place and bit for bit; a view, or an array that is smaller, is not."""
    x, y = np.random.default_rng(0).standard_normal((2, 500, 400))
    expected, product = x + y, x * y
    a, b = x.copy(), x.copy()

    assert arithmetic.add(a, y, a) is a
    assert arithmetic.multiply(b, y, b) is b
    assert np.array_equal(a, expected)
    assert np.array_equal(b, product)
    assert arithmetic.multiply(x[1:], y[1:], x[1:]) is not x
    assert np.array_equal(arithmetic.multiply(y[0], x, y[0]), y[0] * x)


def test_a_product_is_added_to_a_sum_in_its_memory() -> None:
    """Bit for bit as in two steps, large and small; to a view, or to what cannot be written to, in other memory."""
    for shape in ((500, 400), (5, 4)):
        total, a, b = np.random.default_rng(0).standard_normal((3, *shape))
        expected, frozen = total + a * b, total.copy()
        frozen.flags.writeable = False
        for other in (total, frozen):
            assert np.array_equal(arithmetic.add_product(other, a, b), expected)
        own = total.copy()
        assert arithmetic.add_product(own, a, b) is own
        assert np.array_equal(own, expected)
        assert not np.array_equal(total, expected), "it is a view"


@pytest.mark.parametrize("shape", [(3, 4), (1, 700, 300), (700, 300)])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_gradients_of_sums_are_in_order(shape: tuple[int, ...], axis: Any) -> None:
    """What was broadcast is handed out as an array of its own, in C order, small and large."""
    v = Value(np.ones(shape, np.float32))
    y = v.sum(axis=axis)
    seed = np.random.default_rng(0).standard_normal(y.shape).astype(np.float32)
    y.backward(seed)

    assert v.grad.flags.c_contiguous
    assert np.array_equal(v.grad, np.broadcast_to(seed if axis is None else np.expand_dims(seed, axis), shape))
    v.grad[...] = 2  # not a view of the seed, and each element its own
    assert (seed != 2).all()
