"""What a pass costs on a device: launches are counted exactly, and nothing is copied or waited for.

``launches.json`` has a row for each op, on its first sample in float64: launches forward and backward, copies forward
and backward, synchronisations. After a change that is meant, write it anew with ``AUTODIFF_WRITE_LAUNCHES=1``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import autodiff_nn as nn
from autodiff import Value, ops
from autodiff.registry import registry
from autodiff.testing.case import Case
from autodiff.testing.report import Report

TABLE = Path(__file__).with_name("launches.json")
ROWS = json.loads(TABLE.read_text()) if TABLE.exists() else {}
SHIPPED = ("autodiff_ops.", "autodiff_activations.", "autodiff_nn.")

#: The ops that have kernels of their own, and how few launches that leaves, forward and backward without the seed's.
LAUNCHES = {
    "relu": (1, 1),
    "tanh": (1, 1),
    "sigmoid": (1, 1),
    "softplus": (1, 1),
    "silu": (1, 1),
    "mish": (1, 1),
    "elu": (1, 1),
    "gelu": (1, 1),
    "leaky_relu": (1, 1),
    "hard_swish": (1, 1),
    "exp": (1, 1),
    "softmax": (3, 2),
    "log_softmax": (3, 2),
    "sum": (1, 1),
}


def launches(counted, function):
    """Return the launches of a call, made once before so that no kernel is compiled in it; nothing else may happen."""
    function()
    with counted() as counts:
        function()
    assert {name: counts[name] for name in ("h2d", "d2h", "syncs")} == {"h2d": 0, "d2h": 0, "syncs": 0}
    return counts["launches"]


@pytest.mark.parametrize("name", LAUNCHES)
def test_launches_of_an_op(cupy, counted, name):
    """Forward and backward pass of an op take the launches that the table says."""
    op = getattr(ops, name)
    x = Value(cupy.linspace(-2.0, 2.0, 12).reshape(3, 4))
    y = op(x)
    seed = cupy.ones_like(y.data)

    def backward():
        x.zero_grad()
        y.backward(seed, retain_graph=True)

    assert (launches(counted, lambda: op(x)), launches(counted, backward)) == LAUNCHES[name]


def row(op, counted):
    """Measure the row of an op."""
    case = Case(op, registry.backend("cupy"), op.samples[0], 0, Report(repr(op.id), {}, ""))
    values = [Value(x) if case.is_array(x) else x for x in case.raw()]
    outputs = case.outputs_of(case.call(values))  # compiled
    starts = [
        (y, c) for y, c in zip(outputs, case.cotangents, strict=True) if y.requires_grad and case.is_array(y.data)
    ]
    seeds = [case.lay(c) for _, c in starts]

    def backward():
        for v in values:
            if type(v) is Value:
                v.zero_grad()
        for (y, _), seed in zip(starts, seeds, strict=True):
            y.backward(seed, retain_graph=True)

    attrs = case.attrs()
    measured = []
    for run in (lambda: op(*values, **attrs), backward):
        run()
        with counted() as counts:
            run()
        measured.append(counts)
    there, back = measured
    copies = [counts["h2d"] + counts["d2h"] for counts in measured]
    return [there["launches"], back["launches"], *copies, there["syncs"] + back["syncs"]]


IDS = [op.id for op in ops if op.id.startswith(SHIPPED) and op.samples]


@pytest.mark.skipif(os.environ.get("AUTODIFF_WRITE_LAUNCHES") is not None, reason="the table is being written")
@pytest.mark.parametrize("op_id", IDS)
def test_an_op_costs_what_the_table_says(cupy, counted, op_id):
    """The row of each op is exact; an op that has none yet neither copies nor waits."""
    found = row(ops[op_id], counted)
    if op_id in ROWS:
        assert found == ROWS[op_id]
    else:
        assert found[2:] == [0, 0, 0], f"if {op_id} has to, add its row to {TABLE.name}"


@pytest.mark.skipif(os.environ.get("AUTODIFF_WRITE_LAUNCHES") is None, reason="writes the table if asked to")
def test_write_the_table(cupy, counted):
    """Write ``launches.json``, a line for each op."""
    lines = [f"  {json.dumps(op_id)}: {json.dumps(row(ops[op_id], counted))}" for op_id in sorted(IDS)]
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def test_reading_by_device_indices_is_undone_without_a_copy(cupy, counted):
    """The gradient of reading by an index array on the device is one launch, and no transfer."""
    x = Value(cupy.linspace(-2.0, 2.0, 12).reshape(3, 4))
    y = x[cupy.asarray([0, 2, 0])]
    seed = cupy.ones_like(y.data)

    def backward():
        x.zero_grad()
        y.backward(seed, retain_graph=True)

    assert launches(counted, backward) == 1


def training(cupy):
    """Return a training step of a small network of the fused ops, and its parts: forward and backward pass, update."""
    rng = np.random.default_rng(0)
    shapes = ((8, 4), (8,), (8,), (8,), (3, 8), (3,))
    parameters = [Value(cupy.asarray(rng.standard_normal(shape))) for shape in shapes]
    w1, b1, gain, shift, w2, b2 = parameters
    x, labels = cupy.asarray(rng.standard_normal((5, 4))), cupy.asarray([0, 1, 2, 1, 0])
    optimiser = nn.Adam(parameters, lr=1e-3)

    def passes():
        optimiser.zero_grad()
        h = ops.layer_norm(ops.linear(x, w1, b1), gain, shift).relu()
        ops.cross_entropy_with_logits(ops.linear(h, w2, b2), labels).mean().backward()

    return passes, optimiser.step


def test_a_training_step_is_exact(cupy, counted):
    """Forward and backward pass take so many launches, the update one for each parameter; nothing is copied."""
    passes, update = training(cupy)
    assert launches(counted, passes) == PASSES
    assert launches(counted, update) == 6


@pytest.mark.filterwarnings("ignore:cupyx.allow_synchronize")  # it may go, and then so does this test
def test_a_training_step_never_waits(cupy):
    """CuPy's own guard sees no synchronisation in forward pass, backward pass and update."""
    import cupyx

    passes, update = training(cupy)
    with cupyx.allow_synchronize(False):
        for _ in range(2):
            passes()
            update()
        with pytest.raises(cupyx.DeviceSynchronized):
            float(cupy.ones(1)[0])


#: Launches of the passes of `training`; products of matrices are cuBLAS's, and not among them.
PASSES = 26
