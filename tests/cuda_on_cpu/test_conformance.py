"""Every op on the real CuPy, run on the CPU: it does what the kit asks for, and what it does on NumPy.

By default one sample of each op and, where there is one, one with complex inputs; all of them with ``-m slow``.
"""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import ops
from autodiff.extend import Array
from autodiff.registry import registry
from autodiff.testing import check_op
from autodiff.testing.case import Case
from autodiff.testing.report import Report
from autodiff.testing.tolerances import rounding


def is_complex(sample):
    """Tell whether an input of a sample is complex."""
    return any(isinstance(x, Array) and x.kind == "complex" for x in sample.inputs)


def chosen(op):
    """Return the first sample of an op and the first complex one."""
    return [*op.samples[:1], *[s for s in op.samples[1:] if is_complex(s) != is_complex(op.samples[0])][:1]]


def outcome(op, sample, backend):
    """Return value and gradients of an op on a sample, as NumPy arrays."""
    report = Report(repr(op.id), {}, "")
    run = Case(op, registry.backend(backend), sample, 0, 1, report).run()
    return {f"output {i}": y for i, y in enumerate(run.numbers)} | {f"gradient {i}": g for i, g in run.grads.items()}


def compare_with_numpy(op, samples):
    """Compare value, shape and dtype of outputs and gradients with those on NumPy."""
    for sample in samples:
        expected, actual = outcome(op, sample, "numpy"), outcome(op, sample, "cupy")
        assert {k: (v.shape, v.dtype) for k, v in expected.items()} == {
            k: (v.shape, v.dtype) for k, v in actual.items()
        }
        if "generator" in op.attrs:
            continue  # other numbers, of the same distribution
        for name, x in expected.items():
            tolerance = rounding(x.dtype)
            np.testing.assert_allclose(actual[name], x, tolerance, tolerance, err_msg=f"{op.id} {sample} {name}")


@pytest.mark.parametrize("op_id", [op.id for op in ops])
def test_op_conforms_on_cupy(op_id):
    """The kit accepts the op on CuPy, on a sample or two."""
    check_op(op_id, chosen(ops[op_id]), backend="cupy")


@pytest.mark.parametrize("op_id", [op.id for op in ops])
def test_op_gives_what_it_gives_on_numpy(op_id):
    """Value, shape and dtype of each output and gradient are those on NumPy, on a sample or two."""
    compare_with_numpy(ops[op_id], chosen(ops[op_id]))


@pytest.mark.slow
@pytest.mark.parametrize("op_id", [op.id for op in ops])
def test_op_conforms_on_cupy_on_all_samples(op_id):
    """The kit accepts the op on CuPy on every sample, and the results are those on NumPy."""
    check_op(op_id, backend="cupy")
    compare_with_numpy(ops[op_id], ops[op_id].samples)
