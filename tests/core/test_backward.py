"""The arguments of backward, hooks and retained gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from autodiff import AutodiffError, Value, no_grad
from autodiff.backward import pull_back
from autodiff.errors import ArgumentError, GraphError
from autodiff.graph import schedule


@pytest.mark.parametrize("seed", [[1, 2], np.array([1, 2]), np.array([1.0, 2.0], np.float32), Value([1.0, 2.0])])
def test_gradient_argument(seed: Any) -> None:
    """Lists, integers, other floats and Values are seeds; the gradient has the dtype of its input."""
    x = Value(np.ones(2))
    (x * 3).backward(seed)
    assert (x.grad.tolist(), x.grad.dtype, type(x.grad)) == ([3.0, 6.0], np.float64, np.ndarray)


@pytest.mark.parametrize(
    "seed", [None, 1.0, np.ones(3), np.ones((1, 2)), np.ones(2) * 1j, "ab", {}, np.array([None, 1])]
)
def test_refused_seeds_change_nothing(seed: Any) -> None:
    """No seed, one of another shape, kind or type is an error, after which the graph still works."""
    x = Value(np.ones(2))
    y = x * 3
    with pytest.raises(AutodiffError):
        y.backward(seed)
    assert x.grad is None
    y.backward(np.ones(2))
    assert x.grad.tolist() == [3.0, 3.0]


def test_one_element_needs_no_seed() -> None:
    """A single real number of any shape starts from one; a complex one does not."""
    x = Value(np.ones((1, 1)))
    (x * 2).backward()
    assert x.grad.tolist() == [[2.0]]
    with pytest.raises(ArgumentError, match="complex128"):
        (Value(1j) * 2).backward()


def test_inputs_alone_receive() -> None:
    """Only what was asked for is filled: leaves, intermediates, the root, each once."""
    x, w = Value(3.0), Value(2.0)
    y = x * w
    z = y * x
    z.backward(inputs=[y, x, x, Value(x)], retain_graph=True)
    assert (x.grad, y.grad, w.grad) == (12.0, 3.0, None)
    z.backward(inputs=z, retain_graph=True)
    assert z.grad == 1.0
    x.zero_grad()
    z.backward(inputs=(v for v in [w]))
    assert (x.grad, w.grad) == (None, 9.0)


def test_inputs_off_the_path_keep_their_grad() -> None:
    """An input that the result does not depend on is left alone."""
    x, other = Value(3.0), Value(1.0)
    (x * x).backward(inputs=[x, other])
    assert (x.grad, other.grad) == (6.0, None)


@pytest.mark.parametrize("bad", [[np.ones(2)], [Value(np.arange(2))], [None]])
def test_refused_inputs(bad: Any) -> None:
    """What needs no gradient cannot be asked for."""
    x = Value(3.0)
    with pytest.raises(ArgumentError, match="inputs"):
        (x * x).backward(inputs=bad)
    assert x.grad is None


def test_second_backward() -> None:
    """It needs retain_graph=True the first time, and says so; create_graph retains."""
    x = Value(3.0)
    y = x * x
    y.backward()
    with pytest.raises(GraphError, match="retain_graph=True") as caught:
        y.backward()
    assert isinstance(caught.value, RuntimeError)
    assert x.grad == 6.0
    z = x * x
    z.backward(create_graph=True)
    z.backward()
    assert x.grad.item() == 18.0


def test_root_that_needs_no_gradient() -> None:
    """backward on a constant, or on a result of no_grad, says why not."""
    x = Value(3.0)
    with no_grad():
        y = x * x
    for root in (y, x.detach(), Value(np.arange(1)), x > 2):
        with pytest.raises(GraphError, match="no gradient"):
            root.backward()


def test_leaf_as_root() -> None:
    """The gradient of a leaf with respect to itself is the seed."""
    x = Value(3.0)
    x.backward()
    x.backward(2.0)
    assert x.grad == 3.0


def test_create_graph_to_third_order() -> None:
    """The gradients of create_graph are Values that can be differentiated again."""
    x = Value(2.0)
    y = x**4
    found = []
    for _ in range(3):
        y.backward(create_graph=True)
        assert type(x.grad) is Value
        y, x.grad = x.grad, None
        found.append(y.item())
    assert found == [32.0, 48.0, 48.0]


def test_seed_that_needs_a_gradient() -> None:
    """With create_graph the seed is part of the graph."""
    x, seed = Value(3.0), Value(2.0)
    (x * x).backward(seed, create_graph=True)
    g, x.grad = x.grad, None
    g.backward()
    assert (x.grad, seed.grad) == (4.0, 6.0)


def test_retain_grad() -> None:
    """An intermediate that asks for its gradient gets and accumulates it, and returns itself."""
    x = Value(3.0)
    y = (x * x).retain_grad()
    assert y.grad is None
    (y * 2).backward(retain_graph=True)
    (y * 3).backward()
    assert (y.grad, x.grad) == (5.0, 30.0)
    y.zero_grad()
    assert y.grad is None
    with pytest.raises(GraphError):
        x.detach().retain_grad()


@pytest.mark.parametrize("leaf", [True, False])
def test_hooks_replace_in_order_and_can_be_removed(leaf: bool) -> None:
    """Each hook sees what the one before made of the gradient; None leaves it; removed ones are not called."""
    x = Value(np.ones(2))
    y = x if leaf else x * 1
    handles = [y.register_hook(lambda g: g * 10), y.register_hook(lambda g: None), y.register_hook(lambda g: g + 1)]
    (y * 1).sum().backward(retain_graph=True)
    assert x.grad.tolist() == [11.0, 11.0]
    handles[0].remove()
    handles[0].remove()
    x.zero_grad()
    (y * 1).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("leaf", [True, False])
def test_hooks_whose_handles_are_dropped_still_run(leaf: bool) -> None:
    """A hook does not depend on anybody keeping its handle."""
    log: list[int] = []
    x = Value(3.0)
    y = x if leaf else x * x
    for i in range(5):
        y.register_hook(lambda g, i=i: log.append(i))
    (y * 1).backward()
    assert log == [0, 1, 2, 3, 4]


def test_hook_may_keep_or_change_what_it_is_given() -> None:
    """It is given a copy, and what it returns is not written to either."""
    kept: list[Any] = []
    mine = np.full(2, 10.0)
    x = Value(np.ones(2))
    y = x * 1
    handles = [y.register_hook(kept.append), y.register_hook(lambda g: mine)]
    (y + x + x).sum().backward()
    kept[0][:] = 99
    assert len(handles) == 2
    assert (x.grad.tolist(), mine.tolist()) == ([12.0, 12.0], [10.0, 10.0])
    x.grad += 1
    assert mine.tolist() == [10.0, 10.0]


def test_leaf_hook_result_is_copied() -> None:
    """The array that a leaf's hook returns does not become .grad."""
    mine = np.full(2, 10.0)
    x = Value(np.ones(2))
    x.register_hook(lambda g: mine)
    (x * 1).sum().backward()
    x.grad += 1
    assert mine.tolist() == [10.0, 10.0]


@pytest.mark.parametrize("returned", ["a", np.ones(3), 1j, {}])
def test_refused_hook_results(returned: Any) -> None:
    """A hook that returns no gradient of that shape is an error, and no .grad changes."""
    x = Value(np.ones(2))
    y = x * 1
    y.register_hook(lambda g: returned)
    with pytest.raises(AutodiffError):
        (y + x).sum().backward()
    assert x.grad is None


def test_hooks_of_a_recorded_pass() -> None:
    """With create_graph hooks see Values, and what they return is differentiated."""
    seen = []
    x = Value(3.0)
    y = x * x
    hook = y.register_hook(lambda g: seen.append(type(g)) or g * g)
    (y * y).backward(create_graph=True)
    # y**2 pulls 2 * x**2 to y; the hook squares it: 4 x**4; times 2x: 8 x**5, whose derivative is 40 x**4.
    assert (seen, x.grad.item()) == ([Value], 8 * 3.0**5)
    hook.remove()
    g, x.grad = x.grad, None
    g.backward()
    assert x.grad == 40 * 3.0**4


def test_hooks_of_a_recorded_pass_may_read_numbers() -> None:
    """Rules may not, since a derivative would be lost; of what a hook reads nothing goes back into the pass."""
    seen: list[float] = []
    x = Value(3.0)
    y = x * x
    y.register_hook(lambda g: seen.extend((g.item(), float(g.data))))
    x.register_hook(lambda g: seen.append(g.numpy().item()))
    (y * y).backward(create_graph=True)

    assert seen == [18.0, 18.0, 108.0]


def test_hook_on_a_constant() -> None:
    """It would never run."""
    with pytest.raises(GraphError, match="hook"):
        Value(np.arange(2)).register_hook(print)


def test_hook_that_cannot_be_called() -> None:
    """It is refused when it is registered."""
    with pytest.raises(AutodiffError):
        Value(1.0).register_hook(3)  # type: ignore[arg-type]


def test_inputs_that_are_no_values() -> None:
    """backward(inputs=3) says what it takes."""
    with pytest.raises(AutodiffError):
        (Value(1.0) * 2).backward(inputs=3)  # type: ignore[arg-type]


class _Meanwhile(list[Any]):
    """Roots of a pass; another pass finds the same nodes after the first of them, as one in a finaliser would."""

    def __iter__(self) -> Iterator[Any]:
        for root in super().__iter__():
            yield root
            schedule([*super().__iter__()])


def test_a_pass_that_another_one_interrupts_while_it_looks_for_nodes() -> None:
    """A node is marked anew by the inner one and found twice by the outer; its cotangent is pulled back once."""
    x = Value(3.0)
    inner = x * x
    outer = (inner + x) * inner

    def gradients(roots: Any) -> Any:
        found = pull_back(roots, [np.float64(1), np.float64(1)], retain=True, record=False)
        return found[x._edge]

    plain = gradients([inner._edge, outer._edge])

    assert plain == 4 * 3**3 + 3 * 3**2 + 2 * 3
    assert gradients(_Meanwhile([inner._edge, outer._edge])) == plain
    assert len(schedule(_Meanwhile([inner._edge, outer._edge]))) > len(schedule([inner._edge, outer._edge]))


@pytest.mark.parametrize(
    ("narrow", "wide"), [("float32", "float64"), ("float64", "complex128"), ("float32", "complex128")]
)
def test_recorded_gradients_have_the_dtype_of_their_input(narrow: str, wide: str) -> None:
    """What a rule returns in another dtype is projected in a recorded pass as in a plain one, and so are its gradients."""
    numbers = np.array([0.5, 2.0])
    x, y = Value(numbers, dtype=narrow), Value(numbers * 3, dtype=wide)
    (x * x * y).real.astype("float64").sum().backward(create_graph=True)
    grad = x.grad
    assert type(grad) is Value
    assert (str(grad.dtype), grad.data.tolist()) == (narrow, (6 * numbers**2).tolist())
    x.zero_grad()
    grad.sum().backward()
    assert (str(x.grad.dtype), x.grad.tolist()) == (narrow, (6 * numbers).tolist())
