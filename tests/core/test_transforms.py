"""grad, value_and_grad and vjp."""

from __future__ import annotations

import math
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from autodiff import AutodiffError, Value, grad, hessian, hvp, jvp, no_grad, value_and_grad, vjp
from autodiff.errors import ArgumentError, GradientTypeError
from autodiff.extend import elementwise, primitive

Pair = namedtuple("Pair", "a b")


@dataclass
class Layer:
    """Parameters."""

    w: Any
    b: Any


@dataclass(frozen=True)
class Frozen:
    """Parameters that do not change."""

    w: Any
    b: Any


def _product(p: Any) -> Any:
    first, second = p.values() if isinstance(p, dict) else p if isinstance(p, list | tuple) else (p.w, p.b)
    return (first * second).sum()


@pytest.mark.parametrize(
    "make",
    [
        lambda a, b: {"x": a, "y": b},
        lambda a, b: OrderedDict(y=a, x=b),
        lambda a, b: [a, b],
        lambda a, b: (a, b),
        Pair,
        Layer,
        Frozen,
    ],
)
def test_gradients_have_the_structure_of_the_argument(make: Any) -> None:
    """Dicts, lists, tuples, named tuples and dataclasses."""
    found = grad(_product)(make(2.0, 3.0))
    wanted = make(3.0, 2.0)
    assert type(found) is type(wanted)
    assert found == wanted


def test_deep_nesting_with_none() -> None:
    """None stays None, at any depth."""
    found = grad(lambda p: p["a"][0] * p["b"][1] * p["a"][1][0].w)(
        {"a": [1.0, (Layer(2.0, None),)], "b": (None, 3.0), "c": {}}
    )
    assert found == {"a": [6.0, (Layer(3.0, None),)], "b": (None, 2.0), "c": {}}


@pytest.mark.parametrize(
    ("argnums", "wanted"),
    [(0, 12.0), (1, 8.0), (-1, 8.0), ((0, 1), (12.0, 8.0)), ([1], (8.0,)), ((1, 0), (8.0, 12.0)), ((), ())],
)
def test_argnums(argnums: Any, wanted: Any) -> None:
    """An int gives a gradient, a sequence a tuple of them, in its order."""
    assert grad(lambda x, y, k: x * y * k, argnums)(2.0, 3.0, k=4.0) == wanted


@pytest.mark.parametrize("argnums", [2, -3, "a", (0, 5), None])
def test_refused_argnums(argnums: Any) -> None:
    """Positions that do not exist are an error that gives both numbers."""
    with pytest.raises((AutodiffError, TypeError)):
        grad(lambda x, y: x * y, argnums)(2.0, 3.0)


def test_repeated_argnums() -> None:
    """Asked for twice, an argument is refused: no silent zero."""
    with pytest.raises(AutodiffError, match="twice"):
        grad(lambda x, y: x * y, (0, 0))(2.0, 3.0)


@pytest.mark.parametrize("argnums", [1.5, None])
def test_argnums_of_another_type(argnums: Any) -> None:
    """argnums=1.5 is an error of ours."""
    with pytest.raises(AutodiffError):
        grad(lambda x: x, argnums)(1.0)


def test_aux() -> None:
    """With has_aux anything may come along; Values in it come out as arrays for raw arguments."""
    found, aux = grad(lambda x: (x * x, {"twice": x * 2, "n": 3, "s": "text"}), has_aux=True)(3.0)
    assert (found, aux) == (6.0, {"twice": 6.0, "n": 3, "s": "text"})
    assert type(aux["twice"]) is np.ndarray
    assert value_and_grad(lambda x: (x * x, x), has_aux=True)(3.0) == ((9.0, 3.0), 6.0)
    y, pull, aux = vjp(lambda x: (x * x, x), 3.0, has_aux=True)
    assert (y, pull(1.0), aux) == (9.0, (6.0,), 3.0)
    with pytest.raises(TypeError, match="pair"):
        grad(lambda x: x, has_aux=True)(3.0)


def test_raw_in_raw_out_and_values_in_values_out() -> None:
    """What goes in decides what comes out; .grad of nothing is touched."""
    f = value_and_grad(lambda x: (x * x).sum())
    value, found = f(np.ones(2))
    assert (type(value), type(found)) == (np.ndarray, np.ndarray)
    x, w = Value(np.ones(2)), Value(2.0)
    value, found = f(x)
    assert (type(value), type(found), x.grad) == (Value, Value, None)
    assert type(grad(lambda v: v * w)(3.0)) is np.ndarray
    assert w.grad is None


def test_nesting_to_third_order() -> None:
    """The third derivative of x**5, and mixed ones."""
    assert grad(grad(grad(lambda x: x**5)))(2.0) == 240.0
    assert grad(lambda x: grad(lambda y: x * x * y**3)(2.0))(3.0) == 72.0
    assert grad(lambda x: x * grad(lambda y: y * x)(1.0))(3.0) == 6.0
    assert grad(lambda x: value_and_grad(lambda y: y**3)(x)[1])(2.0) == 12.0


def test_nesting_through_vjp() -> None:
    """pull may be differentiated for the cotangent and for the point."""
    assert grad(lambda s: vjp(lambda x: x * x, 3.0)[1](s)[0])(1.0) == 6.0
    assert grad(lambda x: vjp(lambda y: y**3, x)[1](1.0)[0])(2.0) == 12.0


def test_closure_over_the_same_value() -> None:
    """Only the argument is differentiated, although the closure holds the same Value."""
    x = Value(2.0)
    found = grad(lambda y: y * x)(x)
    assert (found.item(), x.grad) == (2.0, None)
    found.backward()
    assert x.grad == 1.0
    assert grad(lambda a: a * grad(lambda b: a * b)(a))(2.0) == 4.0


def test_same_value_for_two_arguments() -> None:
    """Two positions are two inputs, whatever is passed."""
    x = Value(3.0)
    dx, dy = grad(lambda a, b: a * a * b, (0, 1))(x, x)
    assert (dx.item(), dy.item()) == (18.0, 9.0)


def test_inside_no_grad() -> None:
    """A transform records for itself; what the function switches off is constant."""

    def half_constant(x: Any) -> Any:
        with no_grad():
            constant = x * x
        return x * constant

    with no_grad():
        assert grad(lambda x: x * x)(3.0) == 6.0
        assert grad(grad(lambda x: x**3))(3.0) == 18.0
        assert grad(lambda x: x * x)(Value(3.0)).item() == 6.0
    assert grad(half_constant)(3.0) == 9.0


@pytest.mark.parametrize(("unused", "wanted"), [("zeros", [[0.0, 0.0]]), ("none", None)])
def test_unused_arguments(unused: Any, wanted: Any) -> None:
    """Zeros of the right shape, or None."""
    dx, dy = grad(lambda x, y: x * 2, (0, 1), unused=unused)(1.0, np.ones((1, 2), np.float32))
    assert dx == 2.0
    assert (None if dy is None else dy.tolist()) == wanted
    if dy is not None:
        assert dy.dtype == np.float32
        dy += 1


def test_unused_error() -> None:
    """unused="error" names the argument; another word is refused at once."""
    with pytest.raises(ArgumentError, match=r"argument 1.*\(2,\)"):
        grad(lambda x, y: x * 2, (0, 1), unused="error")(1.0, np.ones(2))
    with pytest.raises(ArgumentError, match="zeros"):
        grad(lambda x: x, unused="nothing")
    assert grad(lambda x: 1.0)(2.0) == 0.0


@pytest.mark.parametrize("bad", [2, True, "a", np.arange(3), np.int64(1), [1.0, 2], {"a": "text"}, object()])
@pytest.mark.parametrize("transform", [grad, value_and_grad, lambda f: lambda x: vjp(f, x)])
def test_refused_arguments(transform: Any, bad: Any) -> None:
    """Integers, booleans, text and objects are a TypeError."""
    with pytest.raises(TypeError) as caught:
        transform(lambda x: x)(bad)
    assert isinstance(caught.value, AutodiffError)
    if type(bad) is not object:
        assert isinstance(caught.value, GradientTypeError)


@pytest.mark.parametrize(
    "f", [lambda x: x * np.ones(2), lambda x: x * 1j, lambda x: None, lambda x: {"a": x}, lambda x: "a"]
)
def test_refused_results(f: Any) -> None:
    """grad needs a single real number."""
    with pytest.raises(AutodiffError):
        grad(f)(1.0)


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_one_element_is_a_single_number(shape: tuple[int, ...]) -> None:
    """For grad as for backward(), whatever the dimensions."""
    value, gradient = value_and_grad(lambda x: (x * x).sum().reshape(shape))(np.array([1.0, 3.0]))
    assert value.shape == shape
    np.testing.assert_array_equal(gradient, [2.0, 6.0])


def test_vjp_of_nested_results() -> None:
    """Cotangents have the structure of the result; None is zero; another structure or shape is an error."""
    ys, pull = vjp(lambda x, y: {"a": x * y, "b": [x]}, 2.0, np.ones(2))
    assert ys["a"].tolist() == [2.0, 2.0]
    dx, dy = pull({"a": np.array([1.0, 2.0]), "b": [None]})
    assert (dx, dy.tolist()) == (3.0, [2.0, 4.0])
    for bad in (1.0, {"a": np.ones(2)}, {"a": np.ones(3), "b": [1.0]}):
        with pytest.raises(ArgumentError):
            pull(bad)


def test_outer_graph_survives() -> None:
    """An inner transform on part of a graph frees nothing of it, and is not counted in .grad."""
    x = Value(3.0)
    y = x * x
    inner = grad(lambda z: z * x)(y)
    (y * inner).backward()
    assert x.grad == 27.0


def test_arguments_are_not_changed() -> None:
    """In-place operators and item assignment inside the function leave the caller's array alone."""

    def f(x: Any) -> Any:
        x *= 2
        x[0] = 0.0
        return x.sum()

    a = np.ones(3)
    assert grad(f)(a).tolist() == [0.0, 2.0, 2.0]
    assert a.tolist() == [1.0, 1.0, 1.0]


def test_item_assignment_to_an_argument() -> None:
    """``x[0] = 0`` on the argument itself works for arrays as it does for Values."""

    def f(x: Any) -> Any:
        x[0] = 0.0
        return x.sum()

    assert grad(f)(Value(np.ones(2))).data.tolist() == [0.0, 1.0]
    assert grad(f)(np.ones(2)).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "longdouble", "complex64"])
def test_dtypes_are_kept(dtype: str) -> None:
    """The gradient has the dtype of the argument, read-only and empty ones included."""
    from autodiff import ops

    x = np.broadcast_to(np.ones(1, dtype), (3,))
    assert grad(lambda v: ops.sum(ops.abs(v)))(x).dtype == np.dtype(dtype)
    assert grad(lambda v: ops.sum(ops.abs(v)))(x[:0]).shape == (0,)


def test_second_derivatives_through_every_place_of_what_is_kept() -> None:
    """What a node of many inputs saved is found again as the input that it was: here f = a b c d e."""

    def others(i: int) -> Any:
        def rule(g: Any, a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
            xs = [a, b, c, d, e]
            return g * math.prod(xs[:i] + xs[i + 1 :])

        return rule

    @primitive(vjps=tuple(others(i) for i in range(5)))
    def product(xp: Any, a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
        return a * b * c * d * e

    xs = np.array([2.0, 3.0, 5.0, 7.0, 11.0])
    second = hessian(lambda v: product(*(v[i] for i in range(5))))(xs)
    some = hessian(lambda v: product(v[0], 3.0, v[1], 7.0, v[2]))(xs[[0, 2, 4]])

    np.testing.assert_allclose(second, xs.prod() / np.outer(xs, xs) * (1 - np.eye(5)), atol=1e-9)
    np.testing.assert_allclose(some, second[np.ix_([0, 2, 4], [0, 2, 4])], atol=1e-9)


def test_what_is_handed_out_is_nobody_elses() -> None:
    """No result of a transform shares memory with another one, with an argument, or with what a rule keeps."""
    kept = np.full(5000, 3.0)

    @elementwise(vjps=(lambda g: kept,), jvps=(lambda t: kept,))
    def thrice(xp: Any, x: Any) -> Any:
        return x * 3.0

    x, t = np.ones(5000), np.full(5000, 2.0)
    _, pull = vjp(lambda a, b: a + b, x, x)
    handed = [
        *grad(lambda a, b: (a + b).sum(), (0, 1))(x, x),
        *pull(t),
        *pull(t),
        *jvp(lambda a: (a, a, a * 2.0, thrice(a)), (x,), (t,))[1],
        grad(lambda a: thrice(a).sum())(x),
        grad(lambda a: (a * a).sum())(x),
        hvp(lambda a: (a * a * a).sum(), x, t),
    ]
    arrays = [*handed, x, t, kept]

    assert [a[0] for a in handed] == [1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 4.0, 3.0, 3.0, 2.0, 12.0]
    assert all(a.flags.writeable for a in handed)
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    assert pull(t)[0][0] == 2.0


def test_none_among_results_stays_none() -> None:
    """As among arguments it stands for nothing; a function that returns nothing else has forgotten something."""

    def f(x: Any) -> Any:
        return {"double": x * 2.0, "none": None, "both": (None, x * x)}

    x, t = np.array([1.0, 3.0]), np.array([1.0, 10.0])
    ys, ts = jvp(f, (x,), (t,))
    _, pull = vjp(f, x)
    cotangents: Any = {"double": t, "none": None, "both": (None, None)}

    assert (ys["none"], ys["both"][0], ts["none"], ts["both"][0]) == (None, None, None, None)
    assert ts["double"].tolist() == [2.0, 20.0]
    assert ts["both"][1].tolist() == [2.0, 60.0]
    assert pull(cotangents)[0].tolist() == [2.0, 20.0]
    assert grad(lambda v: sum(p.sum() for p in jvp(f, (v,), (t,))[1]["both"] if p is not None))(x).tolist() == [
        2.0,
        20.0,
    ]
    with pytest.raises(ArgumentError, match="where the function returned None"):
        pull({**cotangents, "none": t})
    for transform in (lambda: jvp(lambda x: None, (x,), (t,)), lambda: vjp(lambda x: None, x)):
        with pytest.raises(AutodiffError, match="returned None"):
            transform()
