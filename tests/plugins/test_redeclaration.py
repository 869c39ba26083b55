"""What is declared again, by a notebook's cell or a module that is reloaded, takes the place of what it was."""

import importlib
import pickle
import sys
import types

import numpy as np
import pytest

import autodiff
from autodiff import Value, grad
from autodiff.errors import PluginError, RegistrationError
from autodiff.extend import hookimpl
from autodiff.plugins import load_plugin, records
from autodiff.registry import registry


@pytest.fixture(autouse=True)
def _scope():
    """Undo whatever a test registers, and forget the plugins that it loads."""
    before = list(records)
    with registry.scoped():
        yield
    records[:] = before


_CELL = """
import types
from autodiff.extend import elementwise, hookimpl, unary
from autodiff.plugins import load_plugin

@elementwise(partials=({factor},), samples=unary(), method=True)
def times(xp, x):
    return {factor} * x

@hookimpl
def register_ops(register):
    register(times)

@hookimpl
def register_kernels(register):
    register("autodiff_ops.cbrt", "numpy", kernel)

def kernel(x):
    return x * {factor}

load_plugin(types.SimpleNamespace(register_ops=register_ops, register_kernels=register_kernels))
"""


def run_cell(factor):
    """Run a cell of a notebook, and return what it declared."""
    cell = {"__name__": "__main__"}
    exec(_CELL.format(factor=factor), cell)
    return cell["times"]


def test_a_cell_is_run_again():
    """The new declaration is found by name, by id, as a method and by its pickle; its rule is the new one."""
    run_cell(2.0)
    again = run_cell(3.0)
    assert (autodiff.ops.times, autodiff.ops["__main__.times"]) == (again, again)
    assert pickle.loads(pickle.dumps(again)) is again
    assert Value(1.0).times().item() == 3.0
    assert grad(lambda x: x.times())(1.0) == 3.0
    assert autodiff.ops.cbrt(np.ones(1)).tolist() == [3.0]


def test_ops_of_a_factory_are_not_declared_again():
    """Two ops that a function made under one name in one module are two ops, and the second is refused."""
    from autodiff.extend import elementwise, unary

    def make(factor):
        @elementwise(partials=(factor,), samples=unary())
        def times(xp, x):
            return factor * x

        return times

    registry.register_op(make(2.0))
    with pytest.raises(RegistrationError, match="override=True"):
        registry.register_op(make(3.0))


def test_one_plugin_registers_no_two_ops_of_one_id():
    """Of two functions of one name in a module the first is not forgotten in silence."""
    run_cell(2.0)
    first = autodiff.ops.times
    run_cell(3.0)
    second = autodiff.ops.times

    @hookimpl
    def register_ops(register):
        register(first)
        register(second)

    with pytest.raises(PluginError, match=r"two ops whose id is '__main__\.times'"):
        load_plugin(types.SimpleNamespace(register_ops=register_ops), name="mine")


_PLUGIN = """
from autodiff.extend import elementwise, hookimpl, unary

@elementwise(partials=({factor},), samples=unary())
def times(xp, x):
    return {factor} * x

@hookimpl
def register_ops(register):
    register(times)
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Return a plugin's module, and a function that edits it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(factor):
        (tmp_path / "edited_plugin.py").write_text(_PLUGIN.format(factor=factor))
        importlib.invalidate_caches()

    write(2.0)
    yield importlib.import_module("edited_plugin"), write
    del sys.modules["edited_plugin"]


def test_a_plugin_is_reloaded(plugin):
    """`importlib.reload` and `load_plugin` bring the ops of the edited module."""
    module, write = plugin
    load_plugin(module)
    assert autodiff.ops.times(1.0) == 2.0
    write(3.0)
    load_plugin(importlib.reload(module))
    assert autodiff.ops.times(1.0) == 3.0


def test_another_module_does_not_declare_again(plugin):
    """Two modules of one package that declare one name still clash."""
    module, _ = plugin
    load_plugin(module)
    other = run_cell(3.0)
    other.id, other.name = module.times.id, module.times.name
    with pytest.raises(RegistrationError, match="is taken"):
        registry.register_op(other)


_BACKEND = """
import numpy as np
from autodiff_numpy import NumpyBackend

class Other(NumpyBackend):
    name = "numpy"
    offset = {offset}

    @property
    def xp(self):
        import types
        return types.SimpleNamespace(**{{**vars(np), "trunc": lambda x: np.trunc(x) + self.offset}})
"""


def test_a_backend_that_takes_a_name_is_used_at_once():
    """Kernels that were found before are those of the backend that had the name; a cell may be run again."""
    v = Value(np.zeros(1))
    assert autodiff.ops.trunc(v).item() == 0.0
    for offset in (1.0, 2.0):
        cell = {"__name__": "__main__"}
        exec(_BACKEND.format(offset=offset), cell)
        registry.register_backend(cell["Other"](), override=offset == 1.0)
        assert autodiff.ops.trunc(v).item() == offset


def test_an_op_that_takes_the_id_of_another_is_what_recorded_rules_call():
    """`xp` of a recorded pass forgets what it has found when the registry changes."""
    from autodiff.extend import elementwise, unary

    def cosh(xp, x):
        return 0 * x + 7.0

    second = grad(grad(autodiff.ops["autodiff_ops.sinh"]))
    assert second(1.0) == pytest.approx(np.sinh(1.0))
    cosh.__module__ = "autodiff_ops.mine"
    registry.register_op(elementwise(partials=(5.0,), samples=unary())(cosh), override=True)
    assert second(1.0) == 5.0


def test_a_plugin_that_fails_when_it_is_loaded_again_leaves_the_first():
    """What the first run registered stays."""
    first = run_cell(2.0)
    with pytest.raises((PluginError, NameError)):
        run_cell("missing")
    assert autodiff.ops.times is first
