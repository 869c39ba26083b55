"""Whole derivatives, made of passes: `jacobian`, `hessian`, `hvp`, `elementwise_grad`, `holomorphic_grad`.

And `stop_gradient`, which keeps a derivative from flowing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

from autodiff import trees
from autodiff.batches import base_of, innermost
from autodiff.errors import ArgumentError, shown
from autodiff.graph import schedule
from autodiff.inputs import Inputs, as_value, check_function, run
from autodiff.registry import registry
from autodiff.replacing import boxed
from autodiff.rule import SEVERAL
from autodiff.seeds import seed_for
from autodiff.transforms import directional, grad, seed_of_gradient, vjp
from autodiff.value import Value, unwrap, wrap
from autodiff.vectorizing import vmap

__all__ = ["elementwise_grad", "hessian", "holomorphic_grad", "hvp", "jacobian", "stop_gradient"]

Function = Callable[..., Any]
_MODES = ("auto", "forward", "reverse")

#: What the arrays that one batched pass of a Jacobian makes may take, in bytes.
_MEMORY = 2**28


def jacobian(
    f: Function, argnums: int | Sequence[int] = 0, mode: str = "auto", *, chunk_size: int | None = None
) -> Function:
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
    chunk_size : int, optional
        How many rows or columns one pass computes, as a batch. By default as many as keep the arrays that such a
        pass makes, estimated from those of the recorded graph, below 256 MiB.

    Returns
    -------
    callable
        Takes the arguments of `f`. The result has the structure of the output of `f`; in the place of each array
        there is the structure of the argument, with arrays of shape ``output.shape + argument.shape``.

    Raises
    ------
    ArgumentError
        `mode` is none of the three, or `chunk_size` is not positive.
    GradientTypeError
        An argument holds integers, booleans or text.

    Notes
    -----
    For complex numbers the entries are the derivatives of a holomorphic function, and mean nothing for others.
    `f` is called once; the passes over its graph are batched as those of `vmap` are.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import jacobian
    >>> jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    check_function("jacobian", f)
    if type(mode) is not str or mode not in _MODES:
        raise ArgumentError(f"jacobian(mode=...) is one of {', '.join(map(repr, _MODES))}; it was given {shown(mode)}")
    if chunk_size is not None and (type(chunk_size) is not int or chunk_size < 1):
        raise ArgumentError(f"jacobian(chunk_size=...) is a positive int or None; it was given {shown(chunk_size)}")

    @functools.wraps(f, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        inputs = Inputs("jacobian", f, args, argnums)
        ys, _ = run(f, inputs, kwargs, False, forward=mode != "reverse")
        leaves, out_def = trees.flatten(ys)
        outputs = [as_value(y, f) for y in leaves]
        arguments = [value for _, _, fresh in inputs.places for value in fresh if value is not None]
        columns, rows = (sum(prod(v.shape) for v in values) for values in (arguments, outputs))
        forward = mode == "forward" or (mode == "auto" and columns <= rows)
        blocks = _columns if forward else _rows
        chunk = chunk_size or max(1, _MEMORY // max(1, _bytes_between(outputs, inputs)))
        return trees.unflatten(out_def, blocks(inputs, outputs, chunk))

    return jacobian_of


def _bytes_between(outputs: list[Value], inputs: Inputs) -> int:
    """Return how many bytes the results of the recorded ops take: as many as a pass makes for each row at most."""
    edges = [edge for _, edges, _ in inputs.places for edge in edges if edge is not None]
    order = schedule([y._edge for y in outputs if y._edge is not None], min((e.seq for e in edges), default=0))
    facts = [fact for node in order for fact in (node.shape if node.dtype is SEVERAL else [(node.shape, node.dtype)])]
    return sum(prod(shape) * getattr(dtype, "itemsize", 8) for shape, dtype, *_ in facts)


def _columns(inputs: Inputs, outputs: list[Value], chunk: int) -> list[Any]:
    """Return, for each output, the blocks of the Jacobian in the structure of the arguments, by forward passes."""
    blocks: list[list[Any]] = [[] for _ in outputs]
    for n, (treedef, _, fresh) in enumerate(inputs.places):
        parts: list[list[Any]] = [[] for _ in outputs]
        for j, x in enumerate(fresh):

            def pushed(t: Any, n: int = n, j: int = j, treedef: Any = treedef, fresh: Any = fresh) -> list[Any]:
                tangent = trees.unflatten(treedef, [t if k == j else None for k in range(len(fresh))])
                return inputs.push(outputs, tuple(tangent if m == n else None for m in range(len(inputs.places))))

            chunks = [] if x is None else [vmap(pushed, out_axes=-1)(basis) for basis in _basis(x, chunk)]
            for i, y in enumerate(outputs):
                block = None if x is None else _joined([c[i] for c in chunks], -1, (*y.shape, *x.shape), y)
                parts[i].append(block)
        for i, part in enumerate(parts):
            blocks[i].append(trees.unflatten(treedef, part))
    return [block[0] if inputs.single else tuple(block) for block in blocks]


def _rows(inputs: Inputs, outputs: list[Value], chunk: int) -> list[Any]:
    """Return, for each output, the blocks of the Jacobian in the structure of the arguments, by backward passes."""
    blocks = []
    places = [(treedef, fresh) for treedef, _, fresh in inputs.places]
    arguments, structure = trees.flatten(places[0][1] if inputs.single else tuple(fresh for _, fresh in places))
    for y in outputs:

        def pulled(g: Any, y: Value = y) -> list[Any]:
            gradients = inputs.pull([y], [seed_for(y, g, True)], retain=True, unused="zeros")
            return [None if q is None else _conjugate(q) for q in trees.flatten(gradients)[0]]

        chunks = [vmap(pulled)(basis) for basis in _basis(y, chunk)]
        rows = [
            None if x is None else _joined([c[j] for c in chunks], 0, (*y.shape, *x.shape), x)
            for j, x in enumerate(arguments)
        ]
        found = trees.unflatten(structure, rows)
        listed = [found] if inputs.single else found
        whole = [trees.unflatten(treedef, part) for (treedef, _), part in zip(places, listed, strict=True)]
        blocks.append(whole[0] if inputs.single else tuple(whole))
    return blocks


def _basis(like: Value, chunk: int) -> Iterator[Any]:
    """Yield the arrays like `like` that are one in one place and zero elsewhere, `chunk` of them at a time."""
    own: Any = base_of(registry.backend_of(type(like._array)))
    count = prod(like.shape)
    for start in range(0, count, chunk):
        size = min(chunk, count - start)
        ones = own.xp.eye(size, count, k=start, dtype=like.dtype)
        yield own.beside(own.xp.reshape(ones, (size, *like.shape)), innermost(like._array))


def _joined(chunks: list[Any], axis: int, shape: tuple[int, ...], like: Value) -> Any:
    """Join the chunks along their batch axis, and give that axis the shape that the basis ran over."""
    own: Any = base_of(registry.backend_of(type(like._array)))
    if not chunks:
        return own.box(own.beside(own.xp.zeros(shape, dtype=like.dtype), innermost(like._array)))
    block = chunks[0] if len(chunks) == 1 else registry.op("autodiff_ops.concat")(*chunks, axis=axis)
    block = registry.op("autodiff_ops.reshape")(block, shape=shape)
    return block if type(block) is Value else boxed(block)


def _conjugate(g: Any) -> Any:
    own: Any = registry.backend_of(type(unwrap(g)))
    return registry.op("autodiff_ops.conj")(g) if registry.kind(g.dtype, own) == "complex" else g


def hessian(f: Function, argnums: int | Sequence[int] = 0, *, chunk_size: int | None = None) -> Function:
    """Return a function that computes the matrix of second derivatives of `f`, forward over reverse.

    Parameters
    ----------
    f : callable
        Returns one real number.
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to; a sequence gives a tuple of tuples.
    chunk_size : int, optional
        How many columns one pass computes, as for `jacobian`.

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
    return jacobian(grad(f, argnums), argnums, mode="forward", chunk_size=chunk_size)


def hvp(f: Function, x: Any, v: Any) -> Any:
    """Compute the product of the Hessian of `f` at `x` with `v`, reverse over forward, without the Hessian.

    ``H v = d/dx (df(x) v)``: the gradient of a directional derivative. The other order, the directional derivative of
    the gradient, is what `hessian` is made of; for one direction it computes the gradient too, which nobody asked for.
    Hence hooks that `f` puts on its results see no gradient of `f`, but that of the directional derivative, if it depends
    on them.

    Parameters
    ----------
    f : callable
        Takes one argument, any nesting of arrays, and returns one real number.
    x, v : nestings of arrays
        Where, and in which direction; of the same structure and shapes.

    Returns
    -------
    like `x`

    Raises
    ------
    GradientTypeError
        `x` holds integers, booleans or text.
    ArgumentError
        `f` does not return a single real number, or `v` has another structure or shape than `x`.

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
    inputs = Inputs("hvp", f, (x,), 0)
    inputs.nested = inputs.nested or any(type(t) is Value and t._edge is not None for t in trees.flatten(v)[0])
    slope, _ = run(lambda x: directional(f, (x,), (v,)), inputs, {}, False)
    slope = as_value(slope, f)
    return inputs.pull([slope], [seed_of_gradient(slope, "hvp", f)], retain=inputs.nested, unused="zeros")


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
        # Of a number too it is an array, as from every other transform: `conj` gives a scalar.
        return boxed(_conjugate(_summed_derivative("holomorphic_grad", f, argnum, args, kwargs, kind="complex")))

    return derivative


def _summed_derivative(name: str, f: Function, argnum: Any, args: Any, kwargs: Any, kind: str | None = None) -> Any:
    check_function(name, f)
    if not isinstance(argnum, int) or not -len(args) <= argnum < len(args):
        raise ArgumentError(f"{name}: argnum={shown(argnum)}, and it was called with {len(args)} positional arguments")

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
