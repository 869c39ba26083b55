"""Arrays come from other libraries and go to them in the same memory; a gradient is never lost on the way."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import autodiff.numpy as anp
from autodiff import Value, no_grad, vmap
from autodiff.errors import ArgumentError, ArgumentTypeError, GradientTypeError

IN_PLACE = ("iadd", "isub", "imul", "itruediv", "ipow", "ifloordiv", "imod", "imatmul")


def constant(numbers):
    """Return a Value that needs no gradient."""
    return Value(numbers, requires_grad=False)


class Package:
    """An array of a library that has DLPack and nothing else."""

    def __init__(self, array, kind=1):
        self.array, self.kind = array, kind

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return (self.kind, 0)


# ---- out ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1.5, [1.0, 2.0], 3 + 1j])
def test_dlpack_hands_out_the_memory_itself(number):
    """What is written into the array is seen in the Value, a single number included."""
    v = constant(number)
    array = np.from_dlpack(v)
    assert np.shares_memory(array, v.data)
    assert v.__dlpack_device__() == (1, 0)
    array[...] = 7.0
    assert (v == 7.0).data.all()


def test_dlpack_refuses_to_lose_a_gradient():
    """As in PyTorch; detached, and with recording off, it hands out the same memory."""
    v = Value([1.0, 2.0])
    for lossy in (v, v * 2.0):
        with pytest.raises(GradientTypeError, match=r"DLPack.*detach"):
            np.from_dlpack(lossy)
    assert np.shares_memory(np.from_dlpack(v.detach()), v.data)
    with no_grad():
        assert np.shares_memory(np.from_dlpack(v), v.data)


def test_inside_vmap_nothing_is_handed_out():
    """One example's numbers are nowhere by themselves."""
    with pytest.raises(ArgumentTypeError, match="vmap"):
        vmap(np.from_dlpack)(np.ones((2, 3)))


def test_host_arrays_have_no_cuda_interface():
    """Others ask by hasattr, whether a gradient is needed or not."""
    assert not hasattr(Value([1.0]), "__cuda_array_interface__")
    assert not hasattr(constant([1.0]), "__cuda_array_interface__")


def test_numpy_is_told_that_asarray_copies():
    """NumPy's copy=False must not be answered by a copy."""
    v = constant([1.0])
    assert not np.shares_memory(np.asarray(v), v.data)
    with pytest.raises(ValueError, match="from_dlpack"):
        np.asarray(v, copy=False)


def test_pytorch_shares_memory_both_ways():
    """What one side writes the other sees; no side drops a gradient."""
    torch = pytest.importorskip("torch")
    v = constant(np.arange(3, dtype="float32"))
    tensor = torch.from_dlpack(v)
    v.data[0] = 9.0
    assert tensor.tolist() == [9.0, 1.0, 2.0]
    assert np.shares_memory(anp.from_dlpack(tensor).data, v.data)
    with pytest.raises(GradientTypeError):
        torch.from_dlpack(Value(np.ones(3)))


def test_jax_takes_values_and_gives_arrays():
    """JAX copies what is not aligned as it likes, and gives out memory that cannot be written to."""
    dlpack = pytest.importorskip("jax.dlpack")
    array = dlpack.from_dlpack(constant(np.arange(3, dtype="float32")))
    v = anp.from_dlpack(array)
    assert (v.data.tolist(), v.data.flags.writeable) == ([0.0, 1.0, 2.0], False)
    with pytest.raises(GradientTypeError):
        dlpack.from_dlpack(Value(np.ones(3)))


def test_a_tensor_that_needs_a_gradient_is_refused():
    """PyTorch's own error, which says what to do, and for which call it was."""
    torch = pytest.importorskip("torch")
    with pytest.raises(BufferError, match="detach") as caught:
        anp.from_dlpack(torch.ones(3, requires_grad=True))
    assert "autodiff.numpy.from_dlpack" in caught.value.__notes__[0]


# ---- in -----------------------------------------------------------------------------------------------------------


def test_from_dlpack_shares_memory():
    """A Value without a gradient, of which another handle may ask for one."""
    a = np.array([1.0, 2.0])
    v = anp.from_dlpack(Package(a))
    assert (type(v), v.requires_grad, np.shares_memory(v.data, a)) == (Value, False, True)
    w = Value(v, requires_grad=True)
    (w * w).sum().backward()
    assert w.grad.tolist() == [2.0, 4.0]


def test_from_dlpack_copies_if_asked():
    """``copy=True`` makes a copy, ``copy=False`` never."""
    a = np.array([1.0, 2.0])
    assert not np.shares_memory(anp.from_dlpack(a, copy=True).data, a)
    assert np.shares_memory(anp.from_dlpack(a, copy=False, device="numpy").data, a)


@pytest.mark.parametrize(
    ("given", "options", "error", "text"),
    [
        ([1.0], {}, ArgumentTypeError, "list, which has no __dlpack__"),
        (Package(np.ones(2), kind=8), {}, ArgumentTypeError, "kind 8"),
        (Package(np.ones(2), kind=2), {}, RuntimeError, "'cupy' cannot run here"),
        (np.ones(2), {"device": "nowhere"}, ArgumentError, "nowhere"),
    ],
)
def test_from_dlpack_says_what_is_wrong(given, options, error, text):
    """No DLPack, a device of no backend, one that cannot run, a device that nobody knows."""
    with pytest.raises((error, ArgumentError), match=text):
        anp.from_dlpack(given, **options)


# ---- an array on the left of += -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IN_PLACE)
def test_an_array_takes_the_numbers_of_a_constant(name):
    """``array += value`` writes into the array, as with PyTorch's tensors and JAX's arrays on the right."""
    numbers = np.array([[1.0, 2.0], [3.0, 4.0]])
    array, expected = numbers + 1, numbers + 1
    whole = array
    array = getattr(operator, name)(array, constant(numbers))
    expected = getattr(operator, name)(expected, numbers)
    assert array is whole
    assert array.tolist() == expected.tolist()


@pytest.mark.parametrize("name", IN_PLACE)
def test_an_array_takes_no_value_that_needs_a_gradient(name):
    """The array could not carry it: an error that says what to write, and the array stays as it was."""
    array, v = np.ones((2, 2)), Value(np.full((2, 2), 3.0))
    with pytest.raises(GradientTypeError, match="array = array"):
        getattr(operator, name)(array, v)
    assert (array.tolist(), v.grad) == ([[1.0, 1.0]] * 2, None)
    with no_grad():
        array += v
    assert array.tolist() == [[4.0, 4.0]] * 2


def test_out_and_at_follow_the_same_rule():
    """They write into an array too; into a Value nobody writes so."""
    array, v = np.zeros(3), constant([1.0, 2.0])
    np.add(v, 1.0, out=array[:2])
    np.add.at(array, [2, 2], v)
    np.add(v, v, out=array[1:], where=np.array([True, False]))
    assert array.tolist() == [2.0, 2.0, 3.0]
    with pytest.raises(GradientTypeError, match=r"numpy\.add"):
        np.add.at(array, [2, 2], Value([1.0, 2.0]))
    with pytest.raises(ArgumentTypeError, match="out"):
        np.add(1.0, 1.0, out=Value(np.zeros(2)))


def test_an_array_outside_of_vmap_is_not_written_to():
    """The numbers of the examples would have to be one."""
    array = np.zeros(3)

    def f(x):
        np.add(array, x, out=array)
        return x

    with pytest.raises(ArgumentTypeError, match="vmap"):
        vmap(f)(np.ones((2, 3)))
    assert array.tolist() == [0.0] * 3


def test_numpy_says_what_does_not_fit():
    """Shapes and kinds are NumPy's business, and its errors its own."""
    array = np.zeros(3, int)
    with pytest.raises(TypeError, match="same_kind"):
        array += constant([1.5, 2.5, 3.5])
    with pytest.raises(ValueError, match="broadcast"):
        array += constant(np.ones((2, 3), int))
