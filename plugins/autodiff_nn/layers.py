"""The layers: `Linear`, `Embedding`, `LayerNorm`, `BatchNorm1d`, `Dropout`, `Sequential`.

All take `dtype` and `backend` for what they create, and draw initial weights with `generator`: a NumPy generator,
a seed, or None for other weights each time.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

import autodiff_ops as op
from autodiff import Value
from autodiff.extend import ArgumentError, ArgumentTypeError, get_backend
from autodiff_nn import fused
from autodiff_nn.checks import array, integers, like, number, raw, readable, told
from autodiff_nn.checks import backend as backend_of
from autodiff_nn.module import Module, tree

__all__ = ["BatchNorm1d", "Dropout", "Embedding", "LayerNorm", "Linear", "Sequential"]

Generator = np.random.Generator | int | None


def _drawer(generator: Generator) -> np.random.Generator:
    if generator is not None and not isinstance(generator, np.random.Generator | int | np.integer):
        raise ArgumentTypeError(
            f"generator is a numpy.random.Generator, a seed or None; it was given a {type(generator).__name__}. Weights are "
            f"drawn by NumPy, on every backend."
        )
    if not isinstance(generator, np.random.Generator | None) and generator < 0:
        raise ArgumentError(f"generator: a seed is not negative; it was given {generator!r}")
    return np.random.default_rng(generator)


def _positive(where: str, **sizes: Any) -> None:
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or not 1 <= size < 2**31:
            raise ArgumentError(f"{where}: {name} is a positive int; it was given {told(size)}")


class Linear(Module):
    """``x @ weight.T + bias``: an affine map of the last axis.

    Weight and bias are uniform between ``-1 / sqrt(in_features)`` and ``1 / sqrt(in_features)`` at first, as in
    PyTorch.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last axis before and after; `weight` has shape ``(out_features, in_features)``.
    bias : bool
        Whether there is one.
    generator : numpy.random.Generator or int, optional
        Draws the weights.
    dtype, backend : str, optional
        Of the parameters.

    References
    ----------
    Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp" (1998), section 4.6.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff_nn as nn
    >>> layer = nn.Linear(3, 2, generator=0)
    >>> layer
    Linear(in_features=3, out_features=2, bias=True)
    >>> layer(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        generator: Generator = None,
        dtype: Any = None,
        backend: str | None = None,
    ) -> None:
        _positive("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        drawer = _drawer(generator)
        bound = in_features**-0.5
        self.weight = Value(drawer.uniform(-bound, bound, (out_features, in_features)), dtype=dtype, backend=backend)
        self.bias: Value | None = None
        if not isinstance(bias, int):
            raise ArgumentTypeError(f"Linear: bias is True or False; it was given {told(bias)}")
        if bias:
            self.bias = Value(drawer.uniform(-bound, bound, out_features), dtype=dtype, backend=backend)

    def forward(self, x: Any) -> Any:
        """Return an array of shape ``(..., out_features)`` for one of shape ``(..., in_features)``."""
        return fused.linear(x, self.weight, 0.0 if self.bias is None else self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Embedding(Module):
    """A table of vectors, looked up by integers. They are standard normal at first, as in PyTorch.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Number of vectors, and their length.
    padding_idx : int, optional
        A vector that is 0 at first and gets no gradient.
    generator, dtype, backend
        As for `Linear`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff_nn as nn
    >>> table = nn.Embedding(10, 4, generator=0)
    >>> table(np.array([[1, 2, 1]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        generator: Generator = None,
        dtype: Any = None,
        backend: str | None = None,
    ) -> None:
        _positive("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        weight = _drawer(generator).normal(size=(num_embeddings, embedding_dim))
        if padding_idx is not None:
            if type(padding_idx) is not int or not -num_embeddings <= padding_idx < num_embeddings:
                raise ArgumentError(
                    f"Embedding: padding_idx is an int below {num_embeddings}; it was given {told(padding_idx)}"
                )
            padding_idx %= num_embeddings
            weight[padding_idx] = 0
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        self.weight = Value(weight, dtype=dtype, backend=backend)

    def forward(self, indices: Any) -> Any:
        """Return an array of shape ``(*indices.shape, embedding_dim)``.

        Raises
        ------
        ArgumentError
            An index names no vector; negative ones do not count from the end. On a device, which would have to be
            waited for, and inside `vmap` they are not looked at: the vector of such an index is NaN.
        ArgumentTypeError
            They are no integers.
        """
        rows = integers("Embedding", indices, self.weight.data)
        looked_at = readable(rows)
        if looked_at and prod(rows.shape):
            xp = backend_of(rows).xp
            low, high = int(xp.min(rows)), int(xp.max(rows))
            if low < 0 or high >= self.num_embeddings:
                wrong = low if low < 0 else high
                raise ArgumentError(
                    f"Embedding: there is no vector {wrong}; they are from 0 to {self.num_embeddings - 1}"
                )
        found = self.weight[rows]
        if not looked_at:
            found = op.where(((rows >= 0) & (rows < self.num_embeddings))[..., None], found, float("nan"))
        if self.padding_idx is None:
            return found
        return op.where((rows != self.padding_idx)[..., None], found, found.data)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class LayerNorm(Module):
    """Give the last axes of each example mean 0 and variance 1, then scale and shift them by what is learnt.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The sizes of these axes.
    eps : float
        Added to the variance.
    elementwise_affine, bias : bool
        Whether there is a `weight`, 1 at first, and with it a `bias`, 0 at first.
    dtype, backend : str, optional
        Of the parameters.

    References
    ----------
    J. Ba, J. Kiros, G. Hinton, "Layer normalization", arXiv:1607.06450 (2016).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff_nn as nn
    >>> nn.LayerNorm(2, eps=0.0)(np.array([[1.0, 3.0]])).data
    array([[-1.,  1.]])
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: Any = None,
        backend: str | None = None,
    ) -> None:
        shape = tuple(normalized_shape) if isinstance(normalized_shape, tuple | list) else (normalized_shape,)
        if not shape:
            raise ArgumentError("LayerNorm: normalized_shape has at least one size; it was given ()")
        _positive("LayerNorm", **{f"normalized_shape[{i}]": size for i, size in enumerate(shape)})
        number("LayerNorm", 0.0, eps=eps)
        self.normalized_shape, self.eps = shape, eps
        self.weight: Value | None = None
        self.bias: Value | None = None
        if elementwise_affine:
            self.weight = Value(np.ones(shape), dtype=dtype, backend=backend)
        if elementwise_affine and bias:
            self.bias = Value(np.zeros(shape), dtype=dtype, backend=backend)

    def forward(self, x: Any) -> Any:
        """Return an array of the shape of `x`, whose last axes are of `normalized_shape`."""
        x = array("LayerNorm", x)
        n = len(self.normalized_shape)
        if tuple(x.shape[-n:]) != self.normalized_shape:
            raise ArgumentError(f"LayerNorm: x has shape {x.shape}; its last axes are to be {self.normalized_shape}")
        weight = 1.0 if self.weight is None else self.weight
        return fused.layer_norm(x, weight, 0.0 if self.bias is None else self.bias, ndim=n, eps=self.eps)

    def extra_repr(self) -> str:
        affine = "" if self.weight is not None else ", elementwise_affine=False"
        bias = ", bias=False" if self.weight is not None and self.bias is None else ""
        return f"{self.normalized_shape}, eps={self.eps}{affine}{bias}"


class BatchNorm1d(Module):
    """Give each feature mean 0 and variance 1 over the batch, then scale and shift it by what is learnt.

    In training the statistics are those of the batch, and running averages of them are kept in the buffers
    `running_mean` and `running_var` (the unbiased variance, as in PyTorch); after `eval` these are used.

    Parameters
    ----------
    num_features : int
        Size of axis 1.
    eps : float
        Added to the variance.
    momentum : float or None
        The weight of a new batch in the running averages; None averages over all batches alike.
    affine : bool
        Whether there are a `weight`, 1 at first, and a `bias`, 0 at first.
    track_running_stats : bool
        Whether there are running averages; without, the batch's own statistics are always used.
    dtype, backend : str, optional
        Of parameters and buffers.

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift", ICML 2015.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff_nn as nn
    >>> norm = nn.BatchNorm1d(1, eps=0.0)
    >>> norm(np.array([[1.0], [3.0]])).data
    array([[-1.],
           [ 1.]])
    >>> norm.running_mean
    array([0.2])
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: Any = None,
        backend: str | None = None,
    ) -> None:
        _positive("BatchNorm1d", num_features=num_features)
        number("BatchNorm1d", 0.0, eps=eps, **({} if momentum is None else {"momentum": momentum}))
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight: Value | None = None
        self.bias: Value | None = None
        if affine:
            self.weight = Value(np.ones(num_features), dtype=dtype, backend=backend)
            self.bias = Value(np.zeros(num_features), dtype=dtype, backend=backend)
        self.track_running_stats = track_running_stats
        self.running_mean: Any
        self.running_var: Any
        self.num_batches_tracked: Any
        if track_running_stats:
            own = get_backend(backend)
            kind = "float64" if dtype is None else dtype
            self.register_buffer("running_mean", own.asarray(np.zeros(num_features), dtype=kind))
            self.register_buffer("running_var", own.asarray(np.ones(num_features), dtype=kind))
            self.register_buffer("num_batches_tracked", own.asarray(np.zeros((), np.int64)))

    def forward(self, x: Any) -> Any:
        """Return an array of the shape of `x`: ``(batch, features)`` or ``(batch, features, length)``."""
        x = array("BatchNorm1d", x)
        like("BatchNorm1d", x, self.weight if self.weight is not None else getattr(self, "running_mean", x))
        if x.ndim not in (2, 3) or x.shape[1] != self.num_features:
            raise ArgumentError(
                f"BatchNorm1d: x has shape {x.shape}; expected (batch, {self.num_features}) or "
                f"(batch, {self.num_features}, length)"
            )
        shape = (self.num_features,) + (1,) * (x.ndim - 2)
        if self.training or not self.track_running_stats:
            y = self._by_batch(x)
        else:
            scale = 1.0 / (self.running_var + self.eps) ** 0.5
            y = (x - op.reshape(self.running_mean, shape=shape)) * op.reshape(scale, shape=shape)
        if self.weight is None or self.bias is None:
            return y
        return y * op.reshape(self.weight, shape=shape) + op.reshape(self.bias, shape=shape)

    def _by_batch(self, x: Any) -> Any:
        axes = (0, 2)[: x.ndim - 1]
        count = prod(x.shape[axis] for axis in axes)
        if count < 2 and self.training:
            raise ArgumentError(f"BatchNorm1d: x has shape {x.shape}, and one number for each feature has no variance")
        mean = op.mean(x, axis=axes, keepdims=True)
        centred = x - mean
        variance = op.mean(centred * centred, axis=axes, keepdims=True)
        if self.training and self.track_running_stats:
            found = [op.reshape(raw(a), shape=(-1,)) for a in (mean, variance)]
            self._track(found[0], found[1] * (count / (count - 1)))
        return centred / op.sqrt(variance + self.eps)

    def _track(self, mean: Any, variance: Any) -> None:
        # New arrays: the old ones may be in a state that somebody keeps.
        self.num_batches_tracked = self.num_batches_tracked + 1
        rate = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        for name, new in (("running_mean", mean), ("running_var", variance)):
            old = getattr(self, name)
            own = backend_of(old)
            setattr(self, name, own.astype(old * (1 - rate) + new * rate, old.dtype))

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}" + (
            ("" if self.weight is not None else ", affine=False")
            + ("" if self.track_running_stats else ", track_running_stats=False")
        )


class Dropout(Module):
    """In training, set each element to 0 with probability `p` and multiply the others by ``1 / (1 - p)``.

    Parameters
    ----------
    p : float
        The probability, from 0 to 1.
    generator : generator of the backend, or int, optional
        ``numpy.random.default_rng(0)`` for NumPy; or a seed, which works on every backend.

    References
    ----------
    N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15 (2014).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff_nn as nn
    >>> dropout = nn.Dropout(0.5, generator=0)
    >>> dropout(np.ones(5))
    array([2., 0., 0., 0., 2.])
    >>> dropout.eval()(np.ones(5))
    array([1., 1., 1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, generator: Any = None) -> None:
        if type(p) not in (int, float) or not 0 <= p <= 1:
            raise ArgumentError(f"Dropout: p is the probability of dropping, from 0 to 1; it was given {told(p)}")
        self.p = p
        self.generator = generator

    def forward(self, x: Any) -> Any:
        """Return `x` with some elements 0; after `eval`, `x` itself."""
        x = array("Dropout", x)
        if not self.training or self.p == 0:
            return x
        if self.generator is None or isinstance(self.generator, int | np.integer):
            random = getattr(backend_of(x).xp, "random", None)
            if random is None:
                raise ArgumentError(
                    f"Dropout: the library of the backend {backend_of(x).name!r} draws no random numbers; pass a generator"
                )
            self.generator = random.default_rng(self.generator)
        return op.dropout(x, p=self.p, generator=self.generator)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Sequential(Module):
    """Call modules, or any other functions, one after another.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff_nn as nn
    >>> from autodiff import ops
    >>> model = nn.Sequential(nn.Linear(4, 8, generator=0), ops.tanh, nn.Linear(8, 1, generator=1))
    >>> model
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): tanh
      (2): Linear(in_features=8, out_features=1, bias=True)
    )
    >>> model(np.ones((2, 4))).shape
    (2, 1)
    """

    def __init__(self, *steps: Callable[[Any], Any]) -> None:
        for i, step in enumerate(steps):
            if not callable(step):
                raise ArgumentTypeError(f"Sequential takes modules and functions; argument {i} is {told(step)}")
            setattr(self, str(i), step)  # so that parameters are called "0.weight"

    def _steps(self) -> list[Any]:
        return [step for name, step in vars(self).items() if name.isdigit()]

    def forward(self, x: Any) -> Any:
        """Return what the last step makes of what those before it made of `x`."""
        for step in self._steps():
            x = step(x)
        return x

    def __len__(self) -> int:
        return len(self._steps())

    def __getitem__(self, index: int) -> Any:
        return self._steps()[index]

    def __repr__(self) -> str:
        named = ((n, s if isinstance(s, Module) else getattr(s, "__name__", s)) for n, s in enumerate(self._steps()))
        return tree(type(self).__name__, "", [f"({n}): {step}" for n, step in named])
