"""NumPy's functions on Values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import AutodiffError, Value
from autodiff import numpy as anp

A = np.arange(1.0, 7.0).reshape(2, 3)

_CALLS: dict[str, Any] = {
    "tanh": np.tanh,
    "exp": np.exp,
    "power": lambda x: np.power(x, 2.0),
    "multiply": lambda x: np.multiply(A, x),
    "maximum": lambda x: np.maximum(x, 3.5),
    "absolute": np.absolute,
    "sum axis": lambda x: np.sum(x, axis=0),
    "sum by position": lambda x: np.sum(x, 0),
    "sum keepdims": lambda x: np.sum(x, axis=(0, 1), keepdims=True),
    "sum dtype": lambda x: np.sum(x, dtype=np.float32),
    "mean": lambda x: np.mean(x, axis=1),
    "max": lambda x: np.max(x, axis=-1),
    "amax": np.amax,
    "add.reduce": np.add.reduce,
    "maximum.reduce": lambda x: np.maximum.reduce(x, axis=None),
    "concatenate": lambda x: np.concatenate([x, A, x], axis=1),
    "concatenate flat": lambda x: np.concatenate([A, x], axis=None),
    "where": lambda x: np.where(A > 2, x, 0.0),
    "reshape": lambda x: np.reshape(x, (3, 2)),
    "transpose": np.transpose,
    "expand_dims": lambda x: np.expand_dims(x, (0, -1)),
    "squeeze": lambda x: np.squeeze(np.expand_dims(x, 0)),
    "broadcast_to": lambda x: np.broadcast_to(x, (4, 2, 3)),
    "matmul": lambda x: np.matmul(x, A.T),
    "split": lambda x: np.split(x, [1], axis=1)[1],
    "matrix_transpose": np.matrix_transpose,
    "astype": lambda x: np.astype(x, np.float32),
}


@pytest.mark.parametrize("name", _CALLS)
def test_numpy_functions_of_values(name: str) -> None:
    """They give a Value with NumPy's result, dtype included, and a gradient flows."""
    x = Value(A.copy())
    found, wanted = _CALLS[name](x), _CALLS[name](A)
    assert type(found) is Value
    assert (found.dtype, found.shape) == (wanted.dtype, np.shape(wanted))
    np.testing.assert_allclose(found.data, wanted)
    found.sum().backward()
    assert x.grad.shape == A.shape
    assert x.grad.any()


@pytest.mark.parametrize("name", ["zeros_like", "ones_like", "empty_like"])
def test_creation_like_a_value(name: str) -> None:
    """What is made like a Value is a Value that needs no gradient."""
    made = getattr(np, name)(Value(A))
    assert (type(made), made.shape, made.requires_grad) == (Value, (2, 3), False)


def test_facts() -> None:
    """Shape, ndim and size need no gradient."""
    x = Value(A)
    assert (np.shape(x), np.ndim(x), np.size(x), np.iscomplexobj(x)) == ((2, 3), 2, 6, False)


@pytest.mark.parametrize(
    ("call", "near"),
    [(np.roots, ""), (np.spacing, ""), (np.linalg.eigvals, ""), (np.trim_zeros, "zeros")],
)
def test_missing_functions_say_so(call: Any, near: str) -> None:
    """A function without an op is an error that names it, the nearest, and the way to a plain result."""
    with pytest.raises(AutodiffError, match=call.__name__) as caught:
        call(Value(A)) if call is not np.dot else call(Value(A), A.T)
    assert near in str(caught.value)
    assert "value.data" in str(caught.value)


def test_namespace() -> None:
    """__array_namespace__ is autodiff.numpy; its functions return raw arrays for raw arrays."""
    x = Value(A)
    xp = x.__array_namespace__()
    assert xp is anp
    assert type(xp.sum(x)) is Value
    assert isinstance(xp.tanh(A), np.ndarray)
    assert xp.zeros((2,)).requires_grad is False
    with pytest.raises(AttributeError, match="packbits"):
        xp.packbits
    assert "tanh" in dir(xp)
