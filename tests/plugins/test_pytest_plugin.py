"""``pytest --autodiff-conformance=PLUGIN``, run as a stranger would run it: in a folder of its own, on an installed plugin."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: A plugin with one op; what differs is filled in.
PLUGIN = """
from autodiff.extend import Array, Unsupported, hookimpl, primitive, sample

def vjp(g, x):
    return {rule}

@primitive(vjps=(vjp,), samples=[sample((2, 3)), sample(Array((), 0.5, 1.5))], unsupported=[{unsupported}])
def {name}(xp, x):
    \"\"\"Square.\"\"\"
    return x * x

@hookimpl
def register_ops(register):
    register({name})
"""

#: A plugin with a backend, and with a kernel for an op of somebody else.
BACKEND = """
from autodiff.extend import hookimpl
from strict_backend import StrictBackend

@hookimpl
def register_backends(register):
    register(StrictBackend())

@hookimpl
def register_kernels(register):
    register("autodiff_ops.exp", "numpy", lambda x: 2.718281828459045**x)
"""


def plugin(site, name="square", rule="2 * g * x", unsupported="", distribution="my-dist", **where):
    """Install the plugin."""
    site.add(distribution, PLUGIN.format(name=name, rule=rule, unsupported=unsupported), **where)


def run(site, *arguments, folder=None):
    """Run pytest with this plugin of pytest and no other."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AUTODIFF_", "PYTEST_"))}
    env["PYTHONPATH"] = os.pathsep.join([str(site.path), str(ROOT / "tests"), env.get("PYTHONPATH", "")])
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "autodiff_pytest", "-p", "no:cacheprovider", *arguments],
        capture_output=True,
        text=True,
        env=env,
        cwd=folder or site.path,
        timeout=120,
        check=False,
    )


def ids(done):
    """Return the ids that ``--collect-only -q`` printed."""
    return [line.partition("::")[2] for line in done.stdout.splitlines() if line.startswith("autodiff-conformance::")]


def test_there_is_a_test_for_each_op_backend_dtype_and_sample(site):
    """Their ids can be read; a backend that cannot run here is one test, which is skipped."""
    plugin(site)
    dtypes, samples = ("float64", "float32", "float16"), ("0:2x3", "1:scalar")
    found = ids(run(site, "--autodiff-conformance=my_dist", "--collect-only", "-q"))
    expected = [f"my_dist.square[numpy-{dtype}-{sample}]" for dtype in dtypes for sample in samples]
    assert [name for name in found if not name.startswith("cupy")] == ["my_dist.square[declaration]", *expected]


def test_it_passes_and_skips_with_the_reason(site):
    """A right plugin is green, and pytest says why a backend was left out."""
    plugin(site)
    done = run(site, "--autodiff-conformance=my_dist", "-rs")
    assert done.returncode == 0
    assert re.search(r"7 passed(, 1 skipped)? in", done.stdout)
    if "1 skipped" in done.stdout:
        assert re.search(r"SKIPPED.*CuPy is not installed|SKIPPED.*no usable GPU", done.stdout)


@pytest.mark.parametrize("name", ["my_package.ops", "my_package", "mine", "my-dist", "My_Dist"])
def test_a_plugin_is_named_by_module_entry_point_or_distribution(site, name):
    """Each of its names means it, spelled as package indexes allow."""
    plugin(site, module="my_package.ops", entry="mine")
    found = ids(run(site, f"--autodiff-conformance={name}", "--autodiff-backends=numpy", "--collect-only", "-q"))
    assert len(found) == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--autodiff-conformance=my_dits"], "no plugin is called 'my_dits'. Did you mean 'my_dist'"),
        (["--autodiff-conformance=my_dist", "--autodiff-backends=nunpy"], "no backend is called 'nunpy'. Did you mean 'numpy'"),
        (["--autodiff-conformance=my_dist", "--autodiff-dtypes=float23"], "no dtype is called 'float23'. Did you mean 'float32'"),
        (["--autodiff-backends=numpy"], "give that too"),
        (["--autodiff-conformance=broken_dist"], "brings nothing to test: ZeroDivisionError"),
    ],
)  # fmt: skip
def test_a_name_that_means_nothing_is_a_usage_error(site, arguments, message):
    """It says what it was given, and what is meant perhaps; no traceback."""
    plugin(site)
    site.add("broken-dist", "1 / 0")
    done = run(site, *arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_backends_dtypes_and_seed_can_be_chosen(site):
    """The options narrow what is run, and the seed is handed on."""
    plugin(site, rule="3 * g * x")
    options = ["--autodiff-conformance=my_dist", "--autodiff-backends=numpy", "--autodiff-dtypes=float32,float64"]
    assert len(ids(run(site, *options, "--collect-only", "-q"))) == 5
    messages = {seed: run(site, *options, f"--autodiff-seed={seed}", "-k", "float64").stdout for seed in (0, 7)}
    assert re.search(r"seed +7\n", messages[7])
    expected = [re.search(r"expected +(\S+)", message)[1] for message in messages.values()]
    assert expected[0] != expected[1]


def test_a_failure_says_everything_and_both_its_lines_repeat_it(site):
    """Op, plugin, backend, dtype, sample, seed and numbers; the line for pytest and the line of Python fail alike."""
    plugin(site, rule="3 * g * x")
    done = run(site, "--autodiff-conformance=my-dist", "--autodiff-seed=2", "--autodiff-backends=numpy", "-rf")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "2 failed, 5 passed" in done.stdout  # in the narrow dtypes it agrees with itself
    blocks = re.findall(r"^'my_dist.square': .*?(?=^[_=]{5})", done.stdout, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        facts = dict(re.findall(r"^  (\w[\w ]*?)  +(.*)$", block, re.MULTILINE))
        assert {"op", "plugin", "backend", "dtype", "sample", "seed", "check", "expected", "actual"} <= {*facts}
        assert float(facts["actual"]) == pytest.approx(1.5 * float(facts["expected"]))
        first, *told = facts["or"].split(" ", 1)
        assert first == "pytest"
        again = run(site, *shlex.split(told[0]))
        assert again.returncode == pytest.ExitCode.TESTS_FAILED
        assert "1 failed in" in again.stdout
        assert block.strip() in again.stdout
        python = site.run(
            f"""
            from autodiff.testing import ConformanceError
            try:
                exec({facts["reproduce"]!r})
            except ConformanceError as error:
                result = str(error)
            """
        ).result
        assert [facts[name] for name in ("expected", "actual", "dtype", "seed")] == [
            re.search(rf"^  {name} +(.*)$", python, re.MULTILINE)[1] for name in ("expected", "actual", "dtype", "seed")
        ]


def test_an_exception_in_the_op_is_shown_with_its_line(site):
    """The traceback is that of the op, and the message follows it."""
    plugin(site, rule="g * x.no_such_attribute")
    done = run(site, "--autodiff-conformance=my_dist", "-k", "float64 and scalar")
    assert "return g * x.no_such_attribute" in done.stdout
    assert "AttributeError" in done.stdout
    assert re.search(r"^'my_dist.square': an exception where there should be none", done.stdout, re.MULTILINE)


def test_declared_non_support_is_expected_to_fail_and_red_when_it_does_not(site):
    """One test for all samples: an xfail with its reason while it fails, a failure once it is mended."""
    declared = "Unsupported('not in half precision', dtype='float16')"
    half = "3 * g * x if str(x.dtype) == 'float16' else 2 * g * x"
    plugin(site, rule=half, unsupported=declared)
    done = run(site, "--autodiff-conformance=my_dist", "--autodiff-backends=numpy", "-rx")
    assert (done.returncode, "5 passed, 1 xfailed" in done.stdout) == (0, True)
    assert "my_dist.square[numpy-float16-unsupported] - not in half precision" in done.stdout.replace("::", ".")

    (site.path / "my_dist-1.0.dist-info").rename(site.path / "old")
    plugin(site, unsupported=declared, distribution="mended-dist")
    done = run(site, "--autodiff-conformance=mended_dist", "--autodiff-backends=numpy")
    assert (done.returncode, "1 failed, 5 passed" in done.stdout) == (1, True)
    assert "it is declared to be unsupported, and works: take Unsupported(" in done.stdout


def test_they_run_beside_the_files_or_alone(site):
    """Without arguments one's own tests run too; an id, or the name of all, in the place of a file leaves them out."""
    plugin(site)
    (site.path / "test_own.py").write_text("def test_own(): pass\n")
    options = ["--autodiff-conformance=my_dist", "--autodiff-backends=numpy"]
    every = "autodiff-conformance"
    one = "autodiff-conformance::my_dist.square[numpy-float32-1:scalar]"
    counts = [
        re.search(r"(\d+) passed", run(site, *options, *arguments).stdout)[1]
        for arguments in ([], [every], [one], [one, "test_own.py"], [f"{every}::my_dist.square"], ["-k", "own"])
    ]
    assert counts == ["8", "7", "1", "2", "7", "1"]
    wrong = run(site, *options, f"{every}::my_dist.cube")
    assert "not found: autodiff-conformance::my_dist.cube" in wrong.stdout


def test_a_plugin_with_a_backend_or_a_kernel_is_tested_with_the_ops_of_others(site):
    """Every op on its backend, and each op that it has a kernel for."""
    pytest.importorskip("array_api_strict")
    site.add("strict-dist", BACKEND)
    found = ids(run(site, "--autodiff-conformance=strict_dist", "--collect-only", "-q"))
    assert {name.partition("-")[0] for name in found if name.startswith("autodiff_ops.tanh")} == {
        "autodiff_ops.tanh[declaration]",
        "autodiff_ops.tanh[strict",
    }
    assert any(name.startswith("autodiff_ops.exp[numpy-float64") for name in found)
    assert {"strict[float16]", "strict[interface]"} <= {*found}
    done = run(site, "--autodiff-conformance=strict_dist", "-k", "ops.exp or ops.tanh or float16 or interface", "-rs")
    assert done.returncode == 0
    assert "the backend 'strict' has no float16" in done.stdout


def test_it_costs_nothing_unless_it_is_asked_for(site):
    """Pytest starts without importing autodiff or NumPy."""
    plugin(site)
    modules = "('numpy', 'autodiff', 'my_dist', 'autodiff_pytest.conformance')"
    (site.path / "test_own.py").write_text(
        f"import sys\n\ndef test_own():\n    assert [m for m in {modules} if m in sys.modules] == []\n"
    )
    done = run(site, "test_own.py")
    assert done.returncode == 0, done.stdout


def test_pytest_finds_it_by_its_entry_point():
    """Installing the package is all the configuration that there is; its name is the module's, so that ``-p`` is the same."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {"autodiff_pytest": "autodiff_pytest"}
    assert "plugins/autodiff_pytest" in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
