"""What a gradient rule may return and touch, and who owns the arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff import Value, debug, grad, jvp, vjp
from autodiff.errors import GraphError, RuleError
from autodiff.extend import elementwise, primitive


def scaled(rule: Callable[[Any], Any]) -> Any:
    """Declare an op ``x * 1`` with this rule."""

    @primitive(vjps=(rule,))
    def op_with_that_rule(xp: Any, x: Any) -> Any:
        return x * 1.0

    return op_with_that_rule


def test_05_siblings_do_not_share_a_buffer() -> None:
    """The gradients of x and y in ``x + y`` are two arrays."""
    x, y = Value(np.ones(3)), Value(np.ones(3))
    (x + y).sum().backward()
    x.grad += 10
    assert y.grad.tolist() == [1.0, 1.0, 1.0]


def test_05_siblings_of_a_transform_do_not_share_a_buffer() -> None:
    """Nor are those that grad and vjp return for raw arrays."""
    dx, dy = grad(lambda x, y: (x + y).sum(), argnums=(0, 1))(np.ones(3), np.ones(3))
    dx += 10
    assert dy.tolist() == [1.0, 1.0, 1.0]
    dx, dy = vjp(lambda x, y: x + y, np.ones(3), np.ones(3))[1](np.ones(3))
    dx += 10
    assert dy.tolist() == [1.0, 1.0, 1.0]


def test_05_siblings_of_a_transform_of_values_are_two_objects() -> None:
    """For Values too: writing into one gradient changes neither the other nor the seed."""
    seed = Value(np.ones(3), requires_grad=False)
    dx, dy = vjp(lambda x, y: x + y, Value(np.ones(3)), Value(np.ones(3)))[1](seed)
    dx[0] = 9.0
    assert (dy.data.tolist(), seed.data.tolist()) == ([1.0] * 3, [1.0] * 3)


def test_05_create_graph_siblings_do_not_share_a_buffer() -> None:
    """Gradients that are Values own their arrays as well."""
    x, y = Value(np.ones(3)), Value(np.ones(3))
    (x + y).sum().backward(create_graph=True)
    assert not np.shares_memory(x.grad.data, y.grad.data)


def test_06_gradient_is_no_view() -> None:
    """Through reshape, transpose, slices and sums, .grad owns a writable array."""
    seed = np.ones(6)
    for f in (lambda x: x.reshape(6), lambda x: x.T.reshape(6), lambda x: x[:].reshape(-1)):
        x = Value(np.ones((2, 3)))
        f(x).backward(seed)
        assert x.grad.base is None
        assert x.grad.flags.writeable
        assert not np.shares_memory(x.grad, seed)
    x = Value(np.ones((2, 3)))
    x.sum().backward()
    x.grad += 1
    assert x.grad.tolist() == [[2.0] * 3] * 2


def test_06_retained_gradients_are_not_shared() -> None:
    """A retained gradient, that of the root and that of the leaf are three arrays, none of them the seed."""
    x, seed = Value(np.ones(3)), np.ones(3)
    y = (x * 1).retain_grad()
    z = (y + x).retain_grad()
    z.backward(seed)
    arrays = [seed, z.grad, y.grad, x.grad]
    assert [np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i]] == [False] * 6


@pytest.mark.parametrize("use", [lambda x: x, lambda x: x + 0, lambda x: +x, lambda x: x.reshape(3)])
def test_07_seed_is_not_the_gradient(use: Any) -> None:
    """Changing the seed after the pass changes no gradient, and the pass does not change the seed."""
    x, seed = Value(np.zeros(3)), np.ones(3)
    use(x).backward(seed)
    seed[:] = 100
    assert x.grad.tolist() == [1.0, 1.0, 1.0]
    use(x).backward(seed)
    assert seed.tolist() == [100.0] * 3


def test_07_pull_does_not_return_the_seed() -> None:
    """vjp's pull copies, even for the identity."""
    seed = np.ones(3)
    (found,) = vjp(lambda x: x, np.zeros(3))[1](seed)
    assert not np.shares_memory(found, seed)


def test_07_accumulation_does_not_write_into_what_was_read() -> None:
    """An array that the user took from .grad is not written to by the next pass."""
    x = Value(np.ones(2))
    (x * x).sum().backward()
    first = x.grad
    (x * x).sum().backward()
    assert (first.tolist(), x.grad.tolist()) == ([2.0, 2.0], [4.0, 4.0])


def _times_ten_in_place(g: Any) -> Any:
    g *= 10
    return g


@pytest.mark.parametrize("swap", [False, True])
def test_08_rule_that_writes_into_its_cotangent(swap: bool) -> None:
    """debug() reports it, whichever operand comes first, and names the op."""
    op = scaled(_times_ten_in_place)
    with debug():
        z = Value(np.ones(2))
        y = z * 3 + op(z) if swap else op(z) + z * 3
        with pytest.raises(RuleError, match="op_with_that_rule") as caught:
            y.backward(np.ones(2))
    assert "wrote into its cotangent" in str(caught.value)
    assert z.grad is None


def test_08_rule_that_writes_into_what_was_saved() -> None:
    """debug() reports a rule that writes into a saved array."""

    def rule(g: Any, x: Any) -> Any:
        x += 1
        return g * x

    @primitive(vjps=(rule,))
    def clobber(xp: Any, x: Any) -> Any:
        return x * x

    with debug():
        x = Value(np.ones(2))
        with pytest.raises(RuleError, match="clobber"):
            clobber(x).sum().backward()


def test_09_wrong_shape() -> None:
    """A gradient of another shape is an error that names op, plugin, argument and both shapes."""
    x = Value(np.ones(3))
    with pytest.raises(RuleError) as caught:
        scaled(lambda g: np.ones(7))(x).sum().backward()
    for part in ("op_with_that_rule", "test_rule_behaviours", "'x'", "(7,)", "(3,)"):
        assert part in str(caught.value)
    assert x.grad is None


@pytest.mark.parametrize("shape", [(1,), (1, 3), (3, 1), ()])
def test_09_shapes_that_would_broadcast(shape: tuple[int, ...]) -> None:
    """Nor is a shape accepted that would broadcast to the right one."""
    with pytest.raises(RuleError):
        scaled(lambda g: np.ones(shape))(Value(np.ones(3))).sum().backward()


def test_09_elementwise_partial_of_a_larger_shape() -> None:
    """Un-broadcasting sums what the op broadcast, not whatever a wrong partial adds: (2, 3) for (3,) is an error."""

    @elementwise(partials=(lambda x: np.ones((2, 3)),))
    def twice(xp: Any, x: Any) -> Any:
        return x * 1.0

    with pytest.raises(RuleError, match="twice"):
        twice(Value(np.ones(3))).sum().backward()


def test_09_elementwise_partial_that_does_not_fit() -> None:
    """Where the library refuses what a rule does, its error stays, with a note that names the op and the plugin."""

    @elementwise(partials=(lambda x: np.ones(7),))
    def misfit(xp: Any, x: Any) -> Any:
        return x * 1.0

    with pytest.raises(ValueError, match="broadcast") as caught:
        misfit(Value(np.ones(3))).sum().backward()
    assert "misfit' (plugin 'test_rule_behaviours')" in caught.value.__notes__[0]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_09_wrong_number_of_cotangents(count: int) -> None:
    """A joint rule returns one cotangent for each input."""

    @primitive(vjp=lambda g: (g,) * count)
    def product(xp: Any, x1: Any, x2: Any) -> Any:
        return x1 * x2

    with pytest.raises(RuleError, match=rf"product.* {count} cotangents.* 2"):
        product(Value(1.0), Value(2.0)).backward()


def test_10_complex_gradient_of_a_real_input() -> None:
    """Its real part is taken: a real input has a real gradient."""
    x = Value(np.ones(2))
    scaled(lambda g: g * (2 + 1j))(x).sum().backward()
    assert (x.grad.tolist(), x.grad.dtype) == ([2.0, 2.0], np.float64)


def _cast_to(dtype: str) -> Callable[[Any], Any]:
    return lambda g: g.astype(dtype) * 2


def test_10_wider_and_narrower_floats_are_cast() -> None:
    """Within the floating types the gradient is cast to its input's."""
    for dtype, returned in (("float32", "float64"), ("float64", "float32")):
        x = Value(np.ones(2, dtype))
        scaled(_cast_to(returned))(x).sum().backward()
        assert (x.grad.tolist(), x.grad.dtype) == ([2.0, 2.0], np.dtype(dtype))


@pytest.mark.parametrize("dtype", ["int64", "bool", "object", "U3"])
def test_10_gradient_of_another_kind(dtype: str) -> None:
    """Integers, booleans, objects and text are no gradients."""
    x = Value(np.ones(2))
    with pytest.raises(RuleError, match="op_with_that_rule"):
        scaled(lambda g: g.astype(dtype))(x).sum().backward()
    assert x.grad is None


@pytest.mark.parametrize("returned", [1.0, "abc", [1.0, 1.0], {}])
def test_10_no_array_at_all(returned: Any) -> None:
    """A Python number, text or a list is an error that names the op."""
    x = Value(np.ones(2))
    with pytest.raises(RuleError, match="op_with_that_rule"):
        scaled(lambda g: returned)(x).sum().backward()
    assert x.grad is None


def test_10_masked_array() -> None:
    """A masked array is no gradient either."""
    with pytest.raises(RuleError, match="MaskedArray"):
        scaled(lambda g: np.ma.array(g, mask=False))(Value(np.ones(2))).sum().backward()


@pytest.mark.parametrize("through_a_view", [False, True])
def test_39_saved_array_changed_in_between(through_a_view: bool) -> None:
    """debug() names the op whose saved array has changed, also through a view."""
    buffer = np.ones((2, 3))
    with debug():
        x = Value(buffer[0] if through_a_view else buffer)
        y = (x * x).sum()
        buffer[0, 0] = 99
        with pytest.raises(GraphError, match="multiply"):
            y.backward()
    assert x.grad is None


def test_39_index_array_changed_in_between() -> None:
    """An index array that changes after the forward pass is reported, or was copied: no gradient moves elsewhere."""
    index = np.array([0, 0])
    x = Value(np.zeros(3))
    y = x[index].sum()
    index[:] = 1
    y.backward()
    assert x.grad.tolist() == [2.0, 0.0, 0.0]


def _raw(v: Any) -> Any:
    return v.data if isinstance(v, Value) else v


@pytest.mark.parametrize(
    "start",
    [
        1.0,
        np.array(1.0),
        np.ones(1),
    ],
)
def test_44_rule_that_drops_to_raw_arrays(start: Any) -> None:
    """A rule that leaves the graph gives the first derivative; the second is an error, not a silent zero."""

    @primitive(vjps=(lambda g, x: _raw(g) * np.cos(_raw(x)),))
    def raw_sin(xp: Any, x: Any) -> Any:
        return xp.sin(x)

    def f(x: Any) -> Any:
        return raw_sin(x).sum()

    np.testing.assert_allclose(grad(f)(start), np.cos(1.0))
    with pytest.raises(RuleError, match="raw_sin"):
        grad(lambda x: grad(f)(x).sum())(start)


@pytest.mark.parametrize(
    "twice",
    [
        pytest.param(lambda x: 2 * np.asarray(_raw(x)), id="data"),
        pytest.param(lambda x: Value(2 * np.asarray(_raw(x))) if isinstance(x, Value) else 2 * x, id="a new leaf"),
        pytest.param(lambda x: 2 * x.item(), id="item"),
        pytest.param(lambda x: 2 * (x.numpy() if isinstance(x, Value) else x), id="numpy"),
    ],
)
@pytest.mark.parametrize("mode", ["reverse", "forward", "forward of a vjp"])
def test_44_rule_that_drops_one_of_its_inputs(twice: Any, mode: str) -> None:
    """Also where the result is still a Value, as it depends on the cotangent; `detach` is the way to say a constant."""
    rules = {"jvps": (lambda t, x: t * twice(x),)} if mode == "forward" else {}

    @primitive(vjps=(lambda g, x: g * twice(x),), **rules)
    def raw_square(xp: Any, x: Any) -> Any:
        return x * x

    def slope(x: Any) -> Any:
        return grad(raw_square)(x) if mode == "reverse" else jvp(raw_square, (x,), (1.0,))[1]

    assert slope(3.0) == 6.0
    with pytest.raises(RuleError, match="detach") as caught:
        grad(slope)(3.0)
    assert "raw_square" in str(caught.value.__notes__)


def test_44_what_is_meant_to_be_constant() -> None:
    """A rule may read numbers that it detaches, and ask for the truth of a comparison; hooks may read all."""
    seen = []

    @primitive(
        vjps=(lambda g, x: g * 2 * x if x > 0 and (not isinstance(x, Value) or x.detach().item() > 0) else 0 * g,)
    )
    def half_square(xp: Any, x: Any) -> Any:
        return xp.where(x > 0, x * x, 0 * x)

    assert grad(grad(half_square))(3.0) == 2.0
    x = Value(3.0)
    y = half_square(x * 1.0)
    y.register_hook(lambda g: seen.append(g.item()))
    y.backward(create_graph=True)
    assert (seen, x.grad.item()) == ([1.0], 6.0)


def test_44_rule_that_reaches_a_value_by_closure() -> None:
    """A Value that a rule sees by closure would get no gradient: the op is named."""
    outside = Value(2.0)
    with pytest.raises(RuleError, match=r"op_with_that_rule.*closure"):
        scaled(lambda g: g * outside)(Value(3.0)).backward()
