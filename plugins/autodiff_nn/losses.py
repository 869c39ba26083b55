"""The losses, as functions: `mse_loss`, `l1_loss`, `huber_loss`, `cross_entropy`, `nll_loss`, and
`binary_cross_entropy_with_logits`.

All take `reduction`, ``"mean"``, ``"sum"`` or ``"none"``, and give PyTorch's numbers. Gradients flow to predictions
and, where they are Values that need one, to targets.
"""

from __future__ import annotations

from math import prod
from typing import Any

import autodiff_ops as op
from autodiff.extend import ArgumentError, ArgumentTypeError
from autodiff_activations import log_softmax, softplus
from autodiff_nn.checks import backend, integers, raw, readable
from autodiff_nn.fused import cross_entropy_with_logits

__all__ = [
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "nll_loss",
]


def _check_reduction(where: str, reduction: Any) -> None:
    if not isinstance(reduction, str) or reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"{where}: reduction is 'mean', 'sum' or 'none'; it was given {reduction!r:.80}")


def _floating(where: str, name: str, x: Any) -> Any:
    own = backend(x)
    if own is None or own.kind(x.dtype) != "float":
        given = f"dtype {x.dtype}" if own is not None else f"a {type(x).__name__}"
        raise ArgumentTypeError(f"{where}: {name} is an array of floating-point numbers; it was given {given}")
    return x


def _target(where: str, target: Any, prediction: Any) -> Any:
    """Return the target as floating-point numbers of the shape of the prediction."""
    own = backend(target)
    if own is None:
        target = backend(prediction).asarray(target, dtype=prediction.dtype)
    elif own.kind(target.dtype) in ("bool", "int"):
        target = own.astype(raw(target), prediction.dtype)
    if tuple(target.shape) != tuple(prediction.shape):
        raise ArgumentError(
            f"{where}: the prediction has shape {tuple(prediction.shape)} and the target {tuple(target.shape)}; they are "
            f"not broadcast against each other. Reshape one of them."
        )
    return target


def _weights(where: str, weight: Any, like: Any) -> Any:
    """Return weights as a raw array of the dtype of the prediction."""
    if getattr(weight, "requires_grad", False):
        raise ArgumentTypeError(f"{where}: weights are not differentiated; pass weight.detach(), or its data")
    own = backend(like)
    array = raw(weight)
    return own.asarray(array, dtype=like.dtype) if backend(array) is None else own.astype(array, like.dtype)


def _quotient(losses: Any, weights: Any) -> Any:
    """Divide the sum of losses by that of weights; half precision is summed in float32, and may be huge there."""
    own = backend(weights)
    half = losses.dtype == getattr(own.xp, "float16", None)
    wide = op.astype(losses, dtype="float32") if half else losses
    mean = op.sum(wide) / own.xp.sum(own.astype(weights, wide.dtype))
    return op.astype(mean, dtype=losses.dtype) if half else mean


def _reduced(losses: Any, reduction: str) -> Any:
    return losses if reduction == "none" else op.sum(losses) if reduction == "sum" else op.mean(losses)


# ---- regression ----------------------------------------------------------------------------------------------


def _difference(where: str, prediction: Any, target: Any, reduction: str) -> Any:
    _check_reduction(where, reduction)
    _floating(where, "the prediction", prediction)
    return op.subtract(prediction, _target(where, target, prediction))


def _weighted_mean(where: str, losses: Any, weight: Any, reduction: str) -> Any:
    """Weight and reduce; a mean divides by the sum of the weights."""
    if weight is None:
        return _reduced(losses, reduction)
    weight = _target(where, _weights(where, weight, losses), losses)
    losses = losses * weight
    return _quotient(losses, raw(weight)) if reduction == "mean" else _reduced(losses, reduction)


def mse_loss(prediction: Any, target: Any, *, weight: Any = None, reduction: str = "mean") -> Any:
    """Squared error, ``(prediction - target)**2``.

    Parameters
    ----------
    prediction, target : array or Value
        Of one shape; they are not broadcast.
    weight : array, optional
        Of that shape; the mean is the weighted mean.
    reduction : {"mean", "sum", "none"}
        What is returned: a number, or each error by itself.

    Raises
    ------
    ArgumentError
        The shapes differ, or there is no such reduction.
    ArgumentTypeError
        `prediction` is not floating.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> nn.mse_loss(Value([1.0, 5.0]), [1.0, 3.0]).item()
    2.0
    """
    d = _difference("mse_loss", prediction, target, reduction)
    return _weighted_mean("mse_loss", d * d, weight, reduction)


def l1_loss(prediction: Any, target: Any, *, weight: Any = None, reduction: str = "mean") -> Any:
    """Absolute error, ``abs(prediction - target)``; the derivative is 0 where they are equal.

    Parameters
    ----------
    prediction, target, weight, reduction
        As for `mse_loss`.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> nn.l1_loss(Value([1.0, 5.0]), [1.0, 3.0], reduction="sum").item()
    2.0
    """
    d = _difference("l1_loss", prediction, target, reduction)
    return _weighted_mean("l1_loss", op.abs(d), weight, reduction)


def huber_loss(prediction: Any, target: Any, *, delta: float = 1.0, weight: Any = None, reduction: str = "mean") -> Any:
    """Half the squared error up to `delta`, and a line of slope `delta` beyond.

    Parameters
    ----------
    prediction, target, reduction
        As for `mse_loss`.
    weight : array, optional
        Multiplies each loss; the mean is not divided by it, as in PyTorch.
    delta : float
        Where the parabola becomes a line; positive.

    References
    ----------
    P. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964).

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> nn.huber_loss(Value([1.0, 5.0]), [0.0, 0.0], reduction="none").data
    array([0.5, 4.5])
    """
    if not delta > 0:
        raise ArgumentError(f"huber_loss: delta is positive; it was given {delta!r}")
    size = op.abs(_difference("huber_loss", prediction, target, reduction))
    inner = op.where(raw(size) <= delta, size, delta)
    losses = inner * (size - 0.5 * inner)
    if weight is not None:
        losses = losses * _target("huber_loss", _weights("huber_loss", weight, losses), losses)
    return _reduced(losses, reduction)


def binary_cross_entropy_with_logits(
    logits: Any, target: Any, *, weight: Any = None, pos_weight: Any = None, reduction: str = "mean"
) -> Any:
    """Cross-entropy of independent yes-or-no decisions, ``-target * log(p) - (1 - target) * log(1 - p)``.

    ``p = sigmoid(logits)`` is not computed: the result is exact where it would be 0 or 1.

    Parameters
    ----------
    logits : array or Value
        Any real numbers.
    target : array or Value
        Of the same shape, from 0 to 1; booleans and integers do too.
    weight : array, optional
        Multiplies each loss, broadcast to it; the mean is not divided by it, as in PyTorch.
    pos_weight : array, optional
        Multiplies the part of the positive decisions, broadcast likewise.
    reduction : {"mean", "sum", "none"}
        As for `mse_loss`.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> nn.binary_cross_entropy_with_logits(Value([1000.0, 0.0]), [1, 0], reduction="none").data.round(4)
    array([0.    , 0.6931])
    """
    where = "binary_cross_entropy_with_logits"
    _check_reduction(where, reduction)
    _floating(where, "logits", logits)
    target = _target(where, target, logits)
    if pos_weight is None:
        losses = softplus(logits) - logits * target
    else:
        positive = _weights(where, pos_weight, logits)
        losses = (1 - target) * logits + (1 + (positive - 1) * target) * softplus(-logits)
    if weight is not None:
        losses = losses * _weights(where, weight, logits)
    if losses.shape != logits.shape:
        raise ArgumentError(f"{where}: the weights do not broadcast to the shape of logits, {tuple(logits.shape)}")
    return _reduced(losses, reduction)


# ---- classes -------------------------------------------------------------------------------------------------


def _class_axis(where: str, x: Any, axis: int) -> int:
    """Return the axis of the classes counted from the front; a single example has only one."""
    if x.ndim == 0 or (x.ndim > 1 and not -x.ndim <= axis < x.ndim):
        raise ArgumentError(f"{where}: an array of shape {tuple(x.shape)} has no axis {axis!r} for the classes")
    return int(axis % x.ndim) if x.ndim > 1 else 0


def _class_weights(where: str, weight: Any, x: Any, axis: int) -> Any:
    if weight is None:
        return None
    weight = _weights(where, weight, x)
    if tuple(weight.shape) != (x.shape[axis],):
        raise ArgumentError(
            f"{where}: weight has shape {tuple(weight.shape)}; expected one for each class, ({x.shape[axis]},)"
        )
    return weight


def _along(weight: Any, x: Any, axis: int) -> Any:
    """Return class weights in a shape that broadcasts against `x`."""
    return op.reshape(weight, shape=(-1,) + (1,) * (x.ndim - 1 - axis))


def _labels(where: str, target: Any, x: Any, axis: int, ignore_index: int) -> tuple[Any, Any]:
    """Return labels that all name a class, and where they count: None for everywhere.

    Labels that cannot be looked at may name none.
    """
    labels = integers(where, target, x)
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    if tuple(labels.shape) != shape:
        raise ArgumentError(
            f"{where}: the scores have shape {tuple(x.shape)}, with the classes along axis {axis}, and the labels "
            f"{tuple(labels.shape)}; expected {shape}"
        )
    if not readable(x, labels):
        counts = labels != ignore_index
        return op.where(counts, labels, 0), counts
    xp, count = backend(x).xp, x.shape[axis]
    if prod(shape):
        least, most = int(xp.min(labels)), int(xp.max(labels))
        if 0 <= least <= most < count and not least <= ignore_index <= most:
            return labels, None
    counts = labels != ignore_index
    if bool(xp.all(counts)):
        counts = None
    else:
        labels = xp.where(counts, labels, xp.zeros_like(labels))
    if bool(xp.any((labels < 0) | (labels >= count))):
        wrong = int(xp.min(labels)) if bool(xp.any(labels < 0)) else int(xp.max(labels))
        raise ArgumentError(
            f"{where}: the label {wrong} names no class: there are {count}, from 0 to {count - 1}, and ignore_index is "
            f"{ignore_index}"
        )
    return labels, counts


def _reduce_classes(where: str, losses: Any, weights: Any, counts: Any, reduction: str) -> Any:
    """Leave out the examples that do not count, and reduce; `losses` are multiplied by `weights` already."""
    # Selected and not multiplied by 0: a loss that does not count may be infinite.
    losses = losses if counts is None else op.where(counts, losses, 0.0)
    if reduction != "mean":
        return _reduced(losses, reduction)
    known = counts is not None and readable(counts)
    if prod(losses.shape) == 0 or (known and not bool(backend(counts).xp.any(counts))):
        raise ArgumentError(
            f"{where}: no label counts, so that there is no mean; skip this batch, or use reduction='sum'"
        )
    if weights is None and counts is None:
        return op.mean(losses)
    if weights is None or counts is None:
        return _quotient(losses, counts if weights is None else weights)
    return _quotient(losses, weights * backend(weights).astype(counts, weights.dtype))


def nll_loss(
    log_probabilities: Any,
    target: Any,
    *,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    axis: int = 1,
) -> Any:
    """Negative log-likelihood: less the log-probability of the class that each label names.

    Parameters
    ----------
    log_probabilities : array or Value
        What ``log_softmax`` returns: ``(batch, classes)``, ``(batch, classes, ...)``, or ``(classes,)``.
    target : array of int
        Labels, in the shape of `log_probabilities` without the axis of the classes.
    weight, ignore_index, reduction, axis
        As for `cross_entropy`.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> nn.nll_loss(Value([[-1.0, -0.5], [-0.25, -2.0]]), [0, 1]).item()
    1.5
    """
    where = "nll_loss"
    _check_reduction(where, reduction)
    x = _floating(where, "log_probabilities", log_probabilities)
    axis = _class_axis(where, x, axis)
    weight = _class_weights(where, weight, x, axis)
    labels, counts = _labels(where, target, x, axis, ignore_index)
    losses = -_at_label(x, labels, axis)
    weights = None if weight is None else op.take(weight, labels, axis=0)
    return _reduce_classes(where, losses if weights is None else losses * weights, weights, counts, reduction)


def _at_label(x: Any, labels: Any, axis: int) -> Any:
    """Return the element of each example that its label names; NaN for one that names none and was not looked at."""
    classes = _along(backend(x).xp.arange(x.shape[axis]), x, axis)
    found = op.sum(op.where(op.equal(classes, op.expand_dims(labels, axis=axis)), x, 0.0), axis=axis)
    return found if readable(x, labels) else op.where((labels >= 0) & (labels < x.shape[axis]), found, float("nan"))


def cross_entropy(
    logits: Any,
    target: Any,
    *,
    weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    axis: int = 1,
) -> Any:
    """Cross-entropy of scores and labels: ``-log_softmax(logits)`` at the class of each label.

    Parameters
    ----------
    logits : array or Value
        Scores, any real numbers: ``(batch, classes)``, ``(batch, classes, ...)``, or ``(classes,)``.
    target : array
        Either labels: integers from 0, in the shape of `logits` without the axis of the classes; or
        probabilities: floating-point numbers in the shape of `logits`.
    weight : array, optional
        One for each class. The mean over labels is the weighted mean.
    ignore_index : int
        A label that counts for nothing.
    label_smoothing : float
        From 0 to 1: the part of each target that is spread evenly over all classes.
    reduction : {"mean", "sum", "none"}
        What is returned: a number, or the loss of each example.
    axis : int
        That of the classes; 1 as in PyTorch. For sequences it often is -1.

    Raises
    ------
    ArgumentError
        The shapes do not fit, a label names no class, or no label counts. On a device, which would have to be waited
        for, and inside `vmap` labels are not looked at: the loss is NaN in place of both.
    ArgumentTypeError
        `logits` is not floating, or `target` neither integer nor floating.

    References
    ----------
    C. Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016 (label smoothing).

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> nn.cross_entropy(Value([[0.0, 0.0], [1000.0, 0.0]]), [1, 0], reduction="none").data.round(4)
    array([0.6931, 0.    ])
    """
    where = "cross_entropy"
    _check_reduction(where, reduction)
    _floating(where, "logits", logits)
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"{where}: label_smoothing is from 0 to 1; it was given {label_smoothing!r}")
    axis = _class_axis(where, logits, axis)
    weight = _class_weights(where, weight, logits, axis)
    if backend(target) is None:  # lists of numbers: their shape tells what they are
        numbers = backend(logits).asarray(target, dtype=logits.dtype)
        target = numbers if tuple(numbers.shape) == tuple(logits.shape) else target
    own = backend(target)
    if own is not None and own.kind(target.dtype) == "float":
        if len(target.shape) == len(logits.shape) - 1:
            raise ArgumentTypeError(
                f"{where}: the target of shape {tuple(target.shape)} has dtype {target.dtype}, and labels are integers: "
                f"target.astype(int). Floating targets are probabilities of the shape of the logits, {tuple(logits.shape)}."
            )
        return _soft_cross_entropy(logits, target, weight, label_smoothing, reduction, axis)
    labels, counts = _labels(where, target, logits, axis, ignore_index)
    weights = None if weight is None else op.take(weight, labels, axis=0)
    losses = cross_entropy_with_logits(logits, labels, axis=axis)
    losses = losses if weights is None else losses * weights
    if label_smoothing:
        scores = log_softmax(logits, axis=axis)
        scores = scores if weight is None else scores * _along(weight, scores, axis)
        losses = losses * (1 - label_smoothing) - op.mean(scores, axis=axis) * label_smoothing
    return _reduce_classes(where, losses, weights, counts, reduction)


def _soft_cross_entropy(
    logits: Any, target: Any, weight: Any, label_smoothing: float, reduction: str, axis: int
) -> Any:
    target = _target("cross_entropy", target, logits)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / logits.shape[axis]
    scores = log_softmax(logits, axis=axis)
    scores = scores if weight is None else scores * _along(weight, scores, axis)
    return _reduced(-op.sum(scores * target, axis=axis), reduction)
