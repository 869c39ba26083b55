"""``r_`` and ``c_``: with arrays and with Values they give alike, and gradients are right."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from autodiff import Value
from autodiff import numpy as anp
from autodiff.errors import AutodiffError
from autodiff.testing import check_grads

V, M = np.array([1.0, 2.0, 4.0]), np.arange(6.0).reshape(2, 3)

_JOINED: dict[str, Any] = {
    "vectors and numbers": lambda xp, v, m: xp.r_[v, 0, 2.5, v],
    "one": lambda xp, v, m: xp.r_[v],
    "ranges": lambda xp, v, m: xp.r_[:3, v, 5:9:2, -1:1:3j],
    "lists": lambda xp, v, m: xp.r_[[1, 2], v, True],
    "matrices": lambda xp, v, m: xp.r_[m, m],
    "axis": lambda xp, v, m: xp.r_["1", m, m],
    "rows": lambda xp, v, m: xp.r_["0,2", v, v, m],
    "first": lambda xp, v, m: xp.r_["0,3,0", v, v],
    "middle": lambda xp, v, m: xp.r_["1,3,1", v, v],
    "columns by text": lambda xp, v, m: xp.r_["-1,2,0", v, [4.0, 5.0, 6.0]],
    "deep": lambda xp, v, m: xp.r_["0,3", m, m],
    "columns": lambda xp, v, m: xp.c_[v, v, [7, 8, 9]],
    "beside": lambda xp, v, m: xp.c_[m, [[7], [8]], m],
}


@pytest.mark.parametrize("join", _JOINED.values(), ids=_JOINED)
def test_they_are_numpys(join: Any) -> None:
    expected, y = join(np, V, M), join(anp, Value(V), Value(M))
    assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(y.data, expected)
    check_grads(lambda v, m: join(anp, v, m) ** 2 + 0.0 * (v.sum() + m.sum()), (V, M))


@pytest.mark.parametrize("dtype", ["float32", "int64", "complex64", "bool"])
@pytest.mark.parametrize("number", [True, 2, 0.1, 1.5j])
def test_pythons_numbers_are_weak(dtype: str, number: Any) -> None:
    x = np.array([1, 0]).astype(dtype)
    expected, y = np.r_[x, number], anp.r_[Value(x), number]
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y.data, expected)


def test_what_they_are_called() -> None:
    assert repr(anp.r_) == "<autodiff.numpy.r_>"
    assert len(anp.c_) == 0
    assert pickle.loads(pickle.dumps(anp.r_)) is anp.r_


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda v: anp.r_["r", v], "a text is 'axis'"),
        (lambda v: anp.r_["0,1,2,3", v], "a text is 'axis'"),
        (lambda v: anp.r_["0,2,5", v], "cannot start at 5"),
        (lambda v: anp.r_[v, "0"], "a text comes first"),
        (lambda v: anp.r_["0"], "it was given none"),
        (lambda v: anp.r_[()], "it was given none"),
    ],
)
def test_what_is_refused(call: Any, said: str) -> None:
    with pytest.raises(AutodiffError, match=said):
        call(Value(V))
