"""Every op on the real CuPy, run on the CPU: it does what the kit asks for, and what it does on NumPy.

By default one sample of each op for each kind of numbers and each range; all of them with ``-m slow``.
"""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import Value, ops
from autodiff.errors import ArgumentTypeError, AutodiffError
from autodiff.extend import Array
from autodiff.registry import registry
from autodiff.testing import check_backend, check_op
from autodiff.testing.case import Case
from autodiff.testing.derived import one_of_each_kind
from autodiff.testing.report import Report
from autodiff.testing.tolerances import rounding

coverage_table = pytest.importorskip("coverage_table", reason="needs PYTHONPATH=tests")
cupy = pytest.importorskip("cupy", reason="needs CuPy on the CPU: nox -s cuda_on_cpu")

ours, read, verified = coverage_table.ours, coverage_table.read, coverage_table.verified

#: They call cuFFT, for which there is no stand-in.
NEED_A_GPU = {"autodiff_ops.fourier"}

#: All but these, and the one that leaves the backend: the kit hands an op cotangents of its own backend.
IDS = [op.id for op in ops if op.id != "autodiff_ops.to" and op.module not in NEED_A_GPU]
#: NumPy orders complex numbers by their real parts first, and clips them so. CuPy refuses, and means well.
CLIP = {"clip", "relu6", "hard_tanh", "hard_sigmoid", "hard_swish"}


def is_complex(sample):
    """Tell whether an input of a sample is complex."""
    return any(isinstance(x, Array) and x.kind == "complex" for x in sample.inputs)


def outcome(op, sample, backend, dtype=None):
    """Return value and gradients of an op on a sample, as NumPy arrays; with floating inputs cast to `dtype`."""
    case = Case(op, registry.backend(backend), sample, 0, Report(repr(op.id), {}, ""))
    arrays = [x.astype(dtype) if dtype and i in case.floating else x for i, x in enumerate(case.arrays)]
    if getattr(op, "invariants", None) is not None:
        return determined(case, arrays)
    run = case.run(case.raw(arrays))
    return {f"output {i}": y for i, y in enumerate(run.numbers)} | {f"gradient {i}": g for i, g in run.grads.items()}


def determined(case, arrays):
    """Return what of the outputs is determined, and gradients of that: signs of eigenvectors are free."""
    values = [Value(x, requires_grad=True) for x in case.raw(arrays)]
    found = case.op.invariants(*case.op(*values, **case.attrs()))
    weights = [np.linspace(0.5, 1.5, y.size).reshape(y.shape) for y in found]
    for y, weight in zip(found, weights, strict=True):
        y.backward(case.lay(weight.astype(case.numpy(y).dtype)), retain_graph=True)
    told = {f"invariant {i}": case.numpy(y) for i, y in enumerate(found)}
    return told | {f"gradient {i}": case.numpy(v.grad) for i, v in enumerate(values)}


def compare_with_numpy(op, samples, dtype=None):
    """Compare value, shape and dtype of outputs and gradients with those on NumPy."""
    for sample in samples:
        expected, actual = outcome(op, sample, "numpy", dtype), outcome(op, sample, "cupy", dtype)
        kinds = [{name: (x.shape, x.dtype) for name, x in results.items()} for results in (expected, actual)]
        assert kinds[0] == kinds[1], sample
        if "generator" in op.attrs:
            continue  # other numbers, of the same distribution
        for name, x in expected.items():
            tolerance = rounding(dtype or x.dtype)
            np.testing.assert_allclose(actual[name], x, tolerance, tolerance, err_msg=f"{op.id} {sample} {name}")


@pytest.mark.parametrize("op_id", [op.id for op in ours() if op.module not in NEED_A_GPU])
def test_op_conforms_on_cupy_as_far_as_the_table_says(op_id):
    """The kit accepts the op on CuPy, on a sample of each kind of numbers and range, in the dtypes of `docs/coverage.md`."""
    assert verified(ops[op_id], "cupy") == read("cupy")["ops"].get(op_id)


@pytest.mark.parametrize("op_id", IDS)
def test_op_gives_what_it_gives_on_numpy(op_id):
    """Value, shape and dtype of each output and gradient are those on NumPy."""
    compare_with_numpy(ops[op_id], one_of_each_kind(ops[op_id]))


def test_the_backend_is_as_its_interface_says():
    """What `autodiff selftest` checks first."""
    check_backend("cupy", ops=())


def test_moving_to_numpy_and_back_is_differentiable():
    """A gradient returns along the way that the numbers went."""
    x = Value(cupy.asarray([1.0, 2.0, 3.0]))
    there = x.to("numpy")
    (there * np.array([1.0, 10.0, 100.0])).to("cupy").sum().backward()
    assert (there.backend, x.backend) == ("numpy", "cupy")
    assert x.grad.get().tolist() == [1.0, 10.0, 100.0]


@pytest.mark.slow
@pytest.mark.parametrize("op_id", IDS)
def test_op_conforms_on_cupy_on_all_samples(op_id):
    """The kit accepts the op on CuPy on every sample, and the results are those on NumPy."""
    check_op(op_id, backend="cupy")
    compare_with_numpy(ops[op_id], ops[op_id].samples)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64", "complex128"])
@pytest.mark.parametrize("op_id", IDS)
def test_op_gives_what_it_gives_on_numpy_in_every_dtype(op_id, dtype):
    """Where NumPy takes inputs of a dtype, so does CuPy, with the same results."""
    op = ops[op_id]
    for sample in one_of_each_kind(op):
        narrows = is_complex(sample) and not dtype.startswith("complex")
        if narrows or not any(isinstance(x, tuple | Array) for x in sample.inputs):
            continue
        try:
            outcome(op, sample, "numpy", dtype)
        except (AutodiffError, TypeError, np.exceptions.ComplexWarning):
            continue  # comparisons of complex numbers, conversions to real ones
        if op.name in CLIP and dtype.startswith("complex"):
            with pytest.raises(ArgumentTypeError, match="clip"):
                outcome(op, sample, "cupy", dtype)
            continue
        compare_with_numpy(op, [sample], dtype)
