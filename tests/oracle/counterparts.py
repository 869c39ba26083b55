"""What PyTorch calls each of our ops: `COUNTERPARTS`, by op id, and `reason_to_leave_out` one of its samples.

A counterpart takes tensors and the op's attributes, and is written with functions of torch alone, whose
gradient is torch's own. Where there is none, the entry is the reason, a line of text.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

__all__ = ["COUNTERPARTS", "NO_GRADIENT", "reason_to_leave_out"]

Function = Callable[..., Any]


# ---- axes -------------------------------------------------------------------------------------------------


def _axes(x: Any, axis: Any) -> tuple[int, ...]:
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(a % x.ndim for a in axes)


def _merge(x: Any, axes: tuple[int, ...]) -> Any:
    """Move `axes` to the end and make one of them: torch has many functions of one axis only."""
    kept = [a for a in range(x.ndim) if a not in axes]
    return x.permute((*kept, *axes)).reshape([x.shape[a] for a in kept] + [math.prod(x.shape[a] for a in axes)])


def _over(function: Function) -> Function:
    """Reduce over any axes by a function of one."""

    def reduce(x: Any, *, axis: Any = None, keepdims: bool = False, **attrs: Any) -> Any:
        axes = _axes(x, axis)
        y = function(_merge(x, axes), **attrs)
        return y.reshape([1 if a in axes else n for a, n in enumerate(x.shape)]) if keepdims else y

    return reduce


def _along(function: Function) -> Function:
    """Map over any axes by a function of one."""

    def apply(x: Any, *, axis: Any = -1) -> Any:
        axes = _axes(x, axis)
        order = [*(a for a in range(x.ndim) if a not in axes), *axes]
        y = function(_merge(x, axes)).reshape([x.shape[a] for a in order])
        return y.permute([order.index(a) for a in range(x.ndim)])

    return apply


def _cumulative(function: Function, initial: float) -> Function:
    def cumulate(x: Any, *, axis: Any, include_initial: bool) -> Any:
        axis = 0 if axis is None else axis
        y = function(x, axis)
        if not include_initial:
            return y
        shape = [1 if a == axis % x.ndim else n for a, n in enumerate(x.shape)]
        return torch.cat([torch.full(shape, initial, dtype=x.dtype), y], axis)

    return cumulate


def _spread(function: Function) -> Function:
    def spread(x: Any, *, correction: float) -> Any:
        with warnings.catch_warnings():
            # torch counts the elements per output, of which an empty output has none.
            warnings.filterwarnings("ignore", message=".*degrees of freedom", category=UserWarning)
            return function(x, -1, correction=correction)

    return spread


# ---- shapes -----------------------------------------------------------------------------------------------


def _expand_dims(x: Any, *, axis: Any) -> Any:
    axes = axis if isinstance(axis, tuple) else (axis,)
    for a in sorted(a % (x.ndim + len(axes)) for a in axes):
        x = x.unsqueeze(a)
    return x


def _concat(*xs: Any, axis: Any) -> Any:
    return torch.cat([x.reshape(-1) for x in xs], 0) if axis is None else torch.cat(xs, axis)


def _repeat(x: Any, *, repeats: Any, axis: Any) -> Any:
    if axis is None:
        x, axis = x.reshape(-1), 0
    counts = torch.tensor(repeats, dtype=torch.int64)
    return torch.repeat_interleave(x, counts.expand(x.shape[axis]) if counts.numel() == 1 else counts, axis)


def _pad(x: Any, *, pad_width: Any, constant_values: Any) -> Any:
    for axis, (before, after) in enumerate(np.broadcast_to(pad_width, (x.ndim, 2)).tolist()):
        shapes = [[n if a == axis else size for a, size in enumerate(x.shape)] for n in (before, after)]
        fills = np.broadcast_to(constant_values, (x.ndim, 2))[axis].tolist()
        first, last = (torch.full(shape, fill, dtype=x.dtype) for shape, fill in zip(shapes, fills, strict=True))
        x = torch.cat([first, x, last], axis)
    return x


# ---- linear algebra, statistics -----------------------------------------------------------------------------


def _hermitian(x: Any) -> Any:
    return (x + x.mH) / 2


def _average(x: Any, weights: Any, *, axis: Any, keepdims: bool) -> Any:
    if weights.ndim < x.ndim:
        weights = weights.reshape([-1 if a == axis % x.ndim else 1 for a in range(x.ndim)]).expand(x.shape)
    axes = _axes(x, axis)
    return torch.sum(x * weights, axes, keepdims) / torch.sum(weights, axes, keepdims)


def _convolve(x1: Any, x2: Any, mode: str) -> Any:
    """Multiply as polynomials, entry by entry."""
    full = torch.zeros(len(x1) + len(x2) - 1, dtype=x1.dtype)
    for k in range(len(x2)):
        full = full + torch.cat(
            [torch.zeros(k, dtype=x1.dtype), x1 * x2[k], torch.zeros(len(x2) - 1 - k, dtype=x1.dtype)]
        )
    long, short = max(len(x1), len(x2)), min(len(x1), len(x2))
    start, size = {"full": (0, len(full)), "same": ((short - 1) // 2, long), "valid": (short - 1, long - short + 1)}[
        mode
    ]
    return full[start : start + size]


def _quantile(x: Any, *, q: Any, axis: Any, keepdims: bool, method: str) -> Any:
    def one(share: float) -> Any:
        reduce = _over(lambda x: torch.quantile(x, share, dim=-1, interpolation=method))
        return reduce(x, axis=axis, keepdims=keepdims)

    return torch.stack([one(share) for share in q]) if isinstance(q, tuple) else one(q)


def _trapezoid(y: Any, x: Any, *, axis: int) -> Any:
    return torch.trapezoid(
        y.movedim(axis, -1),
        x.movedim(axis if x.ndim == y.ndim else 0, -1) if x.ndim else x * torch.arange(y.shape[axis], dtype=y.dtype),
        dim=-1,
    )


# ---- indices ----------------------------------------------------------------------------------------------


def _places(shape: tuple[int, ...], index: Any) -> Any:
    """Return the positions in the flat array that an index selects; NumPy takes slices with negative steps."""
    return torch.tensor(np.arange(math.prod(shape)).reshape(shape)[index].copy())


def _getitem(x: Any, *, index: Any) -> Any:
    backwards = any(isinstance(i, slice) and (i.step or 1) < 0 for i in index)
    return x.reshape(-1)[_places(x.shape, index)] if backwards else x[index]


def _scatter_add(x: Any, *, shape: Any, index: Any) -> Any:
    places = _places(shape, index)
    zeros = torch.zeros(math.prod(shape), dtype=x.dtype)
    return zeros.index_add(0, places.reshape(-1), x.expand(places.shape).reshape(-1)).reshape(shape)


def _setitem(x: Any, value: Any, *, index: Any) -> Any:
    y = x.clone()
    y[index] = value
    return y


def _take(x: Any, indices: Any, *, axis: Any) -> Any:
    if axis is None:
        x, axis = x.reshape(-1), 0
    return x[(slice(None),) * (axis % x.ndim) + (indices,)]


def _place_along(x: Any, indices: Any, axis: int) -> Any:
    """Broadcast indices along an axis as NumPy does, and count negative ones from the end."""
    shape = [indices.shape[a] if a == axis % x.ndim else n for a, n in enumerate(x.shape)]
    return (indices % x.shape[axis]).expand(shape)


def _put_along_axis(x: Any, indices: Any, values: Any, *, axis: int) -> Any:
    indices = _place_along(x, indices, axis)
    return x.scatter(axis, indices, values.expand(indices.shape))


def _searchsorted(x1: Any, x2: Any, *, side: str, sorter: Any) -> Any:
    return torch.searchsorted(x1, x2, side=side, sorter=None if sorter is None else torch.tensor(sorter))


# ---- products ---------------------------------------------------------------------------------------------


def _same_dtype(function: Function) -> Function:
    """Promote first: torch's products want one dtype."""

    def product(x1: Any, x2: Any, **attrs: Any) -> Any:
        dtype = torch.promote_types(x1.dtype, x2.dtype)
        return function(x1.to(dtype), x2.to(dtype), **attrs)

    return product


def _tensordot(x1: Any, x2: Any, *, axes: Any) -> Any:
    if isinstance(axes, tuple):
        axes = tuple([a] if isinstance(a, int) else list(a) for a in axes)
    return torch.tensordot(x1, x2, dims=axes)


def _layer_norm(x: Any, weight: Any, bias: Any, *, ndim: int, eps: float) -> Any:
    shape = x.shape[x.ndim - ndim :]
    return F.layer_norm(x, shape, weight.expand(shape), bias.expand(shape), eps)


def _cross_entropy(x: Any, target: Any, *, axis: int) -> Any:
    return F.cross_entropy(x.movedim(axis, min(1, x.ndim - 1)), target, reduction="none")


def _scaled_dot_product_attention(
    query: Any, key: Any, value: Any, *, attn_mask: Any, dropout_p: float, is_causal: bool, scale: Any, generator: Any
) -> Any:
    return F.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale)


def _attention(query: Any, key: Any, value: Any, attn_mask: Any, *, is_causal: bool, scale: float | None) -> Any:
    """Have torch mask by an array, since it takes either of the two, and broadcast first, since it does not always."""
    lead = torch.broadcast_shapes(*(x.shape[:-2] for x in (query, key, value, attn_mask)))
    query, key, value = (x.expand(*lead, *x.shape[-2:]) for x in (query, key, value))
    sizes = query.shape[-2], key.shape[-2]
    mask = attn_mask.expand(sizes) if attn_mask.ndim < 2 else attn_mask
    if is_causal:
        later = torch.ones(sizes, dtype=torch.bool).tril().logical_not()
        infinity = torch.zeros(sizes, dtype=query.dtype).masked_fill(later, -torch.inf)
        mask = infinity.masked_fill(mask.logical_not(), -torch.inf) if mask.dtype == torch.bool else mask + infinity
    return F.scaled_dot_product_attention(query, key, value, mask, scale=scale)


# ---- the table --------------------------------------------------------------------------------------------

_SAME_NAME = """
    abs acos acosh add asin asinh atan atan2 atanh angle bitwise_and bitwise_left_shift bitwise_or
    bitwise_right_shift bitwise_xor ceil conj copysign cos cosh divide erf exp exp2 expm1 floor floor_divide hypot
    isfinite isinf isnan kron log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor maximum
    minimum multiply negative nextafter pow positive reciprocal remainder round signbit sin sinh sqrt square
    subtract tan tanh trunc where xlogy
"""

COUNTERPARTS: dict[str, Function | str] = {
    **{f"autodiff_ops.{name}": getattr(torch, name) for name in _SAME_NAME.split()},
    "autodiff.broadcast_to": lambda x, *, shape: x.expand(shape),
    "autodiff.sum_to": lambda x, *, shape: x.sum_to_size(shape),
    # elementwise
    "autodiff_ops.bitwise_invert": torch.bitwise_not,
    "autodiff_ops.cbrt": lambda x: torch.sign(x) * torch.abs(x).pow(1 / 3),
    "autodiff_ops.clip": lambda x, *, min, max: torch.clamp(x, min, max),
    "autodiff_ops.equal": torch.eq,
    "autodiff_ops.greater": torch.gt,
    "autodiff_ops.greater_equal": torch.ge,
    "autodiff_ops.imag": lambda x: torch.imag(x) if x.is_complex() else torch.zeros_like(x),
    "autodiff_ops.less": torch.lt,
    "autodiff_ops.less_equal": torch.le,
    "autodiff_ops.not_equal": torch.ne,
    "autodiff_ops.real": torch.real,
    "autodiff_ops.sign": torch.sgn,
    # reductions
    "autodiff_ops.all": _over(lambda x: torch.all(x, -1)),
    "autodiff_ops.any": _over(lambda x: torch.any(x, -1)),
    "autodiff_ops.argmax": lambda x, *, axis, keepdims: torch.argmax(x, axis, keepdims),
    "autodiff_ops.argmin": lambda x, *, axis, keepdims: torch.argmin(x, axis, keepdims),
    "autodiff_ops.count_nonzero": _over(lambda x: torch.count_nonzero(x, -1)),
    "autodiff_ops.cumulative_prod": _cumulative(torch.cumprod, 1.0),
    "autodiff_ops.cumulative_sum": _cumulative(torch.cumsum, 0.0),
    "autodiff_ops.logsumexp": _over(lambda x: torch.logsumexp(x, -1)),
    "autodiff_ops.max": _over(lambda x: torch.amax(x, -1)),
    "autodiff_ops.mean": _over(lambda x: torch.mean(x, -1)),
    "autodiff_ops.min": _over(lambda x: torch.amin(x, -1)),
    "autodiff_ops.nanmean": _over(lambda x: torch.nanmean(x, -1)),
    "autodiff_ops.nansum": _over(lambda x: torch.nansum(x, -1)),
    "autodiff_ops.norm": _over(lambda x, *, ord: torch.linalg.vector_norm(x, ord, -1)),
    "autodiff_ops.prod": _over(lambda x: torch.prod(x, -1)),
    "autodiff_ops.std": _over(_spread(torch.std)),
    "autodiff_ops.sum": _over(lambda x: torch.sum(x, -1)),
    "autodiff_ops.var": _over(_spread(torch.var)),
    # manipulation
    "autodiff_ops.astype": lambda x, *, dtype: x.to(getattr(torch, str(dtype))),
    "autodiff_ops.concat": _concat,
    "autodiff_ops.diagonal": lambda x, *, offset, axis1, axis2: torch.diagonal(x, offset, axis1, axis2),
    "autodiff_ops.expand_dims": _expand_dims,
    "autodiff_ops.flip": lambda x, *, axis: torch.flip(x, _axes(x, axis)),
    "autodiff_ops.matrix_transpose": lambda x: x.mT,
    "autodiff_ops.meshgrid": lambda *xs, indexing: torch.meshgrid(*xs, indexing=indexing),
    "autodiff_ops.moveaxis": lambda x, *, source, destination: torch.movedim(x, source, destination),
    "autodiff_ops.pad": _pad,
    "autodiff_ops.permute_dims": lambda x, *, axes: torch.permute(x, axes),
    "autodiff_ops.repeat": _repeat,
    "autodiff_ops.reshape": lambda x, *, shape: torch.reshape(x, (shape,) if isinstance(shape, int) else shape),
    "autodiff_ops.roll": lambda x, *, shift, axis: torch.roll(x, shift, axis),
    "autodiff_ops.split": lambda x, *, sections, axis: torch.tensor_split(x, sections, axis),
    "autodiff_ops.squeeze": lambda x, *, axis: torch.squeeze(x) if axis is None else torch.squeeze(x, axis),
    "autodiff_ops.stack": lambda *xs, axis: torch.stack(xs, axis),
    "autodiff_ops.swapaxes": lambda x, *, axis1, axis2: torch.swapaxes(x, axis1, axis2),
    "autodiff_ops.tile": lambda x, *, repetitions: torch.tile(
        x, (repetitions,) if isinstance(repetitions, int) else repetitions
    ),
    "autodiff_ops.to": "moves between our backends; torch has no NumPy device",
    "autodiff_ops.tril": lambda x, *, k: torch.tril(x, k),
    "autodiff_ops.triu": lambda x, *, k: torch.triu(x, k),
    "autodiff_ops.unstack": lambda x, *, axis: torch.unbind(x, axis),
    # indexing and sorting
    "autodiff_ops.argsort": lambda x, *, axis, descending, stable: torch.argsort(
        x, dim=axis, descending=descending, stable=stable
    ),
    "autodiff_ops.getitem": _getitem,
    **{
        f"autodiff_nn.{name}_step": "it is a step of an optimiser, which the tests of autodiff_nn compare with torch.optim"
        for name in ("sgd", "momentum", "adam")
    },
    "autodiff_ops.last_write": "torch does not say which of several writes to one place is the last",
    "autodiff_ops.put_along_axis": _put_along_axis,
    "autodiff_ops.scatter_add": _scatter_add,
    "autodiff_ops.searchsorted": _searchsorted,
    "autodiff_ops.setitem": _setitem,
    "autodiff_ops.sort": lambda x, *, axis, descending, stable: torch.sort(
        x, dim=axis, descending=descending, stable=stable
    )[0],
    "autodiff_ops.take": _take,
    "autodiff_ops.take_along_axis": lambda x, indices, *, axis: torch.take_along_dim(x, indices % x.shape[axis], axis),
    # products
    "autodiff_ops.einsum": lambda *xs, subscripts: torch.einsum(subscripts, *xs),
    "autodiff_ops.matmul": _same_dtype(torch.matmul),
    "autodiff_ops.outer": _same_dtype(lambda x1, x2: torch.outer(x1.reshape(-1), x2.reshape(-1))),
    "autodiff_ops.tensordot": _tensordot,
    "autodiff_ops.trace": lambda x, *, offset, axis1, axis2: torch.diagonal(x, offset, axis1, axis2).sum(-1),
    "autodiff_ops.vecdot": _same_dtype(lambda x1, x2, *, axis: torch.linalg.vecdot(x1, x2, dim=axis)),
    "autodiff_ops.dropout": lambda x, *, p, generator: F.dropout(x, p),
    # linear algebra; torch takes one triangle of a matrix that is to be Hermitian
    "autodiff_ops.cholesky": lambda x: torch.linalg.cholesky(_hermitian(x)),
    "autodiff_ops.det": torch.linalg.det,
    "autodiff_ops.eigh": "eigenvectors may have either sign; `eigvalsh` is compared, and functions of both have tests",
    "autodiff_ops.eigvalsh": lambda x: torch.linalg.eigvalsh(_hermitian(x)),
    "autodiff_ops.inv": torch.linalg.inv,
    "autodiff_ops.matrix_norm": lambda x, *, keepdims, ord: torch.linalg.matrix_norm(x, ord, keepdim=keepdims),
    "autodiff_ops.matrix_power": lambda x, *, n: torch.linalg.matrix_power(x, n),
    "autodiff_ops.pinv": lambda x, *, rtol: torch.linalg.pinv(x, rtol=rtol),
    "autodiff_ops.qr": torch.linalg.qr,
    "autodiff_ops.slogdet": torch.linalg.slogdet,
    "autodiff_ops.solve": _same_dtype(
        lambda x1, x2: torch.linalg.solve(x1, x2) if x2.ndim == 1 else torch.linalg.solve(x1, x2 + 0 * x1[..., :1])
    ),
    "autodiff_ops.svd": "singular vectors may have either sign; `svdvals` is compared, and functions of both have tests",
    "autodiff_ops.svdvals": torch.linalg.svdvals,
    # Fourier transforms
    "autodiff_ops.fft": lambda x, *, n, axis, norm: torch.fft.fft(x, n, axis, norm),
    "autodiff_ops.fftn": lambda x, *, s, axes, norm: torch.fft.fftn(x, s, axes, norm),
    "autodiff_ops.fftshift": lambda x, *, axes: torch.fft.fftshift(x, axes),
    "autodiff_ops.ifft": lambda x, *, n, axis, norm: torch.fft.ifft(x, n, axis, norm),
    "autodiff_ops.ifftn": lambda x, *, s, axes, norm: torch.fft.ifftn(x, s, axes, norm),
    "autodiff_ops.ifftshift": lambda x, *, axes: torch.fft.ifftshift(x, axes),
    "autodiff_ops.irfft": lambda x, *, n, axis, norm: torch.fft.irfft(x, n, axis, norm),
    "autodiff_ops.rfft": lambda x, *, n, axis, norm: torch.fft.rfft(x, n, axis, norm),
    # statistics and sequences
    "autodiff_ops.average": _average,
    "autodiff_ops.convolve": lambda x1, x2, *, mode: _convolve(x1, x2, mode),
    "autodiff_ops.corrcoef": lambda x, *, rowvar: torch.corrcoef(x if rowvar else x.mT),
    "autodiff_ops.correlate": lambda x1, x2, *, mode: _convolve(x1, x2.conj().flip(0), mode),
    "autodiff_ops.cov": lambda x, *, rowvar, correction: torch.cov(x if rowvar else x.mT, correction=correction),
    "autodiff_ops.cross": lambda x1, x2, *, axis: (
        x1[0] * x2[1] - x1[1] * x2[0]
        if x1.shape == (2,)
        else torch.linalg.cross(*torch.broadcast_tensors(x1, x2), dim=axis)
    ),
    "autodiff_ops.deg2rad": torch.deg2rad,
    "autodiff_ops.diff": lambda x, *, n, axis: torch.diff(x, n, axis),
    "autodiff_ops.fmax": _same_dtype(torch.fmax),
    "autodiff_ops.fmin": _same_dtype(torch.fmin),
    "autodiff_ops.fmod": torch.fmod,
    "autodiff_ops.heaviside": _same_dtype(torch.heaviside),
    "autodiff_ops.interp": "torch has no interpolation between points of one's own",
    "autodiff_ops.logaddexp2": _same_dtype(torch.logaddexp2),
    "autodiff_ops.median": _over(lambda x: torch.quantile(x, 0.5, dim=-1)),
    "autodiff_ops.nanmax": _over(lambda x: torch.amax(x, -1)),
    "autodiff_ops.nanmin": _over(lambda x: torch.amin(x, -1)),
    "autodiff_ops.nanprod": _over(lambda x: torch.prod(x, -1)),
    "autodiff_ops.nanstd": _over(_spread(torch.std)),
    "autodiff_ops.nanvar": _over(_spread(torch.var)),
    "autodiff_ops.ptp": _over(lambda x: torch.amax(x, -1) - torch.amin(x, -1)),
    "autodiff_ops.quantile": _quantile,
    "autodiff_ops.rad2deg": torch.rad2deg,
    "autodiff_ops.sinc": torch.sinc,
    "autodiff_ops.trapezoid": _trapezoid,
    # activations
    "autodiff_activations.celu": F.celu,
    "autodiff_activations.elu": F.elu,
    "autodiff_activations.gelu": F.gelu,
    "autodiff_activations.glu": lambda x, *, axis: F.glu(x, axis),
    # F.hardsigmoid has the sixth of its gradient in single precision, in double precision too.
    "autodiff_activations.hard_sigmoid": lambda x: F.relu6(x + 3) / 6,
    "autodiff_activations.hard_swish": F.hardswish,
    "autodiff_activations.hard_tanh": F.hardtanh,
    "autodiff_activations.leaky_relu": F.leaky_relu,
    "autodiff_activations.log_sigmoid": F.logsigmoid,
    "autodiff_activations.log_softmax": _along(lambda x: F.log_softmax(x, -1)),
    "autodiff_activations.mish": F.mish,
    # torch's prelu has its weight along the second axis alone.
    "autodiff_activations.prelu": lambda x, weight: torch.where(x > 0, x, weight * x),
    "autodiff_activations.relu": F.relu,
    "autodiff_activations.relu6": F.relu6,
    "autodiff_activations.selu": F.selu,
    "autodiff_activations.sigmoid": torch.sigmoid,
    "autodiff_activations.silu": F.silu,
    "autodiff_activations.softmax": _along(lambda x: F.softmax(x, -1)),
    "autodiff_activations.softmin": _along(lambda x: F.softmin(x, -1)),
    "autodiff_activations.softplus": F.softplus,
    "autodiff_activations.softsign": F.softsign,
    "autodiff_activations.tanhshrink": F.tanhshrink,
    # neural networks
    "autodiff_nn.attention": _attention,
    "autodiff_nn.cross_entropy_with_logits": _cross_entropy,
    "autodiff_nn.layer_norm": _layer_norm,
    "autodiff_nn.linear": lambda x, weight, bias: torch.matmul(x, weight.mT) + bias,
    "autodiff_nn.scaled_dot_product_attention": _scaled_dot_product_attention,
}

_REAL_IN_TORCH = {
    *(f"autodiff_ops.{name}" for name in ("nanmean", "nansum", "xlogy")),
    *(f"autodiff_activations.{name}" for name in ("log_softmax", "softmax", "softmin")),
}

#: Ops whose value alone is compared, and why.
NO_GRADIENT: dict[str, str] = {
    "autodiff_ops.nextafter": "torch has no gradient of it",
}


def reason_to_leave_out(op_id: str, xs: list[Any], attrs: dict[str, Any]) -> str | None:
    """Return why torch cannot tell us about a call of an op which has a counterpart; None if it can."""
    if op_id == "autodiff_ops.dropout" and 0 < attrs["p"] < 1:
        return "torch draws other random numbers"
    if op_id in _REAL_IN_TORCH and any(np.asarray(x).dtype.kind == "c" for x in xs):
        return "torch takes no complex numbers"
    if op_id == "autodiff_ops.setitem":
        places = _places(xs[0].shape, attrs["index"]).reshape(-1)
        if len(places.unique()) < len(places):
            return "torch's gradient of repeated writes to one place is undefined"
    if op_id == "autodiff_ops.put_along_axis":
        axis = attrs["axis"]
        indices = _place_along(torch.tensor(xs[0]), torch.tensor(xs[1]), axis).movedim(axis, -1).sort(-1).values
        if (indices[..., 1:] == indices[..., :-1]).any():
            return "torch's gradient of repeated writes to one place is undefined"
    return None
