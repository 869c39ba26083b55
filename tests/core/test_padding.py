"""``numpy.pad`` in all its modes: with an array and with a Value it gives alike, and gradients are right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value
from autodiff import numpy as anp
from autodiff.errors import AutodiffError
from autodiff.testing import check_grads

A = np.array([[3.0, 1.0, -2.0, 0.7], [0.5, -4.0, 6.0, 5.0], [2.5, 7.4, -1.5, -2.2]])
_STATISTICS = ("maximum", "mean", "median", "minimum")
_MODES = ("constant", "edge", "linear_ramp", "reflect", "symmetric", "wrap", *_STATISTICS)
_LENGTHS: list[dict[str, Any]] = [{}, {"stat_length": 2}, {"stat_length": (1, 2)}, {"stat_length": ((1, 2), (3, 9))}]
_OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *[(mode, {}) for mode in _MODES if mode not in _STATISTICS],
    *[(mode, options) for mode in _STATISTICS for options in _LENGTHS],
    *[("linear_ramp", {"end_values": ends}) for ends in (2.5, ((1, 2), (3, 4)))],
]
_WIDTHS: list[Any] = [0, 1, (1, 2), [2], ((1, 2), (0, 3)), ((0, 0), (2, 1)), [[1, 2], [3, 5]]]


@pytest.mark.parametrize("width", _WIDTHS, ids=str)
@pytest.mark.parametrize(("mode", "options"), _OPTIONS)
def test_it_is_numpys(mode: str, options: dict[str, Any], width: Any) -> None:
    expected = np.pad(A, width, mode, **options)
    for y in (np.pad(Value(A), width, mode, **options), anp.pad(Value(A), width, mode, **options)):
        assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(y.data, expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "int64", "complex128"])
@pytest.mark.parametrize("mode", _MODES)
def test_dtypes(mode: str, dtype: str) -> None:
    if dtype == "complex128" and mode in ("maximum", "median", "minimum"):
        pytest.skip("complex numbers have no order")
    x = (A * 3).astype(dtype)
    expected = np.pad(x, 2, mode)
    y = np.pad(Value(x), 2, mode)
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(y.data, expected, rtol=1e-6)


@pytest.mark.parametrize("mode", _MODES)
def test_arrays_of_no_dimension_or_no_elements(mode: str) -> None:
    np.testing.assert_array_equal(np.pad(Value(2.0), 1, mode).data, np.pad(2.0, 1, mode))
    empty = np.zeros((0, 3))
    np.testing.assert_array_equal(
        np.pad(Value(empty), ((0, 0), (1, 1)), mode).data, np.pad(empty, ((0, 0), (1, 1)), mode)
    )
    if mode not in ("constant", "linear_ramp"):
        with pytest.raises(AutodiffError, match="axis 0"):
            np.pad(Value(empty), 1, mode)


@pytest.mark.parametrize(("mode", "options"), _OPTIONS)
def test_derivatives(mode: str, options: dict[str, Any]) -> None:
    check_grads(lambda x: anp.pad(x, ((1, 2), (2, 1)), mode, **options) ** 2, (A,), order=2)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: np.pad(x, 1, "empty"), "'empty'"),
        (lambda x: anp.pad(x, 1, lambda *_: None), "not supported"),
        (lambda x: np.pad(x, 1, "mean", stat_length=0), "stat_length is 0 .* numbers from 1 on"),
        (lambda x: np.pad(x, -1, "edge"), "pad_width is -1"),
        (lambda x: np.pad(x, ((1, 1),) * 3, "edge"), "two for each axis"),
        (lambda x: anp.pad(x, 1, "reflect", reflect_type="odd"), "reflect_type"),
    ],
)
def test_what_is_refused(call: Any, said: str) -> None:
    with pytest.raises(AutodiffError, match=said):
        call(Value(A))
