"""NumPy's signatures: arguments by position and by NumPy's names, NumPy's defaults, NumPy's results."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from autodiff import AutodiffError, Value, vmap
from autodiff import numpy as anp
from autodiff.spellings import FUNCTIONS

A = np.array([[3.0, 1.0, 2.0], [0.5, -4.0, 6.0]])
S = np.arange(1.0, 13.0).reshape(2, 3, 2)
ROWS = np.array([0, 1, 1])

# Each is called with numpy or autodiff.numpy, and an array or a Value.
_CALLS: dict[str, Any] = {
    "prod": lambda xp, x: xp.prod(x, 0),
    "min": lambda xp, x: xp.min(x, axis=-1, keepdims=True),
    "amin": lambda xp, x: xp.amin(x, 1),
    "std": lambda xp, x: xp.std(x, 0, None, None, 1),
    "std ddof": lambda xp, x: xp.std(x, axis=0, ddof=1, keepdims=True),
    "std correction": lambda xp, x: xp.std(x, correction=1),
    "var": lambda xp, x: xp.var(x, (0, 1)),
    "var dtype": lambda xp, x: xp.var(x, dtype=np.float32),
    "nansum": lambda xp, x: xp.nansum(x, 1),
    "nanmean": lambda xp, x: xp.nanmean(x, 0),
    "cumulative_sum": lambda xp, x: xp.cumulative_sum(x, axis=1, include_initial=True),
    "cumulative_prod": lambda xp, x: xp.cumulative_prod(x, axis=0),
    "cumsum": lambda xp, x: xp.cumsum(x),
    "cumsum axis": lambda xp, x: xp.cumsum(x, 1),
    "cumprod": lambda xp, x: xp.cumprod(x),
    "cumprod axis": lambda xp, x: xp.cumprod(x, axis=0),
    "sort": lambda xp, x: xp.sort(x),
    "sort axis": lambda xp, x: xp.sort(x, 0, kind="stable"),
    "sort flat": lambda xp, x: xp.sort(x, axis=None) * np.arange(1.0, 7.0),
    "take wrapped": lambda xp, x: xp.take(x, [4, -5, 1], axis=1, mode="wrap"),
    "take clipped": lambda xp, x: xp.take(x, np.array([[7], [-7]]), mode="clip"),
    "reshape Fortran": lambda xp, x: xp.reshape(x, (3, -1), order="F"),
    "reshape Fortran flat": lambda xp, x: xp.reshape(x, -1, order="F"),
    "ravel Fortran": lambda xp, x: xp.ravel(x, "F"),
    "around": lambda xp, x: x + xp.around(x * 1.01, decimals=1),
    "round tens": lambda xp, x: x + xp.round(x * 10.0, -1),
    "matrix_transpose": lambda xp, x: xp.matrix_transpose(x),
    "moveaxis": lambda xp, x: xp.moveaxis(x, [0], [-1]),
    "swapaxes": lambda xp, x: xp.swapaxes(x, 0, 1),
    "expand_dims": lambda xp, x: xp.expand_dims(x, 1),
    "squeeze": lambda xp, x: xp.squeeze(xp.expand_dims(x, (0, -1)), -1),
    "flip": lambda xp, x: xp.flip(x, 1),
    "flip all": lambda xp, x: xp.flip(x),
    "roll": lambda xp, x: xp.roll(x, 1, 0),
    "roll several": lambda xp, x: xp.roll(x, [1, 2], axis=[0, 1]),
    "repeat": lambda xp, x: xp.repeat(x, 2, 1),
    "repeat each": lambda xp, x: xp.repeat(x, np.array([2, 0, 1]), axis=1),
    "tile": lambda xp, x: xp.tile(x, (2, 1)),
    "tile reps": lambda xp, x: xp.tile(x, reps=2),
    "tril": lambda xp, x: xp.tril(x, 1),
    "triu": lambda xp, x: xp.triu(x, k=-1),
    "diagonal": lambda xp, x: xp.diagonal(x, 1),
    "diagonal of a stack": lambda xp, x: xp.diagonal(xp.stack([x, x])),
    "trace": lambda xp, x: xp.trace(x),
    "trace of a stack": lambda xp, x: xp.trace(xp.stack([x, x, x])),
    "take": lambda xp, x: xp.take(x, ROWS, 0),
    "take list": lambda xp, x: xp.take(x, [0, 2], axis=1),
    "take flat": lambda xp, x: xp.take(x, 4),
    "take_along_axis": lambda xp, x: xp.take_along_axis(x, np.array([[0, 2], [1, 1]]), 1),
    "outer": lambda xp, x: xp.outer(x, x),
    "tensordot": lambda xp, x: xp.tensordot(x, A, ([0], [0])),
    "kron": lambda xp, x: xp.kron(x, A),
    "vecdot": lambda xp, x: xp.vecdot(x, A),
    "stack": lambda xp, x: xp.stack([x, A], 1),
    "hstack": lambda xp, x: xp.hstack([x, A]),
    "hstack vectors": lambda xp, x: xp.hstack([x[0], A[1]]),
    "hstack numbers": lambda xp, x: xp.hstack([x[0, 0], 2.0]),
    "vstack": lambda xp, x: xp.vstack([x, A[0]]),
    "ravel": lambda xp, x: xp.ravel(x),
    "meshgrid": lambda xp, x: xp.meshgrid(x[0], x[1])[1],
    "pad": lambda xp, x: xp.pad(x, [(1, 0), (0, 2)], constant_values=3.0),
    "pad array": lambda xp, x: xp.pad(x, np.array([[1, 0], [0, 2]])),
    "norm": lambda xp, x: xp.linalg.norm(x) if xp is np else xp.norm(x),
    "norm 1": lambda xp, x: xp.linalg.norm(x, 1, 0) if xp is np else xp.norm(x, 1, 0),
    "norm fro": lambda xp, x: xp.linalg.norm(x, "fro") if xp is np else xp.norm(x, "fro"),
    "vector_norm": lambda xp, x: (xp.linalg if xp is np else xp).vector_norm(x, axis=0, ord=3),
    "dot": lambda xp, x: xp.dot(x, A.T),
    "dot vector": lambda xp, x: xp.dot(x, A[0]),
    "dot number": lambda xp, x: xp.dot(x, 2.0),
    "dot stack": lambda xp, x: xp.dot(x, S),
    "inner": lambda xp, x: xp.inner(x, A),
    "einsum": lambda xp, x: xp.einsum("ij,kj->ik", x, A),
    "max": lambda xp, x: xp.max(x, 0),
    "einsum by lists": lambda xp, x: xp.einsum(x, [0, 1], A, [2, 1], [0, 2]),
    "einsum by lists, implicit": lambda xp, x: xp.einsum(x, [..., 1], A, [..., 1]),
    "vstack dtype": lambda xp, x: xp.vstack([x, A], dtype=np.float32),
    "hstack dtype": lambda xp, x: xp.hstack([x, A], dtype=np.float32),
    "copy": lambda xp, x: xp.copy(x),
    "atleast_1d": lambda xp, x: xp.atleast_1d(x[0, 0]),
    "atleast_2d": lambda xp, x: xp.atleast_2d(x[0]),
    "atleast_2d several": lambda xp, x: xp.atleast_2d(1.0, x)[1],
    "atleast_3d": lambda xp, x: xp.atleast_3d(x),
    "atleast_3d vector": lambda xp, x: xp.atleast_3d(x[0]),
    "atleast_3d number": lambda xp, x: xp.atleast_3d(x[0, 0]),
    "dstack": lambda xp, x: xp.dstack([x, A]),
    "dstack one": lambda xp, x: xp.dstack([x]),
    "column_stack": lambda xp, x: xp.column_stack([x[0], A.T]),
    "append": lambda xp, x: xp.append(x, 2.0),
    "append rows": lambda xp, x: xp.append(x, A, axis=0),
    "vsplit": lambda xp, x: xp.vsplit(x, 2)[1],
    "hsplit": lambda xp, x: xp.hsplit(x, [1])[1],
    "hsplit vector": lambda xp, x: xp.hsplit(x[0], 3)[1],
    "dsplit": lambda xp, x: xp.dsplit(xp.stack([x, x], 2), 2)[0],
    "array_split": lambda xp, x: xp.array_split(x, 2, axis=1)[0],
    "array_split last": lambda xp, x: xp.array_split(x, 2, 1)[-1],
    "flipud": lambda xp, x: xp.flipud(x),
    "fliplr": lambda xp, x: xp.fliplr(x),
    "rollaxis": lambda xp, x: xp.rollaxis(xp.stack([x, x]), 2),
    "rollaxis to": lambda xp, x: xp.rollaxis(xp.stack([x, x]), 0, 2),
    "rollaxis from behind": lambda xp, x: xp.rollaxis(xp.stack([x, x]), -3, -1),
    "broadcast_arrays": lambda xp, x: xp.broadcast_arrays(x[0], A)[0],
    "diff": lambda xp, x: xp.diff(x),
    "diff twice": lambda xp, x: xp.diff(x * x, 2, 1),
    "diff of rows": lambda xp, x: xp.diff(x, axis=0, prepend=2.0, append=A[:1]) ** 2,
    "trapezoid": lambda xp, x: xp.trapezoid(x),
    "trapezoid dx": lambda xp, x: xp.trapezoid(x, dx=0.5, axis=0),
    "trapezoid x": lambda xp, x: xp.trapezoid(x, np.array([0.0, 1.0, 3.0])),
    "trapezoid x of rows": lambda xp, x: xp.trapezoid(x, np.array([0.0, 3.0]), axis=0),
    "trapezoid of many x": lambda xp, x: xp.trapezoid(A, x * x, axis=-1),
    "radians": lambda xp, x: xp.radians(x),
    "deg2rad": lambda xp, x: xp.deg2rad(x),
    "degrees": lambda xp, x: xp.degrees(x),
    "rad2deg": lambda xp, x: xp.rad2deg(x),
}


@pytest.mark.parametrize("name", _CALLS)
def test_autodiff_numpy_has_numpys_signatures(name: str) -> None:
    """A function of autodiff.numpy takes NumPy's arguments and gives NumPy's result, and a gradient flows."""
    x = Value(A.copy())
    found, wanted = _CALLS[name](anp, x), _CALLS[name](np, A)
    assert (type(found), found.dtype, found.shape) == (Value, wanted.dtype, np.shape(wanted))
    np.testing.assert_allclose(found.data, wanted, rtol=1e-6)
    found.sum().backward()
    assert (x.grad.shape, x.grad.any()) == (A.shape, True)


@pytest.mark.parametrize("name", _CALLS)
def test_numpys_functions_take_values(name: str) -> None:
    """NumPy's own function, called with a Value, gives a Value with NumPy's result."""
    found = _CALLS[name](np, Value(A.copy()))
    assert type(found) is Value
    np.testing.assert_allclose(found.data, _CALLS[name](np, A), rtol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda xp, x: xp.argmax(x, 1),
        lambda xp, x: xp.argmin(x),
        lambda xp, x: xp.all(x, 0),
        lambda xp, x: xp.any(x, axis=(0, 1), keepdims=True),
        lambda xp, x: xp.count_nonzero(x, 0),
        lambda xp, x: xp.argsort(x, 0),
        lambda xp, x: xp.argsort(x, kind="stable"),
        lambda xp, x: xp.searchsorted(np.array([0.0, 1.0, 2.0]), x, "right"),
        lambda xp, x: xp.searchsorted(np.array([2.0, 0.0, 1.0]), x, sorter=np.array([1, 2, 0])),
    ],
)
def test_answers_without_a_gradient(call: Any) -> None:
    """Indices, counts and truths are NumPy's, as Values that need no gradient."""
    for xp in (anp, np):
        found = call(xp, Value(A))
        assert (type(found), found.requires_grad) == (Value, False)
        np.testing.assert_array_equal(found.data, call(np, A))


@pytest.mark.parametrize(
    "call",
    [
        lambda xp, x: xp.isclose(x, A + 1e-12),
        lambda xp, x: xp.allclose(x, A, rtol=0.0),
        lambda xp, x: xp.array_equal(A, x),
        lambda xp, x: xp.iscomplex(x),
        lambda xp, x: xp.nonzero(x)[1],
        lambda xp, x: xp.argwhere(x),
    ],
)
def test_answers_as_raw_arrays(call: Any) -> None:
    """What compares arrays, and finds places, tells of raw arrays."""
    for xp in (anp, np):
        found = call(xp, Value(A))
        assert type(found) is not Value
        np.testing.assert_array_equal(found, call(np, A))


def test_ufunc_methods() -> None:
    """Reductions and running results of ufuncs are ops too."""
    for name in ("minimum.reduce", "multiply.reduce", "add.accumulate", "multiply.accumulate"):
        ufunc, method = name.split(".")
        found = getattr(getattr(np, ufunc), method)(Value(A))
        np.testing.assert_array_equal(found.data, getattr(getattr(np, ufunc), method)(A))
    assert np.logical_and.reduce(Value(A > 0)).data.tolist() == [True, False, True]
    assert np.logical_or.reduce(Value(A > 0), axis=1).data.tolist() == [True, True]


def test_outer_of_ufuncs() -> None:
    """Every pair of elements, as NumPy's method has it."""
    found = np.subtract.outer(Value(A[0]), Value(A))
    assert found.requires_grad
    np.testing.assert_array_equal(found.data, np.subtract.outer(A[0], A))
    np.testing.assert_array_equal(np.subtract.outer(2.0, Value(A)).data, np.subtract.outer(2.0, A))


def test_ufuncs_of_others_are_named_and_found() -> None:
    """SciPy's ufuncs that are ops arrive at them; another one is not called NumPy's."""
    special = pytest.importorskip("scipy.special")
    np.testing.assert_allclose(special.expit(Value(A)).data, special.expit(A), rtol=1e-12)
    np.testing.assert_allclose(special.erf(Value(A)).data, special.erf(A), rtol=1e-12)
    with pytest.raises(AutodiffError, match="the ufunc 'j0'"):
        special.j0(Value(A))


#: NumPy's methods: each is called on an array and on a Value.
_METHODS: dict[str, Any] = {
    "flatten": lambda x: x.flatten(),
    "ravel": lambda x: x.ravel(),
    "dot": lambda x: x.dot(A.T),
    "cumsum": lambda x: x.cumsum(),
    "cumsum axis": lambda x: x.cumsum(1),
    "cumprod": lambda x: x.cumprod(axis=0),
    "round": lambda x: x.round(1),
    "trace": lambda x: x.trace(),
    "diagonal": lambda x: x.diagonal(1),
    "conjugate": lambda x: x.conjugate(),
    "std": lambda x: x.std(0, ddof=1),
    "var": lambda x: x.var(axis=(0, 1), ddof=1, keepdims=True),
    "copy": lambda x: x.copy(),
    "searchsorted": lambda x: x[0].cumsum().searchsorted([3.5, 9.0]),
}


@pytest.mark.parametrize("name", _METHODS)
def test_methods_of_arrays(name: str) -> None:
    """What an array has as a method a Value has too, and a batch as well."""
    found = _METHODS[name](Value(A))
    np.testing.assert_array_equal(found.data, _METHODS[name](A))
    assert found.requires_grad is (name != "searchsorted")
    assert name.split(maxsplit=1)[0] in dir(Value(A))
    if name != "searchsorted":
        np.testing.assert_array_equal(vmap(_METHODS[name])(np.stack([A, 2 * A]))[1], _METHODS[name](2 * A))


def test_lists_and_places_as_methods() -> None:
    """`tolist` and `nonzero` leave the graph in sight."""
    assert Value(A).tolist() == A.tolist()
    assert (Value(A) > 1).tolist() == (A > 1).tolist()
    np.testing.assert_array_equal(Value(A).nonzero(), A.nonzero())


def test_a_method_that_is_a_function_is_offered_as_one() -> None:
    """The nearest names come only where there is none of that name."""
    with pytest.raises(AutodiffError, match=r"autodiff\.numpy\.norm\(value\)"):
        Value(A).norm()
    with pytest.raises(AutodiffError, match="Did you mean 'squeeze'"):
        Value(A).unsqueeze(0)


def test_linalg_looks_at_the_last_axes() -> None:
    """numpy.linalg's diagonal and trace take the last two axes where numpy's take the first."""
    x = np.arange(12.0).reshape(3, 2, 2)
    for function in (np.diagonal, np.trace, np.linalg.diagonal, np.linalg.trace):
        np.testing.assert_array_equal(function(Value(x)).data, function(x))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: np.std(x, 0, out=np.zeros(3)), "out"),
        (lambda x: np.std(x, where=A > 0), "where"),
        (lambda x: anp.all(x, initial=True), "initial"),
        (lambda x: np.std(x, mean=1.0), "mean"),
        (lambda x: np.take(x, 0, mode="near"), "'near'"),
        (lambda x: np.take(x[:0], [0], axis=0, mode="wrap"), "there are none"),
        (lambda x: np.sort(x, order="name"), "order"),
        (lambda x: anp.flip(x, 0, 1), "at most 2"),
        (lambda x: anp.flip(x, 0, axis=0), "twice"),
        (lambda x: np.linalg.norm(x, 3), "'fro'"),
        (lambda x: np.pad(x, 1, "empty"), "edge"),
        (lambda x: np.ravel(x, "K"), "'K'"),
        (lambda x: np.pad(x, 1, constant_values=((1, 2),) * 3), "each of the 2 axes"),
        (lambda x: np.quantile(x, x), "not differentiable with respect to q"),
        (lambda x: np.tril(x[0]), r"matrices; it was given an array of shape \(3,\)"),
        (lambda x: anp.where(x > 0, x), "one choice"),
        (lambda x: np.isposinf(x * 1j), "real numbers"),
        (lambda x: np.einsum("ij", x, out=A), "out"),
        (lambda x: anp.einsum(x, "ij"), "list of its labels"),
        (lambda x: np.diff(x, -1), "from 0 on"),
        (lambda x: np.vstack([x, x], casting="no"), "casting"),
        (lambda x: np.put_along_axis(x, np.array([[0]]), 1.0, 1), "returns a copy"),
    ],
)
def test_what_is_refused_says_so(call: Any, said: str) -> None:
    """An argument that has no meaning for Values is an error that names it."""
    with pytest.raises(AutodiffError, match=said):
        call(Value(A))


def test_an_option_that_needs_a_gradient_is_refused() -> None:
    """A Value as an option does not lose its gradient in silence."""
    with pytest.raises(AutodiffError, match="constant_values"):
        anp.pad(Value(A), 1, constant_values=Value(1.0))


def test_a_copy_with_elements_put() -> None:
    """put_along_axis of autodiff.numpy returns a copy and leaves its argument alone."""
    x = Value(A.copy())
    y = anp.put_along_axis(x, np.array([[0], [1]]), 9.0, 1)
    assert (y.data.tolist(), x.data.tolist()) == ([[9.0, 1.0, 2.0], [0.5, 9.0, 6.0]], A.tolist())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_whose_signature_it_has(name: str) -> None:
    """The docstring names NumPy's function, which exists."""
    assert FUNCTIONS[name].__doc__.startswith("``numpy.")
    assert hasattr(np, name) or hasattr(np.linalg, name)


def test_raw_arrays_stay_raw() -> None:
    """Without a Value among the arguments the result is a raw array."""
    assert type(anp.flip(A, 0)) is np.ndarray
    assert type(anp.einsum("ij->j", A)) is np.ndarray
    with pytest.raises(AutodiffError, match="axis"):
        anp.squeeze(A, 5)


def test_every_function_pickles() -> None:
    """A network may hold any of them: each is found again under its name."""
    for name in dir(anp):
        function = getattr(anp, name)
        if getattr(function, "__module__", "numpy") != "numpy":
            assert pickle.loads(pickle.dumps(function)) is function, name
