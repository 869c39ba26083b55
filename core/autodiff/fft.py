"""NumPy's ``numpy.fft`` over the registered ops, as `autodiff.numpy.fft`: what ``np.fft.fft(v)`` arrives at."""

from __future__ import annotations

from typing import Any

from autodiff.composed import shipped
from autodiff.refusals import spelled
from autodiff.registry import registry
from autodiff.spellings import refuse_options
from autodiff.value import wrap

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "irfft",
    "rfft",
    "rfftfreq",
]


def _along(name: str, a: Any, n: int | None, axis: int, norm: str | None, out: Any) -> Any:
    refuse_options(name, out=out)
    return shipped(name)(a, n=n, axis=axis, norm=norm or "backward")


@spelled
def fft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """``numpy.fft.fft``."""
    return _along("fft", a, n, axis, norm, out)


@spelled
def ifft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """``numpy.fft.ifft``."""
    return _along("ifft", a, n, axis, norm, out)


@spelled
def rfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """``numpy.fft.rfft``."""
    return _along("rfft", a, n, axis, norm, out)


@spelled
def irfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """``numpy.fft.irfft``."""
    return _along("irfft", a, n, axis, norm, out)


def _over(name: str, a: Any, s: Any, axes: Any, norm: str | None, out: Any) -> Any:
    refuse_options(name, out=out)
    s, axes = (None if t is None else tuple(t) for t in (s, axes))
    return shipped(name)(a, s=s, axes=axes, norm=norm or "backward")


@spelled
def fftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: Any = None) -> Any:
    """``numpy.fft.fftn``."""
    return _over("fftn", a, s, axes, norm, out)


@spelled
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: Any = None) -> Any:
    """``numpy.fft.ifftn``."""
    return _over("ifftn", a, s, axes, norm, out)


@spelled
def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """``numpy.fft.fft2``."""
    return _over("fftn", a, s, axes, norm, out)


@spelled
def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """``numpy.fft.ifft2``."""
    return _over("ifftn", a, s, axes, norm, out)


@spelled
def fftshift(x: Any, axes: Any = None) -> Any:
    """``numpy.fft.fftshift``."""
    return shipped("fftshift")(x, axes=tuple(axes) if isinstance(axes, list) else axes)


@spelled
def ifftshift(x: Any, axes: Any = None) -> Any:
    """``numpy.fft.ifftshift``."""
    return shipped("ifftshift")(x, axes=tuple(axes) if isinstance(axes, list) else axes)


@spelled
def fftfreq(n: int, d: float = 1.0) -> Any:
    """``numpy.fft.fftfreq``: a Value that needs no gradient."""
    return wrap(registry.backend().xp.fft.fftfreq(n, d=d), None)


@spelled
def rfftfreq(n: int, d: float = 1.0) -> Any:
    """``numpy.fft.rfftfreq``: a Value that needs no gradient."""
    return wrap(registry.backend().xp.fft.rfftfreq(n, d=d), None)
