"""Forward mode, and the derivatives made of both modes."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
import pytest

from autodiff import (
    Value,
    elementwise_grad,
    grad,
    hessian,
    holomorphic_grad,
    hvp,
    jacobian,
    jvp,
    linearize,
    no_grad,
    ops,
    stop_gradient,
    vjp,
)
from autodiff.errors import ArgumentError, AutodiffError, GradientTypeError, RuleError
from autodiff.extend import elementwise, linear, primitive, sample

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 3))
DX, DW = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 3))


def network(x: Any, w: Any) -> Any:
    """Matrix products, broadcasting, reductions, indexing, joining, cutting."""
    h = (x @ w).tanh() + x.sum(axis=1, keepdims=True)
    left, right = ops.split(h, sections=(1,), axis=1)
    joined = ops.concat(right * 2, left, right[:, ::-1], axis=1)
    return ops.where(joined > 0, joined, 0.1 * joined).log_softmax()[[0, 1, 1, 3]] * ops.maximum(x[0, 0], 0.3)


def central(f: Any, primals: Any, tangents: Any, eps: float = 1e-6) -> Any:
    """Return the directional derivative by central differences."""
    up, down = ([p + s * eps * t for p, t in zip(primals, tangents, strict=True)] for s in (1, -1))
    return (f(*map(Value, up)).data - f(*map(Value, down)).data) / (2 * eps)


def test_jvp_against_differences() -> None:
    """The tangent of a network with every kind of op is its directional derivative."""
    y, t = jvp(network, (X, W), (DX, DW))

    np.testing.assert_array_equal(y, network(Value(X), Value(W)).data)
    np.testing.assert_allclose(t, central(network, (X, W), (DX, DW)), rtol=1e-6, atol=1e-8)


def test_jvp_against_vjp() -> None:
    """Both are products with one Jacobian."""
    y, t = jvp(network, (X, W), (DX, DW))
    cotangent = RNG.standard_normal(y.shape)
    _, pull = vjp(network, X, W)
    gx, gw = pull(cotangent)

    np.testing.assert_allclose((cotangent * t).sum(), (gx * DX).sum() + (gw * DW).sum(), rtol=1e-12)


def test_a_tangent_that_is_none_stays() -> None:
    """None is the tangent of an argument that does not move."""
    alone = jvp(network, (X, W), (DX, None))[1]

    np.testing.assert_allclose(alone, jvp(network, (X, W), (DX, np.zeros_like(DW)))[1], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("order", [2, 3])
def test_nested_forward_mode(order: int) -> None:
    """Derivatives of any order by nesting, as many as reverse mode gives."""

    def derived(f: Any, transform: Any) -> Any:
        for _ in range(order):
            f = transform(f)
        return f

    def f(x: Any) -> Any:
        return (x * x).tanh() * x.exp()

    forward = derived(f, lambda h: lambda x: jvp(h, (x,), (1.0,))[1])(0.4)
    reverse = derived(f, grad)(0.4)

    np.testing.assert_allclose(forward, reverse, rtol=1e-12)


def test_closures_are_not_counted() -> None:
    """x * d(x * y)/dy at y = x is x * x, whichever mode is inside."""
    ones = (1.0,)
    functions = {
        "jvp in jvp": lambda x: jvp(lambda z: z * jvp(lambda y: z * y, (z,), ones)[1], (x,), ones)[1],
        "grad in jvp": lambda x: jvp(lambda z: z * grad(lambda y: z * y)(z), (x,), ones)[1],
        "jvp in grad": grad(lambda z: z * jvp(lambda y: z * y, (z,), ones)[1]),
    }

    assert {name: float(f(2.0)) for name, f in functions.items()} == dict.fromkeys(functions, 4.0)


def test_values_in_values_out() -> None:
    """The tangent of Values is a Value that can be differentiated; no .grad is touched."""
    x = Value(3.0)
    y, t = jvp(lambda v: v * v * v, (x,), (1.0,))
    t.backward()

    assert (type(y), type(t)) == (Value, Value)
    assert x.grad == 18.0


def test_nestings_and_aux() -> None:
    """Dicts and lists in, tuples out, with something beside."""

    def f(p: Any) -> Any:
        return (p["a"] * p["b"][0], p["a"]), "beside"

    (y, a), (t, s), aux = jvp(f, ({"a": 2.0, "b": [3.0]},), ({"a": 1.0, "b": [10.0]},), has_aux=True)

    assert (float(y), float(a), float(t), float(s), aux) == (6.0, 2.0, 23.0, 1.0, "beside")


def test_linearize_can_be_used_again() -> None:
    """One recorded graph serves any number of directions."""
    calls = []
    y, push = linearize(lambda x: calls.append(1) or x * x, np.array([1.0, 2.0]))

    assert push(np.array([1.0, 0.0])).tolist() == [2.0, 0.0]
    assert push(np.array([0.0, 1.0])).tolist() == [0.0, 4.0]
    assert (y.tolist(), calls) == ([1.0, 4.0], [1])


def test_inside_no_grad() -> None:
    """A transform differentiates, whatever the mode around it."""
    with no_grad():
        assert jvp(lambda x: x * x, (3.0,), (1.0,))[1] == 6.0


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_dtypes_are_kept(dtype: str) -> None:
    """A tangent has the dtype of its output."""
    x = X.astype(dtype)
    y, t = jvp(lambda v: (v * v).exp().sum(axis=0), (x,), (np.ones_like(x),))

    assert (y.dtype, t.dtype) == (np.dtype(dtype),) * 2


def test_complex_step_agrees() -> None:
    """The derivative of a real analytic function, by forward mode and by a complex step."""

    def f(x: Any) -> Any:
        return (x.exp() * x.tanh() / (1 + x * x)).sum()

    step = 1e-30
    wanted = f(Value(X + 1j * step * DX)).data.imag / step

    np.testing.assert_allclose(jvp(f, (X,), (DX,))[1], wanted, rtol=1e-13)


def test_outputs_that_do_not_depend_on_the_arguments() -> None:
    """Their tangent is zero."""
    y, t = jvp(lambda x: np.ones(2), (3.0,), (1.0,))

    assert (y.tolist(), t.tolist()) == ([1.0, 1.0], [0.0, 0.0])


@pytest.mark.parametrize(
    ("primals", "tangents", "error"),
    [
        ((2,), (1.0,), GradientTypeError),
        ((2.0,), (1.0, 2.0), ArgumentError),
        ((np.ones(2),), (np.ones(3),), ArgumentError),
        (({"a": 1.0},), ([1.0],), ArgumentError),
        (2.0, 1.0, TypeError),
        ((2.0,), (1j,), ArgumentError),
    ],
)
def test_bad_arguments(primals: Any, tangents: Any, error: type[Exception]) -> None:
    """Wrong types, counts, shapes, structures and kinds are errors of ours."""
    with pytest.raises(error) as caught:
        jvp(lambda *xs: xs[0], primals, tangents)
    assert isinstance(caught.value, AutodiffError)


def test_explicit_forward_rules_are_used() -> None:
    """A jvp of the op comes before one derived from its vjp; here they differ on purpose."""

    @primitive(vjps=(lambda g: g,), jvps=(lambda t: t * 10,))
    def odd(xp: Any, x: Any) -> Any:
        return x * 1.0

    @primitive(vjp=lambda g: (g, g), jvp=lambda t: t[0] * 100)
    def joint(xp: Any, x1: Any, x2: Any) -> Any:
        return x1 + x2

    assert jvp(odd, (1.0,), (1.0,))[1] == 10.0
    assert jvp(joint, (1.0, 1.0), (1.0, 1.0))[1] == 100.0


def test_a_rule_that_leaves_the_graph_has_no_forward_rule() -> None:
    """Deriving one from it would be a silent zero."""

    @elementwise(vjps=(lambda g, x: g.data * 2.0 if isinstance(g, Value) else g * 2.0,))
    def first_order(xp: Any, x: Any) -> Any:
        return x * 2.0

    with pytest.raises(RuleError, match="first_order"):
        jvp(first_order, (1.0,), (1.0,))


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_jacobian_against_differences(mode: str) -> None:
    """Rows by backward passes and columns by forward ones give one matrix."""

    def f(x: Any, w: Any) -> Any:
        return (x @ w).tanh().sum(axis=0)

    by_x, by_w = jacobian(f, (0, 1), mode=mode)(X, W)
    basis = np.eye(X.size).reshape(X.size, *X.shape)
    columns = [central(lambda x: f(x, W), (X,), (e,)) for e in basis]

    assert (by_x.shape, by_w.shape) == ((3, 4, 3), (3, 3, 3))
    np.testing.assert_allclose(by_x, np.stack(columns, axis=-1).reshape(3, 4, 3), atol=1e-8)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobian_of_nestings(mode: str) -> None:
    """The structure of the output holds the structure of the argument."""
    result = jacobian(lambda p: {"y": p[0] * p[1], "z": p[0]}, mode=mode)([np.array([1.0, 2.0]), 3.0])

    assert [np.asarray(b).tolist() for b in result["y"]] == [[[3.0, 0.0], [0.0, 3.0]], [1.0, 2.0]]
    assert [np.asarray(b).tolist() for b in result["z"]] == [[[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]]


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobian_of_a_holomorphic_function(mode: str) -> None:
    """For complex numbers it is the complex derivative."""
    z = np.array([1 + 2j, -0.5j])

    np.testing.assert_allclose(jacobian(lambda v: v * v, mode=mode)(z), np.diag(2 * z))


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobian_of_empty_arrays(mode: str) -> None:
    """No rows, or no columns."""
    assert jacobian(lambda x: x * 2, mode=mode)(np.ones((0,))).shape == (0, 0)


def test_derivatives_of_a_jacobian() -> None:
    """A Jacobian can be differentiated again, in both modes."""
    x = np.array([1.0, 2.0])

    assert grad(lambda v: jacobian(lambda u: u * u * u)(v).sum())(x).tolist() == [6.0, 12.0]
    assert jacobian(jacobian(lambda u: u**3))(x)[1, 1, 1] == 12.0


def test_hessian_and_hvp_against_differences() -> None:
    """The Hessian is symmetric, its columns are differences of gradients, and hvp multiplies with it."""

    def f(x: Any) -> Any:
        return (x.tanh() * x[::-1].exp()).sum()

    x, v = X[0], DX[0]
    h = hessian(f)(x)
    eps = 1e-6

    np.testing.assert_allclose(h, h.T, rtol=1e-12)
    np.testing.assert_allclose(h @ v, (grad(f)(x + eps * v) - grad(f)(x - eps * v)) / (2 * eps), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(hvp(f, x, v), h @ v, rtol=1e-12)


def test_hvp_computes_no_gradient() -> None:
    """Of ``W x`` it makes three products of matrices: the result, its tangent, and what it was asked for."""
    products = []

    def counted(vjp_w: Any, jvp_w: Any) -> Any:
        @primitive(vjps=(None, vjp_w), jvps=(None, jvp_w))
        def product(xp: Any, x: Any, w: Any) -> Any:
            products.append("result")
            return xp.matmul(x, w)

        return product

    def transposed(g: Any, x: Any, xp: Any) -> Any:
        products.append("transposed")
        return xp.matmul(xp.permute_dims(x, (1, 0)), g)

    def tangent(t: Any, x: Any, xp: Any) -> Any:
        products.append("tangent")
        return xp.matmul(x, t)

    product = counted(transposed, tangent)
    found = hvp(lambda w: ops.tanh(product(X, w)).sum(), W, DW)

    assert products == ["result", "tangent", "transposed"]
    np.testing.assert_allclose(found, jvp(grad(lambda w: ops.tanh(X @ w).sum()), (W,), (DW,))[1], rtol=1e-12)


def test_hvp_of_values_and_what_it_refuses() -> None:
    """A direction that needs a gradient makes the product a Value in the graph; messages name the function."""
    v = Value([1.0, 3.0])
    product = hvp(lambda x: (x**3).sum(), np.array([1.0, 2.0]), v)
    assert isinstance(product, Value)
    (product * product).sum().backward()

    assert product.tolist() == [6.0, 36.0]
    assert v.grad.tolist() == [2 * 6 * 6.0, 2 * 12 * 36.0]
    assert hvp(lambda x: (2 * x).sum(), np.ones(2), np.ones(2)).tolist() == [0.0, 0.0]  # nothing depends on x
    assert hvp(lambda x: 1.0, np.ones(2), np.ones(2)).tolist() == [0.0, 0.0]
    assert hvp(lambda x: x[:1] ** 2, np.ones(2), np.ones(2)).tolist() == [2.0, 0.0]  # one number, whatever its shape
    assert hvp(lambda x: (x["a"] ** 2 * x["b"]).sum(), {"a": 2.0, "b": 3.0}, {"a": 1.0, "b": None}) == {"a": 6, "b": 4}
    with pytest.raises(ArgumentError, match=r"hvp of .*lambda.* needs a single real number.*\(4, 5\)"):
        hvp(lambda x: network(x, W), X, DX)
    with pytest.raises(GradientTypeError, match="argument 0 holds"):
        hvp(lambda x: x * x, 2, 1)
    with pytest.raises(ArgumentError, match="structure"):
        hvp(lambda x: (x["a"] ** 2).sum(), {"a": X}, {"b": X})
    with pytest.raises(AutodiffError, match="hvp takes a function"):
        hvp(2.0, 1.0, 1.0)


def test_what_a_sweep_needs_is_kept_for_sweeps_alone() -> None:
    """The short paths know two plans of an op: one that keeps what forward rules name, and one that does not."""

    @linear(transpose=lambda g: 2.0 * g)
    def double(xp: Any, x: Any, *, note: str = "") -> Any:
        return 2.0 * x

    def kept() -> Any:
        return double(Value(X), note="here")._edge.saved

    seen: list[Any] = []
    for _ in range(2):  # the second time by the short path
        assert kept() is None
        jvp(lambda x: seen.append(double(x, note="here")._edge.saved) or x, (X,), (DX,))

    assert [saved[0] for saved in seen] == [{"note": "here"}] * 2
    assert kept() is None


def test_a_sweep_lets_go_of_tangents() -> None:
    """A tangent is kept until the last op that reads it, and no longer; those of results until the end."""
    alive: list[Any] = []

    def push(t: Any) -> Any:
        t = t * 2.0
        alive.append(ref(t))
        counts.append(sum(r() is not None for r in alive))
        return t

    counts: list[int] = []

    @elementwise(vjps=(lambda g: g * 2.0,), jvps=(push,))
    def double(xp: Any, x: Any) -> Any:
        return x * 2.0

    def chain(x: Any) -> Any:
        kept = y = double(x)
        for _ in range(5):
            y = double(y)
        return y, kept, y * kept

    (y, kept, product), (ty, tkept, tproduct) = jvp(chain, (np.ones(3),), (np.ones(3),))

    assert counts == [1, 2, 3, 3, 3, 3]  # the first, which is a result, the one that is read, and the one that is made
    assert (ty[0], tkept[0], tproduct[0]) == (64.0, 2.0, 2 * 64.0 * 2.0)
    assert (y[0], kept[0], product[0]) == (64.0, 2.0, 128.0)


def test_elementwise_and_holomorphic() -> None:
    """Derivatives element by element, and of complex functions, against complex steps and known values."""
    z = np.array([1 + 2j, -0.5j])

    np.testing.assert_allclose(elementwise_grad(lambda x: x.exp())(X), np.exp(X))
    np.testing.assert_allclose(holomorphic_grad(lambda v: v * v * v)(z), 3 * z**2)
    of_a_number = holomorphic_grad(lambda v: v * v)(1 + 2j)
    assert isinstance(of_a_number, np.ndarray)
    assert of_a_number == 2 + 4j
    with pytest.raises(ArgumentError, match="complex"):
        holomorphic_grad(lambda v: v * v)(2.0)


def test_where_nothing_flows_the_tangent_is_zero() -> None:
    """A rule that gives nothing, as that of a sign, ends the sweep there, also inside another."""
    ones = (np.ones(2),)

    def first(x: Any) -> Any:
        return jvp(lambda z: ops.mean(ops.abs(z)), (x,), ones)[1]

    assert jvp(first, (np.array([1.0, -2.0]),), ones)[1] == 0.0
    assert jvp(lambda x: ops.concat(ops.sign(x), ops.sign(x)).sum(), (np.ones(2),), ones)[1] == 0.0


def test_stop_gradient() -> None:
    """A stopped nesting is constant in both modes."""
    assert grad(lambda x: x * stop_gradient([x])[0])(3.0) == 3.0
    assert jvp(lambda x: x * stop_gradient(x), (3.0,), (1.0,))[1] == 3.0


def test_jacobian_refuses_bad_arguments() -> None:
    """Modes and positions that do not exist are errors of ours."""
    with pytest.raises(ArgumentError, match="sideways"):
        jacobian(lambda x: x, mode="sideways")
    with pytest.raises(ArgumentError, match="argnums"):
        jacobian(lambda x: x, argnums=3)(1.0)


def test_a_joint_rule_of_a_backend_leaves_the_forward_pass_to_the_partials() -> None:
    """For all inputs together it pulls, and a pull of several inputs is no push."""

    @elementwise(partials=(lambda x1: 2 * x1, lambda x2: 3 * x2**2))
    def both(xp: Any, x1: Any, x2: Any) -> Any:
        return x1**2 + x2**3

    both.vjp_kernel("numpy", joint=lambda g, x1, x2, needs: (g * 2 * x1, g * 3 * x2**2))(
        (lambda g, x1: g * 2 * x1, lambda g, x2: g * 3 * x2**2)
    )
    x = np.linspace(0.1, 1.0, 4)
    y, t = jvp(lambda v: both(v, v * 2.0), (x,), (np.ones(4),))

    np.testing.assert_allclose(y, x**2 + 8 * x**3)
    np.testing.assert_allclose(t, 2 * x + 24 * x**2)


def test_a_rule_may_push_one_of_pythons_numbers() -> None:
    """As where the output does not change with one of several inputs."""

    @primitive(jvps=(lambda t, x2: t * x2, lambda t: 0.0), vjps=(lambda g, x2: g * x2, lambda g: g * 0.0))
    def scaled(xp: Any, x1: Any, x2: Any) -> Any:
        return x1 * x2

    @primitive(jvps=(lambda t: 0, lambda t, x1: t * x1), vjps=(lambda g: g * 0.0, lambda g, x1: g * x1))
    def weighted(xp: Any, x1: Any, x2: Any) -> Any:
        return x1 * x2

    x = np.linspace(0.1, 1.0, 4)
    for op in (scaled, weighted):
        np.testing.assert_allclose(jvp(lambda v, op=op: op(v, v), (x,), (np.ones(4),))[1], x)


def test_rules_of_a_backend_push_real_tangents_of_the_shape_of_the_output() -> None:
    """They were written for real cotangents; what is complex, or broadcasts, goes by the partials."""
    seen: list[Any] = []

    @elementwise(partials=(lambda x2: x2, lambda x1: x1))
    def times(xp: Any, x1: Any, x2: Any) -> Any:
        return x1 * x2

    def first(g: Any, x2: Any) -> Any:
        seen.append((g.dtype.kind, g.shape))
        return g * x2

    def second(g: Any, x1: Any) -> Any:
        seen.append((g.dtype.kind, g.shape))
        return g * x1

    times.vjp_kernel("numpy")((first, second))
    x, row, z = RNG.standard_normal((2, 3)), RNG.standard_normal(3), RNG.standard_normal((2, 3)) * (1 + 1j)
    for a, b in ((x, x + 1), (x, row), (z, z + 1)):
        da, db = np.cos(a), np.sin(b)
        np.testing.assert_allclose(jvp(times, (a, b), (da, db))[1], da * b + a * db)

    assert seen == [("f", (2, 3))] * 2


def test_a_tangent_that_broadcasts_is_repeated() -> None:
    """A forward rule may return what broadcasts to the shape of the output, in a plain pass and in a recorded one."""

    @primitive(vjps=(lambda g, xp: xp.sum(g, axis=0),), jvps=(lambda t: t,), samples=[sample((3,))])
    def in_two_rows(xp: Any, x: Any) -> Any:
        return xp.broadcast_to(x, (2, 3)) + 0

    x, t = np.ones(3), np.arange(3.0)
    _, pushed = jvp(in_two_rows, [x], [t])
    assert pushed.tolist() == [t.tolist()] * 2
    _, again = jvp(lambda v: jvp(lambda w: in_two_rows(w * w), [v], [t])[1], [x], [t])
    assert again.tolist() == [(2 * t * t).tolist()] * 2
