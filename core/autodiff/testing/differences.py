"""Derivatives by evaluation alone: central differences, complex steps, and whether a point lies at a kink."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff.errors import ArgumentError, ArgumentTypeError, shown
from autodiff.testing.tolerances import step

__all__ = ["at_kink", "at_kink_along", "complex_step_vjp", "numeric_jvp", "numeric_vjp"]

Function = Callable[..., Any]

#: The step of a complex-step derivative: its square is lost beside 1, and nothing is subtracted.
_IMAGINARY = 1e-30


def numeric_vjp(
    f: Function, xs: Sequence[Any], cotangents: Sequence[Any], argnum: int = 0, *, eps: float | None = None
) -> Any:
    """Return the vjp of `f` with respect to one argument by central differences.

    Parameters
    ----------
    f : callable
        Takes NumPy arrays and returns a list of them.
    xs : sequence of arrays
        Where: float or complex NumPy arrays.
    cotangents : sequence of arrays
        One for each result of `f`.
    argnum : int
        The argument.
    eps : float, optional
        The step, relative to each number or to 1; by default the rule of `autodiff.testing.tolerances`.

    Returns
    -------
    ndarray
        For complex arguments ``dL/d(re) + 1j * dL/d(im)``, with ``L`` the real part of the sum of
        ``conj(cotangent) * result``.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff.testing import numeric_vjp
    >>> numeric_vjp(lambda x: [x**2], [np.array([1.0, 3.0])], [np.ones(2)]).round(6)
    array([2., 6.])
    """
    if not callable(f):
        raise ArgumentTypeError(f"numeric_vjp takes a function; it was given {shown(f, 80)}")
    for what, given in (("xs", xs), ("cotangents", cotangents)):
        if type(given) not in (list, tuple) or not all(isinstance(a, np.ndarray | np.generic) for a in given):
            raise ArgumentTypeError(f"numeric_vjp: {what} is a list of NumPy arrays; it was given {shown(given)}")
    if type(argnum) is not int or not -len(xs) <= argnum < len(xs) or xs[argnum].dtype.kind not in "fc":
        raise ArgumentError(
            f"numeric_vjp: argnum is the number of a float or complex array of {len(xs)}; it was given {shown(argnum)}"
        )
    x = xs[argnum]
    ys = f(*xs)
    if not isinstance(ys, list | tuple):
        raise ArgumentError(f"numeric_vjp: the function returns a list of arrays; it returned {shown(ys)}")
    found = [(np.shape(y), np.shape(c)) for y, c in zip(ys, cotangents, strict=False)]
    if len(found) != len(cotangents) or any(y != c for y, c in found):
        raise ArgumentError(f"numeric_vjp: cotangents are like the results of the function; they are not: {found}")
    eps = step(x.dtype) if eps is None else eps
    out = np.zeros(x.shape, x.dtype)
    for where, direction in _directions(x):
        (up, above), (down, below) = (_moved(f, xs, argnum, where, sign * eps * direction) for sign in (1, -1))
        out[where] += direction * _change(above, below, cotangents) / abs(up - down)
    return out


def complex_step_vjp(f: Function, xs: Sequence[Any], cotangents: Sequence[Any], argnum: int) -> Any:
    """Return the vjp with respect to one real argument by steps into the complex plane, or None.

    ``f'(x)`` is ``imag(f(x + ih)) / h`` up to ``h**2``, without a difference and hence to the last digits, where `f`
    is analytic (W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions", 1998).
    Whether it is, nobody can tell: the caller compares with central differences. None says that `f` refuses complex
    numbers or returns real ones.
    """
    x = xs[argnum]
    if any(a.dtype != np.float64 for a in (*xs, *cotangents)):
        return None
    out = np.zeros(x.shape)
    for where in np.ndindex(x.shape):
        moved = x.astype(np.complex128)
        moved[where] += 1j * _IMAGINARY
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("error")
                ys = f(*xs[:argnum], moved, *xs[argnum + 1 :])
        except Exception:  # an op that is not made for complex numbers may raise whatever it likes
            return None
        if any(y.dtype != np.complex128 for y in ys):
            return None
        out[where] = sum(np.sum(c * y.imag) for c, y in zip(cotangents, ys, strict=True)) / _IMAGINARY
    return out


def numeric_jvp(f: Function, xs: Sequence[Any], tangents: Sequence[Any], eps: float) -> list[Any]:
    """Return the change of each result of `f` along `tangents`, by central differences."""
    above, below = _along(f, xs, tangents, eps), _along(f, xs, tangents, -eps)
    return [(up - down) / (2 * eps) for up, down in zip(above, below, strict=True)]


def at_kink(f: Function, xs: Sequence[Any], cotangents: Sequence[Any], argnum: int, eps: float, off: Any) -> bool:
    """Tell whether it is a kink that makes a derivative differ from central differences by `off`.

    Then the differences to both sides are further apart than that; where the derivative is wrong they agree.
    """
    x = xs[argnum]
    worst = np.unravel_index(np.argmax(off), x.shape)
    here = f(*xs)
    for where, direction in _directions(x):
        if where == worst:
            (up, above), (down, below) = (_moved(f, xs, argnum, where, sign * eps * direction) for sign in (1, -1))
            right = _change(above, here, cotangents) / abs(up - x[where])
            left = _change(here, below, cotangents) / abs(x[where] - down)
            if abs(right - left) >= off[where]:
                return True
    return False


def at_kink_along(
    f: Function, xs: Sequence[Any], tangents: Sequence[Any], eps: float, off: Any, output: int = 0
) -> bool:
    """Tell the same of the derivative of one output along `tangents`."""
    here, above, below = (_along(f, xs, tangents, by)[output] for by in (0, eps, -eps))
    bent = np.abs(above - 2 * here + below) / eps
    return bool(bent.flat[np.argmax(off)] >= off.max())


def _along(f: Function, xs: Sequence[Any], tangents: Sequence[Any], by: float) -> list[Any]:
    return f(*[x + (by * t).astype(x.dtype) for x, t in zip(xs, tangents, strict=True)])  # type: ignore[no-any-return]  # a list of arrays


def _directions(x: Any) -> list[tuple[tuple[int, ...], complex]]:
    """Return each element with the direction, or for complex numbers both directions, to move it."""
    directions = (1.0, 1j) if x.dtype.kind == "c" else (1.0,)
    return [(where, direction) for where in np.ndindex(x.shape) for direction in directions]


def _moved(f: Function, xs: Sequence[Any], argnum: int, where: tuple[int, ...], by: complex) -> tuple[Any, list[Any]]:
    """Return the element moved, rounded to its dtype, and what `f` is there."""
    x = np.array(xs[argnum])
    x[where] += by * max(1.0, abs(x[where]))
    return x[where], f(*xs[:argnum], x, *xs[argnum + 1 :])


def _change(after: list[Any], before: list[Any], cotangents: Sequence[Any]) -> float:
    pairs = zip(after, before, cotangents, strict=True)
    return float(sum(np.sum(np.real(np.conj(c) * (a - b))) for a, b, c in pairs))
