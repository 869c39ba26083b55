"""What a Value can be made of, and what it says of itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff
from autodiff import AutodiffError, Value, no_grad
from autodiff.errors import ArgumentError, ArgumentTypeError, GradientTypeError, GraphError


class HasArray:
    """Stands for a column of a data frame: only ``__array__``."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array([1.0, 2.0], dtype=dtype)


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (3, "float64", ()),
        (3.0, "float64", ()),
        (1j, "complex128", ()),
        ([1, 2], "float64", (2,)),
        ((1, 2), "float64", (2,)),
        (range(3), "float64", (3,)),
        ([], "float64", (0,)),
        ([[1, 2], [3, 4]], "float64", (2, 2)),
        ([1j, 2], "complex128", (2,)),
        ([np.ones(2), np.ones(2)], "float64", (2, 2)),
        (np.float16(2), "float16", ()),
        (np.float32(2), "float32", ()),
        (np.longdouble(2), "longdouble", ()),
        (np.array(2.0), "float64", ()),
        (np.ones((2, 0), np.float32), "float32", (2, 0)),
        (np.ones(2, np.complex64), "complex64", (2,)),
        (np.ones(2, ">f8"), ">f8", (2,)),
        (np.arange(6.0).reshape(2, 3)[:, ::2], "float64", (2, 2)),
        (HasArray(), "float64", (2,)),
    ],
)
def test_floating_data_needs_a_gradient(data: Any, dtype: str, shape: Any) -> None:
    """Numbers and lists become float64, floating and complex arrays keep their dtype, and all need a gradient."""
    v = Value(data)
    assert (v.dtype, v.shape, v.ndim, v.size) == (np.dtype(dtype), shape, len(shape), int(np.prod(shape)))
    assert (v.requires_grad, v.is_leaf, v.grad, v.backend, v.device) == (True, True, None, "numpy", "cpu")
    assert type(v.data) is np.ndarray


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (True, "bool"),
        ([True, False], "bool"),
        (np.bool_(1), "bool"),
        (np.int64(2), "int64"),
        (np.arange(3, dtype=np.uint8), "uint8"),
        (np.array([True]), "bool"),
    ],
)
def test_integers_and_booleans_need_none(data: Any, dtype: str) -> None:
    """Integer and boolean arrays keep their dtype and have no gradient."""
    v = Value(data)
    assert (v.dtype, v.requires_grad, v.grad) == (np.dtype(dtype), False, None)
    with pytest.raises(GradientTypeError, match=dtype):
        Value(data, requires_grad=True)


@pytest.mark.parametrize(
    "data",
    [
        "text",
        b"text",
        None,
        {},
        {1.0, 2.0},
        object(),
        (i for i in ()),
        [[1], [1, 2]],
        [1, "a"],
        [1, None],
        10**400,
        np.array([1, None], object),
        np.array([1.0, 2.0], object),
        np.array(["a"]),
        np.array(["2020-01-01"], "M8[D]"),
        np.zeros(2, [("a", float)]),
        np.ma.array([1.0, 2.0], mask=[0, 1]),
    ],
    ids=lambda d: type(d).__name__,
)
def test_what_holds_no_numbers_is_refused(data: Any) -> None:
    """Text, objects, ragged lists, masked arrays are a TypeError that says what was given."""
    with pytest.raises(ArgumentTypeError) as caught:
        Value(data)
    assert isinstance(caught.value, TypeError)
    assert type(data).__name__ in str(caught.value)


def test_arrays_are_wrapped_without_a_copy() -> None:
    """The Value looks at the user's array, also a part of one."""
    base = np.ones((3, 3))
    assert np.shares_memory(Value(base[1]).data, base)
    base[1, 0] = 5
    v = Value(base[1])
    assert v.data.tolist() == [5.0, 1.0, 1.0]


def test_dtype_and_backend_arguments() -> None:
    """dtype converts first and decides about the gradient; unknown names are errors."""
    assert Value(3, dtype="float32").dtype == np.float32
    assert Value(np.arange(3), dtype=np.float64).requires_grad
    assert not Value(3.0, dtype="int64").requires_grad
    assert Value([1.0], backend="numpy").backend == "numpy"
    with pytest.raises(ArgumentTypeError, match="floaty"):
        Value(3.0, dtype="floaty")
    with pytest.raises(ArgumentError, match=r"cudaa.*numpy") as caught:
        Value(3.0, backend="cudaa")
    assert isinstance(caught.value, LookupError)


def test_value_of_a_value_is_a_second_handle() -> None:
    """It shares the leaf, unless it is told that it needs no gradient."""
    x = Value(np.ones(2))
    second, free = Value(x), Value(x, requires_grad=False)
    (second * 2).sum().backward()
    assert (x.grad.tolist(), second.grad.tolist(), free.requires_grad) == ([2.0, 2.0], [2.0, 2.0], False)
    y = Value(x * 3)
    assert y.is_leaf is False
    converted = Value(x, dtype="float32")
    assert (converted.dtype, converted.is_leaf) == (np.float32, False)
    assert Value(free, requires_grad=True).is_leaf
    with pytest.raises(GradientTypeError):
        Value(Value(np.arange(2)), requires_grad=True)


def test_attributes_of_a_matrix() -> None:
    """T reverses all axes, mT swaps the last two."""
    v = Value(np.zeros((2, 3, 4)))
    assert (v.T.shape, v.mT.shape) == ((4, 3, 2), (2, 4, 3))
    with pytest.raises(ArgumentError, match=r"\(3,\)"):
        Value(np.zeros(3)).mT


def test_parts_of_complex_numbers_are_differentiable() -> None:
    """By PyTorch's convention ``abs(z)**2`` has the gradient ``2 z``; a real number has itself and zeros."""
    z = Value([1 + 2j, -3j])
    assert (z.real.data.tolist(), z.imag.data.tolist()) == ([1, 0], [2, -3])
    (z.real**2 + 3 * z.imag).sum().backward()
    assert z.grad.tolist() == [2 + 3j, 3j]
    x = Value([1.0, 2.0])
    assert (x.real.data.tolist(), x.imag.data.tolist()) == ([1, 2], [0, 0])
    (x.real * x + x.imag).sum().backward()
    assert x.grad.tolist() == [2, 4]
    assert Value(np.arange(2)).imag.data.tolist() == [0, 0]


def test_unknown_attribute_lists_the_nearest() -> None:
    """A misspelt method is an AttributeError with the nearest names, so that hasattr works."""
    with pytest.raises(AttributeError, match="tanh"):
        Value(1.0).tanhh
    assert not hasattr(Value(1.0), "nothing_like_this")
    assert not hasattr(Value(1.0), "__cuda_array_interface__")
    with pytest.raises(AttributeError):
        Value(1.0).new_attribute = 1  # type: ignore[attr-defined]


def test_unknown_attribute_is_an_error_of_ours() -> None:
    """It is an AutodiffError too."""
    with pytest.raises(AutodiffError):
        Value(1.0).tanhh


def test_assigning_data() -> None:
    """data of a leaf can be replaced by numbers of its shape; the leaf and its dtype stay."""
    x = Value(np.ones(2, np.float32))
    x.data = [5, 6]
    assert (x.data.tolist(), x.dtype, x.is_leaf) == ([5.0, 6.0], np.float32, True)
    with pytest.raises(ArgumentError, match=r"\(2,\).*\(3,\)"):
        x.data = np.ones(3)
    with pytest.raises(AutodiffError):
        x.data = "ab"
    with pytest.raises(GraphError, match="detach"):
        (x * 2).data = np.ones(2)
    assert x.data.tolist() == [5.0, 6.0]


def test_assigning_grad() -> None:
    """grad can be set, cleared and zeroed; another shape is refused and changes nothing."""
    x = Value(np.ones(2))
    x.grad = np.array([1, 2])
    (x * 1).sum().backward()
    assert (x.grad.tolist(), x.grad.dtype) == ([2.0, 3.0], np.float64)
    for bad in (np.ones(3), "ab", 1.0):
        with pytest.raises(AutodiffError):
            x.grad = bad
    assert x.grad.tolist() == [2.0, 3.0]
    x.zero_grad()
    assert x.grad is None
    with pytest.raises(GraphError):
        (x * 2).grad = np.ones(2)
    with pytest.raises(GraphError):
        Value(np.arange(2)).grad = np.arange(2)


def test_numbers_are_0d_arrays_that_write_through() -> None:
    """Writing into .data of a number is seen by the Value."""
    x = Value(3.0)
    x.data += 1
    array = x.data
    array += 1
    assert x.item() == 5.0


def test_results_cannot_be_written_to() -> None:
    """The data of a recorded result is read-only: the graph may need it. That of leaves and constants is not."""
    x = Value(np.ones(3))
    y = x.tanh()
    with pytest.raises(ValueError, match="read-only"):
        y.data[0] = 5.0
    with pytest.raises(ValueError, match="read-only"):
        x[:2].data[0] = 5.0
    x.data[0] = 2.0
    y.detach().data
    assert x.data.tolist() == [2.0, 1.0, 1.0]


def test_in_place_with_recording_off_keeps_the_place_in_the_graph() -> None:
    """y += ... and y[i] = ... under no_grad change the numbers of a result, and gradients still flow through it."""
    for change in ("add", "assign"):
        x = Value([1.0, 2.0])
        y = x * 2
        with no_grad():
            if change == "add":
                y += 5
            else:
                y[0] = 5.0
        (y * Value([3.0, 4.0])).sum().backward()
        assert x.grad.tolist() == [6.0, 8.0]


def test_gradients_that_are_assigned_are_checked() -> None:
    """Also if they are Values that were recorded."""
    v = Value([1.0])
    with pytest.raises(AutodiffError, match=r"\(5,\)"):
        v.grad = Value(np.ones(5))


def test_value_cannot_be_derived_from() -> None:
    """Ops tell Values by their type."""
    with pytest.raises(TypeError, match="Parameter"):

        class Parameter(Value):
            pass


def test_gradients_stay_recorded_under_no_grad() -> None:
    """create_graph=True twice under no_grad accumulates gradients that can be differentiated."""
    x = Value(3.0)
    y = x * x * x
    with no_grad():
        y.backward(create_graph=True)
        y.backward(create_graph=True)
    x.grad.sum().backward()
    assert x.grad.data == 54.0 + 36.0


def test_in_place_with_recording_off_keeps_the_leaf() -> None:
    """w -= ... under no_grad changes the numbers of the same leaf, and no earlier graph."""
    w = Value(np.array([1.0, 2.0]))
    same, loss = w, (w * w).sum()
    with no_grad():
        w -= 0.5
        w[0] = 9.0
    assert w is same
    assert (w.is_leaf, w.requires_grad, w.data.tolist()) == (True, True, [9.0, 1.5])
    loss.backward()
    assert w.grad.tolist() == [2.0, 4.0]


def test_detach_is_outside_the_graph() -> None:
    """detach shares the data and passes no gradient."""
    x = Value(np.ones(2))
    d = x.detach()
    assert (d.requires_grad, np.shares_memory(d.data, x.data)) == (False, True)
    (x * d).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_a_parameter_is_frozen_and_set_free() -> None:
    """`requires_grad` can be assigned on leaves; graphs that were recorded before are not touched."""
    x = Value([1.0, 2.0])
    before = (x * x).sum()
    x.requires_grad = False
    assert not (x * 2.0).requires_grad
    assert x.grad is None
    before.backward()
    x.requires_grad = True
    (x * 3.0).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    x.requires_grad = True  # already so: the gradient stays
    assert x.grad.tolist() == [3.0, 3.0]
    with pytest.raises(GraphError, match=r"detach\(\)"):
        before.requires_grad = False
    with pytest.raises(GradientTypeError):
        Value(np.arange(2)).requires_grad = True
    with pytest.raises(ArgumentTypeError, match="True or False"):
        x.requires_grad = None


def test_names_from_elsewhere_are_told() -> None:
    """JAX's and PyTorch's names of what is called something else here."""
    with pytest.raises(AttributeError, match=r"jacobian\(f, mode="):
        autodiff.jacfwd  # the look-up is what is tested
    with pytest.raises(AttributeError, match=r"no attribute 'foo'$"):
        autodiff.foo
