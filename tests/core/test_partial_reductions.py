"""Reductions with ``where=`` and ``initial=``: what NumPy says of an array, and derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, grad
from autodiff import numpy as anp
from autodiff.errors import AutodiffError
from autodiff.testing import check_grads

A = np.array([[3.0, 1.0, -2.0, 0.7], [0.5, -4.0, 6.0, 5.0], [2.5, 7.0, -1.5, -2.0]])
MASK = np.array([[True, False, True, True], [False, False, True, False], [True, False, False, True]])
_CALLS: list[tuple[str, dict[str, Any]]] = [
    *[("sum", {}), ("sum", {"initial": 2}), ("prod", {}), ("prod", {"initial": 3}), ("mean", {})],
    *[("max", {"initial": -9}), ("min", {"initial": 9}), ("amin", {"initial": 1}), ("amax", {"initial": 0})],
    *[("all", {}), ("any", {}), ("nansum", {}), ("nansum", {"initial": 1})],
]


@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "complex128", "int64", "bool"])
@pytest.mark.parametrize(("name", "options"), _CALLS)
def test_they_are_numpys(name: str, options: dict[str, Any], dtype: str) -> None:
    """Values, shapes and dtypes, for masks of every shape that broadcasts, along every axis."""
    if dtype == "complex128" and name in ("max", "min", "amin", "amax"):
        pytest.skip("complex numbers have no order")
    if dtype == "bool" and name in ("max", "min", "amin", "amax"):
        options = {"initial": bool(options["initial"] > 0)}
    x = A.astype(dtype)
    if name == "nansum" and x.dtype.kind in "fc":
        x[0, 0] = np.nan
    for where in (None, MASK, MASK[0], MASK[:, :1], True, np.zeros(4, bool)):
        for axis in (None, 0, -1, (0, 1)):
            for keepdims in (False, True):
                given = {**options, "axis": axis, "keepdims": keepdims, **({} if where is None else {"where": where})}
                expected = getattr(np, name)(x, **given)
                for y in (getattr(np, name)(Value(x), **given), getattr(anp, name)(Value(x), **given)):
                    assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
                    tolerance = 2e-3 if dtype == "float16" else 1e-6
                    np.testing.assert_allclose(y.data, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x, axis=0, where=MASK, initial=2.0),
        lambda x: np.prod(x, axis=1, where=MASK, initial=3.0),
        lambda x: np.mean(x, axis=1, where=MASK),
        lambda x: np.mean(x, where=MASK[:1], keepdims=True),
        lambda x: np.max(x, axis=0, where=MASK, initial=1.25),
        lambda x: np.min(x, axis=1, where=MASK, initial=1.25),
        lambda x: np.add.reduce(x, axis=1, where=MASK),
    ],
)
def test_derivatives(f: Any) -> None:
    check_grads(f, (A,), order=2)


def test_initial_may_need_a_gradient() -> None:
    check_grads(lambda x, start: np.sum(x, axis=0, initial=start) * np.max(x, initial=start), (A, np.array(6.5)))


def test_what_is_left_out_has_no_gradient_though_it_is_nan() -> None:
    x = A.copy()
    x[1, 1] = np.nan
    g = grad(lambda v: np.mean(v, where=MASK))(x)
    np.testing.assert_allclose(g, MASK / MASK.sum())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: np.sum(x, where=[1, 0, 1, 1]), "takes booleans; it was given float64"),
        (lambda x: np.max(x, where=MASK), "pass `initial`"),
        (
            lambda x: np.mean(x, where=np.ones((2, 3, 4), bool)),
            r"\(2, 3, 4\), does not broadcast to the shape \(3, 4\)",
        ),
        (lambda x: np.sum(x[:, :1], where=MASK), "does not broadcast"),
    ],
)
def test_what_is_refused(call: Any, said: str) -> None:
    with pytest.raises(AutodiffError, match=said):
        call(Value(A))
