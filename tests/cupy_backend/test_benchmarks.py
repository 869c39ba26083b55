"""The clocks of the benchmarks are read when the device is done, and nothing is copied while they run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))

from asv_bench.benchmarks.training import Optimiser, Perceptron

from autodiff.testing.asv import OpCase


@pytest.mark.parametrize(
    ("cls", "params"), [(Perceptron, ("4-16-3, batch 8",)), (Optimiser, ("Adam", "100 of 10"))], ids=["step", "Adam"]
)
def test_a_benchmark_waits_for_the_device(cupy, counted, cls, params):
    """A timed method ends with one wait for each device."""
    case = cls()
    case.setup("cupy", *params)
    with counted() as counts:
        case.time_step("cupy", *params)
    assert {name: counts[name] for name in ("syncs", "h2d", "d2h")} == {
        "syncs": cupy.cuda.runtime.getDeviceCount(),
        "h2d": 0,
        "d2h": 0,
    }
    assert counts["launches"] > 0


def test_the_case_of_an_op_is_on_the_device(cupy):
    """What asv times of each op are arrays of the backend that is the parameter."""
    case = OpCase.of_size("tanh", 100, backend="cupy")
    (y,) = case.forward()
    assert type(y.data) is cupy.ndarray
