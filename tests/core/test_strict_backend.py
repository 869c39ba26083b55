"""The core on a second array library, which shares nothing with NumPy."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("array_api_strict")

from strict_backend import Array, StrictBackend, strict_array

from autodiff import Value, debug, enable_grad, grad, no_grad, ops, vjp
from autodiff.errors import BackendMismatchError
from autodiff.registry import registry

A = np.arange(1.0, 7.0).reshape(2, 3)


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    """Register the backend for one test."""
    with registry.scoped() as scoped:
        scoped.register_backend(StrictBackend())
        yield


def host(array: Any) -> Any:
    """Return a NumPy array of a strict one."""
    assert type(array) is Array
    return np.asarray(array._array)


_FUNCTIONS: dict[str, Any] = {
    "arithmetic": lambda x, y: (x + y) * x - y / (x + 3.0) + (-x) + (+y),
    "scalars": lambda x, y: 2.0 - x * 3 + 1 / y + x**2 + y**0.5 + 2 * x,
    "powers": lambda x, y: x**y,
    "exponentials": lambda x, y: x.exp() + y.log() + x.sqrt() + y.tanh() + abs(x) + x.sigmoid(),
    "broadcasting": lambda x, y: x * y.sum(axis=0) + y.mean(axis=1, keepdims=True) - x.sum(),
    "reductions": lambda x, y: x.sum(axis=(0, 1)) + y.mean() + ops.logsumexp(x, axis=1).sum(),
    "matmul": lambda x, y: x @ y.T + (x @ y.mT),
    "reshaping": lambda x, y: x.reshape(3, 2) * y.T,
    "activations": lambda x, y: x.softmax() * y.log_softmax() + ops.softplus(x) + x.relu(),
    "choice": lambda x, y: ops.maximum(x, y) + ops.where(x > y, x, y * 2),
    "indexing": lambda x, y: x[1, 2] * y[:, 1] + x[..., 0],
    "remainder": lambda x, y: x % (y + 0.5),
    "casts": lambda x, y: (x.astype("float32") * 2).astype("float64") + y,
    "broadcast_to": lambda x, y: ops.broadcast_to(x, shape=(4, 2, 3)) * y,
}


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_results_and_gradients_are_those_of_numpy(name: str) -> None:
    """The generic kernels and rules give the same values, first and second derivatives as NumPy's."""
    f = _FUNCTIONS[name]
    b = np.linspace(0.3, 2.1, 6).reshape(2, 3)

    def first(x: Any, y: Any) -> Any:
        return (f(x, y) * f(x, y)).sum()

    def second(x: Any, y: Any) -> Any:
        dx, dy = grad(first, argnums=(0, 1))(x, y)
        return (dx * dx).sum() + (dx * dy).sum()

    ours = Value(strict_array(A)), Value(strict_array(b))
    theirs = Value(A.copy()), Value(b.copy())
    for function in (first, second):
        mine, wanted = function(*ours), function(*theirs)
        mine.backward()
        wanted.backward()
        np.testing.assert_allclose(mine.item(), wanted.item(), rtol=1e-6)
        for v, w in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(host(v.grad), w.grad, rtol=1e-5, atol=1e-9)
            v.zero_grad()
            w.zero_grad()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.max(axis=0),
        lambda x: ops.concat(x, x),
        lambda x: ops.split(x, sections=2)[0],
        lambda x: x[0],
        lambda x: next(iter(x)),
        lambda x: 2.0**x,
    ],
    ids=["max: float / int", "concat: partial index", "split: partial index", "row", "iter", "number ** array"],
)
def test_generic_rules_keep_to_the_standard(f: Any) -> None:
    """A rule without a backend's own kernel uses what the standard promises, and no more."""
    x = Value(strict_array(A))
    f(x).sum().backward()
    assert host(x.grad).shape == (2, 3)


def test_dtypes_and_gradients_stay_on_the_backend() -> None:
    """Results and gradients are strict arrays of the same dtype; Python numbers are weakly typed."""
    x = Value(strict_array(A.astype(np.float32)))
    y = (x * 2.0 + 1).sum()
    y.backward()
    assert (x.backend, type(y.data), type(x.grad)) == ("strict", Array, Array)
    assert (str(y.dtype), str(x.grad.dtype)) == (str(x.dtype), str(x.dtype))
    assert Value(strict_array(np.arange(3))).requires_grad is False
    z = Value(strict_array(np.array(3 + 4j)))
    (abs(z) ** 2).backward()
    assert complex(z.grad) == pytest.approx(6 + 8j)


def test_construction_on_a_backend() -> None:
    """Numbers and lists go to the backend that is named."""
    x = Value([1, 2], backend="strict")
    (x * Value(3.0, backend="strict")).sum().backward()
    assert host(x.grad).tolist() == [3.0, 3.0]
    (x * [1, 1]).sum().backward()
    assert host(x.grad).tolist() == [4.0, 4.0]


def test_scalars_of_numpy_are_numbers() -> None:
    """They are taken beside arrays of any library, on either side, and gradients flow past them."""
    s = Value(strict_array(A))
    for y in (s * np.float64(2), np.float64(2) * s):
        assert y.backend == "strict"
        s.zero_grad()
        y.sum().backward()
        assert Value(s.grad).tolist() == np.full(A.shape, 2.0).tolist()


@pytest.mark.parametrize(
    "mix",
    [
        lambda s, n: s + n,
        lambda s, n: n + s,
        lambda s, n: s + n.data,
        lambda s, n: n.data + s,
        lambda s, n: n + s.data,
        lambda s, n: s @ n.T,
        ops.concat,
        lambda s, n: ops.where(s > 1, n, 0.0),
        lambda s, n: s * Value(2.0),
        lambda s, n: (s * 1).backward(n.data),
        lambda s, n: (s * 1).backward(n),
        lambda s, n: (n * 1).backward(s.data),
    ],
)
def test_backends_do_not_mix(mix: Any) -> None:
    """Two backends in one op, or in value and seed, is a TypeError that names both and the way out."""
    s, n = Value(strict_array(A)), Value(A.copy())
    with pytest.raises(BackendMismatchError, match=r"\.to\(") as caught:
        mix(s, n)
    assert isinstance(caught.value, TypeError)
    assert "'strict'" in str(caught.value)
    assert "'numpy'" in str(caught.value)
    assert (s.grad, n.grad) == (None, None)


def test_a_gradient_of_another_backend_is_not_assigned() -> None:
    """Nothing is transferred in silence, gradients included."""
    with pytest.raises(BackendMismatchError):
        Value(strict_array(A)).grad = A


def test_to_moves_and_its_gradient_moves_back() -> None:
    """.to() is differentiable, to any order."""
    x = Value(A.copy())
    y = x.to("strict")
    assert (y.backend, type(y.data)) == ("strict", Array)
    (y * y).sum().backward()
    assert x.grad.tolist() == (2 * A).tolist()
    assert y.to("numpy").backend == "numpy"
    assert grad(grad(lambda w: (w.to("strict") ** 3).to("numpy")))(2.0) == 12.0


def test_transforms() -> None:
    """Raw strict arrays in, raw strict arrays out."""
    found = grad(lambda x: grad(lambda y: (y**3).sum())(x).sum())(strict_array(A))
    assert host(found).tolist() == (6 * A).tolist()
    value, pull = vjp(lambda x: x * x, strict_array(A))
    assert host(pull(strict_array(np.ones((2, 3))))[0]).tolist() == (2 * A).tolist()
    assert type(value) is Array
    unused = grad(lambda x, y: x.sum(), argnums=1)
    assert host(unused(Value(strict_array(A)), Value(strict_array(A))).data).tolist() == np.zeros((2, 3)).tolist()


def test_modes_hooks_and_debug() -> None:
    """Hooks, retained gradients, parameter updates and debug mode work on any backend."""
    x = Value(strict_array(A))
    hook = x.register_hook(lambda g: g * 2)
    y = (x * 3).retain_grad()
    with debug():
        (y * 1).sum().backward()
    hook.remove()
    assert (host(x.grad).tolist(), host(y.grad).tolist()) == ([[6.0] * 3] * 2, [[1.0] * 3] * 2)
    with no_grad():
        x -= 1.0
        with enable_grad():
            assert (x * 1).requires_grad
    assert host(x.data).tolist() == (A - 1).tolist()


@pytest.mark.parametrize(
    "make",
    [
        copy.deepcopy,
        lambda v: pickle.loads(pickle.dumps(v)),
        copy.copy,
    ],
)
def test_copies(make: Any) -> None:
    """Copies and pickles do not rely on a method that only NumPy's arrays have."""
    x = Value(strict_array(A))
    (x * x).sum().backward()
    found = make(x)
    assert host(found.data).tolist() == A.tolist()
    assert host(found.grad).tolist() == (2 * A).tolist()


def test_conversions() -> None:
    """item, numpy, repr, truth and format go through the backend."""
    x = Value(strict_array(A))
    total = x.sum()
    assert (total.item(), f"{total:.1f}", bool(total > 1)) == (21.0, "21.0", True)
    assert x.numpy().tolist() == A.tolist()
    assert "backend='strict'" in repr(x * 2)
