"""The fused ops: conformance, single precision, half precision, large numbers, errors."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_nn as nn
from autodiff import AutodiffError, Value, ops
from autodiff.extend import Array, Sample, sample
from autodiff.testing import check_op


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("op", [nn.linear, nn.layer_norm, nn.cross_entropy_with_logits], ids=lambda op: op.name)
def test_fused_ops_conform(op, seed):
    """Kernels, rules and NumPy's own rules agree with differences to the second order."""
    check_op(op, seed=seed)


def test_arrays_of_many_blocks_conform():
    """NumPy's kernels work on blocks of rows; these samples have several, and a last one that is not full."""
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(100, 1000)), rng.normal(size=(100, 1000))
    weight, bias, labels = rng.normal(size=1000), rng.normal(size=1000), rng.integers(0, 1000, 100)

    def results(op, inputs, seed, **attrs):
        values = [Value(a) for a in inputs]
        y = op(*values, **attrs)
        y.backward(seed, create_graph=True)  # a recorded pass runs the generic rule
        recorded = [v.grad.data for v in values if v.requires_grad]
        for v in values:
            v.zero_grad()
        op(*values, **attrs).backward(seed)
        plain = [v.grad for v in values if v.requires_grad]
        return [y.data, *plain], [_generic(op, inputs, attrs), *recorded]

    for actual, expected in (
        results(nn.layer_norm, (x, weight, bias), g),
        results(nn.cross_entropy_with_logits, (x, labels), g[:, 0]),
    ):
        for a, b in zip(actual, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def _generic(op, inputs, attrs):
    y = op.function(np, *inputs, **{**op.attrs, **attrs})
    return y[0] if op.residuals else y


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_dtypes_stay(dtype):
    """What goes in comes out, gradients included."""
    x, w, b = (Value(np.ones(shape, dtype)) for shape in ((2, 3), (3,), (3,)))
    square = Value(np.ones((3, 3), dtype))
    for y in (
        nn.layer_norm(x, w, b),
        nn.linear(x, square, b),
        nn.cross_entropy_with_logits(x, np.array([0, 1])),
    ):
        y.sum().backward()

        assert [y.dtype, x.grad.dtype, b.grad.dtype] == [dtype] * 3


@pytest.mark.parametrize("recorded", [False, True], ids=["plain", "recorded"])
@pytest.mark.parametrize("shape", [(2,), ()])
def test_the_bias_of_half_precision_is_summed_in_single(shape, recorded):
    """5,000 ones add up to more than 2,048, where float16 stops counting."""
    bias = Value(np.zeros(shape, np.float16))
    y = nn.linear(np.ones((5000, 3), np.float16), np.ones((2, 3), np.float16), bias)
    y.backward(np.ones(y.shape, np.float16), create_graph=recorded)
    gradient = bias.grad.data if recorded else bias.grad
    assert (str(gradient.dtype), gradient.tolist()) == ("float16", [5000.0, 5000.0] if shape else 10_000.0)


def test_half_precision_is_computed_in_single():
    """The squares of 300 do not fit into float16, whose largest number is 65,504; the results do."""
    x = Value(np.array([[300.0, -300.0] * 8], np.float16))
    y = nn.layer_norm(x, 1.0, 0.0)
    (y * np.arange(16, dtype=np.float16)).sum().backward()

    assert y.data.tolist() == [[1.0, -1.0] * 8]
    assert np.isfinite(x.grad).all()
    assert x.grad.any()
    scores = Value(np.full((1, 4096), 30.0, np.float16))

    assert nn.cross_entropy_with_logits(scores, np.array([0])).item() == pytest.approx(np.log(4096), rel=1e-3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_scores_neither_overflow_nor_warn(dtype):
    """Scores of 1e4 and more give what is exact: differences of scores."""
    x = Value(np.array([[1e4, 0.0, -1e4], [-1e30, 0.0, 0.0]], dtype))
    y = nn.cross_entropy_with_logits(x, np.array([2, 1]))
    y.sum().backward()

    np.testing.assert_allclose(y.data, [2e4, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(x.grad, [[1, 0, -1], [0, -0.5, 0.5]], atol=1e-6)


@pytest.mark.parametrize("recorded", [False, True], ids=["plain", "recorded"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("rows", [3, 500], ids=["few", "blocks"])
@pytest.mark.parametrize("shift", [-1e6, 0, 3e4, 1e6])
def test_the_same_number_added_to_all_scores_changes_nothing(shift, rows, axis, recorded):
    """Neither loss nor gradient: at 1e6 the logarithm of a sum has one digit of six in float32."""
    scores = np.random.default_rng(0).integers(-8, 9, (rows, 40)) / 4  # which stay what they are, with a number added
    labels = np.arange(rows) % 40
    turned = scores.T if axis == 0 else scores
    e = np.exp(scores)
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(rows), labels] -= 1

    x = Value((turned + shift).astype(np.float32))
    y = nn.cross_entropy_with_logits(x, labels, axis=axis)
    y.backward(np.full(rows, 2, np.float32), create_graph=recorded)
    gradient = x.grad.data if recorded else x.grad

    np.testing.assert_allclose(y.data, np.log(e.sum(axis=1)) - scores[np.arange(rows), labels], rtol=2e-6)
    np.testing.assert_allclose(gradient, 2 * (p.T if axis == 0 else p), rtol=1e-5, atol=1e-7)


def test_a_large_loss_keeps_the_digits_of_the_gradient():
    """The gradient is the softmax of the scores whatever the loss is: no digits are lost to its size."""
    x = Value(np.array([[0.3, -0.2, -1e6]], np.float32))
    nn.cross_entropy_with_logits(x, np.array([2])).sum().backward()
    exact = np.exp([0.3, -0.2]) / np.exp([0.3, -0.2]).sum()

    np.testing.assert_allclose(x.grad[0, :2], exact, rtol=1e-6)


def test_layer_norm_keeps_the_digits_of_numbers_far_from_zero():
    """A mean of 1e8 is taken out before anything is squared."""
    x = np.array([[1.0, 2.0, 3.0, 4.0]])

    np.testing.assert_allclose(nn.layer_norm(x + 1e8, 1.0, 0.0), nn.layer_norm(x, 1.0, 0.0), rtol=1e-7)


def test_only_what_rules_need_is_kept():
    """Of a layer norm whose input needs no gradient, nothing of the size of the bias's gradient is kept."""
    import weakref

    x = np.ones((50, 3))
    kept = weakref.ref(x)
    y = nn.layer_norm(x, np.ones(3), Value(np.zeros(3)))
    del x

    assert kept() is None
    assert y.requires_grad


_WRONG = {
    "linear: sizes": (lambda: nn.linear(np.ones((2, 3)), np.ones((4, 2)), 0.0), r"\(2, 3\), weight \(4, 2\)"),
    "linear: bias": (lambda: nn.linear(np.ones((2, 3)), np.ones((4, 3)), np.ones(3)), r"bias \(3,\)"),
    "layer norm: weight": (lambda: nn.layer_norm(np.ones((2, 3)), np.ones(2), 0.0), r"weight has shape \(2,\)"),
    "layer norm: bias": (lambda: nn.layer_norm(np.ones((2, 3)), 1.0, np.ones(2)), r"expected \(3,\)"),
    "layer norm: ndim": (lambda: nn.layer_norm(np.ones(3), 1.0, 0.0, ndim=2), "number of axes"),
    "layer norm: integers": (lambda: nn.layer_norm(np.arange(3), 1.0, 0.0), "int64"),
    "layer norm: complex": (lambda: nn.layer_norm(np.ones(3, complex), 1.0, 0.0), "complex128"),
    "entropy: labels": (lambda: ops.cross_entropy_with_logits(np.ones((2, 3)), np.array([0, 3])), "label 3 names no"),
    "entropy: negative": (lambda: ops.cross_entropy_with_logits(np.ones((1, 3)), np.array([-1])), "label -1 names no"),
    "entropy: shape": (lambda: ops.cross_entropy_with_logits(np.ones((2, 3)), np.array([0])), r"shape \(2,\)"),
    "entropy: floats": (lambda: ops.cross_entropy_with_logits(np.ones((2, 3)), np.ones(2)), "integer labels"),
    "entropy: axis": (lambda: ops.cross_entropy_with_logits(np.ones((2, 3)), np.array([0, 0]), axis=2), "no axis 2"),
}


@pytest.mark.parametrize("name", _WRONG)
def test_wrong_arguments_are_named(name):
    """The message has what was given."""
    call, message = _WRONG[name]
    with pytest.raises(AutodiffError, match=message):
        call()


def test_more_samples_conform():
    """Scalars for parameters, one row, and one column."""
    check_op(nn.layer_norm, [sample((3, 1, 4), (4,), 0.5), sample((1, 4), 2.0, (4,))])
    check_op(nn.cross_entropy_with_logits, [Sample((Array((3, 1)), Array((3,), 0, 1, "int")), {"axis": 1})])


def test_results_of_stacked_rows_are_no_views():
    """So that the rule behind `linear` may write its own result into the cotangent that it is handed."""
    x, weight = np.ones((2, 3, 4)), np.ones((5, 4))
    y = nn.linear(x, weight, np.ones(5))
    (rule, *_) = nn.linear.own_vjp_kernels["numpy"]

    assert y.base is None
    assert rule(y, weight).base is None
    np.testing.assert_array_equal(rule(y, weight), y @ weight)


@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_linear_map_to_nothing_has_gradients(shape, dtype):
    """Of no outputs the gradient of the bias is empty, and that of the input zero."""
    x, weight, bias = (Value(np.ones(s, dtype), requires_grad=True) for s in (shape, (0, 3), (0,)))
    nn.linear(x, weight, bias).sum().backward()
    assert (weight.grad.shape, bias.grad.shape, bias.grad.dtype) == ((0, 3), (0,), dtype)
    np.testing.assert_array_equal(x.grad, np.zeros(shape, dtype))
