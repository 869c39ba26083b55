"""Gradients against central differences: `check_grads` for any function, `numeric_vjp` for the differences alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff import trees
from autodiff.errors import ArgumentError, ArgumentTypeError
from autodiff.registry import registry
from autodiff.testing.drawing import draw_like
from autodiff.testing.report import Report, mismatch
from autodiff.testing.tolerances import differencing, step
from autodiff.transforms import jvp, vjp
from autodiff.value import Value

__all__ = ["check_derivatives", "check_grads", "numeric_vjp"]

Function = Callable[..., Any]

#: One-sided differences that are further apart than this lie on two sides of a kink or a jump.
_KINK = 1e-2


def check_grads(
    f: Function,
    args: Sequence[Any],
    *,
    order: int = 2,
    modes: Sequence[str] = ("rev", "fwd"),
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> None:
    """Check the gradients of `f` at `args` against central differences, with random cotangents.

    Parameters
    ----------
    f : callable
        Takes and returns any nesting of arrays; it is called with Values.
    args : sequence
        Where to check: its positional arguments. Floating and complex arrays and Python floats are
        differentiated; integers, booleans and everything else are passed as they are.
    order : int
        Check the derivatives up to this order.
    modes : sequence of str
        ``"rev"`` checks gradients, ``"fwd"`` directional derivatives.
    eps, rtol, atol : float, optional
        The step, and the tolerances; by default the rule of `autodiff.testing.tolerances`.
    seed : int
        For the cotangents.

    Raises
    ------
    ConformanceError
        A gradient is wrong, is not finite, has another shape or dtype than its argument, or cannot be computed.
    ArgumentError
        `modes` or `order` asks for what there is not, or there is nothing to differentiate.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import ops
    >>> from autodiff.testing import check_grads
    >>> check_grads(lambda x, y: ops.tanh(x @ y), (np.ones((2, 3)), np.ones(3)))
    """
    _check_options(f, args, order, modes)
    leaves, treedef = trees.flatten(tuple(args))
    arrays = [_array(leaf) for leaf in leaves]
    wrt = [i for i, array in enumerate(arrays) if array is not None]
    if not wrt:
        raise ArgumentError(f"check_grads of {_name(f)}: none of the arguments holds floating-point numbers")
    backend = registry.common_backend([arrays[i] for i in wrt], f"check_grads of {_name(f)}")

    def flat(*xs: Any) -> list[Any]:
        moved = list(leaves)
        for i, x in zip(wrt, xs, strict=True):
            moved[i] = x
        return [y for y in trees.flatten(f(*trees.unflatten(treedef, moved)))[0] if _is_floating(y)]

    xs = [np.asarray(backend.to_numpy(arrays[i])) for i in wrt]
    owners = [n for n, arg in enumerate(args) for _ in trees.flatten(arg)[0]]
    names = [_argument(i, owners) for i in wrt]
    asked = {"eps": eps, "rtol": rtol, "atol": atol}
    given = "".join(f", {option}={number!r}" for option, number in asked.items() if number is not None)
    report = Report(
        f"check_grads of {_name(f)}",
        {"function": repr(f), "backend": backend.name, "seed": str(seed)},
        f"check_grads(f, args, order={order}, seed={seed}{given})  # with the function and the arguments above",
    )
    if not flat(*[Value(backend.asarray(x)) for x in xs]):
        raise ArgumentError(f"check_grads of {_name(f)}: it returns no floating-point array, so there is no gradient")
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {"eps": eps, "rtol": rtol, "atol": atol}
    if "rev" in modes:
        check_derivatives(
            report, flat, xs, names, backend, order, rng, lift=lambda x: Value(x, requires_grad=False), **options
        )
    if "fwd" in modes:
        check_tangents(report, flat, xs, backend, order, rng, **options)


def _check_options(f: Function, args: Any, order: int, modes: Sequence[str]) -> None:
    if not isinstance(args, list | tuple):
        raise ArgumentTypeError(
            f"check_grads of {_name(f)} takes the arguments as a tuple, (x,) for a single one; it was given "
            f"{args!r:.60}"
        )
    if order < 1:
        raise ArgumentError(f"check_grads: order is a positive int; it was given {order!r}")
    for mode in (modes,) if isinstance(modes, str) else modes:
        if mode not in ("rev", "fwd"):
            raise ArgumentError(f"check_grads: modes holds 'rev' and 'fwd'; it was given {mode!r}")


def _array(leaf: Any) -> Any:
    """Return the raw array of a leaf that has derivatives, else None."""
    if type(leaf) in (float, complex):
        return registry.asarray(leaf)[0]
    data = leaf.data if type(leaf) is Value else leaf
    return data if _is_floating(data) else None


def _is_floating(obj: Any) -> bool:
    if type(obj) in (float, complex):
        return True
    data = obj.data if type(obj) is Value else obj
    own = registry.backend_of(type(data))
    return own is not None and registry.kind(data.dtype, own) in ("float", "complex")


def _argument(leaf: int, owners: list[int]) -> str:
    """Name a leaf by the positional argument that it belongs to."""
    number = owners[leaf]
    which = f", leaf {leaf - owners.index(number)}" if owners.count(number) > 1 else ""
    return f"argument {number}{which}"


def _name(f: Any) -> str:
    return getattr(f, "__qualname__", None) or type(f).__qualname__


def check_derivatives(
    report: Report,
    f: Function,
    xs: list[Any],
    names: list[str],
    backend: Any,
    order: int,
    rng: np.random.Generator,
    *,
    lift: Function,
    what: str = "the gradient",
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Check the vjp of `f` at NumPy arrays `xs`, then, for `order` > 1, that of the vjp itself.

    `f` takes arrays or Values and returns a list of floating ones; where no derivative is needed it is called
    with ``lift(array)``, an array of the backend.
    """

    def copy(array: Any) -> Any:
        return backend.asarray(np.array(array))

    def evaluate(*numbers: Any) -> list[Any]:
        return [_numpy(y, backend) for y in f(*[lift(copy(x)) for x in numbers])]

    if not xs:
        return
    try:
        outputs = evaluate(*xs)
        cotangents = [draw_like(y, rng) for y in outputs]
        _, pull = vjp(f, *[copy(x) for x in xs])
        pulled = pull([copy(c) for c in cotangents])
    except Exception as exc:
        report.raised(f"{what} cannot be computed", exc)
    worst = min([x.dtype for x in (*xs, *outputs)], key=lambda dtype: np.finfo(dtype).precision)
    tolerance = differencing(worst)
    eps = step(worst) if eps is None else eps
    limits = (tolerance if rtol is None else rtol, tolerance if atol is None else atol)
    for i, (x, name) in enumerate(zip(xs, names, strict=True)):
        actual = _numpy(pulled[i], backend)
        report.same(f"{what} of {name} has another shape than {name}", actual.shape, x.shape)
        report.same(f"{what} of {name} has another dtype than {name}", actual.dtype, x.dtype)
        expected = numeric_vjp(evaluate, xs, cotangents, i, eps=eps)
        wrong = mismatch(actual, expected, *limits, finite=True)
        if wrong is not None:
            kink = "the sample seems to lie at a kink: the differences to both sides do not agree"
            note = kink if _at_kink(evaluate, xs, cotangents, i, eps) else ""
            report.fail(f"{what} of {name} against central differences", **wrong, step=f"{eps:.3g}", note=note)
    if order < 2:
        return
    count = len(xs)

    def gradients(*both: Any) -> list[Any]:
        _, again = vjp(f, *both[:count])
        return list(again(list(both[count:])))

    check_derivatives(
        report, gradients, [*xs, *cotangents], [*names, *(f"cotangent {j}" for j in range(len(cotangents)))],
        backend, order - 1, rng, lift=lift, what=f"the gradient of {what}", eps=eps, rtol=rtol, atol=atol,
    )  # fmt: skip


def check_tangents(
    report: Report,
    f: Function,
    xs: list[Any],
    backend: Any,
    order: int,
    rng: np.random.Generator,
    *,
    what: str = "the tangent",
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Check the jvp of `f` for a random tangent, then, for `order` > 1, that of the jvp itself."""
    tangents = [draw_like(x, rng) for x in xs]

    def pushed(*primals: Any) -> list[Any]:
        return list(jvp(f, primals, [backend.asarray(np.array(t)) for t in tangents])[1])

    def moved(sign: float, length: float) -> list[Any]:
        places = [x + (sign * length * t).astype(x.dtype) for x, t in zip(xs, tangents, strict=True)]
        return [_numpy(y, backend) for y in f(*[Value(backend.asarray(x), requires_grad=False) for x in places])]

    try:
        actual = [_numpy(t, backend) for t in pushed(*[backend.asarray(np.array(x)) for x in xs])]
        worst = min([a.dtype for a in (*xs, *actual)], key=lambda dtype: np.finfo(dtype).precision)
        length = step(worst) if eps is None else eps
        above, below = moved(1, length), moved(-1, length)
    except Exception as exc:
        report.raised(f"{what} cannot be computed", exc)
    tolerance = differencing(worst)
    limits = (tolerance if rtol is None else rtol, tolerance if atol is None else atol)
    for n, (t, up, down) in enumerate(zip(actual, above, below, strict=True)):
        report.same(
            f"{what} of output {n} has another shape or dtype than it", (t.shape, t.dtype), (up.shape, up.dtype)
        )
        wrong = mismatch(t, ((up - down) / (2 * length)).astype(t.dtype), *limits, finite=True)
        if wrong is not None:
            report.fail(f"{what} of output {n} against central differences", **wrong, step=f"{length:.3g}")
    if order > 1:
        options = {"eps": eps, "rtol": rtol, "atol": atol}
        check_tangents(report, pushed, xs, backend, order - 1, rng, what=f"the tangent of {what}", **options)


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
    x = xs[argnum]
    eps = step(x.dtype) if eps is None else eps
    out = np.zeros(x.shape, x.dtype)
    for where, direction in _directions(x):
        (up, above), (down, below) = (_moved(f, xs, argnum, where, sign * eps * direction) for sign in (1, -1))
        out[where] += direction * _change(above, below, cotangents) / abs(up - down)
    return out


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


def _at_kink(f: Function, xs: Sequence[Any], cotangents: Sequence[Any], argnum: int, eps: float) -> bool:
    """Tell whether the differences to both sides of some element disagree by more than curvature explains."""
    x = xs[argnum]
    here = f(*xs)
    for where, direction in _directions(x):
        (up, above), (down, below) = (_moved(f, xs, argnum, where, sign * eps * direction) for sign in (1, -1))
        right = _change(above, here, cotangents) / abs(up - x[where])
        left = _change(here, below, cotangents) / abs(x[where] - down)
        if not abs(right - left) <= _KINK * max(1.0, abs(right), abs(left)):
            return True
    return False


def _numpy(y: Any, backend: Any) -> Any:
    if type(y) in (float, complex):
        return np.asarray(y)
    return np.asarray(backend.to_numpy(y.data if type(y) is Value else y))
