"""The third party's package in docs/examples: it works as a plugin, and uses nothing but public names."""

import ast
import importlib
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

import autodiff
import autodiff.extend
from autodiff.plugins import load_plugin, records
from autodiff.registry import registry

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "autodiff-robust-losses"
PACKAGE = "autodiff_robust_losses"
FILES = sorted(EXAMPLE.rglob("*.py"))
OPS = {"bent_identity", "huber", "pseudo_huber", "tukey_biweight", "welsch"}


@pytest.fixture
def robust(monkeypatch):
    """Return the package, loaded from its folder for the time of a test."""
    monkeypatch.syspath_prepend(EXAMPLE)
    before = list(records)
    with registry.scoped():
        module = importlib.import_module(PACKAGE)
        load_plugin(module)
        yield module
    records[:] = before


# ---- what it imports ---------------------------------------------------------------------------------------------


def forbidden(source):
    """Return what `source` uses of this toolkit beside its public names."""
    public = {
        "autodiff": {*autodiff.__all__, "extend", "testing"},
        "autodiff.extend": {*autodiff.extend.__all__},
        "autodiff.testing": {"asv", "check_grads", "check_op"},
        "autodiff.ops": None,  # every op, by its name
    }
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if _ours(a.name) and a.name not in public]
        elif isinstance(node, ast.ImportFrom) and _ours(node.module or ""):
            names = public.get(node.module, set())
            found += [f"{node.module}.{a.name}" for a in node.names if names is not None and a.name not in names]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "autodiff":
            found += [f"autodiff.{node.attr}"] if node.attr not in public["autodiff"] else []
    return found


def _ours(module):
    """Tell whether a module belongs to this toolkit: autodiff, autodiff_ops, core, but not the package itself."""
    top = module.partition(".")[0]
    return top != PACKAGE and bool(re.match(r"(autodiff(_\w+)?|core|backends|plugins)$", top))


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(EXAMPLE)))
def test_it_uses_public_names_only(file):
    """What a stranger is not promised, the example does not use."""
    assert forbidden(file.read_text()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import autodiff_ops", ["autodiff_ops"]),
        ("import autodiff.registry as r", ["autodiff.registry"]),
        ("from autodiff.registry import registry", ["autodiff.registry.registry"]),
        ("from autodiff import Value, registry", ["autodiff.registry"]),
        ("from autodiff_activations import relu", ["autodiff_activations.relu"]),
        ("from autodiff.extend import registry", ["autodiff.extend.registry"]),
        ("import autodiff\nautodiff.value.standard", ["autodiff.value"]),
        ("import core.autodiff", ["core.autodiff"]),
        ("import numpy, autodiff\nfrom autodiff.extend import elementwise\nautodiff.ops.add(1, 2)", []),
    ],
)
def test_what_is_not_public_would_be_found(source, found):
    """The check above sees each way of reaching inside."""
    assert forbidden(source) == found


def test_there_are_files_to_check():
    """The package, its tests and its benchmark are where they are looked for."""
    assert {f.parent.name for f in FILES} == {PACKAGE, "tests", "benchmarks"}


# ---- what it is --------------------------------------------------------------------------------------------------


def test_one_entry_point_names_the_module_with_the_hooks(robust):
    """Its pyproject.toml has one line for autodiff, and the module that it names brings the ops."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    ((name, module),) = project["entry-points"]["autodiff"].items()
    assert (name, module) == ("robust_losses", robust.__name__)
    assert {op.name for op in autodiff.ops if op.plugin == PACKAGE} == OPS


def test_its_ops_are_found_and_differentiated(robust):
    """Its ops are ops like ours: by short name, in expressions, to the second order, against finite differences."""
    x = np.array([-3.0, -0.4, 0.3, 2.0])

    def f(x):
        return (autodiff.ops.huber(x) * autodiff.ops.bent_identity(x)).sum()

    def slope(x):
        return (autodiff.grad(f)(x) ** 2).sum()

    step = 1e-6
    for function in (f, slope):
        differences = [(function(x + step * e) - function(x - step * e)) / (2 * step) for e in np.eye(4)]
        np.testing.assert_allclose(autodiff.grad(function)(x), differences, rtol=1e-7)


def test_the_demo_finds_its_activation(robust):
    """The op that the demo looks for has this id, which is part of what is promised."""
    assert autodiff.ops["autodiff_robust_losses.bent_identity"] is robust.bent_identity


def test_its_readme_runs(robust, capsys):
    """The README's example fits the line that it says."""
    (block,) = re.findall(r"^```python\n(.*?)^```", (EXAMPLE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out == "3.0 1.0\n"


def test_its_benchmarks_run(robust):
    """The op benchmarks find every op of the package; the fit can be set up and timed, the largest size left out."""
    source = EXAMPLE / "asv_bench" / "benchmarks" / "robust.py"
    namespace = {"__name__": "robust"}
    exec(compile(source.read_text(), str(source), "exec"), namespace)
    for name in ("Forward", "Backward"):
        assert {op.split(".")[-1] for op in namespace[name].params[1]} == OPS
    fit = namespace["Fit"]()
    _, losses, points = fit.params
    for loss in losses:
        fit.setup("numpy", loss, points[0])
        fit.time_gradient("numpy", loss, points[0])
