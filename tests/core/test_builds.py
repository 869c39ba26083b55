"""What the ordinary core and the compiled one promise alike, where a compiler could easily make a difference.

The rest of the tests run on either; `.ci/run` and `nox -s compiled` do so.
"""

from __future__ import annotations

import copy
import importlib.util
import inspect
import pickle
import signal
import subprocess
import sys
import traceback
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodiff
from autodiff import Value, ops
from autodiff.compiling import returns_its_argument
from autodiff.errors import ArgumentTypeError, GraphError, KernelError

ROOT = Path(__file__).parents[2]


def build_hook() -> Any:
    """Return the module of the build hook."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_hook_names_modules_of_the_core_and_all_are_compiled_or_none() -> None:
    """`autodiff.COMPILED` speaks for each of them."""
    for name in build_hook().MODULES:
        assert (ROOT / "core" / "autodiff" / f"{name}.py").is_file()
        module = importlib.import_module(f"autodiff.{name}")
        assert str(module.__file__).endswith(".py") is not autodiff.COMPILED


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module of the build hook, with a compiler that writes one library, or fails if its code is set."""
    module = build_hook()
    module.code = 0

    def run(command: list[str], *, cwd: Path, **_: Any) -> Any:
        (cwd / "built" / "autodiff").mkdir(parents=True)
        (cwd / "built" / "autodiff" / "calls.so").touch()
        return subprocess.CompletedProcess(command, module.code, "no such header: Python.h", "")

    monkeypatch.setattr(module.subprocess, "run", run)
    return module


def hook_of(module: Any, tmp_path: Path) -> Any:
    """Return the hook for this checkout."""
    return module.CompilingHook(str(ROOT), {}, None, None, str(tmp_path), "wheel")


def test_a_compiled_wheel_is_tagged_for_its_platform(compiler: Any, tmp_path: Path) -> None:
    """What was compiled lies beside its source, and the wheel does not pass for pure Python; then the folder goes."""
    hook, data = hook_of(compiler, tmp_path), {"force_include": {}}
    hook.initialize("standard", data)
    ((made, place),) = data.pop("force_include").items()
    assert Path(made).is_file()
    assert place == "autodiff/calls.so"
    assert data == {"infer_tag": True, "pure_python": False}
    hook.finalize("standard", data, "")
    assert not Path(made).exists()


def test_an_editable_installation_is_never_compiled(compiler: Any, tmp_path: Path) -> None:
    """Its sources are there to be changed."""
    hook, data = hook_of(compiler, tmp_path), {"force_include": {}}
    hook.initialize("editable", data)
    hook.finalize("editable", data, "")
    assert data == {"force_include": {}}


def test_a_failing_compiler_says_what_it_needs(compiler: Any, tmp_path: Path) -> None:
    """And what it printed."""
    compiler.code = 1
    hook = hook_of(compiler, tmp_path)
    with pytest.raises(RuntimeError, match=r"It needs a C compiler(.|\n)*no such header"):
        hook.initialize("standard", {"force_include": {}})
    hook.folder.cleanup()


def test_a_value_has_weak_references_and_no_dict() -> None:
    """It goes away by itself, and a misspelt attribute is an error."""
    v = Value(1.0)
    seen = weakref.ref(v)
    with pytest.raises(AttributeError):
        v.gard = 1.0
    assert not hasattr(v, "__dict__")
    del v
    assert seen() is None


def test_a_value_can_be_copied_pickled_and_is_an_index() -> None:
    """Protocols that a compiled class does not have of itself."""
    v = Value([1.0, 2.0])
    assert copy.copy(v)._edge is v._edge
    assert pickle.loads(pickle.dumps(v)).data.tolist() == copy.deepcopy(v).data.tolist() == [1.0, 2.0]
    assert ["a", "b"][Value(np.int64(1))] == "b"
    assert hash(v) == object.__hash__(v)
    assert isinstance(np.float64(2) * v, Value)


def test_rules_can_be_copied() -> None:
    """The conformance kit puts a spy into a copy."""
    rule = ops.tanh.vjps[0]
    assert copy.copy(rule).sources == rule.sources


def test_nobody_can_derive_from_value_nor_from_an_intermediate_class() -> None:
    """Ops tell Values by type."""
    with pytest.raises(ArgumentTypeError, match="cannot derive from Value"):
        type("Mine", (Value,), {})


def test_methods_have_signatures_and_docstrings() -> None:
    """As `help` and the documentation show them."""
    assert list(inspect.signature(Value.sum).parameters) == ["self", "axis", "keepdims", "unknown"]
    assert list(inspect.signature(Value.backward).parameters)[:2] == ["self", "gradient"]
    assert "All or nothing" in str(Value.backward.__doc__)


def test_errors_and_tracebacks_name_the_core() -> None:
    """A traceback leads from the user's line through the core to the error."""
    with pytest.raises(KernelError, match=r"'autodiff_ops\.add' was given x1: shape \(2,\)") as caught:
        Value([1.0, 2.0]) + Value([1.0, 2.0, 3.0])
    files = [Path(frame.filename).name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert files[0] == Path(__file__).name
    assert {"operators.py", "calls.py"} <= set(files)


def test_a_failing_rule_is_named() -> None:
    """Notes are added to errors on their way out of a pass."""
    v = Value([1.0, 2.0])
    y = (v * v).sum()
    v.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError) as caught:
        y.backward()
    assert any("in the backward pass of" in note for note in caught.value.__notes__)
    with pytest.raises(GraphError, match="a backward pass through it failed, ZeroDivisionError"):
        y.backward()


def test_a_bytecode_that_returns_its_argument_is_known() -> None:
    """Of a product the partial is the other factor, which costs no call."""
    assert returns_its_argument(lambda anything: anything)
    assert not returns_its_argument(lambda x: -x)
    assert not returns_its_argument(abs)


def interrupted(y: Value) -> None:
    """Run a pass, and wait for an interrupt if it was quicker, or has left it for the next interpreted line."""
    y.backward()
    while True:
        pass


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
def test_an_interrupt_leaves_no_gradient() -> None:
    """Whenever it comes in a pass: either every gradient is there or none."""
    x = Value(1.0)
    y: Any = x
    for _ in range(50_000):
        y = y * 0.5 + x

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(KeyboardInterrupt):
            interrupted(y)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert x.grad is None or x.grad.item() == pytest.approx(2.0)


def test_three_edges_and_more() -> None:
    """A node keeps two edges as attributes, and the others in a tuple."""
    leaves = [Value([float(i)]) for i in range(5)]
    joined: Any = ops.concat(*leaves)
    assert joined._edge.edges == tuple(v._edge for v in leaves)
    (joined * np.arange(5.0)).sum().backward()
    assert [v.grad.item() for v in leaves] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert joined._edge.edges == ()


def calls_of(pass_: Any) -> int:
    """Return how many functions `pass_` calls, Python's and C's, as far as interpreted code sees them."""
    calls = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        pass_()
    finally:
        sys.setprofile(None)
    return calls


def test_one_value_used_often_costs_linear_time() -> None:
    """Each further use costs the same calls, and one addition in place; counted, not timed."""

    def uses(n: int) -> tuple[int, Value]:
        x = Value(np.ones(3))
        total: Any = x * 1.0
        for _ in range(n - 1):
            total = total + x
        total = total.sum()
        return calls_of(total.backward), x

    (a, _), (b, _), (c, _) = uses(1_000), uses(2_000), uses(3_000)
    assert b - a == c - b
    np.testing.assert_array_equal(uses(100_000)[1].grad, np.full(3, 100_000.0))
