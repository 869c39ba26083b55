"""``autodiff selftest``: the kit from the command line, and a report to paste."""

from __future__ import annotations

from processes import command

from autodiff import ops
from autodiff.extend import elementwise
from autodiff.registry import registry
from autodiff_cli import selftest

BROKEN = """
from autodiff.extend import elementwise, hookimpl, unary

@elementwise(partials=(lambda x: 2.5 * x,), samples=unary())
def badly_squared(xp, x):
    return x * x

@hookimpl
def register_ops(register):
    register(badly_squared)
"""


def test_a_backend_that_does_what_it_should():
    """The report names versions, what ran, and that all passed; progress is not in it."""
    done = command("selftest", "--op", "tanh", "--op", "matmul", "--dtype", "float64")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("## autodiff selftest: numpy\n")
    assert "- numpy: 2." in done.stdout
    assert "- 2 ops on one sample of each kind of numbers and range, dtypes: float64;" in done.stdout
    assert "**all passed**" in done.stdout
    assert "2/2 autodiff_activations" not in done.stdout
    assert done.stderr == ""  # nor in a file that stderr goes to


def test_a_terminal_sees_where_the_run_is(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert list(selftest._failures("numpy", [ops.sin], False, ["float64"])) == []
    assert "1/1 autodiff_ops.sin" in capsys.readouterr().err


def test_an_op_that_fails_is_in_the_report(tmp_path):
    """The exit code is 1, and the failure is told with the line that repeats it."""
    (tmp_path / "broken_plugin.py").write_text(BROKEN)
    info = tmp_path / "broken_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[autodiff]\nbroken = broken_plugin\n")
    done = command("selftest", "--op", "badly_squared", "--op", "tanh", path=tmp_path)
    assert done.returncode == 1
    assert "**1 failed**" in done.stdout
    assert "<summary>broken_plugin.badly_squared</summary>" in done.stdout
    assert "reproduce" in done.stdout


def test_an_op_without_samples_has_not_passed():
    """Nobody has checked it, and the report does not say so."""
    with registry.scoped():

        @elementwise(partials=(2.0,))
        def unsampled(xp, x):
            return 2.0 * x

        registry.register_op(unsampled)
        failures = dict(selftest._failures("numpy", [unsampled], False, ["float64"]))
    assert "there are no samples" in failures[unsampled.id]


def test_a_backend_that_cannot_run_says_why():
    """Exit code 2, and the backend's own words."""
    done = command("selftest", "--backend", "no-such-backend")
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no backend 'no-such-backend'" in done.stderr


def test_an_error_that_is_no_verdict_is_told_and_the_others_are_checked(monkeypatch):
    """A driver's error on one op is a failure of that op, not the end of the report."""
    checked = []

    def check_op(op, samples, **options):
        checked.append(op.name)
        if op.name == "sin":
            raise RuntimeError("the driver gave up")

    monkeypatch.setattr(selftest, "check_op", check_op)

    failures = dict(selftest._failures("numpy", [ops.sin, ops.cos], False, ["float64"]))

    assert failures == {"autodiff_ops.sin": "RuntimeError: the driver gave up"}
    assert checked == ["sin", "cos"]
