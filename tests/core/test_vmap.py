"""vmap: axes, levels, indices, errors; each result is compared with a loop."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import autodiff.numpy as anp
from autodiff import (
    Value,
    approximate_gradient,
    checkpoint,
    grad,
    hvp,
    jacobian,
    linearize,
    no_grad,
    ops,
    vjp,
    vmap,
)
from autodiff.errors import ArgumentError, ArgumentTypeError, AutodiffError
from autodiff.extend import elementwise

RNG = np.random.default_rng(3)
X = RNG.uniform(0.5, 2.0, (4, 3))
Y = RNG.uniform(0.5, 2.0, (4, 3))
W = RNG.uniform(0.5, 2.0, (3, 2))


def loop(f: Any, *args: Any, axes: Any = 0) -> Any:
    """Do what vmap does, one example after the other."""
    axes = (axes,) * len(args) if axes is None or isinstance(axes, int) else axes
    size = next(a.shape[n] for a, n in zip(args, axes, strict=True) if n is not None)
    rows = [
        f(*[a if n is None else np.take(a, i, axis=n) for a, n in zip(args, axes, strict=True)]) for i in range(size)
    ]
    return np.stack([np.asarray(r.data if type(r) is Value else r) for r in rows])


def close(found: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    """Compare, shapes included."""
    found = found.data if type(found) is Value else found
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def _assigned(x: Any, y: Any) -> Any:
    z = x * 1.0
    z[1] = y[2] * 3.0
    z[[0, 2]] = y[:2]
    return z


FUNCTIONS: dict[str, Any] = {
    "arithmetic": lambda x, y: (x * y + 2.0 - x / y) ** 2,
    "broadcasting": lambda x, y: x.reshape(3, 1) * y + x.sum(),
    "reductions": lambda x, y: ops.logsumexp(x) + y.mean() * x.max() - ops.var(y),
    "matmul": lambda x, y: x @ W + (y @ x) * (W.T @ y),
    "outer": lambda x, y: ops.outer(x, y) @ ops.outer(y, x),
    "indexing": lambda x, y: x[1] * y[[0, 0, 2]] + x[::2].sum() * y[..., -1],
    "joining": lambda x, y: ops.stack(x, y, axis=1) @ ops.concat(x, y[:1])[:2],
    "sorting": lambda x, y: ops.sort(x * -1.0) * ops.cumulative_sum(y),
    "choice": lambda x, y: ops.where(x > y, x * x, y.exp()),
    "numpy": lambda x, y: np.sin(x) * np.sum(y * x) + np.concatenate([x, y])[2:5],
    "einsum": lambda x, y: anp.einsum("i,j,ik->kj", x, y, W),
    "softmax": lambda x, y: x.softmax() * ops.log_softmax(y),
    "a constant": lambda x, y: W * 2.0 + 0.0 * x.sum(),
    "items": _assigned,
    "checkpoint": checkpoint(lambda a, b: (a * b).tanh() @ W),
    "a branch on shapes": lambda x, y: x if x.shape == (3,) and len(y) == 3 and y.ndim == 1 else None,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0), (1, 0)], ids=str)
def test_vmap_is_the_loop(name: str, axes: Any) -> None:
    """Values, and every derivative of them, inside and around vmap."""
    f = FUNCTIONS[name]
    x = X[0] if axes[0] is None else X.T if axes[0] == 1 else X
    y = Y[0] if axes[1] is None else Y

    def total(x: Any, y: Any) -> Any:
        out = f(_v(x), _v(y))
        return (out * np.linspace(1.0, 2.0, out.size).reshape(out.shape)).sum()

    def values(x: Any, y: Any) -> Any:  # what is not mapped comes as a raw array
        return f(_v(x), _v(y))

    close(vmap(values, axes)(x, y), loop(values, x, y, axes=axes))
    for n in (0, 1):
        each = loop(grad(total, n), x, y, axes=axes)
        close(vmap(grad(total, n), axes)(x, y), each)
        around = grad(lambda x, y: vmap(lambda x, y: total(_v(x), _v(y)), axes)(x, y).sum(), n)(x, y)
        close(around, each.sum(0) if axes[n] is None else np.moveaxis(each, 0, axes[n]))
    second = jacobian(grad(total))
    close(vmap(second, axes)(x, y), loop(second, x, y, axes=axes), 1e-10)
    if axes[0] == 0:
        directed = lambda x, y: hvp(lambda x: total(x, y), x, np.arange(3.0))  # once, in one line
        close(vmap(directed, axes)(x, y), loop(directed, x, y, axes=axes), 1e-10)


def _v(x: Any) -> Value:
    return x if type(x) is Value else Value(x, requires_grad=False)


# ---- axes --------------------------------------------------------------------------------------------------------


def test_structures_of_axes() -> None:
    """in_axes and out_axes may be prefixes of arguments and results; None arguments stay."""
    params = {"w": X, "b": [Y.T, None]}

    def f(p: Any, x: Any) -> Any:
        assert p["b"][1] is None
        return {"a": p["w"] * x, "b": (p["b"][0], x)}

    found = vmap(f, in_axes=({"w": 0, "b": 1}, None), out_axes={"a": 1, "b": (0, None)})(params, X[0])

    close(found["a"], (X * X[0]).T)
    close(found["b"][0], Y)
    close(found["b"][1], X[0])


def test_keywords_are_mapped_over_their_first_axis() -> None:
    """As in JAX."""
    close(vmap(lambda x, *, y: x @ y)(X, y=Y), (X * Y).sum(1))


def test_negative_axes() -> None:
    """They count from the end, of the result with its batch."""
    close(vmap(lambda x: x * 2.0, in_axes=-1, out_axes=-1)(X), X * 2.0)
    close(vmap(lambda x: ops.outer(x, x), out_axes=-2)(X), np.einsum("bi,bj->ibj", X, X))


def test_a_result_that_depends_on_no_example_is_repeated() -> None:
    """And is an array of its own, which may be written into."""
    found = vmap(lambda x: W)(X)
    close(found, np.stack([W] * 4))
    found[0, 0, 0] = 7.0
    assert found[1, 0, 0] == W[0, 0] != 7.0


def test_the_result_does_not_share_memory() -> None:
    """Not even of the identity."""
    x = X.copy()
    vmap(lambda x: x)(x)[...] = 0.0
    np.testing.assert_array_equal(x, X)


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("op", [lambda x: x.exp().sum(), approximate_gradient(np.sin), lambda x: x[[0, 0]] @ W[:2]])
def test_small_batches(op: Any, size: int) -> None:
    """Also of no examples at all."""
    found = vmap(op)(X[:size])
    assert found.shape == (size, *vmap(op)(X).shape[1:])
    gradient = vmap(grad(lambda x: op(x).sum()))(X[:size])
    close(gradient, loop(grad(lambda x: op(x).sum()), X)[:size], 1e-8)


ERRORS: dict[str, tuple[Any, type, str]] = {
    "nothing mapped": (lambda: vmap(lambda x: x, in_axes=None)(X), ArgumentError, "no argument is mapped"),
    "no function": (lambda: vmap(3), ArgumentTypeError, "takes a function"),
    "sizes": (lambda: vmap(lambda x, y: x)(X, W), ArgumentError, "sizes 4, 3"),
    "axis": (lambda: vmap(lambda x: x, in_axes=2)(X), ArgumentError, "axis 2"),
    "number of axes": (lambda: vmap(lambda x: x, in_axes=(0, 0))(X), ArgumentError, "2 entries"),
    "kind of axes": (lambda: vmap(lambda x: x, in_axes="0")(X), ArgumentTypeError, "in_axes"),
    "structure of axes": (lambda: vmap(lambda x: x, in_axes=([0],))(X), ArgumentError, "structure"),
    "axis that is no int": (lambda: vmap(lambda x: x, in_axes=(0.0,))(X), ArgumentTypeError, "ints and None"),
    "out axis": (lambda: vmap(lambda x: x, out_axes=3)(X), ArgumentError, "out_axes has 3"),
    "out axis None": (lambda: vmap(lambda x: x, out_axes=None)(X), ArgumentError, "depends on the example"),
    "no array": (lambda: vmap(lambda x: x)("text"), ArgumentTypeError, "'text'"),
    "a branch": (lambda: vmap(lambda x: x if x.sum() > 0 else -x)(X), ArgumentTypeError, "ops.where"),
    "a number": (lambda: vmap(lambda x: float(x[0].detach()))(X), ArgumentTypeError, "4 examples"),
    "an array": (lambda: vmap(lambda x: np.asarray(x.detach()))(X), ArgumentTypeError, "cannot be read"),
    "a comparison of all": (lambda: vmap(lambda x: anp.allclose(x, 1.0))(X), ArgumentTypeError, "cannot be read"),
    "a mask": (lambda: vmap(lambda x: x[x > 1.0])(X), ArgumentError, "different shapes"),
    "a bad axis": (lambda: vmap(lambda x: x.sum(axis=1))(X), AutodiffError, "axis 1"),
    "shapes": (lambda: vmap(lambda x: x.reshape(2, 2))(X), AutodiffError, "reshape"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_is_wrong(name: str) -> None:
    """And leave nothing behind: the next call works."""
    call, kind, text = ERRORS[name]
    with pytest.raises(kind, match=text):
        call()
    close(vmap(lambda x: x.sum())(X), X.sum(1))


# ---- levels ------------------------------------------------------------------------------------------------------


def test_nested() -> None:
    """Two levels, each with something of its own, and gradients by what is outside of one, of both, of none."""
    a, b = X, Y

    def inner(x: Any, y: Any, w: Any) -> Any:
        return ((x * y) @ w).tanh().sum() * y[0]

    outer = vmap(vmap(inner, (None, 0, None)), (0, None, None))
    wanted = np.stack([[inner(Value(x), y, W).item() for y in b] for x in a])
    close(outer(a, b, W), wanted)
    for n in range(3):
        each = np.stack([[grad(inner, n)(x, y, W) for y in b] for x in a])
        close(vmap(vmap(grad(inner, n), (None, 0, None)), (0, None, None))(a, b, W), each)
        total = grad(lambda *args: outer(*args).sum(), n)(a, b, W)
        close(total, each.sum(axis=[1, 0, (0, 1)][n]))
    # The gradient between the two levels: for each x, by x, of the sum over y.
    between = vmap(grad(lambda x, y, w: vmap(inner, (None, 0, None))(x, y, w).sum()), (0, None, None))(a, b, W)
    close(between, np.stack([sum(grad(inner)(x, y, W) for y in b) for x in a]))
    mixed = vmap(grad(lambda x, y: vmap(lambda z: (z * x).sum() * 2.0)(y).sum()), (0, None))(a, b)
    close(mixed, np.stack([2 * b.sum(0)] * 4))


def test_an_inner_level_without_the_outer_one() -> None:
    """A cotangent that lost the outer batch is still summed over the inner one alone."""
    zs = np.arange(1.0, 6.0)
    found = vmap(grad(lambda y: vmap(lambda z: z * y)(zs).sum()))(X[:, 0])
    close(found, np.full(4, zs.sum()))


def test_backward_from_inside_and_outside() -> None:
    """A leaf from outside gets the sum over the examples, one of an example its own gradient."""
    w = Value(W)
    vmap(lambda x: (x @ w).exp().sum())(X).sum().backward()
    wanted = loop(grad(lambda w, x: (x @ w).exp().sum()), W, X, axes=(None, 0)).sum(0)
    close(w.grad, wanted)

    w.zero_grad()

    def f(x: Any) -> Any:
        own = Value(x)  # the same node, another handle
        leaf = Value(np.ones(3))
        (((own * leaf) @ w).exp().sum()).backward()
        return leaf.grad

    found = vmap(f)(X)
    close(w.grad, wanted)
    close(found, loop(lambda x: grad(lambda s: ((x * s) @ W).exp().sum())(np.ones(3)), X))


def test_pull_and_push_are_mapped() -> None:
    """What vjp and linearize return may be called inside of vmap, over a graph from outside."""
    f = lambda x: (x @ W).tanh()  # once, in one line
    _, pull = vjp(f, X[0])
    _, push = linearize(f, X[0])
    wanted = jacobian(f)(X[0])

    close(vmap(lambda g: pull(g)[0])(np.eye(2)), wanted)
    close(vmap(push, out_axes=1)(np.eye(3)), wanted)


def test_values_in_values_out() -> None:
    """A Value that is mapped, or that the function closes over, is differentiated through."""
    x, w = Value(X), Value(W)
    out = vmap(lambda v: v @ w)(x)
    assert type(out) is Value
    out.sum().backward()
    close(x.grad, np.stack([W.sum(1)] * 4))
    close(w.grad, np.stack([X.sum(0)] * 2, axis=1))
    assert type(vmap(lambda v: v * w.sum())(X)) is Value
    assert type(vmap(lambda v: v * 2.0)(X)) is np.ndarray
    with no_grad():
        assert not vmap(lambda v: v @ w)(x).requires_grad


def test_a_thread_of_its_own() -> None:
    """The level belongs to the context: elsewhere there is no batch."""
    found: list[Any] = []

    def f(x: Any) -> Any:
        thread = threading.Thread(target=lambda: found.append(grad(lambda y: (y * y).sum())(Y[0])))
        thread.start()
        thread.join()
        return x * 2.0

    close(vmap(f)(X), X * 2.0)
    close(found[0], 2 * Y[0])


# ---- indices -------------------------------------------------------------------------------------------------------

CUBE = RNG.standard_normal((4, 3, 5, 2))
ROWS, J = np.array([2, 0, 1, -1]), np.array([[0, 1, 1], [4, 4, 4], [3, 0, 2], [1, 2, 0]])
INDICES: dict[str, Any] = {
    "an int": lambda x, i, j: x[i],
    "after a slice": lambda x, i, j: x[:, i],
    "an array": lambda x, i, j: x[:, j],
    "two together": lambda x, i, j: x[i, j],
    "two apart": lambda x, i, j: x[j[:2] % 3, :, j[1:] % 2],
    "with a number": lambda x, i, j: x[0, j],
    "with one that is the same": lambda x, i, j: x[np.array([[0], [2]]), j],
    "with a new axis": lambda x, i, j: x[:, None, j],
    "behind an ellipsis": lambda x, i, j: x[..., i % 2],
    "arrays alone": lambda x, i, j: x[:, [0, 4, 0]],
    "arrays apart": lambda x, i, j: x[[0, 1], :, [1, 0]],
    "a mask": lambda x, i, j: x[[True, False, True]],
    "a list with one": lambda x, i, j: x[[i, 0]],
    "take": lambda x, i, j: ops.take(x, j, axis=1),
    "take_along_axis": lambda x, i, j: ops.take_along_axis(x, ops.reshape(j, shape=(3, 1, 1)), axis=1),
}  # fmt: skip


@pytest.mark.parametrize("axes", [(0, 0, 0), (None, 0, 0), (0, None, None), (0, 0, None)], ids=str)
@pytest.mark.parametrize("name", INDICES)
def test_indices_with_a_batch(name: str, axes: Any) -> None:
    """Reading, and the gradient of it, by indices that differ between examples, or arrays that do."""
    f = INDICES[name]
    args = [a if axis == 0 else a[0] for a, axis in zip((CUBE, ROWS, J), axes, strict=True)]
    args = [np.asarray(a) for a in args]

    def g(x: Any, i: Any, j: Any) -> Any:
        return f(_v(x), _v(i) if i.ndim == 0 and type(i) is Value else i, j)

    close(vmap(g, axes)(*args), loop(g, *args, axes=axes))
    weighted = lambda x, i, j: (f(_v(x), i, j) ** 3).sum()  # once, in one line
    close(vmap(grad(weighted), axes)(*args), loop(grad(weighted), *args, axes=axes))


def test_writing_by_indices_with_a_batch() -> None:
    """Into an array of each example, and into one that is the same for all."""

    def f(x: Any, i: Any, value: Any) -> Any:
        z = _v(x) * 1.0
        z[i] = value * 2.0
        return z

    x = CUBE[..., 0]
    close(vmap(f)(x, ROWS, X[:, 0]), loop(lambda x, i, v: f(Value(x), int(i), v), x, ROWS, X[:, 0]))
    same = vmap(f, (None, 0, 0))(x[0], ROWS, X[:, 0])
    close(same, loop(lambda x, i, v: f(Value(x), int(i), v), x[0], ROWS, X[:, 0], axes=(None, 0, 0)))
    gradient = vmap(grad(lambda v, x, i: (f(x, i, v) ** 2).sum()))(X[:, 0], x, ROWS)
    close(gradient, 40 * X[:, 0])


def test_what_is_told_of_arrays() -> None:
    """Shapes and dtypes are those of one example."""
    seen: list[Any] = []

    def f(x: Any) -> Any:
        seen.append((anp.shape(x), anp.ndim(x), anp.size(x), anp.iscomplexobj(x), str(anp.result_type(x, np.float32))))
        return anp.zeros_like(x) + anp.full_like(x, 2.0) + anp.full((3,), x[0])

    close(vmap(f)(X), 2.0 + np.repeat(X[:, :1], 3, axis=1))
    assert seen == [((3,), 1, 3, False, "float64")]


@elementwise(vjps=(lambda x, xp: xp.zeros_like(x),))
def _flat(xp: Any, x: Any) -> Any:
    return xp.floor(x)


def test_cotangents_of_one_example_and_of_a_batch_are_summed() -> None:
    """What a rule makes of a shared argument alone is no batch; a sum of such is not written into by one that is."""
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    def pulled(row: Any) -> Any:
        _, pull = vjp(lambda w: row * w + _flat(w) + _flat(w) + _flat(w), np.array([1.5, 2.5]))
        return pull(row * 0 + 1)[0]

    np.testing.assert_array_equal(vmap(pulled)(x), x)
