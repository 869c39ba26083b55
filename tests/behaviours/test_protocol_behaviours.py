"""Meeting Python's and NumPy's protocols, and plugins."""

from __future__ import annotations

import operator
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autodiff import Value, grad
from autodiff import plugins as plugin_loader
from autodiff.errors import GradientTypeError, PluginWarning
from autodiff.registry import Registry


@pytest.mark.parametrize("data", [2, True, np.arange(3), np.int64(2), np.array([True])])
def test_31_integers_have_no_gradient(data: Any) -> None:
    """grad of integers is a TypeError that says what to do, not a silent constant."""
    with pytest.raises(TypeError, match="astype") as caught:
        grad(lambda x: x * x)(data)
    assert isinstance(caught.value, GradientTypeError)


def test_31_integer_parameter() -> None:
    """So is asking for the gradient of an integer array; Python's integers mean the reals."""
    with pytest.raises(GradientTypeError, match="float64"):
        Value(np.arange(3), requires_grad=True)
    x = Value(3)
    (x * x).backward()
    assert x.grad == 6.0


@pytest.mark.parametrize("data", [3.0, np.float64(3.0), np.array(3.0), np.float32(3.0)])
def test_32_gradient_of_a_number_is_a_writable_0d_array(data: Any) -> None:
    """Numbers give 0-d arrays: data, results and gradients, and writing into the gradient is seen."""
    x = Value(data)
    y = x * x
    y.backward()
    assert [type(a) for a in (x.data, y.data, x.grad)] == [np.ndarray] * 3
    assert x.grad.shape == ()
    x.grad += 1
    assert x.grad == 7.0
    found = grad(lambda v: v * v)(data)
    assert (type(found), found.shape, found) == (np.ndarray, (), 6.0)


_PARTNERS = [np.ones((2, 3)), np.array(2.0), np.float64(2.0), np.float32(2.0), np.arange(1, 4), 2.0, 2, [1.0, 2.0, 3.0]]


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
@pytest.mark.parametrize("partner", _PARTNERS, ids=lambda p: type(p).__name__ + str(np.shape(p)))
@pytest.mark.parametrize("data", [np.full((2, 3), 1.5), np.array(1.5), 1.5], ids=["array", "0-d", "number"])
def test_33_both_orders(data: Any, partner: Any, op: Any) -> None:
    """With an array, a 0-d array, a NumPy scalar, a number or a list on either side the result is one Value."""
    v = Value(data)
    for left, right in ((v, partner), (partner, v)):
        found = op(left, right)
        assert type(found) is Value
        assert found.requires_grad
        raw = [np.asarray(v.data) if side is v else np.asarray(partner) for side in (left, right)]
        np.testing.assert_allclose(found.data, op(*raw), rtol=1e-6)


def test_33_matmul_with_an_array_on_the_left() -> None:
    """``ndarray @ Value`` is one op on Values."""
    v = Value(np.ones((3, 2)))
    found = np.ones((4, 3)) @ v
    found.sum().backward()
    assert (type(found), v.grad.tolist()) == (Value, [[4.0, 4.0]] * 3)


def test_33_masked_array_on_the_left_loses_no_gradient_in_silence() -> None:
    """A masked array on the left is refused, as it is on the right."""
    with pytest.raises(TypeError):
        np.ma.array([1.0, 2.0]) + Value(np.ones(2))


def test_50_values_in_sets_and_dicts() -> None:
    """Values hash by identity."""
    a, b = Value(1.0), Value(1.0)
    assert len({a, b, a}) == 2
    assert {a: "a", b: "b"}[b] == "b"
    assert a in {a, b}
    arrays = [Value(np.ones(3)), Value(np.ones(3))]
    assert arrays[1] in set(arrays)
    assert arrays[0] in arrays


def test_50_elementwise_equality_does_not_break_the_engine() -> None:
    """Values that compare equal, or whose comparison has no truth, keep their own gradients."""
    x, y = Value(np.ones(2)), Value(np.ones(2))
    assert (x == y).data.tolist() == [True, True]
    (x * y * 3).sum().backward(inputs=[y, x])
    assert (x.grad.tolist(), y.grad.tolist()) == ([3.0, 3.0], [3.0, 3.0])
    dx, dy = grad(lambda a, b: (a * b * b).sum(), argnums=(0, 1))(x, y)
    assert (dx.data.tolist(), dy.data.tolist()) == ([1.0, 1.0], [2.0, 2.0])


# ---- 51: plugins -------------------------------------------------------------------------------------------------


@pytest.fixture
def loader() -> Iterator[Any]:
    """The loader's own state, put back afterwards."""
    records, manager = list(plugin_loader.records), plugin_loader._manager
    yield plugin_loader.load_all
    plugin_loader.records[:] = records
    plugin_loader._manager = manager


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that installs a distribution with one entry point and returns all that were installed."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def install(distribution: str, entry: str, module: str, body: str) -> list[EntryPoint]:
        (tmp_path / f"{module}.py").write_text(body)
        info = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[autodiff]\n{entry} = {module}\n")
        made.append(module)
        return [point for dist in distributions(path=[str(tmp_path)]) for point in dist.entry_points]

    yield install
    for module in made:
        sys.modules.pop(module, None)


_GOOD = """
from autodiff.extend import elementwise, hookimpl

@elementwise(partials=(2.0,))
def {op}(xp, x):
    '''Twice x.'''
    return x * 2.0

@hookimpl
def register_ops(register):
    register({op})
"""


def test_51_one_entry_point_name_in_two_packages(install: Any, loader: Any) -> None:
    """Both are loaded, and a warning names both distributions."""
    install("pack-one", "same", "plug51_one", _GOOD.format(op="op_one"))
    points = install("pack-two", "same", "plug51_two", _GOOD.format(op="op_two"))
    into = Registry()
    with pytest.warns(PluginWarning, match="pack-one.*pack-two"):
        loader(points, into=into)
    assert set(into.ops) == {"plug51_one.op_one", "plug51_two.op_two"}


def test_51_broken_plugin_does_not_stop_the_rest(install: Any, loader: Any) -> None:
    """A plugin whose import fails is named with its cause, and the others are loaded."""
    install("pack-broken", "a_broken", "plug51_broken", "raise ImportError('no such library')")
    points = install("pack-good", "b_good", "plug51_good", _GOOD.format(op="op_good"))
    into = Registry()
    with pytest.warns(PluginWarning, match="pack-broken.*no such library"):
        records = loader(points, into=into)
    assert [(r.name, r.status) for r in records] == [("a_broken", "failed"), ("b_good", "loaded")]
    assert set(into.ops) == {"plug51_good.op_good"}


@pytest.mark.parametrize("switch", ["plug51_off", "off_entry", "pack-off"])
def test_51_disabled_before_its_import(install: Any, loader: Any, monkeypatch: Any, switch: str) -> None:
    """By module, entry point or distribution: what is disabled is not even imported."""
    points = install("pack-off", "off_entry", "plug51_off", "raise SystemExit('imported')")
    monkeypatch.setenv("AUTODIFF_DISABLE_PLUGINS", f"other, {switch}")
    records = loader(points, into=Registry())
    assert [(r.status, r.cause) for r in records] == [("disabled", "AUTODIFF_DISABLE_PLUGINS")]
    assert "plug51_off" not in sys.modules


def test_51_registering_twice_is_a_no_op(install: Any, loader: Any) -> None:
    """The same plugin loaded twice, as after a re-import, registers nothing new and warns of nothing."""
    points = install("pack-twice", "twice", "plug51_twice", _GOOD.format(op="op_twice"))
    into = Registry()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader(points, into=into)
        loader([*points, *points], into=into)
    assert set(into.ops) == {"plug51_twice.op_twice"}
    assert len(into.names["op_twice"]) == 1
