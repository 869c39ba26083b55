"""Whole derivatives, made of passes: `jacobian`, `hessian`, `hvp`, `elementwise_grad`, `holomorphic_grad`.

And `stop_gradient`, which keeps a derivative from flowing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from autodiff import trees
from autodiff.errors import ArgumentError
from autodiff.registry import registry
from autodiff.transforms import grad, jvp, linearize, vjp
from autodiff.value import Value, unwrap, wrap

__all__ = ["elementwise_grad", "hessian", "holomorphic_grad", "hvp", "jacobian", "stop_gradient"]

Function = Callable[..., Any]
_MODES = ("auto", "forward", "reverse")


def jacobian(f: Function, argnums: int | Sequence[int] = 0, mode: str = "auto") -> Function:
    """Return a function that computes the Jacobian of `f`.

    Parameters
    ----------
    f : callable
        Returns any nesting of arrays.
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to; a sequence gives a tuple.
    mode : {"auto", "forward", "reverse"}
        Columns by forward passes, one for each element of the arguments, or rows by backward passes, one for
        each element of the result; ``"auto"`` takes whichever are fewer.

    Returns
    -------
    callable
        Takes the arguments of `f`. The result has the structure of the output of `f`; in the place of each array
        there is the structure of the argument, with arrays of shape ``output.shape + argument.shape``.

    Raises
    ------
    ArgumentError
        `mode` is none of the three.
    GradientTypeError
        An argument holds integers, booleans or text.

    Notes
    -----
    For complex numbers the entries are the derivatives of a holomorphic function, and mean nothing for others.
    The passes run one after the other over one recorded graph.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import jacobian
    >>> jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    if mode not in _MODES:
        raise ArgumentError(f"jacobian(mode=...) is one of {', '.join(map(repr, _MODES))}; it was given {mode!r}")

    @functools.wraps(f, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        numbers: list[Any] = [argnums] if isinstance(argnums, int) else list(argnums)
        if not all(isinstance(n, int) and -len(args) <= n < len(args) for n in numbers):
            raise ArgumentError(
                f"jacobian: argnums={argnums!r}, and it was called with {len(args)} positional arguments"
            )

        def chosen(*xs: Any) -> Any:
            full = list(args)
            for n, x in zip(numbers, xs, strict=True):
                full[n] = x
            return f(*full, **kwargs)

        xs = [args[n] for n in numbers]
        inputs, in_def = trees.flatten(xs)
        inputs = [registry.asarray(unwrap(x))[0] for x in inputs]
        ys, push = linearize(chosen, *xs)
        outputs, out_def = trees.flatten(ys)
        outputs = [registry.asarray(unwrap(y))[0] for y in outputs]
        columns, rows = (sum(prod(a.shape) for a in arrays) for arrays in (inputs, outputs))
        if mode == "forward" or (mode == "auto" and columns <= rows):
            blocks = _columns(push, inputs, in_def, outputs)
        else:
            _, pull = vjp(chosen, *xs)
            blocks = _rows(pull, outputs, out_def, inputs)
        per_output = [trees.unflatten(in_def, row) for row in blocks]
        if isinstance(argnums, int):
            per_output = [row[0] for row in per_output]
        else:
            per_output = [tuple(row) for row in per_output]
        return trees.unflatten(out_def, per_output)

    return jacobian_of


def _columns(push: Any, inputs: list[Any], in_def: Any, outputs: list[Any]) -> list[list[Any]]:
    """Return, for each output and input, the block of the Jacobian, by one forward pass for each input element."""
    blocks: list[list[Any]] = [[] for _ in outputs]
    for j, x in enumerate(inputs):
        columns: list[list[Any]] = [[] for _ in outputs]
        for tangent in _basis(x):
            given = trees.unflatten(in_def, [tangent if k == j else None for k in range(len(inputs))])
            pushed, _ = trees.flatten(push(*given))
            for column, t in zip(columns, pushed, strict=True):
                column.append(t)
        for i, y in enumerate(outputs):
            blocks[i].append(_stacked(columns[i], x, (*y.shape, *x.shape), last=True, like=y))
    return blocks


def _rows(pull: Any, outputs: list[Any], out_def: Any, inputs: list[Any]) -> list[list[Any]]:
    """Return, for each output and input, the block of the Jacobian, by one backward pass for each output element."""
    blocks: list[list[Any]] = []
    for i, y in enumerate(outputs):
        rows: list[list[Any]] = [[] for _ in inputs]
        for cotangent in _basis(y):
            given = trees.unflatten(out_def, [cotangent if k == i else None for k in range(len(outputs))])
            pulled, _ = trees.flatten(pull(given))
            for row, g in zip(rows, pulled, strict=True):
                row.append(_conjugate(g))
        blocks.append([_stacked(rows[j], y, (*y.shape, *x.shape), last=False, like=x) for j, x in enumerate(inputs)])
    return blocks


def _basis(like: Any) -> Any:
    """Yield the arrays of the shape of `like` that are one in one place and zero elsewhere."""
    own: Any = registry.backend_of(type(like))
    xp = own.xp
    count = prod(like.shape)
    for n in range(count):
        one = xp.asarray(xp.arange(count) == n)
        yield own.beside(xp.reshape(own.astype(one, like.dtype), like.shape), like)


def _stacked(parts: list[Any], along: Any, shape: tuple[int, ...], *, last: bool, like: Any) -> Any:
    """Join one array for each element of `along` into a block; in front, or at the end if `last`."""
    if not parts:
        own: Any = registry.backend_of(type(like))
        return own.box(own.beside(own.xp.zeros(shape, dtype=like.dtype), like))
    op = registry.op
    flat = [op("autodiff_ops.reshape")(part, shape=(1, -1)) for part in parts]
    block = op("autodiff_ops.concat")(*flat, axis=0)
    if last:
        block = op("autodiff_ops.permute_dims")(block, axes=(1, 0))
    return op("autodiff_ops.reshape")(block, shape=shape)


def _conjugate(g: Any) -> Any:
    own: Any = registry.backend_of(type(unwrap(g)))
    return registry.op("autodiff_ops.conj")(g) if registry.kind(g.dtype, own) == "complex" else g


def hessian(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """Return a function that computes the matrix of second derivatives of `f`, forward over reverse.

    Parameters
    ----------
    f : callable
        Returns one real number.
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to; a sequence gives a tuple of tuples.

    Returns
    -------
    callable
        Takes the arguments of `f`; for an array the result has shape ``x.shape + x.shape``.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import hessian
    >>> hessian(lambda x: (x * x * x).sum())(np.array([1.0, 2.0]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    return jacobian(grad(f, argnums), argnums, mode="forward")


def hvp(f: Function, x: Any, v: Any) -> Any:
    """Compute the product of the Hessian of `f` at `x` with `v`, forward over reverse, without the Hessian.

    Parameters
    ----------
    f : callable
        Takes one argument, any nesting of arrays, and returns one real number.
    x, v : nestings of arrays
        Where, and in which direction; of the same structure and shapes.

    Returns
    -------
    like `x`

    References
    ----------
    B. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994).

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import hvp
    >>> hvp(lambda x: (x * x * x).sum(), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    return jvp(grad(f), (x,), (v,))[1]


def elementwise_grad(f: Function, argnum: int = 0) -> Function:
    """Return a function that computes the derivative of `f` element by element.

    Parameters
    ----------
    f : callable
        Maps an array to one of the same shape, each element depending on the one at its place alone.
    argnum : int
        Which positional argument to differentiate with respect to.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import elementwise_grad
    >>> elementwise_grad(lambda x: x * x)(np.array([1.0, 2.0]))
    array([2., 4.])
    """

    @functools.wraps(f, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def derivative(*args: Any, **kwargs: Any) -> Any:
        return _summed_derivative("elementwise_grad", f, argnum, args, kwargs)

    return derivative


def holomorphic_grad(f: Function, argnum: int = 0) -> Function:
    """Return a function that computes the complex derivative of a holomorphic `f`.

    It is ``f'(z)``; for `grad`, which follows PyTorch's convention, the gradient of the real part would be its
    conjugate.

    Parameters
    ----------
    f : callable
        Maps complex numbers to complex numbers, holomorphic; the derivative of the sum of its results is taken.
    argnum : int
        Which positional argument to differentiate with respect to.

    Raises
    ------
    ArgumentError
        The argument or the result is not complex.

    Examples
    --------
    >>> from autodiff import holomorphic_grad
    >>> holomorphic_grad(lambda z: z * z)(1 + 2j).item()
    (2+4j)
    """

    @functools.wraps(f, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def derivative(*args: Any, **kwargs: Any) -> Any:
        return _conjugate(_summed_derivative("holomorphic_grad", f, argnum, args, kwargs, kind="complex"))

    return derivative


def _summed_derivative(name: str, f: Function, argnum: Any, args: Any, kwargs: Any, kind: str | None = None) -> Any:
    if not isinstance(argnum, int) or not -len(args) <= argnum < len(args):
        raise ArgumentError(f"{name}: argnum={argnum!r}, and it was called with {len(args)} positional arguments")

    def chosen(x: Any) -> Any:
        full = list(args)
        full[argnum] = x
        return f(*full, **kwargs)

    x = args[argnum]
    y, pull = vjp(chosen, x)
    for what, array in (("argument", x), ("result", y)):
        data, own = registry.asarray(unwrap(array))
        if kind is not None and registry.kind(data.dtype, own) != kind:
            raise ArgumentError(
                f"{name} needs {kind} numbers; the {what} has dtype {data.dtype}. Use grad for real ones."
            )
    raw = unwrap(y)
    own_backend: Any = registry.backend_of(type(raw))
    ones = own_backend.ones(raw)
    return pull(wrap(ones, None) if type(y) is Value else ones)[0]


def stop_gradient(x: Any) -> Any:
    """Return `x`, any nesting of arrays and Values, as constants: no derivative flows through.

    Examples
    --------
    >>> from autodiff import grad, stop_gradient
    >>> print(grad(lambda x: x * stop_gradient(x))(3.0))
    3.0
    """
    leaves, treedef = trees.flatten(x)
    return trees.unflatten(treedef, [leaf.detach() if type(leaf) is Value else leaf for leaf in leaves])
