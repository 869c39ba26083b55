"""Errors that no other test provokes: each is raised once, and says what was given."""

from __future__ import annotations

import importlib
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import autodiff
import autodiff.numpy as anp
import autodiff_nn as nn
import autodiff_ops
from autodiff import Value, ops
from autodiff.errors import (
    ArgumentError,
    ArgumentTypeError,
    BackendMismatchError,
    GraphError,
    KernelError,
    PluginError,
    RegistrationError,
    RuleError,
)
from autodiff.extend import Backend, ops_of, primitive, sample
from autodiff.registry import Registry, registry
from autodiff.signatures import parameters_of
from autodiff.standard import Missing
from autodiff.testing import ConformanceError, check_op, numeric_vjp
from autodiff_cli import bench
from autodiff_cli.demo import report
from autodiff_cli.errors import CannotRunError
from autodiff_numpy import activations, blocks

VECTOR = [sample((3,))]


@pytest.fixture
def strict() -> Any:
    """Register a second backend, whose arrays are not on the host."""
    pytest.importorskip("array_api_strict")
    from strict_backend import StrictBackend, strict_array

    with registry.scoped() as scoped:
        scoped.register_backend(StrictBackend())
        yield strict_array


# ---- values ----------------------------------------------------------------------------------------------------


def test_a_device_that_a_backend_does_not_have() -> None:
    with pytest.raises(ArgumentTypeError, match="The backend 'numpy' has no device 'gpu:7'"):
        Backend.to_device(registry.backend("numpy"), np.ones(2), "gpu:7")


def test_values_of_what_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentTypeError, match="no Values of dtype object"):
        anp.zeros(2, dtype=object)
    dates = np.zeros(2, "M8[s]")
    monkeypatch.setattr(type(registry.backend("numpy")), "from_dlpack", lambda self, obj, *, copy=None: dates)
    with pytest.raises(ArgumentTypeError, match="no Values of dtype datetime64"):
        anp.from_dlpack(np.ones(2))


def test_what_would_be_copied_in_silence(strict: Any) -> None:
    with pytest.raises(ArgumentTypeError, match="would copy this one from the device strict:device1"):
        np.asarray(Value(strict([1.0]), requires_grad=False))
    with pytest.raises(ArgumentError, match="asked for 'strict', and the array is elsewhere"):
        anp.from_dlpack(np.ones(2), device="strict", copy=False)


def test_values_of_two_backends_are_not_compared(strict: Any) -> None:
    with pytest.raises(BackendMismatchError):
        _ = Value(strict([1.0])) == Value([1.0])


def test_an_attribute_of_a_method_twice() -> None:
    with pytest.raises(ArgumentTypeError, match=r"Value\.softmax was given 'axis' twice"):
        Value([1.0]).softmax(0, axis=0)


# ---- ops and the registry --------------------------------------------------------------------------------------


def test_a_second_kernel_for_one_backend() -> None:
    @primitive(vjps=(lambda g: g,), samples=VECTOR)
    def same(xp: Any, x: Any) -> Any:
        return x

    same.kernel("numpy")(lambda x: x)
    with pytest.raises(RegistrationError, match="declares two kernels for the backend 'numpy'"):
        same.kernel("numpy")(lambda x: x)


def test_a_kernel_without_a_result() -> None:
    @primitive(vjps=(lambda g: g,), samples=VECTOR)
    def nothing(xp: Any, x: Any) -> Any:
        return ()

    with pytest.raises(KernelError, match="returned no output; expected arrays"):
        nothing(Value([1.0]))


def test_a_forward_rule_that_returns_a_number() -> None:
    @primitive(vjps=(lambda g: g,), jvps=(lambda t: 1.0,), samples=VECTOR)
    def same(xp: Any, x: Any) -> Any:
        return x + 0

    with pytest.raises(RuleError, match="returned float in a pass that is not recorded"):
        autodiff.jvp(same, [np.ones(3)], [np.ones(3)])


def test_a_standard_op_whose_plugin_is_not_there() -> None:
    with pytest.raises(PluginError, match="The standard op 'add' is not registered"):
        Missing("add")(1.0, 2.0)


def test_what_is_no_op_no_module_and_no_array() -> None:
    with pytest.raises(RegistrationError, match="An op is declared as a function with a name"):
        parameters_of(SimpleNamespace(__module__="here", __qualname__="thing"))
    with pytest.raises(ArgumentTypeError, match="ops_of takes modules; it was given 3"):
        ops_of(3)
    with pytest.raises(ArgumentTypeError, match="A type of arrays was expected"):
        registry.backend_of([])  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match="somewhere: argument 1 is"):
        registry.common_backend([np.ones(1), object()], "somewhere")
    with pytest.raises(AttributeError, match="module 'autodiff_ops' has no op 'no_such_op'"):
        _ = autodiff_ops.no_such_op


def test_another_backend_of_the_same_name() -> None:
    other = type("Other", (type(registry.backend("numpy")),), {"__module__": "elsewhere"})()
    with registry.scoped(), pytest.raises(RegistrationError, match=r"The backend 'numpy' is autodiff_numpy\."):
        registry.register_backend(other, origin="elsewhere")


def test_a_loader_that_fails_is_tried_again() -> None:
    fresh = Registry()
    tries = []

    def loader() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("the disk is gone")

    fresh.loader = loader
    with pytest.raises(OSError, match="the disk is gone"):
        fresh.load()
    assert fresh.load() is fresh
    assert len(tries) == 2


# ---- passes ----------------------------------------------------------------------------------------------------


def test_a_generator_that_is_closed() -> None:
    ended = []

    @autodiff.no_grad
    def count() -> Any:
        try:
            yield 1
        finally:
            ended.append((Value(1.0) * 2).requires_grad)

    steps = count()
    assert next(steps) == 1
    steps.close()
    assert ended == [False]


def test_a_checkpoint_whose_second_result_has_another_shape() -> None:
    sizes = iter([2, 3])

    def changing(x: Any) -> Any:
        return x * np.ones(next(sizes))

    y = autodiff.checkpoint(changing)(Value(2.0))
    with pytest.raises(GraphError, match=r"computed again, an output has shape \(3,\), and first \(2,\)"):
        y.sum().backward()


def test_a_pass_within_a_pass_that_spends_the_graph() -> None:
    x = Value([1.0])
    y = x * 2.0
    z, other = y * 3.0, (y * 5.0).sum()
    z.register_hook(lambda g: other.backward())
    with pytest.raises(GraphError):
        (z * 1.0).sum().backward()


def test_functions_that_only_seem_to_be_a_sequence() -> None:
    with pytest.raises(ArgumentTypeError, match="takes a sequence of functions; it was given"):
        autodiff.checkpoint_sequential(np.array(1.0))


def test_a_function_of_differences_that_returns_a_number() -> None:
    with pytest.raises(ArgumentError, match=r"the function returns a list of arrays; it returned 3\.0"):
        numeric_vjp(lambda x: 3.0, [np.ones(1)], [np.ones(1)], 0)


# ---- rules, kernels and the kit --------------------------------------------------------------------------------


def test_the_kit_passes_on_what_a_rule_does_wrong_at_special_numbers_alone() -> None:
    def rule(g: Any, x: Any, xp: Any) -> Any:
        return xp.sum(g) if bool(xp.any(x == 0)) else g

    @primitive(vjps=(rule,), samples=VECTOR)
    def same(xp: Any, x: Any) -> Any:
        return x + 0

    with pytest.raises(ConformanceError, match="RuleError") as caught:
        check_op(same, dtypes=["float64"], order=1)
    assert "check_special_numbers" in str(caught.value)


def test_what_is_joined_split_and_repeated() -> None:
    for op in (ops.concat, ops.stack):
        with pytest.raises(ArgumentError, match="needs at least one array"):
            op()
    with pytest.raises(ArgumentError, match=r"split: axis 3 does not exist in shape \(2,\)"):
        ops.split(np.ones(2), sections=1, axis=3)
    with pytest.raises(ArgumentError, match="too large for any memory"):
        ops.tile(np.ones(2), repetitions=2**60)


def test_adding_at_places_needs_a_library_that_can() -> None:
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(ArgumentTypeError, match=r"needs xp\.add\.at"):
        ops.scatter_add.function(strict, strict.ones(2), shape=(3,), index=([0, 2],))


@pytest.mark.parametrize("name", ["softplus", "mish"])
def test_numpys_kernels_of_real_activations(name: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"real numbers; it was given dtype complex128"):
        activations.KERNELS[f"autodiff_activations.{name}"](np.ones(2) * 1j)


def test_a_package_that_misses_something_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """That array_api_compat has no module for a library is one thing, that its module cannot be imported another."""
    import autodiff_array_api

    def broken(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'half'", name="half")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="half"):
        autodiff_array_api._standard("whole")


def test_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(blocks, "threads", lambda: 2)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        blocks._helpers.__wrapped__()


# ---- networks --------------------------------------------------------------------------------------------------


def _optimizer() -> Any:
    return nn.Adam([Value([1.0])], lr=0.1)


def _adam_step(**options: Any) -> Any:
    return ops.adam_step(*[np.ones(2)] * 4, lr=0.1, **options)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: nn.Linear(2, 1, generator=-1), "a seed is not negative; it was given -1"),
        (lambda: nn.Linear(2, 1, bias="no"), "Linear: bias is True or False; it was given 'no'"),
        (lambda: nn.Linear(2, 1).register_buffer(3, np.ones(1)), "the name was given as int 3"),
        (lambda: nn.Linear(2, 1).load_state_dict({}, strict="no"), "is True or False; it was given str 'no'"),
        (lambda: nn.Linear(2, 1).load_state_dict([1]), "takes a mapping of names to arrays"),
        (lambda: nn.functional_call(3, {}, 1.0), "functional_call takes a module first; it was given int 3"),
        (lambda: nn.Adam(3), "Adam takes parameters, such as model.parameters()"),
        (lambda: nn.Adam([Value([1.0])], betas=0.9), "betas are two numbers; it was given 0.9"),
        (lambda: _optimizer().load_state_dict({"group.0.lr": "much"}), "is one number; it was given str 'much'"),
        (lambda: _optimizer().load_state_dict({"state.0.step": "old"}), "is an array; it was given str 'old'"),
        (lambda: nn.save(3, {}), "takes the path of a file first; it was given int 3"),
        (
            lambda: nn.ExponentialLR(_optimizer(), gamma=0.5).load_state_dict({"count": -1.0, "initial_lr.0": 0.1}),
            "count is a number of steps; it was given -1.0",
        ),
        (lambda: nn.SequentialLR(_optimizer(), 3, [1]), "SequentialLR: schedules is a list; it was given int 3"),
        (
            lambda: nn.SequentialLR(_optimizer(), [], ["soon"]),
            r"milestones are numbers of steps; they were given as list \['soon'\]",
        ),
        (lambda: nn.LayerNorm(2)("text"), "LayerNorm takes an array; it was given str 'text'"),
        (lambda: _adam_step(step=0), "step is the number of a step, from 1; it was given 0"),
        (lambda: _adam_step(step=1, eps="small"), "adam_step' was given x: .*eps='small'.*: eps is a number"),
        (lambda: _adam_step(step=1, betas=(1.0, 0.9)), r"betas are from 0 to below 1; it was given \(1.0, 0.9\)"),
    ],
)
def test_what_networks_are_given(call: Any, told: str) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError), match=told):
        call()


def test_arrays_of_two_backends_in_a_network(strict: Any) -> None:
    embedding = nn.Embedding(3, 2)
    with pytest.raises(BackendMismatchError, match=r"BatchNorm1d is on the backend 'numpy' and was given an array on"):
        nn.BatchNorm1d(2)(strict([[1.0, 2.0], [3.0, 4.0]]))
    with pytest.raises(BackendMismatchError, match=r"the integers are on the backend 'strict'"):
        embedding(strict([1, 2]))
    with pytest.raises(ArgumentError, match="the library of the backend 'strict' draws no random numbers"):
        nn.Dropout(0.5)(Value(strict([1.0])))


def test_what_a_schedule_and_an_optimiser_have_to_have() -> None:
    class Nothing(nn.Optimizer):
        pass

    class Flat(nn.Schedule):
        pass

    weight = Value([1.0])
    weight.sum().backward()
    with pytest.raises(NotImplementedError, match="Nothing has no method _moved"):
        Nothing([weight], lr=0.1).step()
    with pytest.raises(NotImplementedError, match="Flat has no method rate: write it"):
        Flat(_optimizer())


# ---- commands --------------------------------------------------------------------------------------------------


def test_results_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(CannotRunError, match="cannot write"):
        bench._write(tmp_path, [])


def test_a_file_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CannotRunError, match="cannot be written"):
        report.write(tmp_path / "nowhere" / "file", b"content")
