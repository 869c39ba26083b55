"""Discrete Fourier transforms along one axis, by the array API's names; half precision is computed in float32.

All are linear. Their transposes are each other, with another factor: that of the forward transform by `norm` becomes
that of the inverse one.
"""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, composite, linear, sample
from autodiff_ops.manipulation import roll
from autodiff_ops.shapes import arrayed, is_half, normal_axis

#: The factor with which the conjugate transform is the transpose.
_DUAL = {"backward": "forward", "ortho": "ortho", "forward": "backward"}

_COMPLEX = Array((4,), kind="complex")
_SAMPLES = [
    Sample((_COMPLEX,)),
    Sample((Array((2, 3), kind="complex"),), {"axis": 0, "norm": "ortho"}),
    Sample((_COMPLEX,), {"n": 6}),
    Sample((Array((3, 2), kind="complex"),), {"n": 5, "axis": 0}),
    Sample((_COMPLEX,), {"n": 3, "norm": "forward"}),
]


def _transform(name: str, x: Any, n: int | None, axis: int, norm: str, xp: Any) -> Any:
    if norm not in _DUAL:
        raise ArgumentError(f"{name}: norm is one of {', '.join(map(repr, _DUAL))}; it was given {norm!r}")
    x = xp.astype(x, xp.float32) if is_half(x, xp) else x
    if name in ("fft", "ifft") and not xp.isdtype(x.dtype, "complex floating"):
        # The standard takes complex numbers here.
        x = xp.astype(x, xp.complex64 if x.dtype == xp.float32 else xp.complex128)
    return getattr(xp.fft, name)(x, n=n, axis=axis, norm=norm)


def _fit(x: Any, n: int, axis: int, xp: Any) -> Any:
    """Cut `x` to `n` elements along an axis, or fill it up with zeros: what a transform does with its input."""
    axis = normal_axis("a Fourier transform", axis, len(x.shape))
    have = x.shape[axis]
    if n <= have:
        return x[(*(slice(None),) * axis, slice(0, n), Ellipsis)]
    shape = (*x.shape[:axis], n - have, *x.shape[axis + 1 :])
    return xp.concat((x, xp.zeros(shape, dtype=x.dtype)), axis=axis)


def _fft_vjp(g: Any, x_shape: Any, axis: int, norm: str, xp: Any) -> Any:
    return _fit(ifft(g, axis=axis, norm=_DUAL[norm]), x_shape[axis], axis, xp)


def _ifft_vjp(g: Any, x_shape: Any, axis: int, norm: str, xp: Any) -> Any:
    return _fit(fft(g, axis=axis, norm=_DUAL[norm]), x_shape[axis], axis, xp)


@linear(transpose=_fft_vjp, samples=[*_SAMPLES, sample((5,)), sample((3, 4), axis=0)])
def fft(xp: Any, x: Any, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Fourier transform along `axis`: ``sum(x[k] exp(-2 pi i j k / n))`` for each j.

    Parameters
    ----------
    x : array
        Real or complex.
    n : int, optional
        The length to which `x` is cut, or filled up with zeros, first.
    axis : int
        Along which axis.
    norm : {"backward", "ortho", "forward"}
        Whether a factor 1/n belongs to the inverse, its root to both, or 1/n to this one.

    Raises
    ------
    ArgumentError
        `norm` is something else.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.fft(np.array([1.0, 0.0, 0.0, 0.0])).real
    array([1., 1., 1., 1.])
    """
    return _transform("fft", x, n, axis, norm, xp)


@linear(transpose=_ifft_vjp, samples=[*_SAMPLES, sample((5,))])
def ifft(xp: Any, x: Any, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Inverse of `fft`, with the same parameters: ``sum(x[k] exp(2 pi i j k / n)) / n`` for each j.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.ifft(np.array([4.0, 0.0, 0.0, 0.0])).real
    array([1., 1., 1., 1.])
    """
    return _transform("ifft", x, n, axis, norm, xp)


def _half(size: int, n: int, axis: int, ndim: int, inner: float, like: Any, xp: Any) -> Any:
    """Return factors for half a spectrum: 1 at its ends, which occur once in the whole, and `inner` between them."""
    factors = [1.0 if k == 0 or 2 * k == n else inner for k in range(size)]
    column = (size, *(1,) * (ndim - 1 - normal_axis("a Fourier transform", axis, ndim)))
    return xp.reshape(xp.asarray(factors, dtype=like.dtype), column)


def _rfft_vjp(g: Any, x_shape: Any, n: int | None, axis: int, norm: str, xp: Any) -> Any:
    n = x_shape[axis] if n is None else n
    weighed = g * _half(g.shape[axis], n, axis, len(g.shape), 0.5, xp.real(g), xp)
    return _fit(irfft(weighed, n=n, axis=axis, norm=_DUAL[norm]), x_shape[axis], axis, xp)


@linear(
    transpose=_rfft_vjp,
    samples=[
        sample((5,)),
        sample((4,)),
        sample((2, 3), axis=0, norm="ortho"),
        sample((2, 3, 2), axis=1),
        sample((4,), n=6),
        sample((4,), n=3),
        sample((4, 3), n=6, axis=0),
    ],
)
def rfft(xp: Any, x: Any, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """The first ``n // 2 + 1`` elements of `fft` of real numbers, which the others mirror; the same parameters.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.rfft(np.array([1.0, 0.0, 0.0, 0.0])).real
    array([1., 1., 1.])
    """
    return _transform("rfft", x, n, axis, norm, xp)


def _irfft_vjp(g: Any, x_shape: Any, axis: int, norm: str, xp: Any) -> Any:
    half = rfft(g, axis=axis, norm=_DUAL[norm])
    weighed = half * _half(half.shape[axis], g.shape[axis], axis, len(g.shape), 2.0, g, xp)
    return _fit(weighed, x_shape[axis], axis, xp)


@linear(
    transpose=_irfft_vjp,
    samples=[
        Sample((_COMPLEX,)),
        Sample((Array((3, 2), kind="complex"),), {"axis": 0, "norm": "ortho"}),
        Sample((Array((2, 3, 2), kind="complex"),), {"axis": 1}),
        Sample((_COMPLEX,), {"n": 5}),
        Sample((_COMPLEX,), {"n": 4, "norm": "forward"}),
        Sample((Array((3,), kind="complex"),), {"n": 8}),
    ],
)
def irfft(xp: Any, x: Any, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Inverse of `rfft`: real numbers from half a spectrum; `n` is their number, by default ``2 (m - 1)``.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.irfft(np.array([4.0, 0.0, 0.0]))
    array([1., 1., 1., 1.])
    """
    return _transform("irfft", x, n, axis, norm, xp)


def _axes(where: str, x: Any, s: Any, axes: Any) -> list[tuple[int, int | None]]:
    ndim = len(x.shape)
    if axes is None:
        axes = tuple(range(ndim)) if s is None else tuple(range(ndim - len(s), ndim))
    sizes = (None,) * len(axes) if s is None else s
    if len(sizes) != len(axes):
        raise ArgumentError(
            f"{where}: there are {len(axes)} axes {axes} and {len(sizes)} sizes {sizes}; give one for each"
        )
    return list(zip(axes, sizes, strict=True))


@composite(
    samples=[Sample((Array((2, 3), kind="complex"),)), sample((2, 3, 2), axes=(0, -1)), sample((2, 2), s=(3, 2))]
)
def fftn(x: Any, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
    """`fft` along several axes, all by default, cut or filled up to the sizes `s`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.fftn(np.ones((2, 2))).real
    array([[4., 0.],
           [0., 0.]])
    """
    x = arrayed(x)
    for axis, n in _axes("fftn", x, s, axes):
        x = fft(x, n=n, axis=axis, norm=norm)
    return x


@composite(
    samples=[Sample((Array((2, 3), kind="complex"),)), sample((2, 3, 2), axes=(0, -1)), sample((2, 2), s=(3, 2))]
)
def ifftn(x: Any, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
    """Inverse of `fftn`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.ifftn(np.ones((2, 2))).real
    array([[1., 0.],
           [0., 0.]])
    """
    x = arrayed(x)
    for axis, n in _axes("ifftn", x, s, axes):
        x = ifft(x, n=n, axis=axis, norm=norm)
    return x


def _shift(x: Any, axes: Any, sign: int) -> Any:
    x = arrayed(x)
    axes = tuple(range(len(x.shape))) if axes is None else axes if isinstance(axes, tuple) else (axes,)
    shifts = tuple(x.shape[a] // 2 if sign > 0 else -(x.shape[a] // 2) for a in axes)
    return roll(x, shift=shifts, axis=axes)


@composite(samples=[sample((5,)), sample((2, 3)), sample((2, 3), axes=1)])
def fftshift(x: Any, *, axes: Any = None) -> Any:
    """Move the frequency 0 to the middle, along `axes`: an int, a tuple of ints, or None for all.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.fftshift(np.array([0.0, 1.0, -1.0]))
    array([-1.,  0.,  1.])
    """
    return _shift(x, axes, 1)


@composite(samples=[sample((5,)), sample((2, 3)), sample((2, 3), axes=1)])
def ifftshift(x: Any, *, axes: Any = None) -> Any:
    """Inverse of `fftshift`.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.ifftshift(np.array([-1.0, 0.0, 1.0]))
    array([ 0.,  1., -1.])
    """
    return _shift(x, axes, -1)
