"""Cotangents that a rule writes into: only where nobody else can reach them, and never to be seen."""

from __future__ import annotations

import threading
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff import Value, grad, leaves, ops
from autodiff.extend import elementwise, primitive
from autodiff.registry import registry
from autodiff_numpy import arithmetic

SIZE = 40_000


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect the arrays that products were written into."""
    seen: list[Any] = []
    free = arithmetic.free

    def watched(out: Any, other: Any) -> Any:
        found = free(out, other)
        if found is not None:
            seen.append(found.ctypes.data)
        return found

    monkeypatch.setattr(arithmetic, "free", watched)
    return seen


def _x(low: float = 0.1) -> Value:
    return Value(np.linspace(low, 1.0, SIZE))


def _same_as_recorded(function: Callable[..., Any], *arrays: Any) -> list[Any]:
    """Compare the gradients of `function` with those of a recorded pass, in which nothing is written into."""
    plain, recorded = [Value(a) for a in arrays], [Value(a) for a in arrays]
    y = function(*plain)
    seed = np.random.default_rng(0).standard_normal(y.shape)
    kept = seed.copy()
    y.backward(seed)
    function(*recorded).backward(seed, create_graph=True)

    assert np.array_equal(seed, kept)
    for p, r in zip(plain, recorded, strict=True):
        # Where hundreds of numbers of size 1 nearly cancel in a sum, their rounding is left.
        np.testing.assert_allclose(p.grad, r.grad.data, rtol=1e-13, atol=2e-14)
    return [p.grad for p in plain]


def test_a_chain_of_products_makes_one_array(written: list[Any]) -> None:
    """Each product is written into the cotangent that the one above it has made."""
    x = _x()
    y = x
    for _ in range(10):
        y = y * 1.01
    seed = np.ones(SIZE)
    tracemalloc.start()
    y.backward(seed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    np.testing.assert_allclose(x.grad, 1.01**10, rtol=1e-12)
    assert len(written) == 9  # not into the seed
    assert peak < 1.2 * seed.nbytes


def test_a_partial_that_was_made_for_it_takes_the_product(written: list[Any]) -> None:
    """Of ``g * cos(x)`` the cosine is new, and the seed is the user's."""
    x, seed = _x(), np.ones(SIZE)
    ops.sin(x).backward(seed)

    assert len(written) == 1
    assert seed.min() == seed.max() == 1
    assert np.array_equal(x.grad, np.cos(x.data))


def _of_double(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: function(x * 2.0) * 3.0


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x * 3.0 + x * 3.0) * 2.0,
        lambda x: ops.add(x * 2.0, x * 2.0) * x,
        _of_double(lambda y: (y + y) * 5.0 + y * 3.0),
        _of_double(lambda y: ops.reshape(y, shape=(2, -1)) * ops.reshape(y, shape=(2, -1))),
        lambda x: ops.permute_dims(ops.reshape(x * 2.0, shape=(2, -1)) * 2.0, axes=(1, 0)) * 3.0,
        lambda x: ops.positive(ops.real(x * 2.0) * 3.0) * 4.0 + x,
        lambda x: (x * 2.0) * (x * 3.0) * (x * 4.0),
        lambda x: x * x * x * x,
        _of_double(lambda y: y * y * y / (y + 1.0) / y),
        lambda x: ops.sin(x) * 2.0 + ops.exp(x) * ops.cos(x) / x,
        _of_double(lambda y: y * y),
        _of_double(lambda y: y / (y * 2.0 + 1.0)),
        _of_double(lambda y: ops.tanh(y) - y * 3.0),
        lambda x: ops.maximum(ops.tanh(x * 2.0), x * 1.5) * ops.minimum(x, 0.5),
        lambda x: ops.sum(x * 2.0) * x + ops.broadcast_to(ops.mean(x), shape=(SIZE,)) * x,
        lambda x: ops.tanh(ops.exp(ops.sin(ops.tanh(x * 0.5) * 2.0) - 1.0) * 0.5),
    ],
)
def test_shared_cotangents_and_views_are_left_alone(function: Callable[..., Any]) -> None:
    """One cotangent for both inputs of a sum, views of it, one Value twice: as in a pass that writes nowhere."""
    _same_as_recorded(function, np.linspace(0.1, 1.0, SIZE))


def test_several_inputs_that_broadcast() -> None:
    """A product whose other factor is smaller has the shape of the cotangent all the same."""
    rng = np.random.default_rng(0)
    x, row, column, one = (rng.uniform(0.5, 1.0, s) for s in ((240, 180), (180,), (240, 1), ()))
    _same_as_recorded(lambda x, r, c, o: ops.tanh((x * r) * c / (o + r) * 2.0) * o - x, x, row, column, one)


def test_a_sum_takes_products_without_an_array_for_each() -> None:
    """One array for the sum of ten products, and one for the cotangent that goes on."""
    x, w = _x(), _x()
    y = x
    for _ in range(10):
        y = y * w
    seed = np.ones(SIZE)
    tracemalloc.start()
    y.backward(seed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    np.testing.assert_allclose(w.grad, 10 * x.data * w.data**9, rtol=1e-12)
    assert peak < 3.2 * seed.nbytes  # for the first sum a third


def _recurrent(steps: int, x: Any, w: Any, keep: Callable[[Any], None] = lambda y: None) -> Any:
    y = x
    for _ in range(steps):
        y = ops.tanh(y * w + x)
        keep(y)
    return y


@pytest.mark.parametrize("seed", [None, np.ones(()), np.float32(1)])
def test_a_product_for_a_leaf_takes_the_memory_of_what_was_saved(seed: Any) -> None:
    """Backward needs one array more than is saved: of the first product for `w` the other factor is freed soon."""
    steps, size = 6, 10 * SIZE  # so large that what is computed at a time is a small part
    x, w = (Value(np.linspace(0.1, 1.0, size)) for _ in range(2))
    _recurrent(steps, x, w).sum().backward(seed)  # compiles each loop that will be counted
    x.grad = w.grad = None
    tracemalloc.start()
    _recurrent(steps, x, w).sum().backward(seed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < (steps + 1.5) * x.data.nbytes
    recorded = [Value(v.data) for v in (x, w)]
    _recurrent(steps, *recorded).backward(np.ones(size), create_graph=True)
    for v, r in zip((x, w), recorded, strict=True):
        np.testing.assert_allclose(v.grad, r.grad.data, rtol=1e-13)


def test_what_others_hold_is_not_written_into_by_products_that_wait() -> None:
    """Intermediate results that a user kept, and what a graph that is retained has saved."""
    x, w = _x(), _x()
    held: list[Any] = []
    y = _recurrent(4, x, w, lambda y: held.append(y.data))
    before = [a.copy() for a in held]
    y.backward(np.ones(SIZE), retain_graph=True)
    first = [v.grad.copy() for v in (x, w)]

    assert all(np.array_equal(a, b) for a, b in zip(held, before, strict=True))
    held.clear()
    y.backward(np.ones(SIZE), retain_graph=True)
    y.backward(np.ones(SIZE))
    for v, g in zip((x, w), first, strict=True):
        np.testing.assert_allclose(v.grad, 3 * g, rtol=1e-14)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: _recurrent(3, x, w),
        lambda x, w: (x * w + x) * w + w,
        lambda x, w: ops.tanh(x) * w + x * w + ops.sin(w) * x,
        lambda x, w: (ops.exp(x) * w + w) * x - x,
        lambda x, w: ops.reshape(ops.tanh(x) * w, shape=(2, -1)).sum(axis=0) * w[: SIZE // 2] + x[: SIZE // 2],
        lambda x, w: ops.tanh(x) * (x.detach() * 2.0) * w + w,
    ],
)
def test_products_that_wait_arrive(function: Callable[..., Any]) -> None:
    """In any order, beside others for the same leaf, and where nothing comes after them."""
    rng = np.random.default_rng(0)
    _same_as_recorded(function, *rng.uniform(0.5, 1.0, (2, SIZE)))


def test_products_of_other_shapes_and_dtypes_are_added_too() -> None:
    """A sum may be of a smaller input than the product, or of another precision; each partial is computed once."""
    rng = np.random.default_rng(0)
    x, row, one = (rng.uniform(0.5, 1.0, s) for s in ((240, 180), (180,), ()))
    _same_as_recorded(lambda x, r, o: x * r * o * x * r * o * x * r * o, x, row, one)

    single = Value(x.astype(np.float32))
    (single * x * single * x * single).backward(np.ones_like(x))
    assert single.grad.dtype == np.float32
    np.testing.assert_allclose(single.grad, 3 * x**4, rtol=1e-5)

    calls = []

    def partial(x: Any) -> Any:
        calls.append(x.shape)
        return 2.0

    @elementwise(partials=(partial,))
    def doubled(xp: Any, x: Any) -> Any:
        return 2.0 * x

    v = Value(x)
    (doubled(v) + doubled(v) + doubled(v)).backward(np.ones_like(x))
    assert len(calls) == 3
    assert v.grad.min() == v.grad.max() == 6


def test_other_dtypes_are_not_written_into() -> None:
    """Half a product in float32 is not stored in float64, nor a complex one in real memory."""
    x, w = np.linspace(0.1, 1.0, SIZE, dtype=np.float32), np.linspace(0.5, 1.0, SIZE)
    v, u = Value(x), Value(w)
    ((v * 2.0) * u * 3.0).backward(np.ones(SIZE))
    assert (v.grad.dtype, u.grad.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(v.grad, 6 * w, rtol=1e-6)
    np.testing.assert_allclose(u.grad, 6 * x, rtol=1e-6)

    z = Value(x.astype(np.complex128))
    ((z * (1 + 2j)) * (z * 2.0)).backward(np.ones(SIZE, np.complex128))
    np.testing.assert_allclose(z.grad, np.conj(4 * (1 + 2j) * x), rtol=1e-6)


def test_the_numbers_of_the_graph_are_left_alone() -> None:
    """A rule may return what its node saved, which a retained graph needs again."""
    x = _x()
    t = ops.exp(x) * 1.5
    y = (t * t) * 2.0 * 0.5
    results = []
    for _ in range(3):
        x.zero_grad()
        y.backward(np.ones(SIZE), retain_graph=True)
        results.append(x.grad.copy())

    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_gradients_that_somebody_holds_are_left_alone() -> None:
    """Retained gradients, what hooks were shown or returned, and the targets of a pass stay what they were."""
    x = _x()
    y = x * 2.0
    z = y * 3.0
    w = z * 4.0
    y.retain_grad()
    seen: list[Any] = []
    returned = np.full(SIZE, 10.0)
    z.register_hook(seen.append)
    w.register_hook(lambda g: returned)
    (w * 1.0).backward(np.ones(SIZE))

    assert returned.min() == returned.max() == 10
    assert seen[0].min() == seen[0].max() == 40
    assert y.grad.min() == y.grad.max() == 120
    assert x.grad.min() == x.grad.max() == 240

    v = _x()
    middle = v * 2.0
    end = middle * 3.0 * 4.0
    end.backward(np.ones(SIZE), inputs=[v, middle])
    assert (middle.grad.min(), v.grad.min()) == (12, 24)


def test_what_a_weak_reference_finds_is_left_alone() -> None:
    """A rule may remember a cotangent without keeping it: as long as the array is there, its numbers are."""
    found: list[Any] = []

    def remembering(g: Any) -> Any:
        found.append(weakref.ref(g))
        return g

    @primitive(vjps=(remembering,))
    def same(xp: Any, x: Any) -> Any:
        return x * 1.0

    x = _x()
    (same(x * 2.0) * 3.0 * 1.0).backward(np.ones(SIZE))
    seen = found[0]()
    assert seen is None or seen.min() == seen.max() == 3
    assert x.grad.min() == x.grad.max() == 6


def test_what_a_rule_keeps_is_left_alone() -> None:
    """An array in a module, a closure or a view of it is somebody else's."""
    kept = np.full(SIZE, 7.0)

    @primitive(vjps=(lambda g, x: kept,))
    def whole(xp: Any, x: Any) -> Any:
        return x * 7.0

    @primitive(vjps=(lambda g, x: kept[:],))
    def view(xp: Any, x: Any) -> Any:
        return x * 7.0

    for op in (whole, view):
        x = _x()
        op(x * 2.0).backward(np.ones(SIZE))
        assert kept.min() == kept.max() == 7
        assert x.grad.min() == 14


def test_a_partial_that_is_kept_is_left_alone(written: list[Any]) -> None:
    """A partial derivative may be an array that lives on, of any shape."""
    kept, row = np.full((400, 100), 3.0), np.full(100, 3.0)

    @elementwise(partials=(lambda x: kept,))
    def tripled(xp: Any, x: Any) -> Any:
        return 3.0 * x

    @elementwise(partials=(lambda x: row,))
    def by_rows(xp: Any, x: Any) -> Any:
        return 3.0 * x

    for op in (tripled, by_rows):
        x = Value(np.ones((400, 100)))
        (op(x * 2.0) * 1.0).backward(np.ones((400, 100)))
        assert kept.min() == kept.max() == row.min() == row.max() == 3
        assert x.grad.min() == x.grad.max() == 6
    assert written


def test_subclasses_and_foreign_memory_are_left_alone() -> None:
    """An array that shows memory of something else is not written into, whoever refers to it."""
    buffer = bytearray(np.ones(SIZE).tobytes())
    read_only = np.ones(SIZE)
    read_only.flags.writeable = False
    for out in (np.frombuffer(buffer), np.ones((2, SIZE))[0], np.ones(SIZE).view(), read_only):
        assert arithmetic.free(out, np.ones(SIZE)) is None
    assert arithmetic.free(np.ones(SIZE).view(np.matrix), np.ones(SIZE)) is None
    for other in (np.ones(1), np.ones((1, SIZE)), np.ones(SIZE, np.float32), 1j, np.complex128(1), np.float32(1)):
        assert arithmetic.free(np.ones(SIZE), other) is None


def test_passes_at_the_same_time_do_not_meet() -> None:
    """Two threads over one retained graph: each has cotangents of its own."""
    x = _x()
    y = x
    for _ in range(20):
        y = ops.tanh(y * 0.9 + x)
    results: list[Any] = []

    def run() -> None:
        results.extend(grad(lambda s: (y.detach() * s * x.detach() * s).sum())(np.ones(SIZE)) for _ in range(5))

    def over_graph() -> None:
        for _ in range(5):
            y.backward(np.ones(SIZE), retain_graph=True)

    y.backward(np.ones(SIZE), retain_graph=True)
    expected = x.grad.copy()
    x.zero_grad()
    threads = [threading.Thread(target=f) for f in (run, run, over_graph, over_graph)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    np.testing.assert_allclose(x.grad, 10 * expected, rtol=1e-12)
    assert all(np.array_equal(r, results[0]) for r in results)


def test_a_pass_for_one_input_writes_too(written: list[Any]) -> None:
    """What is skipped, because nobody asked for it, does not keep the others from it."""
    x, w = _x(), _x()
    y = (x * w) * w * w
    y.backward(np.ones(SIZE), inputs=[x])

    np.testing.assert_allclose(x.grad, w.data**3, rtol=1e-13)
    assert len(written) == 2


def test_the_count_of_references() -> None:
    """One variable of the caller's, and nothing else."""
    a = np.ones(3)
    assert leaves.is_own([a])
    b = a
    assert not leaves.is_own([a])
    del b
    view = a[:1]
    assert not leaves.is_own([a])
    del view
    held = [a]
    assert not leaves.is_own([a])
    held.clear()
    found = weakref.ref(a)
    assert not leaves.is_own([a])
    del found
    assert leaves.is_own([a])


def test_debug_mode_and_recorded_passes_write_nowhere(written: list[Any]) -> None:
    """They look at what rules were handed, before and after."""
    from autodiff import debug

    x = _x()
    with debug():
        y = x * 2.0 * 3.0
        y.backward(np.ones(SIZE))
    (x * 2.0 * 3.0).backward(np.ones(SIZE), create_graph=True)

    assert not written
    assert registry.backend("numpy").reuses
