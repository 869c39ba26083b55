"""`autodiff plugins`, `autodiff ops` and `autodiff ops NAME`."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
from processes import command, install

import autodiff
from autodiff.extend import composite, elementwise, primitive
from autodiff.registry import registry
from autodiff_cli import main


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Return what the command prints, its exit code being 0 and nothing going to the error stream."""
    assert main(args) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def unwrapped(text: str) -> str:
    """Return `text` with every run of spaces and line ends made one space."""
    return " ".join(text.split())


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the width of the terminal; 80, without COLUMNS, is that of a pipe."""
    monkeypatch.delenv("COLUMNS", raising=False)
    return lambda n: monkeypatch.setenv("COLUMNS", str(n))


@pytest.fixture
def odd_ops() -> Any:
    """Register ops that lack a rule, have none on purpose, or have a long name."""

    @primitive(vjps={"x": lambda g, scale, x_shape: g * scale})
    def half_declared(xp: Any, x: Any, index: Any, *, scale: float = 2.0) -> Any:
        """[bold]Marks[/bold] are printed as they are."""
        return x * scale

    @elementwise(partials=(lambda x2: x2, None))
    def op_with_a_name_as_long_as_the_whole_width_of_the_terminal_on_which_it_is_shown(x1: Any, x2: Any) -> Any:
        """Long."""

    @composite()
    def doubled(x: Any, *, times: int = 1) -> Any:
        """Twice `x`."""
        return x + x

    with registry.scoped():
        for op in (
            half_declared,
            doubled,
            op_with_a_name_as_long_as_the_whole_width_of_the_terminal_on_which_it_is_shown,
        ):
            registry.register_op(op, origin="strange-ops 0.5")
        yield


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the version of the distribution."""
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"autodiff {importlib.metadata.version('autodiff-toolkit')}\n"


@pytest.mark.parametrize("args", [[], ["nothing"], ["ops", "a", "b"], ["plugins", "--loud"]])
def test_bad_arguments_exit_with_2(capsys: pytest.CaptureFixture[str], args: list[str]) -> None:
    """What argparse refuses is an error of use."""
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 2
    assert "usage: autodiff" in capsys.readouterr().err


@pytest.mark.parametrize("width", [20, 80, 300])
def test_plugins_says_what_each_brought(capsys: pytest.CaptureFixture[str], columns: Any, width: int) -> None:
    """Each plugin shipped here is listed with distribution, version, status and what it registered, at any width."""
    columns(width)
    text = shown(capsys, "plugins")
    rows = {
        line.split()[0]: line.split() for line in text.splitlines() if "autodiff-toolkit" in line and "loaded" in line
    }
    assert {"ops", "activations", "numpy", "cupy"} <= set(rows)
    assert ["ops", "autodiff-toolkit", importlib.metadata.version("autodiff-toolkit"), "loaded"] == rows["ops"][:4]
    for word in ("relu", "logsumexp", "matmul", "backend numpy", "backend cupy"):
        assert word in unwrapped(text)


def test_plugins_says_which_backends_can_run(capsys: pytest.CaptureFixture[str], columns: Any) -> None:
    """NumPy can run and is the default; a backend that cannot says why."""
    text = unwrapped(shown(capsys, "plugins"))
    assert "numpy yes, and is the default" in text
    reason = registry.backends["cupy"].unavailable()
    assert f"cupy no: {reason}" in text if reason else "cupy yes" in text


def test_failures_are_rows_and_no_warnings(tmp_path: Path) -> None:
    """A broken plugin, one that brings nothing, a disabled one and two of one name are told in the table alone."""
    install(tmp_path, "broken-ops", "0.3", {"broken": "broken_ops"}, broken_ops="raise OSError('no [red] file')")
    install(tmp_path, "empty-ops", "1.0", {"empty": "empty_ops"}, empty_ops="")
    install(tmp_path, "other-empty-ops", "1.1", {"empty": "other_empty_ops"}, other_empty_ops="")
    install(tmp_path, "unwanted-ops", "2.0", {"unwanted": "unwanted_ops"}, unwanted_ops="raise SystemExit(77)")
    done = command("plugins", path=tmp_path, AUTODIFF_DISABLE_PLUGINS="unwanted")
    assert (done.returncode, done.stderr) == (0, "")
    text = unwrapped(done.stdout)
    assert "broken broken-ops 0.3 failed OSError: no [red] file" in text
    assert "empty empty-ops 1.0 empty it registered nothing another distribution has a plugin 'empty' too" in text
    assert "empty other-empty-ops 1.1 empty" in text
    assert "unwanted unwanted-ops 2.0 disabled AUTODIFF_DISABLE_PLUGINS" in text
    assert "ops autodiff-toolkit" in text


def test_ops_mentions_failed_plugins(tmp_path: Path) -> None:
    """The list of ops says on the error stream that a plugin failed, since its ops are missing."""
    install(tmp_path, "broken-ops", "0.3", {"broken": "broken_ops"}, broken_ops="import no_such_module")
    done = command("ops", path=tmp_path)
    assert done.returncode == 0
    assert "autodiff_ops.tanh" in done.stdout
    assert "'broken' failed to load. `autodiff plugins` says why." in unwrapped(done.stderr)
    assert "Warning" not in done.stderr


@pytest.mark.parametrize("width", [None, 20, 80, 200])
def test_ops_lists_every_op_whole(
    capsys: pytest.CaptureFixture[str], columns: Any, odd_ops: None, width: int | None
) -> None:
    """Every id is in one piece and every fact is there, whatever the width."""
    if width:
        columns(width)
    text = shown(capsys, "ops")
    words = set(text.replace(",", " ").split())
    assert {op.id for op in autodiff.ops} - words == set()
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    for op in autodiff.ops:
        for fact in (op.kind, registry.op_origins[op.id], op.name):
            assert set(fact.split()) - words - {op.name} == set()
    assert "[bold]Marks[/bold]" in words


def test_ops_at_80_columns_fits(capsys: pytest.CaptureFixture[str], columns: Any) -> None:
    """A pipe gets lines of at most 80 columns, with every fact about an op beside its id."""
    text = shown(capsys, "ops")
    assert max(map(len, text.splitlines())) <= 80
    start = text.index("autodiff_ops.maximum")
    row = unwrapped(text[start : text.index("autodiff_ops.", start + 10)])
    for fact in (
        "maximum(x1, x2)",
        "elementwise, from autodiff-toolkit",
        "rules: vjp of x1, x2",
        "kernels: ",
        "numpy (",
    ):
        assert fact in row


def test_ops_tells_the_rules_apart(capsys: pytest.CaptureFixture[str], columns: Any, odd_ops: None) -> None:
    """Partials, vjps, joint rules, composites, inputs without a derivative and missing rules have words of their own."""
    text = unwrapped(shown(capsys, "ops"))
    assert "rules: partial of x1; not differentiable: x2" in text
    assert "rules: vjp of x; missing: index" in text
    assert "rules: joint vjp of *xs" in text
    assert "rules: those of the ops in its body" in text
    assert "kernels: where the ops of its body run" in text


def test_op_shows_everything(capsys: pytest.CaptureFixture[str], columns: Any) -> None:
    """One op is shown with signature, origin, place, kernels, what its rules keep, its C and its docstring."""
    text = unwrapped(shown(capsys, "ops", "tanh"))
    for fact in (
        "autodiff_ops.tanh signature tanh(x); a method of Value too kind elementwise",
        f"origin autodiff-toolkit {importlib.metadata.version('autodiff-toolkit')}, declared in autodiff_ops.",
        "numpy (the backend's)",
        "partial of x keeps y;",
        "forward rules the partials",
        "in C tanh(x)",
        "in C, partial of x 1 - y * y",
        "Hyperbolic tangent",
        ">>> import autodiff",
    ):
        assert fact in text


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("autodiff_ops.dropout", ["vjp of x keeps mask;", "residuals mask:", "forward rules of its own"]),
        ("subtract", ["partial of x1 the number 1; keeps nothing", "partial of x2 the number -1; keeps nothing"]),
        ("concat", ["joint vjp keeps xs_shape, axis; _concat_vjp in ", "forward rules the op itself: it is linear"]),
        ("where", ["not differentiable"]),
        ("half_declared", ["vjp of x keeps scale, x_shape;", "vjp of index missing: an error as soon as"]),
        ("half_declared", ["forward rules derived from the vjps"]),
        ("doubled", ["kind composite", "origin strange-ops 0.5", "rules those of the ops in its body", "Twice `x`."]),
    ],
)
def test_op_of_each_kind(
    capsys: pytest.CaptureFixture[str], columns: Any, odd_ops: None, name: str, facts: list[str]
) -> None:
    """Residuals, numbers, joint rules, absent and missing rules, and composites are described."""
    text = unwrapped(shown(capsys, "ops", name))
    for fact in facts:
        assert fact in text


def test_every_op_can_be_shown(capsys: pytest.CaptureFixture[str], columns: Any) -> None:
    """No registered op breaks the page about it."""
    for op in autodiff.ops:
        assert op.signature in unwrapped(shown(capsys, "ops", op.id))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sqroot", "Did you mean 'sqrt'"),
        ("autodiff_ops.matmull", "Did you mean 'autodiff_ops.matmul'"),
        ("", "no op ''"),
    ],
)
def test_unknown_op(capsys: pytest.CaptureFixture[str], name: str, hint: str) -> None:
    """An unknown name is answered with the nearest ones on the error stream, and exit code 2."""
    assert main(["ops", name]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert hint in printed.err
    assert "Traceback" not in printed.err


def test_ambiguous_op(capsys: pytest.CaptureFixture[str]) -> None:
    """A short name that two plugins have is answered with both ids."""

    @elementwise(partials=(1,))
    def tanh(x: Any) -> Any:
        """Another."""

    with registry.scoped():
        registry.register_op(tanh, origin="another")
        assert main(["ops", "tanh"]) == 2
        assert main(["ops", tanh.id]) == 0
    printed = capsys.readouterr()
    assert tanh.id in printed.err
    assert "autodiff_ops.tanh" in printed.err
    assert "Another." in printed.out
