"""NumPy's ``numpy.fft`` over the registered ops, as `autodiff.numpy.fft`: what ``np.fft.fft(v)`` arrives at."""

from __future__ import annotations

from typing import Any, NoReturn

from autodiff.composed import shape_of, shipped
from autodiff.errors import ArgumentError, unknown_name
from autodiff.refusals import spelled
from autodiff.registry import registry
from autodiff.spellings import refuse_options
from autodiff.standard import standard
from autodiff.value import wrap

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
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


def _shape(a: Any, s: Any, axes: Any) -> tuple[list[int | None], list[int]]:
    """Return lengths and axes in NumPy's way: of `s` alone the last axes, of neither all."""
    axes = list(axes) if axes is not None else list(range(-len(shape_of(a) if s is None else s), 0))
    return ([None] * len(axes) if s is None else list(s)), axes


@spelled
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: Any = None) -> Any:
    """``numpy.fft.rfftn``: the real transform along the last of the axes, then the complex one along the others."""
    s, axes = _shape(a, s, axes)
    _pairs("rfftn", s, axes)
    y = rfft(a, s[-1], axes[-1], norm, out)
    return y if len(axes) == 1 else fftn(y, _whole(y, s[:-1], axes), axes[:-1], norm)


@spelled
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: Any = None) -> Any:
    """``numpy.fft.irfftn``: the complex inverse along all but the last of the axes, then the real one along that."""
    s, axes = _shape(a, s, axes)
    _pairs("irfftn", s, axes)
    y = a if len(axes) == 1 else ifftn(a, _whole(a, s[:-1], axes), axes[:-1], norm)
    return irfft(y, s[-1], axes[-1], norm, out)


def _pairs(name: str, s: list[int | None], axes: list[int]) -> None:
    if not axes or len(s) != len(axes):
        raise ArgumentError(f"{name} takes one length for each axis, and one axis at least: s={s!r}, axes={axes!r}")


def _whole(a: Any, s: list[int | None], axes: list[int]) -> list[int]:
    shape = shape_of(a)
    return [shape[axis] if n is None else n for n, axis in zip(s, axes, strict=False)]


@spelled
def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """``numpy.fft.rfft2``."""
    return rfftn(a, s, axes, norm, out)


@spelled
def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """``numpy.fft.irfft2``."""
    return irfftn(a, s, axes, norm, out)


_TURNED = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


@spelled
def hfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """``numpy.fft.hfft``: of a signal that is Hermitian in time, the real spectrum."""
    return irfft(standard.conj(a), n, axis, _TURNED.get(norm, norm), out)


@spelled
def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """``numpy.fft.ihfft``: the inverse of `hfft`."""
    return standard.conj(rfft(a, n, axis, _TURNED.get(norm, norm), out))


@spelled
def fftshift(x: Any, axes: Any = None) -> Any:
    """``numpy.fft.fftshift``."""
    return shipped("fftshift")(x, axes=tuple(axes) if isinstance(axes, list) else axes)


@spelled
def ifftshift(x: Any, axes: Any = None) -> Any:
    """``numpy.fft.ifftshift``."""
    return shipped("ifftshift")(x, axes=tuple(axes) if isinstance(axes, list) else axes)


def _made(array: Any, dtype: Any, device: str | None) -> Any:
    y = wrap(array, None)
    y = y if dtype is None else standard.astype(y, dtype=dtype)
    return y if device is None else standard.to(y, device=device)


@spelled
def fftfreq(n: int, d: float = 1.0, *, dtype: Any = None, device: str | None = None) -> Any:
    """``numpy.fft.fftfreq``: a Value that needs no gradient."""
    return _made(registry.backend().xp.fft.fftfreq(n, d=d), dtype, device)


@spelled
def rfftfreq(n: int, d: float = 1.0, *, dtype: Any = None, device: str | None = None) -> Any:
    """``numpy.fft.rfftfreq``: a Value that needs no gradient."""
    return _made(registry.backend().xp.fft.rfftfreq(n, d=d), dtype, device)


def __getattr__(name: str) -> NoReturn:
    raise unknown_name("autodiff.numpy.fft", name, __all__)
