"""The losses without PyTorch: tiny cases by hand, gradients, dtypes, large numbers, errors."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_nn as nn
from autodiff import AutodiffError, Value, grad, vmap
from autodiff.testing import check_grads

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3))
Y = RNG.normal(size=(4, 3))
LABELS = np.array([0, 2, -100, 1])
WEIGHT = np.array([0.5, 1.0, 2.0])
SOFT = np.full((4, 3), 1 / 3)

#: A function of predictions, with targets like them and options.
LOSSES = {
    "mse": lambda x, **o: nn.mse_loss(x, like(x, Y), **o),
    "mse, weighted": lambda x, **o: nn.mse_loss(x, like(x, Y), weight=np.abs(Y), **o),
    "l1": lambda x, **o: nn.l1_loss(x, like(x, Y), **o),
    "huber": lambda x, **o: nn.huber_loss(x, like(x, Y), delta=0.7, **o),
    "binary": lambda x, **o: nn.binary_cross_entropy_with_logits(x, like(x, SOFT), pos_weight=WEIGHT, **o),
    "nll": lambda x, **o: nn.nll_loss(x, LABELS, weight=WEIGHT, **o),
    "labels": lambda x, **o: nn.cross_entropy(x, LABELS, **o),
    "labels, smoothed": lambda x, **o: nn.cross_entropy(x, LABELS, weight=WEIGHT, label_smoothing=0.3, **o),
    "probabilities": lambda x, **o: nn.cross_entropy(x, like(x, SOFT), weight=WEIGHT, **o),
}


def like(x, target):
    """Return a target in the dtype of the prediction."""
    return target.astype(x.dtype)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_differences(name, reduction):
    """With respect to the prediction, to the second order where there is one, by every reduction."""
    check_grads(lambda x: LOSSES[name](x, reduction=reduction), (X,), order=1 if name == "l1" else 2)


@pytest.mark.parametrize("loss", [nn.mse_loss, nn.l1_loss, nn.huber_loss, nn.binary_cross_entropy_with_logits])
def test_gradients_flow_to_targets(loss):
    """A target that is a Value gets its gradient as well."""
    check_grads(loss, (X, SOFT), order=1)


def test_gradients_flow_to_probabilities():
    """Soft targets are differentiable."""
    check_grads(lambda x, p: nn.cross_entropy(x, p, label_smoothing=0.1), (X, SOFT), order=1)


@pytest.mark.parametrize("name", LOSSES)
def test_single_precision_stays(name):
    """Losses and gradients of float32 predictions are float32, whatever the weights are."""
    x = Value(X.astype(np.float32))
    y = LOSSES[name](x)
    y.backward()

    assert (y.dtype, x.grad.dtype) == ("float32", "float32")


def test_weighted_means_of_half_precision():
    """The sum of 70,000 weights is no number of half precision; the mean of equal losses is that loss."""
    n = 70_000
    scores, labels = Value(np.zeros((n, 3), np.float16)), np.arange(n) % 3
    found = [
        nn.cross_entropy(scores, labels, weight=np.array([1.0, 2.0, 3.0])),
        nn.cross_entropy(scores, np.where(labels == 0, -100, labels)),
        nn.mse_loss(scores + 1, np.zeros((n, 3), np.float16), weight=np.full((n, 3), 2.0)),
    ]
    assert [y.dtype for y in found] == [np.float16] * 3
    np.testing.assert_allclose([y.item() for y in found], [np.log(3), np.log(3), 1.0], rtol=1e-3)


def test_reductions_by_hand():
    """Two errors, 1 and 3."""
    x, y = Value([1.0, 3.0]), [0.0, 0.0]

    assert nn.mse_loss(x, y, reduction="none").data.tolist() == [1.0, 9.0]
    assert nn.mse_loss(x, y, reduction="sum").item() == 10.0
    assert nn.mse_loss(x, y).item() == 5.0
    assert nn.mse_loss(x, y, weight=[3.0, 1.0]).item() == 3.0
    assert nn.l1_loss(x, y).item() == 2.0
    assert nn.huber_loss(x, y, delta=2.0, reduction="none").data.tolist() == [0.5, 4.0]
    assert nn.huber_loss(x, y, weight=[2.0, 0.0], delta=2.0).item() == 0.5


def test_classes_by_hand():
    """Probabilities 3/4 and 1/4, so that the losses are log(4/3) and log(4)."""
    x = Value(np.log([[3.0, 1.0], [3.0, 1.0]]))
    right, wrong = np.log(4 / 3), np.log(4)
    cases = [
        (nn.cross_entropy(x, [0, 1]), (right + wrong) / 2),
        (nn.cross_entropy(x, [0, 1], weight=[1.0, 3.0]), (right + 3 * wrong) / 4),
        (nn.cross_entropy(x, [0, 7], ignore_index=7), right),
        (nn.cross_entropy(x, [0, 0], label_smoothing=0.5), 0.75 * right + 0.25 * wrong),
        (nn.cross_entropy(x, [[0.5, 0.5], [1.0, 0.0]], reduction="sum"), 1.5 * right + 0.5 * wrong),
    ]
    for actual, expected in cases:
        assert actual.item() == pytest.approx(expected, rel=1e-12)


def test_lists_of_labels_and_of_probabilities_are_told_apart():
    """Nested lists of the shape of the scores are probabilities, whole numbers too."""
    x = Value(np.log([[3.0, 1.0]]))

    assert nn.cross_entropy(x, [[0, 1]]).item() == nn.cross_entropy(x, [1]).item() == pytest.approx(np.log(4))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_large_scores_are_exact_and_warn_of_nothing(size):
    """In float32 at +-1e4 and far beyond, losses and gradients are finite and right."""
    x = Value(np.array([[size, -size], [-size, size]], np.float32))
    for loss in (
        lambda x: nn.cross_entropy(x, [0, 0], reduction="none"),
        lambda x: nn.cross_entropy(x, [[1.0, 0.0], [1.0, 0.0]], reduction="none"),
        lambda x: nn.binary_cross_entropy_with_logits(x[:, 0], [1.0, 1.0], reduction="none") * 2,
    ):
        x.zero_grad()
        y = loss(x)
        y.sum().backward()

        np.testing.assert_allclose(y.data, [0.0, 2 * size], rtol=1e-6)
        assert np.isfinite(x.grad).all()
        assert x.grad[0].tolist() == [0.0, 0.0]


@pytest.mark.filterwarnings("error")
def test_what_is_ignored_may_be_infinite():
    """A loss that does not count leaves neither NaN nor infinity in the result or the gradient."""
    x = Value(np.array([[0.0, -np.inf], [0.0, 1.0]]))
    y = nn.nll_loss(x, [-100, 1])
    y.backward()

    assert y.item() == -1.0
    assert x.grad.tolist() == [[0.0, 0.0], [0.0, -1.0]]


def test_arrays_give_arrays():
    """Without a Value nothing is recorded and nothing wrapped."""
    assert not isinstance(nn.cross_entropy(X, LABELS), Value)
    assert not isinstance(nn.mse_loss(X, Y), Value)


_V = Value(X)
_WRONG = {
    "reduction": (lambda: nn.mse_loss(_V, Y, reduction="max"), "'mean', 'sum' or 'none'; it was given 'max'"),
    "shapes": (lambda: nn.mse_loss(_V, Y[:, :1]), r"shape \(4, 3\) and the target \(4, 1\)"),
    "integers": (lambda: nn.l1_loss(np.arange(3), np.arange(3)), "dtype int64"),
    "list": (lambda: nn.mse_loss([1.0], [1.0]), "it was given a list"),
    "delta": (lambda: nn.huber_loss(_V, Y, delta=0.0), "delta is positive"),
    "weights": (lambda: nn.mse_loss(_V, Y, weight=WEIGHT), r"target \(3,\)"),
    "differentiable weights": (lambda: nn.mse_loss(_V, Y, weight=Value(Y)), "weights are not differentiated"),
    "binary weights": (lambda: nn.binary_cross_entropy_with_logits(_V, SOFT, weight=np.ones((2, 4, 3))), "broadcast"),
    "class weights": (lambda: nn.cross_entropy(_V, LABELS, weight=np.ones(4)), r"weight has shape \(4,\)"),
    "label": (lambda: nn.cross_entropy(_V, [0, 1, 2, 3]), "the label 3 names no class: there are 3, from 0 to 2"),
    "negative": (lambda: nn.nll_loss(_V, [0, 1, 2, -1]), "the label -1 names no class"),
    "fractions": (lambda: nn.nll_loss(_V, [0.5, 1, 2, 0]), "nll_loss takes integers; it was given dtype float64"),
    "number of labels": (lambda: nn.cross_entropy(_V, [0, 1]), r"the labels \(2,\); expected \(4,\)"),
    "probabilities": (lambda: nn.cross_entropy(_V, SOFT[:2]), r"the target \(2, 3\)"),
    "floating labels": (lambda: nn.cross_entropy(_V, np.zeros(4)), r"target\.astype\(int\)"),
    "smoothing": (lambda: nn.cross_entropy(_V, LABELS, label_smoothing=1.5), "from 0 to 1; it was given 1.5"),
    "axis": (lambda: nn.cross_entropy(_V, LABELS, axis=2), "has no axis 2"),
    "nothing counts": (lambda: nn.cross_entropy(_V, [-100] * 4), "no label counts"),
    "empty": (lambda: nn.cross_entropy(_V[:0], LABELS[:0]), "no label counts"),
}


@pytest.mark.parametrize("name", _WRONG)
def test_wrong_arguments_are_named(name):
    """The message has what was given and what was expected."""
    call, message = _WRONG[name]
    with pytest.raises(AutodiffError, match=message):
        call()


def test_the_sum_of_nothing_is_zero():
    """Where the mean is refused, the sum is 0, and so is the gradient."""
    x = Value(X)
    y = nn.cross_entropy(x, [-100] * 4, reduction="sum")
    y.backward()

    assert y.item() == 0.0
    assert not x.grad.any()


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.nll_loss])
@pytest.mark.parametrize("weight", [None, np.array([1.0, 2.0, 3.0])])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_gradients_of_each_example_by_vmap(loss, weight, reduction):
    """Labels differ from example to example, and cannot be looked at there; one that does not count gives zeros."""
    x, labels = np.random.default_rng(0).standard_normal((4, 3)), np.array([0, 2, 1, -100])
    labels = labels if reduction == "sum" else labels[:3]

    def gradient(x, label):
        return grad(lambda x: loss(x, label, weight=weight, reduction=reduction))(x)

    found = vmap(gradient)(x[: len(labels)], labels)
    alone = [gradient(one, label) for one, label in zip(x, labels, strict=False)]
    np.testing.assert_allclose(found, alone, rtol=1e-12)
    np.testing.assert_allclose(
        vmap(gradient, in_axes=(None, 0))(x[0], labels), [gradient(x[0], label) for label in labels], rtol=1e-12
    )


def test_a_label_of_no_class_inside_vmap_is_nan():
    """`nll_loss` has nobody who would say it, and must not make a loss of 0 of it."""
    losses = vmap(nn.nll_loss)(np.zeros((3, 2)), np.array([0, 2, -1]))
    assert np.isnan(losses).tolist() == [False, True, True]
