"""The loader: plugins found by their entry points, whatever state they are in."""

import pytest

#: Distribution, entry point, status and cause of every plugin that autodiff does not ship.
STRANGERS = """
from autodiff import plugins, registry
registry.registry.load()
strangers = {r.distribution: r for r in plugins.records if r.distribution != plugins.DISTRIBUTION}
shipped = {r.module: r.status for r in plugins.records if r.distribution == plugins.DISTRIBUTION}
"""

SHIPPED = {
    "autodiff_numpy": "loaded",
    "autodiff_cupy": "loaded",
    "autodiff_ops": "loaded",
    "autodiff_activations": "loaded",
    "autodiff_nn": "loaded",
}


# ---- found and loaded --------------------------------------------------------------------------------------------


def test_an_installed_plugin_is_there_without_being_imported(site):
    """An entry point is all that it takes: the op is found, works, and has a gradient."""
    site.double("alpha-dist", "twice", module="alpha")
    answer = site.run(
        """
        import autodiff
        x = autodiff.Value(3.0)
        y = autodiff.ops.twice(x)
        y.backward()
        result = [y.item(), x.grad.item(), autodiff.ops.twice.id]
        """
    )
    assert (answer.result, answer.warnings) == ([6.0, 2.0, "alpha.twice"], [])


def test_importing_autodiff_loads_neither_plugins_nor_array_libraries(site):
    """Plugins are loaded at the first use; until then not even NumPy is imported."""
    site.double("alpha-dist", "twice", module="alpha")
    answer = site.run(
        """
        import sys
        import autodiff
        watched = ["numpy", "cupy", "rich", "alpha", "autodiff_numpy", "autodiff_ops"]
        before = [name for name in watched if name in sys.modules]
        autodiff.Value(1.0)
        result = [before, [name for name in watched if name in sys.modules]]
        """
    )
    assert answer.result == [[], ["numpy", "alpha", "autodiff_numpy", "autodiff_ops"]]


@pytest.mark.parametrize("module", [*SHIPPED, "alpha"])
def test_a_plugin_may_be_imported_first_and_alone(site, module):
    """Importing a plugin before autodiff loads nothing too early: all of them then load as ever."""
    site.double("alpha-dist", "twice", module="alpha")
    answer = site.run(
        f"""
import {module}
{STRANGERS}
import autodiff
result = [shipped, strangers["alpha-dist"].status, (autodiff.Value(3.0) * 2).tanh().shape]
"""
    )
    assert (answer.result, answer.warnings) == ([SHIPPED, "loaded", []], [])


def test_an_op_imported_first_from_its_plugin_works(site):
    """The op as the plugin's module has it and as autodiff finds it are one."""
    site.double("alpha-dist", "twice", module="alpha")
    answer = site.run(
        """
        from alpha import twice
        import autodiff
        result = [twice(autodiff.Value(3.0)).item(), twice is autodiff.ops.twice]
        """
    )
    assert answer.result == [6.0, True]


def test_importing_autodiff_does_not_import_optree(site):
    """The library for nested arguments waits for the first transform."""
    assert site.run("import sys, autodiff; result = 'optree' in sys.modules").result is False


def test_threads_that_meet_at_the_first_use_load_each_plugin_once(site):
    """Many threads use the registry at once: the hooks run once, and no thread sees half of the ops."""
    site.add(
        "alpha-dist",
        """
        import time
        from autodiff.extend import hookimpl, elementwise
        calls = []
        @elementwise(partials=(1,))
        def same(xp, x):
            return x
        @hookimpl
        def register_ops(register):
            calls.append(1)
            time.sleep(0.1)
            register(same)
        """,
        module="alpha",
    )
    answer = site.run(
        """
        from concurrent.futures import ThreadPoolExecutor
        import autodiff
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda n: autodiff.ops.same(autodiff.Value(float(n))).item(), range(8)))
        import alpha
        result = [found, len(alpha.calls)]
        """
    )
    assert answer.result == [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 1]


# ---- behaviour 51: what may be wrong with a plugin ---------------------------------------------------------------


def test_one_entry_point_name_in_two_packages_loads_both(site):
    """Behaviour 51: both are loaded, and one warning names both distributions."""
    site.double("alpha-dist", "twice", module="alpha", entry="shared")
    site.double("beta-dist", "double", module="beta", entry="shared")
    answer = site.run("import autodiff; result = ['twice' in autodiff.ops, 'double' in autodiff.ops]")
    (warning,) = answer.warnings
    assert answer.result == [True, True]
    assert [name in warning for name in ("'shared'", "alpha-dist", "beta-dist")] == [True, True, True]


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
    ids=["import-error", "exception", "syntax-error", "exit"],
)
def test_a_plugin_that_cannot_be_imported_is_skipped_by_name(site, source, cause):
    """Behaviour 51: one warning names plugin, distribution and cause; the others and ours keep working."""
    site.add("broken-dist", source, module="broken")
    site.double("zeta-dist", "twice", module="zeta")
    answer = site.run(
        STRANGERS
        + """
import autodiff
broken = strangers["broken-dist"]
result = [broken.status, broken.cause, shipped, autodiff.ops.twice(1.0).item()]
"""
    )
    (warning,) = answer.warnings
    status, told, shipped, doubled = answer.result
    assert (status, told.startswith(cause), shipped, doubled) == ("failed", True, SHIPPED, 2.0)
    assert [part in warning for part in ("'broken'", "broken-dist 1.0", cause)] == [True, True, True]


def test_a_hook_that_fails_half_way_leaves_nothing_behind(site):
    """Behaviour 51: what the plugin had registered, ops, methods, kernels and backends, is taken back."""
    site.add(
        "broken-dist",
        """
        import autodiff_numpy
        from autodiff.extend import elementwise, hookimpl

        class Other(autodiff_numpy.NumpyBackend):
            name = "other"

        @elementwise(partials=(1,), method=True)
        def half_way(xp, x):
            return x

        @hookimpl
        def register_backends(register):
            register(Other())

        @hookimpl
        def register_ops(register):
            register(half_way)

        @hookimpl
        def register_kernels(register):
            register("autodiff_ops.exp", "numpy", lambda x: 0 * x)
            raise RuntimeError("no such table")
        """,
        module="broken",
    )
    answer = site.run(
        STRANGERS
        + """
import autodiff
broken, r = strangers["broken-dist"], registry.registry
left = ["half_way" in autodiff.ops, "half_way" in dir(autodiff.ops), "half_way" in r.methods, "other" in r.backends]
result = [broken.status, broken.brought, left, autodiff.Value(0.0).exp().item()]
"""
    )
    (warning,) = answer.warnings
    assert answer.result == ["failed", [], [False] * 4, 1.0]
    assert "RuntimeError: no such table" in warning


def test_a_hook_with_another_parameter_is_named(site):
    """A hook that asks for what no hook is handed is a failure that names the parameter."""
    site.add(
        "broken-dist",
        """
        from autodiff.extend import hookimpl
        @hookimpl
        def register_ops(registry):
            pass
        """,
        module="broken",
    )
    (warning,) = site.run("import autodiff; autodiff.Value(1.0)").warnings
    assert [part in warning for part in ("broken-dist", "'registry'")] == [True, True]


def test_a_misspelt_hook_is_named(site):
    """A hook that autodiff does not have is no hook: the warning names it and lists those that exist."""
    site.add(
        "alpha-dist",
        """
        from autodiff.extend import hookimpl
        @hookimpl
        def register_op(register):
            pass
        """,
        module="alpha",
    )
    (warning,) = site.run("import autodiff; autodiff.Value(1.0)").warnings
    assert [part in warning for part in ("alpha-dist", "'register_op'", "register_ops")] == [True, True, True]


def test_a_folder_that_hides_a_plugin_is_named(site, tmp_path):
    """A project's folder has the name of the package in it, and Python was started beside it."""
    site.add("alpha-dist", "x = 1", module="alpha")
    folder = tmp_path / "alpha"
    folder.mkdir()
    (tmp_path / "alpha.py").rename(folder / "alpha.py")
    answer = site.run(STRANGERS + "result = strangers['alpha-dist'].status")
    (warning,) = answer.warnings
    assert answer.result == "empty"
    assert f"a folder without __init__.py that came first on the path: {folder}." in warning


def test_a_plugin_that_registers_nothing_is_named(site):
    """A module without hooks does nothing, and its author is told what is missing."""
    site.add("alpha-dist", "x = 1", module="alpha")
    answer = site.run(STRANGERS + "result = strangers['alpha-dist'].status")
    (warning,) = answer.warnings
    assert answer.result == "empty"
    assert [part in warning for part in ("alpha-dist", "@hookimpl", "register_ops")] == [True, True, True]


_MAKES_A_VALUE = """
from autodiff import Value
from autodiff.extend import elementwise, hookimpl
CONSTANT = Value(1.0)

@elementwise(partials=(1,))
def same(xp, x):
    return x

@hookimpl
def register_ops(register):
    register(same)
"""


def test_a_plugin_that_makes_a_value_while_it_is_imported_is_told_so(site):
    """Imported first, such a module would be loaded half-initialised: the warning says what it did and what to do."""
    site.add("alpha-dist", _MAKES_A_VALUE, module="alpha")
    answer = site.run("import alpha; import autodiff; result = (autodiff.Value(1.0) + 1).item()")
    (warning,) = answer.warnings
    assert answer.result == 2.0
    assert [part in warning for part in ("'alpha'", "still being imported", "Move that into a function")] == [True] * 3


def test_a_plugin_that_makes_a_value_while_it_is_loaded_works(site):
    """Loaded by autodiff itself, after the backends, nothing is wrong with it."""
    site.add("alpha-dist", _MAKES_A_VALUE, module="alpha")
    answer = site.run("import autodiff; result = autodiff.ops.same(3.0).item()")
    assert (answer.result, answer.warnings) == (3.0, [])


def test_metadata_that_is_missing_takes_nothing_down(site):
    """The remains of an uninstalled package have entry points and no metadata: the rest keeps working."""
    site.double("alpha-dist", "twice", module="alpha")
    (site.path / "alpha_dist-1.0.dist-info" / "METADATA").unlink()
    assert site.run("import autodiff; result = (autodiff.Value(1.0) + 1).item()").result == 2.0


def test_warnings_as_errors_can_be_survived(site):
    """Where warnings are errors the first use raises; what comes after works, and the core's plugins are all there."""
    site.add("broken-dist", "import no_such_module", module="broken")
    answer = site.run(
        """
        import warnings
        import autodiff
        from autodiff.errors import PluginWarning
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                autodiff.Value(1.0)
            except PluginWarning as exc:
                told = "broken-dist" in str(exc)
        result = [told, (autodiff.Value(1.0) + 1).item()]
        """
    )
    assert answer.result == [True, 2.0]


# ---- switched off ------------------------------------------------------------------------------------------------

_LEAVES_A_TRACE = """
import pathlib
pathlib.Path("imported").touch()
"""


@pytest.mark.parametrize(
    "names",
    [
        pytest.param("alpha", id="plugin"),
        pytest.param("alpha.hooks", id="module"),
        pytest.param("the-entry", id="entry-point"),
        pytest.param("alpha-dist", id="distribution"),
        pytest.param("autodiff_cupy, alpha-dist", id="list"),
    ],
)
def test_a_disabled_plugin_is_not_even_imported(site, names):
    """Behaviour 51: AUTODIFF_DISABLE_PLUGINS takes plugins, modules, entry points and distributions."""
    site.add("alpha-dist", _LEAVES_A_TRACE, module="alpha.hooks", entry="the-entry")
    answer = site.run(STRANGERS + "result = strangers['alpha-dist'].status", AUTODIFF_DISABLE_PLUGINS=names)
    assert (answer.result, answer.warnings, (site.path / "imported").exists()) == ("disabled", [], False)


def test_disabling_an_entry_point_name_disables_all_that_bear_it(site):
    """Two packages share an entry-point name: switching it off switches both off, without a warning."""
    site.double("alpha-dist", "twice", module="alpha", entry="shared")
    site.double("beta-dist", "double", module="beta", entry="shared")
    answer = site.run(
        STRANGERS + "result = sorted(r.status for r in strangers.values())", AUTODIFF_DISABLE_PLUGINS="shared"
    )
    assert (answer.result, answer.warnings) == (["disabled", "disabled"], [])


def test_autoload_off_loads_what_is_shipped_and_nothing_else(site):
    """AUTODIFF_PLUGIN_AUTOLOAD=0 imports no stranger; load_plugin still brings one in by hand."""
    site.add("alpha-dist", _LEAVES_A_TRACE, module="alpha")
    site.double("beta-dist", "twice", module="beta")
    answer = site.run(
        STRANGERS
        + """
before = [strangers["alpha-dist"].status, strangers["beta-dist"].status, shipped]
import autodiff, beta
plugins.load_plugin(beta)
result = [*before, autodiff.ops.twice(1.0).item()]
""",
        AUTODIFF_PLUGIN_AUTOLOAD="0",
    )
    assert (answer.result, (site.path / "imported").exists()) == (["disabled", "disabled", SHIPPED, 2.0], False)


def test_a_standard_op_that_is_switched_off_says_so(site):
    """Without the standard ops an operator names the op and where to look, instead of failing somewhere inside."""
    answer = site.run(
        """
        import autodiff
        try:
            autodiff.Value(1.0) + 1
        except autodiff.AutodiffError as exc:
            result = str(exc)
        """,
        AUTODIFF_DISABLE_PLUGINS="autodiff_ops",
    )
    assert [part in answer.result for part in ("'add'", "autodiff plugins")] == [True, True]
