"""Where CuPy differs from NumPy, results and gradients do not."""

from __future__ import annotations

import gc
import operator
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import autodiff
import autodiff.numpy as anp
from autodiff import Value, grad, hessian, jvp, ops
from autodiff.errors import (
    ArgumentError,
    ArgumentTypeError,
    BackendMismatchError,
    GradientTypeError,
    IndexingError,
)


def test_importing_autodiff_imports_no_cupy():
    """CuPy is loaded when somebody asks for it, and not by using NumPy."""
    code = "import sys, autodiff; (autodiff.Value([1.0, 2.0]).tanh().sum()).backward(); print('cupy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_rules_of_cupy_are_found_although_numpy_came_first(cupy):
    """An op that has run on NumPy before CuPy was loaded still takes CuPy's own rule afterwards."""
    x = Value(cupy.asarray([-1.0, 2.0]))
    ops.relu(Value([1.0])).backward()
    ops.relu(x).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0]


def test_results_of_shape_nothing_stay_on_the_device(cupy):
    """Sums, elements and their gradients are device arrays of shape ()."""
    x = Value(cupy.asarray([1.0, 2.0]))
    total = (x * x).sum()
    assert (type(total.data), total.data.shape, type(x[0].data)) == (cupy.ndarray, (), cupy.ndarray)
    y = Value(cupy.asarray(3.0))
    (y * y).backward()
    assert (type(y.grad), y.grad.shape, float(y.grad)) == (cupy.ndarray, (), 6.0)


def test_an_element_is_no_view(cupy):
    """CuPy's x[0] is a view: changing a result of indexing changes nothing else."""
    w = cupy.asarray([1.0, 2.0])
    element = Value(w)[0].detach()
    with autodiff.no_grad():
        element += 5
    assert w.tolist() == [1.0, 2.0]


def test_gradients_are_not_views_of_the_seed(cupy):
    """Writing into a gradient changes neither the seed nor another gradient, though broadcast views can be written to."""
    a, b = Value(cupy.ones(3)), Value(cupy.ones(3))
    seed = cupy.ones(3)
    (a + b).backward(seed)
    a.grad[...] = 7
    s = Value(cupy.ones((2, 3)))
    s.sum().backward()
    s.grad[0, 0] = 9
    assert (seed.tolist(), b.grad.tolist(), float(s.grad.sum())) == ([1, 1, 1], [1, 1, 1], 14.0)


@pytest.mark.parametrize("mixed", [operator.add, lambda x, h: h * x, ops.matmul])
def test_host_arrays_are_never_moved_in_silence(cupy, mixed):
    """A NumPy array beside a CuPy one is an error that says how to move it."""
    with pytest.raises(BackendMismatchError, match=r"\.to\("):
        mixed(Value(cupy.ones(3)), np.ones(3))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_repeated_indices_add_up(cupy, dtype):
    """The gradient of reading one place many times is exact in every dtype; half precision counts past 2048."""
    x = Value(cupy.zeros(2, dtype))
    index = cupy.zeros(3000, "int64")
    x[index].backward(cupy.ones(3000, dtype))
    assert (x.grad.dtype, complex(x.grad[0]), complex(x.grad[1])) == (np.dtype(dtype), 3000, 0)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_one_place_that_the_device_knows(cupy, dtype):
    """An index of shape () on the device: its gradient is of shape () too, where CuPy likes to add an axis."""
    x = Value(cupy.ones(3, dtype))
    ops.take(x, cupy.asarray(1)).backward(cupy.asarray(2.0, dtype))
    assert x.grad.tolist() == [0.0, 2.0, 0.0]


def test_a_fixed_order_on_request(cupy):
    """In a deterministic block numbers that cancel are added in the order of the index, whatever threads do."""
    from autodiff_cupy import deterministic

    numbers = np.array([1e16, 1.0, -1e16, 1.0, 3.0])
    x = Value(cupy.zeros(3))
    y = x[cupy.asarray([1, 1, 1, 1, 0])]
    with deterministic():
        y.backward(cupy.asarray(numbers))
    assert x.grad.tolist() == [3.0, ((1e16 + 1.0) - 1e16) + 1.0, 0.0]


def test_of_two_writes_to_one_place_the_last_counts(cupy):
    """The last value stays, and it alone gets the gradient; on the device any thread might have won."""
    value = Value(cupy.asarray([1.0, 2.0, 3.0]))
    y = ops.setitem(cupy.zeros(2), value, index=(cupy.asarray([0, 0, 1]),))
    y.sum().backward()
    assert (y.data.tolist(), value.grad.tolist()) == ([2.0, 3.0], [0.0, 1.0, 1.0])


@pytest.mark.parametrize("correction", [0, 1])
def test_variance_with_a_correction(cupy, correction):
    """CuPy's var has no `correction`; ours has."""
    numbers = np.array([1.0, 2.0, 4.0])
    x = Value(cupy.asarray(numbers))
    y = x.var(correction=correction)
    assert float(y.data) == pytest.approx(numbers.var(ddof=correction))


def test_python_numbers_are_weak(cupy):
    """float32 times a Python number stays float32, forward and backward, also in kernels made of C expressions."""
    x = Value(cupy.ones(3, "float32"))
    y = ops.leaky_relu(x * 2.0, negative_slope=0.1) ** 2
    y.sum().backward()
    assert (str(y.dtype), str(x.grad.dtype)) == ("float32", "float32")


def test_nan_stays_nan(cupy):
    """A kernel made of C expressions lets NaN through, as NumPy's does."""
    x = cupy.asarray([np.nan, -1.0, 1.0])
    for name in ("relu", "relu6", "elu", "leaky_relu", "sigmoid", "softplus", "gelu", "hard_sigmoid"):
        assert np.isnan(float(getattr(ops, name)(x)[0])), name


@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu", "hard_tanh"])
def test_an_infinite_cotangent_meets_no_zero(cupy, name):
    """Where the derivative selects 0, an infinite cotangent gives 0 and not NaN."""
    x = Value(cupy.asarray([-1.0, 8.0]))
    getattr(ops, name)(x).backward(cupy.asarray([np.inf, np.inf]))
    assert not np.isnan(x.grad.get()).any()


def test_a_label_that_names_no_class_gives_nan(cupy):
    """Labels are not checked on a device, which would have to be waited for: the loss is NaN."""
    loss = ops.cross_entropy_with_logits(cupy.zeros((2, 3)), cupy.asarray([0, 3]))
    assert np.isnan(loss.get()).tolist() == [False, True]


@pytest.mark.parametrize("numbers", [[0.0, 1.0, 2.0], 3.0])
def test_values_go_out_without_a_copy(cupy, numbers):
    """DLPack hands over the memory itself, of a single number too; ``data`` has the CUDA array interface."""
    a = cupy.asarray(numbers)
    v = Value(a, requires_grad=False)
    out = cupy.from_dlpack(v)
    assert (type(out), out.data.ptr, out.shape) == (cupy.ndarray, a.data.ptr, a.shape)
    assert v.__dlpack_device__() == (2, 0)
    assert v.data.__cuda_array_interface__["data"] == a.__cuda_array_interface__["data"]


def test_what_goes_out_loses_no_gradient(cupy):
    """As in PyTorch: detached, or with recording off, the memory is handed over."""
    v = Value(cupy.ones(3))
    for lossy in (v, v * 2.0):
        with pytest.raises(GradientTypeError, match="DLPack"):
            cupy.from_dlpack(lossy)
    assert cupy.from_dlpack(v.detach()).data.ptr == v.data.data.ptr
    with autodiff.no_grad():
        assert cupy.from_dlpack(v).data.ptr == v.data.data.ptr


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("function", ["exp", "sum", "concatenate", "asarray", "array"])
def test_functions_of_cupy_know_no_values(cupy, function, requires_grad):
    """They refuse one, whether or not a gradient would be lost, and copy nothing to the host and back."""
    v = Value(cupy.ones(3), requires_grad=requires_grad)
    given = [v, v] if function == "concatenate" else v
    with pytest.raises(TypeError):
        getattr(cupy, function)(given)


def test_numpy_reads_no_device_in_silence(cupy):
    """``numpy.asarray`` would copy from the device: an error that says how to ask for it."""
    v = Value(cupy.ones(3), requires_grad=False)
    with pytest.raises(ArgumentTypeError, match=r"cupy:0.*value\.numpy\(\)"):
        np.asarray(v)
    assert v.numpy().tolist() == [1.0, 1.0, 1.0]


def test_from_dlpack_takes_arrays_where_they_are(cupy):
    """On a device and on the host, of whichever library; moved if asked to."""
    a, h = cupy.arange(3.0), np.arange(3.0)
    v = anp.from_dlpack(a)
    assert (v.backend, v.requires_grad, v.data.data.ptr) == ("cupy", False, a.data.ptr)
    assert anp.from_dlpack(a, copy=True).data.data.ptr != a.data.ptr
    assert (anp.from_dlpack(h).backend, anp.from_dlpack(h, device="cupy:1").device) == ("numpy", "1")
    assert anp.from_dlpack(a, device="cupy:0", copy=False).data.data.ptr == a.data.ptr
    with pytest.raises(ArgumentError, match="copy=False"):
        anp.from_dlpack(a, device="numpy", copy=False)


def test_tensors_of_pytorch_share_memory_with_host_values(cupy):
    """PyTorch's own CUDA tensors need a card; on the host both sides see the same numbers."""
    torch = pytest.importorskip("torch")
    t = torch.arange(3.0)
    v = anp.from_dlpack(t)
    t[0] = 9.0
    assert (v.backend, v.data.tolist(), v.to("cupy").data.tolist()) == ("numpy", [9.0, 1.0, 2.0], [9.0, 1.0, 2.0])
    if torch.cuda.is_available():
        t = t.to("cuda")
        v = anp.from_dlpack(t)
        assert (v.backend, v.data.data.ptr, torch.from_dlpack(v).data_ptr()) == ("cupy", t.data_ptr(), t.data_ptr())


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("name", ["iadd", "isub", "imul", "itruediv", "ipow", "ifloordiv", "imod"])
def test_an_array_is_not_written_to(cupy, name, requires_grad):
    """``array += value`` is CuPy's own error, which names Value: never a lost gradient. ``value.data`` is the way."""
    array, v = cupy.asarray([5.0, 7.0]), Value(cupy.asarray([1.0, 2.0]), requires_grad=requires_grad)
    whole, expected = array, np.array([5.0, 7.0])
    with pytest.raises(TypeError, match="Value"):
        array = getattr(operator, name)(array, v)
    assert whole.tolist() == [5.0, 7.0]
    array = getattr(operator, name)(array, v.data)
    assert array is whole
    assert array.tolist() == getattr(operator, name)(expected, v.numpy()).tolist()


def test_an_array_times_a_matrix_in_place(cupy):
    """CuPy leaves ``@=`` to the right side: the name then stands for a Value, and the gradient is there."""
    array, v = cupy.asarray([[1.0, 2.0], [3.0, 4.0]]), Value(cupy.ones((2, 2)))
    whole = array
    array @= v
    array.sum().backward()
    assert (type(array), v.grad.tolist(), whole.tolist()) == (Value, [[4.0, 4.0], [6.0, 6.0]], [[1.0, 2.0], [3.0, 4.0]])


def test_writing_a_value_into_an_array(cupy):
    """``array[i] = value`` is refused, and never a lost gradient; its data can be written."""
    array, v = cupy.zeros(3), Value(cupy.asarray([1.0, 2.0]))
    for refused in (v, v.detach()):
        with pytest.raises(TypeError):
            array[:2] = refused
    array[:2] = v.data
    assert array.tolist() == [1.0, 2.0, 0.0]


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("apply", [operator.mul, operator.matmul, np.add, np.maximum, operator.lt])
def test_a_cupy_array_on_the_left(cupy, apply, requires_grad):
    """``array * value``, and NumPy's functions, give Values on both sides."""
    x = Value(cupy.asarray([1.0, 2.0]), requires_grad=requires_grad)
    y = apply(cupy.asarray([3.0, 4.0]), x)
    assert (type(y), type(y.data), y.requires_grad) == (Value, cupy.ndarray, requires_grad and apply is not operator.lt)
    if apply is operator.mul and requires_grad:
        y.sum().backward()
        assert x.grad.tolist() == [3.0, 4.0]


def test_derivatives_of_second_order(cupy):
    """Hessians and forward mode run on the device."""
    x = cupy.asarray([1.0, 2.0])
    h = hessian(lambda x: (x**3).sum())(x)
    _, t = jvp(ops.tanh, [x], [cupy.ones(2)])
    assert (h.get().tolist(), type(t)) == ([[6.0, 0.0], [0.0, 12.0]], cupy.ndarray)


def test_numbers_that_are_none(cupy):
    """Text, objects and dates are refused with our error."""
    with pytest.raises(ArgumentTypeError):
        Value(["a"], backend="cupy")


def test_a_checkpoint_replays_a_generator_of_the_device(cupy):
    """CuPy's generators refuse to be copied by deepcopy; what is computed again draws the same numbers."""
    given, alone = (cupy.random.default_rng(5) for _ in range(2))
    x = Value(cupy.ones(64))
    y = autodiff.checkpoint(lambda v: ops.dropout(v, generator=given) * 3)(x)
    y.sum().backward()
    kept = y.numpy() != 0
    assert 0 < kept.sum() < 64
    assert x.grad.get().tolist() == np.where(kept, 6.0, 0.0).tolist()
    # The generator itself moved on by one draw, not by two.
    alone.random(64)
    assert given.random(3).tolist() == alone.random(3).tolist()


def test_after_a_pass_nothing_is_held(cupy, counted):
    """Nothing is left but the parameters and their gradients."""
    x = cupy.ones(1000)
    grad(lambda x: (x * x).sum())(x)
    with counted() as counts:
        grad(lambda x: (x * x).sum())(x)
    assert counts["bytes"] == 0


@pytest.mark.parametrize("retain", [False, True])
def test_memory_is_released_as_the_pass_goes(cupy, retain):
    """At each node of a chain one array less is in use than at the one after it; not so where the graph is kept."""
    emulation = sys.modules.get("cuda_on_cpu.emulation")
    if emulation is None:
        pytest.skip("only the emulation tells how much is in use")
    size, seen = 10_000, []
    y = Value(cupy.ones(size))
    for _ in range(8):
        y = y.tanh()  # saves its result
        y.register_hook(lambda g: seen.append(emulation.stats()["bytes"]))
    y = y.sum()
    y.backward(retain_graph=retain)
    freed = [(before - after) // (8 * size) for before, after in pairwise(seen)]
    assert freed[1:] == ([0] * 6 if retain else [1] * 6)


@pytest.mark.parametrize("pooled", [False, True])
def test_running_out_of_memory_says_what_holds_it(cupy, pooled):
    """CuPy's own exception, with the ops that hold the most in a note, forward and backward; later all works again."""
    emulation = sys.modules.get("cuda_on_cpu.emulation")
    if emulation is None:
        pytest.skip("only the emulation limits memory")
    size = 1 << 17  # a megabyte of float64
    pool = cupy.cuda.MemoryPool()
    if pooled:
        cupy.cuda.set_allocator(pool.malloc)
    error = cupy.cuda.memory.OutOfMemoryError if pooled else cupy.cuda.runtime.CUDARuntimeError

    def used():
        gc.collect()  # as the pool does before it gives up
        pool.free_all_blocks()
        available, total = cupy.cuda.runtime.memGetInfo()
        return total - available

    x = Value(cupy.ones(size))
    y = x.tanh().exp().tanh()
    with emulation.limited_memory(used() + size * 4), pytest.raises(error) as forward:
        y.sin()
    z = (y.exp() * y).sum()
    with emulation.limited_memory(used() + size * 4), pytest.raises(error) as backward:
        z.backward()
    notes = [" ".join(caught.value.__notes__) for caught in (forward, backward)]
    assert "The graph holds 3 MiB for its backward pass: 'autodiff_ops.tanh' 2 MiB in 2 calls" in notes[0]
    assert "'autodiff_ops.exp' 1 MiB in 1 calls" in notes[0]
    assert "'autodiff_ops.sin' was given" in notes[0]
    assert "The graph holds" in notes[1]
    assert x.grad is None
    (x * x).sum().backward()
    assert float(x.grad[0]) == 2.0


def test_arrays_of_others_come_in_without_a_copy(cupy):
    """What has the CUDA array interface, or DLPack on a CUDA device, is taken as it is."""
    a = cupy.arange(3.0)

    class Interface:
        __cuda_array_interface__ = a.__cuda_array_interface__

    class Package:
        def __dlpack__(self, **options):
            return a.__dlpack__(**options)

        def __dlpack_device__(self):
            return a.__dlpack_device__()

    for other in (Interface(), Package()):
        x = Value(other, backend="cupy")
        assert (type(x.data), x.data.data.ptr) == (cupy.ndarray, a.data.ptr)
        (x * x).sum().backward()
        assert x.grad.tolist() == [0.0, 2.0, 4.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_of_numpy_are_numbers(cupy, counted, dtype):
    """``x * np.float64(2)`` works as with CuPy's arrays, on both sides, with NumPy's dtypes, and copies nothing."""
    numbers = np.array([1.0, 2.0, 3.0], dtype)
    x, n = Value(cupy.asarray(numbers)), Value(numbers)
    for apply in (
        lambda v: v * np.float64(2),
        lambda v: np.float32(2) * v,
        lambda v: ops.where(v.data > 1, v, np.float64(0)),
        lambda v: v ** np.int64(2),
        lambda v: np.sqrt(2) + v,
    ):
        y, expected = apply(x), apply(n)
        assert (type(y.data), y.dtype) == (cupy.ndarray, expected.dtype)
        assert y.numpy().tolist() == pytest.approx(expected.numpy().tolist())
    y.sum().backward()
    assert (x.grad.tolist(), x.grad.dtype) == ([1.0] * 3, dtype)
    with counted() as counts:
        x * np.float64(2)
    assert (counts["h2d"], counts["d2h"], counts["syncs"]) == (0, 0, 0)
    with pytest.raises(BackendMismatchError):  # a Value's gradient would have to come back
        x * Value(2.0)


def test_a_number_of_numpy_goes_where_the_array_is(cupy):
    """On the second device it is no mixture of devices."""
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("needs two devices")
    x = Value(cupy.ones(3)).to("cupy:1")
    assert (x * np.float64(2)).device == "1"


def test_zero_dimensional_arrays_are_no_weak_numbers(cupy):
    """A sum in float64 widens float32, as in NumPy, although both are of shape ()."""
    x = Value(cupy.ones(3, "float32"))
    y = x * Value(cupy.ones(3)).sum()
    y.sum().backward()
    assert (y.dtype, x.grad.dtype) == ("float64", "float32")


@pytest.mark.parametrize("index", [[0, 5], np.array([0, -4]), (np.array([[2], [3]]),), (..., [3]), (None, [3, 0])])
def test_places_that_the_host_knows_are_checked(cupy, index):
    """CuPy wraps an index round that is out of range; in a list, or an array of NumPy, that is seen without waiting."""
    x = Value(cupy.asarray([1.0, 2.0, 3.0]))
    with pytest.raises(IndexingError, match="out of bounds for axis 0 with size 3"):
        x[index]
    y = x + 0
    with pytest.raises(IndexingError, match="out of bounds"):
        y[index] = 1.0


def test_places_in_several_axes_are_checked_in_their_own(cupy):
    """An ellipsis, a mask and a new axis stand for as many axes as they do."""
    x = Value(cupy.zeros((2, 3, 5)))
    for index in (([1], [2]), (..., [4]), (slice(None), None, [2]), (np.ones((2, 3), bool), [4] * 6)):
        assert x[index].shape == np.zeros((2, 3, 5))[index].shape
    for index in (([2], [2]), (..., [5]), (slice(None), None, [3]), (np.ones((2, 3), bool), [5] * 6)):
        with pytest.raises(IndexingError):
            x[index]


def test_places_that_the_device_knows_wrap_round(cupy, counted):
    """To check them the host would have to wait: what the documentation says of it stays true."""
    x = Value(cupy.asarray([1.0, 2.0, 3.0]))
    places = cupy.asarray([0, 5])
    x[places]
    with counted() as counts:
        y = x[places]
    assert (y.data.tolist(), counts["syncs"]) == ([1.0, 3.0], 0)
    with pytest.raises(IndexingError):
        x[5]


def test_host_arrays_are_not_written_into_the_device(cupy):
    """CuPy's own error is about filling; ours says how to move them."""
    x = Value(cupy.ones(3)) + 0
    with pytest.raises(BackendMismatchError, match=r"\.to\("):
        x[:] = np.ones(3)
    x[0] = np.float64(3)
    assert x.data.tolist() == [3.0, 1.0, 1.0]


def test_a_negative_power_of_integers_is_refused(cupy):
    """NumPy refuses it; CuPy returns 0."""
    with pytest.raises(ValueError, match="negative integer powers"):
        ops.pow(cupy.asarray([1, 2]), -1)
    assert ops.pow(cupy.asarray([1, 2]), 2).tolist() == [1, 4]
    assert ops.pow(cupy.asarray([1.0, 2.0]), -1).tolist() == [1.0, 0.5]


@pytest.mark.parametrize("array", [np.array([None]), np.ones(2, np.longdouble), np.array(["2020"], "datetime64[Y]")])
def test_dtypes_that_the_device_lacks(cupy, array):
    """Objects, long doubles and dates are refused with our error."""
    with pytest.raises(ArgumentTypeError, match=str(array.dtype).partition("[")[0]):
        Value(array, backend="cupy")


@pytest.mark.parametrize(
    "lay", [lambda a: a.T, lambda a: a[::-1], lambda a: a[:, ::2], lambda a: a[:1].repeat(3, 0)[:, None, :]]
)
@pytest.mark.parametrize(
    "name", ["relu", "tanh", "gelu", "softmax", "log_softmax", "layer_norm", "sum", "cumulative_sum"]
)
def test_the_layout_of_an_array_changes_nothing(cupy, name, lay):
    """CuPy's results are not laid out as NumPy's; transposed and strided arrays give the same numbers."""
    numbers = np.random.default_rng(0).standard_normal((4, 6))
    options = {"axis": 0} if name.startswith(("cumulative", "sum")) else {}
    results = []
    for xp in (np, cupy):
        x = Value(lay(xp.asarray(numbers)))
        more = [Value(xp.ones(x.shape[-1])), Value(xp.zeros(x.shape[-1]))] if name == "layer_norm" else []
        y = getattr(ops, name)(x, *more, **options)
        (y * y * xp.asarray(np.arange(float(y.size)).reshape(y.shape))).sum().backward()
        results.append((y.numpy(), x.grad if xp is np else x.grad.get()))
    for expected, actual in zip(*results, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


def test_nothing_of_cudnn_is_used():
    """CuPy 14 has none."""
    import autodiff_cupy

    sources = [p.read_text().lower() for p in Path(autodiff_cupy.__file__).parent.glob("*.py")]
    assert len(sources) > 5
    assert not any("cudnn" in source for source in sources)
