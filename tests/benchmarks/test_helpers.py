"""The helpers of `autodiff.testing.asv` and `autodiff.testing.metrics`, which plugins use too."""

from __future__ import annotations

import gc
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autodiff import Value
from autodiff.backend import Backend
from autodiff.errors import ArgumentError
from autodiff.extend import Array, Sample, primitive, sample
from autodiff.registry import registry
from autodiff.testing import asv
from autodiff.testing.metrics import collecting, count, kept_bytes
from autodiff.testing.scaling import candidates

OPS = asv.ops_of_plugin()


# ---- exact figures --------------------------------------------------------------------------------------------------


def test_counts_repeat_exactly() -> None:
    """Two counts of the same call are the same, but for a few small objects from Python's lists of free ones."""
    x = Value(np.ones((3, 4)))

    def call() -> None:
        ((x * x).tanh() + x).sum().backward()
        x.grad = None

    first, second = count(call), count(call)

    assert first.bytecodes == second.bytecodes
    assert first.allocations == pytest.approx(second.allocations, rel=0.01)
    assert first.allocated == pytest.approx(second.allocated, rel=0.01)


@pytest.mark.parametrize(
    ("more", "grows"),
    [
        pytest.param(lambda x: x + x if x.ndim else None, {"bytecodes"}, id="a comparison"),
        pytest.param(lambda x: np.add(x * 1.0, x), {"bytecodes", "allocations", "allocated"}, id="a temporary array"),
        pytest.param(lambda x: [x + x, bytearray(1000)][0], {"bytecodes", "allocations", "allocated"}, id="an object"),
    ],
)
def test_counts_see_what_is_added(more: Any, grows: set[str]) -> None:
    """Each figure grows by what a call does more, and those that it does not touch stay."""
    x = np.ones(10_000)
    base = lambda x: x + x  # called, as what is more
    before, after = count(lambda: base(x)), count(lambda: more(x))

    assert grows == {name for name in before._fields if getattr(after, name) > getattr(before, name)}


def test_counted_bytes_are_those_of_the_arrays() -> None:
    """A temporary array counts by its bytes, though it is freed at once."""
    x = np.ones(100_000)
    more = count(lambda: np.add(x * 1.0, x)).allocated - count(lambda: x + x).allocated

    assert more == pytest.approx(800_000, rel=1e-3)


def test_counting_leaves_no_trace() -> None:
    """After a count, even of a call that fails, nothing is traced and the collector is as it was."""
    with pytest.raises(ZeroDivisionError):
        count(lambda: 1 // 0)

    assert sys.gettrace() is None or "coverage" in repr(sys.gettrace())
    assert gc.isenabled()


def test_kept_bytes_counts_what_the_graph_keeps() -> None:
    """A product with a constant keeps the constant, and not the input."""

    def forward() -> Any:
        x = Value(np.ones(1000))
        return (x * np.full(1000, 2.0)).sum()

    assert kept_bytes(forward) == 8000


@pytest.mark.parametrize("on", [True, False])
def test_collecting_restores_the_collector(on: bool) -> None:
    """Inside the block the collector is as asked for, afterwards as before."""
    with collecting(on=on):
        assert gc.isenabled() == on
    assert gc.isenabled()


# ---- samples scaled up ----------------------------------------------------------------------------------------------


def test_sizes_grow_together_and_indices_with_them() -> None:
    """Sizes that agree go on agreeing, and integers that are indices reach to the new end."""
    given = sample((2, 3), Array((4,), low=-3, high=3, kind="int"), shape=(2, 3), axis=1)
    grown = next(candidates(given, 36))

    assert [x.shape for x in grown.inputs] == [(12, 18), (24,)]
    assert (grown.inputs[1].low, grown.inputs[1].high) == (-18, 18)
    assert dict(grown.attrs) == {"shape": (12, 18), "axis": 1}


@pytest.mark.parametrize("op", OPS)
def test_every_op_scales(op: str) -> None:
    """Each op runs forward and backward on about a thousand elements, and on its sample as declared."""
    small, large = asv.OpCase.of_size(op, 1), asv.OpCase.of_size(op, 1000)

    assert small.sample in registry.ops[op].samples
    assert 500 <= large.elements <= 3000
    for case in (small, large):
        case.forward()
        case.backward()


def test_backward_of_a_case_gives_the_gradient() -> None:
    """The pass that is timed is a real one: each leaf has the gradient for the cotangent, and only once."""
    case = asv.OpCase.of_size("multiply", 100)
    case.backward()
    case.backward()
    a, b = case.values

    np.testing.assert_array_equal(a.grad, case._seeds[0] * b.data)


def test_what_cannot_be_scaled_stays_as_declared() -> None:
    """An op that takes arrays of one size alone is timed on that size."""

    @primitive(vjps=(lambda g: 2 * g,), samples=[sample((3,))])
    def of_three(xp: Any, x: Any) -> Any:
        """Twice three numbers."""
        if x.shape != (3,):
            raise ValueError("three numbers")
        return 2 * x

    assert asv.OpCase.of_size(of_three, 1000).elements == 3


@pytest.mark.parametrize("samples", [[], [Sample(((2,), (3,)))]], ids=["none", "none that fits"])
def test_op_without_usable_samples_is_refused(samples: list[Any]) -> None:
    """The error names the op and says what is missing."""

    @primitive(vjps=(lambda g: g, lambda g: g), samples=samples)
    def picky(xp: Any, a: Any, b: Any) -> Any:
        """Sum."""
        return a + b

    with pytest.raises(ArgumentError, match=rf"picky' has {len(samples)} samples and runs on none of them on 'numpy'"):
        asv.OpCase.of_size(picky, 10)


@pytest.mark.parametrize("name", ["activations", "autodiff_activations", "Autodiff-Activations"])
def test_ops_of_a_plugin_by_each_of_its_names(name: str) -> None:
    """A plugin is known by its entry point and by its module."""
    assert {op.split(".")[0] for op in asv.ops_of_plugin(name)} == {"autodiff_activations"}


def test_unknown_plugin_is_refused_with_those_there_are() -> None:
    """The message lists the plugins that brought ops."""
    with pytest.raises(ArgumentError, match=r"'nobody' brought any op; those that did are .*autodiff_ops"):
        asv.ops_of_plugin("nobody")


# ---- base classes ---------------------------------------------------------------------------------------------------


class Slow(Backend):
    """A backend that has to be waited for, and writes down when it was."""

    name = "slow"
    waits = 0

    def recognises(self, array_type: type) -> bool:
        return False

    @property
    def xp(self) -> Any:
        return np

    def asarray(self, obj: Any, *, dtype: Any = None, device: str | None = None) -> Any:
        return np.asarray(obj, dtype)

    def to_numpy(self, array: Any) -> Any:
        return array

    def synchronize(self) -> None:
        self.waits += 1


def test_timed_methods_wait_for_the_device_after_a_warm_up() -> None:
    """Setup runs each method once, and whoever reads the clock after a call finds the device at rest."""
    calls = []
    with registry.scoped() as tables:
        backend = Slow()
        tables.register_backend(backend)

        class Sums(asv.Benchmark):
            params, param_names = (1, 10), ("size",)

            def setup(self, backend: str, size: int) -> None:
                self.x = self.xp.ones(size)

            def time_sum(self, backend: str, size: int) -> None:
                calls.append(self.x.sum())

    assert Sums.params == (["numpy", "slow"], (1, 10))
    assert Sums.param_names == ("backend", "size")
    with registry.scoped() as tables:
        tables.register_backend(backend)
        sums = Sums()
        sums.setup("slow", 10)
        assert (backend.waits, calls) == (1, [10.0])
        sums.time_sum("slow", 10)
        assert (backend.waits, calls) == (2, [10.0, 10.0])
    assert sums.track_sum_bytecodes("slow", 10) > 0  # type: ignore[attr-defined]  # made by the base class
    assert "calls.append" in inspect.getsource(Sums.time_sum)  # asv's version of a benchmark is a hash of this


def test_backend_that_cannot_run_is_skipped() -> None:
    """asv's way to skip is NotImplementedError, here with the backend's reason."""
    if registry.load().backends["cupy"].unavailable() is None:
        pytest.skip("CuPy runs here")

    class Sums(asv.Benchmark):
        def setup(self, backend: str) -> None:
            raise AssertionError

    with pytest.raises(NotImplementedError, match="'cupy' cannot run here: "):
        Sums().setup("cupy")


def test_asv_passes_over_the_base_classes() -> None:
    """A module that imports them has no benchmarks for that."""
    assert inspect.isabstract(asv.OpForward)
    assert inspect.isabstract(asv.OpBackward)
    assert not [name for name in dir(asv.Benchmark) if name.startswith(("time_", "track_"))]


def test_op_without_gradient_is_skipped_backward() -> None:
    """There is no pass to time through a comparison."""

    class Backward(asv.OpBackward):
        plugin = "autodiff_ops"
        sizes = (1,)

    with pytest.raises(NotImplementedError, match=r"no gradient flows through 'autodiff_ops\.less'"):
        Backward().setup("numpy", "autodiff_ops.less", 1)


def test_a_backend_that_cannot_run_is_skipped_with_the_reason() -> None:
    """pytest-benchmark's suite has every backend that is registered, and says why one is left out."""
    if registry.load().backends["cupy"].unavailable() is None:
        pytest.skip("CuPy can run here")
    options = ["-o", "addopts=", "--benchmark-disable", "-q", "-rs", "-k", "S1 or (Perceptron and 4-16-3)"]
    command = [sys.executable, "-m", "pytest", *options, str(Path(__file__).with_name("test_speed.py"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout
    assert "2 passed, 2 skipped" in done.stdout
    assert "The backend 'cupy' cannot run here" in done.stdout
