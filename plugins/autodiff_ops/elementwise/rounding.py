"""Rounding, and what concerns the sign and the last digit of a floating-point number."""

from __future__ import annotations

from typing import Any

from autodiff.extend import Array, Sample, binary, elementwise, unary

_BETWEEN = [*unary(0.1, 0.4), *unary(-1.4, -1.1), *unary(1.6, 1.9)]


def _constant() -> None:
    """The rule of what is constant between its jumps: no gradient arrives, which is a zero that costs nothing."""


def _step(name: str, meaning: str, c: str, example: str, note: str = "") -> Any:
    def step(x: Any) -> Any: ...

    step.__name__ = step.__qualname__ = name
    step.__doc__ = f"""{meaning}

    The derivative is 0, also at the jumps.{note}

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.{name}(np.array([-1.5, 0.5, 2.5]))
    {example}
    """
    return elementwise(vjps=(_constant,), jvps=(_constant,), c=c, c_partials=("0",), samples=_BETWEEN)(step)


floor = _step("floor", "Largest integer not above `x`.", "floor(x)", "array([-2.,  0.,  2.])")
ceil = _step("ceil", "Smallest integer not below `x`.", "ceil(x)", "array([-1.,  1.,  3.])")
trunc = _step("trunc", "`x` without its fraction: the next integer towards 0.", "trunc(x)", "array([-1.,  0.,  2.])")
round = _step(  # the array API's name
    "round", "Nearest integer; a half goes to the even one.", "rint(x)", "array([-2.,  0.,  2.])"
)


@elementwise(partials=(None,), samples=unary())
def signbit(x: Any) -> Any:
    """Whether the sign of `x` is negative, that of ``-0.0`` too; not differentiable.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.signbit(-0.0).item()
    True
    """


@elementwise(
    vjps=(lambda g, x1, y, xp: g * (xp.sign(x1) * xp.sign(y)), _constant),
    jvps=(lambda t, x1, y, xp: t * (xp.sign(x1) * xp.sign(y)), _constant),
    c="copysign(x1, x2)",
    c_partials=("x1 == 0 || x1 != x1 ? x1 : ((x1 > 0) == (y > 0) ? 1 : -1)", "0"),
    samples=[*binary((0.1, 2.0), (0.1, 2.0)), *binary((-2.0, -0.1), (0.1, 2.0)), *binary((0.1, 2.0), (-2.0, -0.1))],
)
def copysign(x1: Any, x2: Any) -> Any:
    """The absolute value of `x1` with the sign of `x2`.

    The derivatives are 1 or -1, with 0 at ``x1 = 0`` as for `abs`, and 0.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.copysign(3.0, -0.5).item()
    -3.0
    """


@elementwise(
    vjps=(lambda g: g, _constant),
    jvps=(lambda t: t, _constant),
    c="nextafter(x1, x2)",
    c_partials=("1", "0"),
    samples=[Sample((Array((2, 3)), Array((3,)))), Sample((Array((2,)), 0.25))],
)
def nextafter(x1: Any, x2: Any) -> Any:
    """The floating-point number next to `x1` in the direction of `x2`.

    The derivatives are 1 and 0: it differs from `x1` by a step that is constant between powers of two.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.nextafter(1.0, 2.0).item() - 1.0
    2.220446049250313e-16
    """
