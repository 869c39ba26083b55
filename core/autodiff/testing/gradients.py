"""Derivatives against differences: `check_grads` for any function, and what `check_op` uses of it for an op."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff import trees
from autodiff.errors import ArgumentError, ArgumentTypeError, shown
from autodiff.registry import registry
from autodiff.testing.differences import at_kink, at_kink_along, complex_step_vjp, numeric_jvp, numeric_vjp
from autodiff.testing.drawing import check_seed, draw_like
from autodiff.testing.report import Report, mismatch
from autodiff.testing.tolerances import differencing, rounding, step
from autodiff.transforms import jvp, vjp
from autodiff.value import Value

__all__ = ["check_derivatives", "check_grads", "check_tangents", "derivatives"]

Function = Callable[..., Any]

#: Up to this order each element is moved alone; beyond, all together in a random direction.
_EACH = 2


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

    Where `f` also takes complex numbers and is analytic, first derivatives are compared with complex steps as well,
    which are exact to the last digits.

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
    _check_options(f, args, order, modes, seed)
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
    first, again = ([_numpy(y, backend) for y in flat(*[Value(backend.asarray(x)) for x in xs])] for _ in range(2))
    if not first:
        raise ArgumentError(f"check_grads of {_name(f)}: it returns no floating-point array, so there is no gradient")
    for y, z in zip(first, again, strict=False):
        told = "the value of a second call against the first: what draws random numbers has to draw the same each time"
        report.close(told, np.nan_to_num(z), np.nan_to_num(y), rounding(y.dtype))
    rng = np.random.default_rng(seed)
    orders = range(1, order + 1)
    options: dict[str, Any] = {"eps": eps, "rtol": rtol, "atol": atol}
    if "rev" in modes:
        check_derivatives(
            report, flat, xs, names, backend, orders, rng, lift=lambda x: Value(x, requires_grad=False), **options
        )
    if "fwd" in modes:
        check_tangents(report, flat, xs, backend, orders, rng, **options)


def _check_options(f: Any, args: Any, order: Any, modes: Any, seed: Any) -> None:
    if not isinstance(args, list | tuple):
        raise ArgumentTypeError(
            f"check_grads of {_name(f)} takes the arguments as a tuple, (x,) for a single one; it was given "
            f"{shown(args, 60)}"
        )
    if not callable(f):
        raise ArgumentTypeError(f"check_grads takes a function; it was given {shown(f, 80)}")
    if type(order) is not int or order < 1:
        raise ArgumentError(f"check_grads: order is a positive int; it was given {shown(order)}")
    if not isinstance(modes, str | list | tuple):
        raise ArgumentTypeError(f"check_grads: modes is a list of 'rev' and 'fwd'; it was given {shown(modes)}")
    for mode in (modes,) if isinstance(modes, str) else modes:
        if type(mode) is not str or mode not in ("rev", "fwd"):
            raise ArgumentError(f"check_grads: modes holds 'rev' and 'fwd'; it was given {shown(mode)}")
    check_seed("check_grads", seed)


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
    orders: Sequence[int],
    rng: np.random.Generator,
    *,
    lift: Function,
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Check the vjp of `f` at NumPy arrays `xs`, and for higher `orders` that of the vjp itself, and so on.

    `f` takes arrays or Values and returns a list of floating ones; where no derivative is needed it is called
    with ``lift(array)``, an array of the backend.
    """

    def evaluate(*numbers: Any) -> list[Any]:
        return [_numpy(y, backend) for y in f(*[lift(_copy(x, backend)) for x in numbers])]

    what = "the gradient"
    for order in range(1, max(orders, default=0) + 1) if xs else ():
        try:
            outputs = evaluate(*xs)
            cotangents = [draw_like(y, rng) for y in outputs]
            _, pull = vjp(f, *[_copy(x, backend) for x in xs])
            pulled = [_numpy(q, backend) for q in pull([_copy(c, backend) for c in cotangents])]
        except Exception as exc:
            report.raised(f"{what} cannot be computed", exc)
        if order in orders:
            for name, q, x in zip(names, pulled, xs, strict=True):
                report.same(f"{what} of {name} has another shape than {name}", q.shape, x.shape)
                report.same(f"{what} of {name} has another dtype than {name}", q.dtype, x.dtype)
            worst = _least_exact([*xs, *outputs])
            tolerance = differencing(worst)
            length = step(worst) if eps is None else eps
            limits = (tolerance if rtol is None else rtol, tolerance if atol is None else atol)
            if order <= _EACH:
                _check_each(report, what, names, evaluate, xs, cotangents, pulled, length, limits, exact=order == 1)
            else:
                _check_along(report, what, evaluate, xs, cotangents, pulled, rng, length, limits)
        names = [*names, *(f"cotangent {j}" for j in range(len(cotangents)))]
        f, xs, what = _pulling(f, len(xs)), [*xs, *cotangents], f"the gradient of {what}"


def _pulling(f: Function, count: int) -> Function:
    """Return the vjp of `f` as a function of its arguments and its cotangents."""

    def gradients(*both: Any) -> list[Any]:
        _, pull = vjp(f, *both[:count])
        return list(pull(list(both[count:])))

    return gradients


def _check_each(
    report: Report, what: str, names: list[str], evaluate: Function, xs: list[Any], cotangents: list[Any],
    pulled: list[Any], eps: float, limits: tuple[float, float], *, exact: bool,
) -> None:  # fmt: skip
    """Compare each element of each gradient with differences, and with complex steps where they apply."""
    for i, name in enumerate(names):
        expected = numeric_vjp(evaluate, xs, cotangents, i, eps=eps)
        wrong = mismatch(pulled[i], expected, *limits, finite=True)
        if wrong is not None:
            kink = at_kink(evaluate, xs, cotangents, i, eps, np.abs(pulled[i] - expected))
            report.fail(f"{what} of {name} against central differences", at_kink=kink, **wrong, step=f"{eps:.3g}")
        better = complex_step_vjp(evaluate, xs, cotangents, i) if exact else None
        if better is not None and mismatch(better, expected, *limits, finite=True) is None:
            # Only where both agree is the function analytic, so that the better one means something.
            report.close(
                f"{what} of {name} against complex steps", pulled[i], better, min(rounding(better.dtype), *limits)
            )


def _check_along(
    report: Report, what: str, evaluate: Function, xs: list[Any], cotangents: list[Any], pulled: list[Any],
    rng: np.random.Generator, eps: float, limits: tuple[float, float],
) -> None:  # fmt: skip
    """Compare all gradients at once with the difference in a random direction."""
    tangents = [draw_like(x, rng) for x in xs]

    def along(*numbers: Any) -> list[Any]:
        parts = zip(cotangents, evaluate(*numbers), strict=True)
        return [np.asarray(sum(np.sum(np.real(np.conj(c) * y)) for c, y in parts))]

    terms = [np.real(np.conj(q) * t) for q, t in zip(pulled, tangents, strict=True)]
    size = 1 + sum(float(np.abs(term).sum()) for term in terms)
    actual = np.asarray(sum(term.sum() for term in terms))
    (expected,) = numeric_jvp(along, xs, tangents, eps)
    wrong = mismatch(actual, expected, limits[0], limits[1] * size, finite=True)
    if wrong is not None:
        kink = at_kink_along(along, xs, tangents, eps, np.abs(actual - expected))
        report.fail(
            f"{what} in a random direction, against central differences", at_kink=kink, **wrong, step=f"{eps:.3g}"
        )


def check_tangents(
    report: Report,
    f: Function,
    xs: list[Any],
    backend: Any,
    orders: Sequence[int],
    rng: np.random.Generator,
    *,
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Check the jvp of `f` for a random tangent, and for higher `orders` that of the jvp itself, and so on."""

    def evaluate(*places: Any) -> list[Any]:
        return [_numpy(y, backend) for y in f(*[Value(_copy(x, backend), requires_grad=False) for x in places])]

    what = "the tangent"
    for order in range(1, max(orders, default=0) + 1) if xs else ():
        tangents = [draw_like(x, rng) for x in xs]
        try:
            outputs = evaluate(*xs)
            pushed = _pushing(f, tangents, backend)
            actual = [_numpy(t, backend) for t in pushed(*[_copy(x, backend) for x in xs])]
        except Exception as exc:
            report.raised(f"{what} cannot be computed", exc)
        if order in orders:
            worst = _least_exact([*xs, *actual])
            length = step(worst) if eps is None else eps
            tolerance = differencing(worst)
            limits = (tolerance if rtol is None else rtol, tolerance if atol is None else atol)
            expected = numeric_jvp(evaluate, xs, tangents, length)
            for n, (t, y, e) in enumerate(zip(actual, outputs, expected, strict=True)):
                facts = [(a.shape, str(a.dtype)) for a in (t, y)]
                report.same(f"{what} of output {n} has another shape or dtype than it", *facts)
                wrong = mismatch(t, e.astype(t.dtype), *limits, finite=True)
                if wrong is not None:
                    kink = at_kink_along(evaluate, xs, tangents, length, np.abs(t - e), n)
                    told = f"{what} of output {n} against central differences"
                    report.fail(told, at_kink=kink, **wrong, step=f"{length:.3g}")
        f, what = pushed, f"the tangent of {what}"


def _pushing(f: Function, tangents: list[Any], backend: Any) -> Function:
    """Return the jvp of `f` along fixed tangents as a function of its arguments."""

    def pushed(*primals: Any) -> list[Any]:
        return list(jvp(f, primals, [_copy(t, backend) for t in tangents])[1])

    return pushed


def derivatives(f: Function, xs: list[Any], backend: Any, order: int, mode: str, seed: int) -> list[Any]:
    """Return as NumPy arrays the derivatives of `f` of one order, for cotangents or tangents drawn from `seed`.

    The draws are exact in every floating dtype, so that those of `xs` in another one can be compared.
    """
    rng = np.random.default_rng(seed)
    for _ in range(order):
        if mode == "fwd":
            f = _pushing(f, [draw_like(x, rng) for x in xs], backend)
        else:
            cotangents = [draw_like(_numpy(y, backend), rng) for y in f(*[_copy(x, backend) for x in xs])]
            f, xs = _pulling(f, len(xs)), [*xs, *cotangents]
    return [_numpy(y, backend) for y in f(*[_copy(x, backend) for x in xs])]


def _least_exact(arrays: list[Any]) -> Any:
    return min([x.dtype for x in arrays], key=lambda dtype: np.finfo(dtype).precision)


def _copy(array: Any, backend: Any) -> Any:
    return backend.asarray(np.array(array))


def _numpy(y: Any, backend: Any) -> Any:
    if type(y) in (float, complex):
        return np.asarray(y)
    return np.asarray(backend.to_numpy(y.data if type(y) is Value else y))
