"""Backends made with `ArrayAPIBackend`: every op runs on them, where their arrays are."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest

pytest.importorskip("array_api_strict")
pytest.importorskip("array_api_compat")

import array_api_strict as strict
from strict_backend import DEVICE, Array, StrictBackend, strict_array

from autodiff import Value, grad, hessian, jvp, ops
from autodiff.errors import ArgumentTypeError, BackendMismatchError, BackendUnavailableError
from autodiff.extend import Array as Random
from autodiff.extend import Sample
from autodiff.registry import registry
from autodiff.testing import ConformanceError, check_backend, check_op
from autodiff_array_api import ArrayAPIBackend


class TorchBackend(ArrayAPIBackend):
    """PyTorch's tensors."""

    name = "torch"
    library = "torch"
    arrays = ("torch.Tensor",)


class JaxBackend(ArrayAPIBackend):
    """JAX's arrays, which cannot be written to."""

    name = "jax"
    library = "jax.numpy"
    arrays = ("jax.Array",)
    writable = False


class MissingBackend(ArrayAPIBackend):
    """A library that is not installed."""

    name = "missing"
    library = "no_such_library"
    arrays = ("no_such_library.Array",)
    install = "pip install no-such-library"


@pytest.fixture(autouse=True)
def _backends():
    with registry.scoped() as scoped:
        for backend in (StrictBackend(), TorchBackend(), JaxBackend(), MissingBackend()):
            scoped.register_backend(backend)
        yield


IDS = [op.id for op in ops]
WIDE = ("float64", "complex128")
#: Ops that meet a limit of the library itself, and which.
TORCH_LIMITS = {"autodiff_ops.std": "float correction"}
#: What is new in `ArrayAPIBackend`, and a few of each other kind.
SOME = ("setitem", "scatter_add", "pad", "tanh")


@pytest.mark.parametrize("op_id", IDS)
def test_every_op_conforms_on_a_device_of_its_own(op_id):
    """The kit accepts each op on arrays of array_api_strict that live on ``device1``: first and last sample."""
    op = ops[op_id]
    check_op(op, [*op.samples[:1], *op.samples[1:][-1:]], backend="strict", dtypes=WIDE, order=2)


@pytest.mark.slow
@pytest.mark.parametrize("op_id", IDS)
def test_every_op_conforms_on_all_samples(op_id):
    """And on all samples."""
    check_op(op_id, backend="strict", order=2)


@pytest.mark.slow
@pytest.mark.parametrize("op_id", IDS)
@pytest.mark.filterwarnings(
    "ignore::UserWarning"
)  # torch warns of copies, and of variances without a degree of freedom
def test_every_op_conforms_on_torch(op_id):
    """The same backend serves PyTorch, where the library itself has no limit."""
    pytest.importorskip("torch")
    op = ops[op_id]
    samples = [s for s in op.samples if not (op_id in TORCH_LIMITS and s.attrs.get("correction") == 0.5)]
    check_op(op, samples, backend="torch", dtypes=WIDE, order=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", SOME)
def test_ops_conform_on_jax(name):
    """And JAX, whose arrays cannot be written to."""
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        check_op(name, backend="jax", dtypes=WIDE, order=2)


@pytest.mark.parametrize("backend", ["strict", "torch", "jax"])
@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("setitem", Sample((Random((4, 3)), Random((4, 3))), {"index": ([0, 2, 0, -1],)})),
        (
            "pad",
            Sample((Random((2, 3)),), {"pad_width": ((1, 0), (0, 2)), "constant_values": ((1.0, 2.0), (3.0, 4.0))}),
        ),
        ("repeat", Sample((Random((0, 2)),), {"repeats": (), "axis": 0})),
        ("cumulative_prod", Sample((Random((0,)),), {"include_initial": True})),
        ("cumulative_prod", Sample((Random((2, 0)),), {"axis": 1})),
        ("heaviside", Sample((Random((3,), 0.5, 1.0), 0.5))),
        ("heaviside", Sample((0.5, Random((3,), 0.5, 1.0)))),
        ("logaddexp2", Sample((Random((3,)), 0.25))),
        ("fmod", Sample((2.75, Random((3,), 0.6, 0.8)))),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_samples_that_a_library_refused(name, sample, backend):
    """Of the slow tests above, those that have failed: writes by a list, empty arrays, numbers beside arrays."""
    library = pytest.importorskip("array_api_strict" if backend == "strict" else backend)
    with library.enable_x64(True) if backend == "jax" else nullcontext():
        check_op(name, [sample], backend=backend, dtypes=["float64"], order=2)


def test_a_class_of_arrays_that_the_library_has_not():
    """Its author is told so, and not of all that cannot work without arrays."""

    class Misspelt(StrictBackend):
        name = "misspelt"
        arrays = ("array_api_strict._array_object.Arrray",)

    with registry.scoped() as scoped:
        scoped.register_backend(Misspelt())
        with pytest.raises(
            ConformanceError, match=r"1 things.*\n.*no float64.*Arrray' among its arrays.*has no 'Arrray'"
        ):
            check_backend("misspelt", ops=())


def test_results_stay_on_their_device():
    """Values, gradients, Hessians and tangents are made where the arguments are, on whichever device."""
    for name in ("device1", "device2"):
        x = strict.asarray(np.arange(1.0, 4.0), device=strict.Device(name))
        v = Value(x)
        y = (ops.softmax(v) * v[[0, 0, 2]]).sum() + ops.pad(v, pad_width=1).sum()
        y.backward()
        _, t = jvp(lambda a: ops.roll(a, shift=1) * a, [x], [x])
        found = [v.grad, y.data, grad(lambda a: ops.cumulative_prod(a).sum())(x), hessian(lambda a: (a**3).sum())(x), t]
        assert [str(a.device) for a in found] == [str(x.device)] * 5
        assert (v.device, f"strict:{v.device}") == (name, f"strict:{name}")


def test_to_moves_between_devices_and_back():
    """A gradient returns along the way that the numbers went."""
    x = Value(np.arange(3.0))
    y = (x.to("strict:device2") * 2).to("strict:device1")
    (y * y).to("numpy").sum().backward()
    assert (type(y.data), y.device) == (Array, "device1")
    assert x.grad.tolist() == [0.0, 8.0, 16.0]


def test_mixing_devices_names_both():
    """Nothing moves in silence."""
    here, there = Value(strict_array([1.0])), Value(strict_array([1.0])).to("strict:device2")
    with pytest.raises(BackendMismatchError, match=r"'strict:device1'.*'strict:device2'.*\.to\("):
        here * there


def test_an_array_of_another_backend_is_not_written_to():
    """``array += value`` moves nothing either."""
    array = np.ones(2)
    with pytest.raises(BackendMismatchError, match=r"'numpy'.*'strict'"):
        array += Value(strict_array([1.0, 2.0]), requires_grad=False)
    assert array.tolist() == [1.0, 1.0]


def test_a_device_that_is_not_there():
    """The error names backend and device."""
    for value in (Value(strict_array([1.0])), Value(1.0)):
        with pytest.raises(ArgumentTypeError, match="'strict' has no device 'moon'"):
            value.to("strict:moon")


def test_numbers_and_lists_go_home():
    """What is made of numbers lives on the backend's own device."""
    v = Value([1, 2], backend="strict")
    assert (v.data.device, str(v.dtype)) == (DEVICE, "array_api_strict.float64")
    with pytest.raises(ArgumentTypeError, match="'strict'"):
        Value(["a"], backend="strict")


def test_a_library_that_is_not_installed_says_how_to_get_it():
    """Asking for it is an error with the command; nothing else minds."""
    with pytest.raises(
        BackendUnavailableError, match=r"'no_such_library' is not installed.*pip install no-such-library"
    ):
        Value(1.0, backend="missing")


def test_nothing_is_imported_before_it_is_asked_for():
    """Registering a backend loads neither its library nor array_api_compat."""
    code = (
        "import sys, autodiff; from autodiff.registry import registry; from autodiff_array_api import ArrayAPIBackend;"
        "B = type('B', (ArrayAPIBackend,), dict(name='torch', library='torch', arrays=('torch.Tensor',)));"
        "registry.load(); registry.register_backend(B()); x = autodiff.Value(2.0); (x * x).backward();"
        "print([m for m in ('torch', 'array_api_compat') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_repeated_indices_add_up(dtype):
    """Sums at places that are named often are complete, whatever the length of the runs."""
    rng = np.random.default_rng(0)
    index, g = rng.integers(0, 4, 37), rng.standard_normal(37).astype(dtype)
    found = ops.scatter_add(strict_array(g), shape=(6,), index=(index,))
    expected = np.zeros(6, dtype)
    np.add.at(expected, index, g)
    np.testing.assert_allclose(np.asarray(found._array), expected, rtol=1e-5)
