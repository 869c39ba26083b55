"""The arrows of ``docs/design.md``: which module may import which, read from the sources."""

from __future__ import annotations

import ast
import builtins
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core" / "autodiff"
PLUGINS = sorted(p.parent for folder in ("plugins", "backends") for p in (ROOT / folder).glob("*/__init__.py"))

#: What each module of the core may import of the core. Everything may import `errors`.
ARROWS = {
    "errors": "",
    "modes": "",
    "samples": "",
    "trees": "",
    "hookspecs": "",
    "graph": "compiling",
    "compiling": "",
    "handles": "compiling",
    "calls": "arguments graph handles modes refusals registry rule",
    "standard": "handles",
    "holding": "graph",
    "refusals": "holding",
    "arguments": "handles registry",
    "backend": "samples",
    "operators": "calls compiling handles standard",
    "registry": "backend",
    "hooks": "graph",
    "replacing": "handles registry",
    "debugging": "graph registry",
    "coverage": "rule",
    "leaving": "modes operators registry replacing",
    "value": "calls graph handles hooks leaving modes registry replacing standard",
    "batches": "arguments backend handles registry standard",
    "slots": "registry",
    "rule": "compiling graph handles registry slots standard",
    "batch_rules": "batches registry rule standard value",
    "op": "arguments batch_rules calls coverage debugging graph handles hooks modes refusals registry rule value",
    "signatures": "handles samples",
    "declarations": "batch_rules handles op refusals rule samples signatures",
    "broadcasting": "declarations samples standard",
    "levels": "batch_rules batches broadcasting declarations graph modes standard value",
    "seeds": "batches graph registry value",
    "inspection": "debugging graph holding modes registry rule value",
    "projection": "batches broadcasting graph levels registry rule standard value",
    "reuse": "graph leaves projection registry rule",
    "leaves": "graph hooks inspection modes registry replacing value",
    "drawing": "graph value",
    "devices": "batches graph registry rule value",
    "backward": "batch_rules devices graph inspection leaves modes projection registry reuse rule seeds value",
    "forward": "backward batch_rules broadcasting coverage devices graph inspection leaves modes registry rule standard value",
    "inputs": "arguments backward batch_rules forward graph leaves modes registry replacing rule seeds trees value",
    "transforms": "inputs registry seeds trees value",
    "vectorizing": "batches graph inputs levels modes registry replacing trees value",
    "derivatives": "batches graph inputs registry replacing rule seeds transforms trees value vectorizing",
    "custom": "declarations inputs op value",
    "checkpointing": "backward forward graph inputs modes registry rule trees value",
    "ops": "registry",
    "composed": "creation registry standard",
    "partial_reductions": "composed registry standard value",
    "spellings": "composed partial_reductions refusals registry standard value",
    "creation": "backend batches broadcasting refusals registry standard value",
    "padding": "composed registry spellings standard value",
    "arranging": "composed padding refusals registry spellings standard value",
    "concatenators": "composed creation registry standard value",
    "numerical": "arranging backend composed creation refusals registry spellings standard value",
    "linalg": "composed refusals registry spellings standard value",
    "fft": "composed refusals registry spellings standard value",
    "numpy": "arranging backend batches broadcasting composed concatenators creation fft leaving linalg numerical"
    " partial_reductions refusals registry spellings standard value",
    "entries": "",
    "plugins": "entries hookspecs registry",
    "extend": "backend batches broadcasting declarations hookspecs leaves op registry samples",
    "__init__": "backward batch_rules batches broadcasting checkpointing custom derivatives drawing extend fft handles"
    " levels linalg modes numpy ops plugins registry standard testing transforms value vectorizing",
}

#: What the core may import of the outside world, beyond the standard library.
OUTSIDE = {"hookspecs": {"pluggy"}, "plugins": {"pluggy"}, "trees": {"optree"}, "compiling": {"mypy_extensions"}}


def imported(path: Path) -> set[str]:
    """Return the full names of what a source file imports, ``from x import y`` as ``x.y`` where x is autodiff."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"autodiff.{a.name}" for a in node.names} if node.module == "autodiff" else {node.module}
    return names


def test_every_module_has_its_arrows() -> None:
    """A new module of the core says where it belongs."""
    assert sorted(ARROWS) == sorted(p.stem for p in CORE.glob("*.py"))


@pytest.mark.parametrize("module", sorted(ARROWS))
def test_arrows_of_the_core(module: str) -> None:
    """A module of the core imports only what lies below it, and no array library."""
    names = imported(CORE / f"{module}.py")
    own = {name.split(".")[1] for name in names if name.startswith("autodiff.")}
    outside = {name.split(".")[0] for name in names} - {"autodiff"} - set(sys.stdlib_module_names)

    assert own - {"errors"} <= set(ARROWS[module].split())
    assert outside <= OUTSIDE.get(module, set())


def test_every_module_is_in_the_tree_of_the_design() -> None:
    """The page that explains where each thing is names each module, and none that is gone."""
    page = (ROOT / "docs" / "design.md").read_text()
    tree = page[page.index("## The tree") :].split("```")[1]

    assert set(re.findall(r"(\w+)\.py\b", tree)) == set(ARROWS) - {"__init__"}
    assert set(re.findall(r"\bautodiff_\w+", tree)) == {package.name for package in PLUGINS}


def test_every_task_is_in_the_table_of_contributing() -> None:
    """CONTRIBUTING names each session of nox; the default ones run as plain ``nox``."""
    sessions = re.findall(r"@nox\.session\(default=False[^)]*\)\ndef (\w+)", (ROOT / "noxfile.py").read_text())
    table = re.findall(r"^\| `nox -s (\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)

    assert sorted(table) == sorted(sessions)


def test_arrows_make_no_circle() -> None:
    """The table of arrows can be sorted."""
    import graphlib

    order = list(graphlib.TopologicalSorter({m: below.split() for m, below in ARROWS.items()}).static_order())

    assert set(order) == {*ARROWS, "testing"}  # a package, which imports the core and is imported on demand


@pytest.mark.parametrize("package", PLUGINS, ids=lambda p: p.name)
def test_plugins_use_the_public_door(package: Path) -> None:
    """Our own ops and backends import what a stranger's may: `autodiff.extend`, and other plugins' ops."""
    allowed = {"autodiff.extend"}
    if package.name == "autodiff_nn":  # modules hold Values, as the users' own do
        allowed |= {"autodiff", "autodiff.AutodiffError", "autodiff.Value"}
    if package.name == "autodiff_pytest":  # a part of the kit, for one test runner
        allowed |= {"autodiff.testing", "autodiff.plugins", "autodiff.registry"}
    if package.name == "autodiff_cli":  # an application, not a plugin
        allowed |= {"autodiff"} | {f"autodiff.{m}" for m in ("numpy", "plugins", "registry", "rule", "errors")}
        allowed |= {"autodiff.testing", *(f"autodiff.testing.{m}" for m in ("asv", "derived", "metrics"))}
        allowed |= {
            f"autodiff.{n}" for n in ("COMPILED", "Value", "AutodiffError", "no_grad", "ops", "grad", "__version__")
        }
    for path in package.rglob("*.py"):
        own = {name for name in imported(path) if name == "autodiff" or name.startswith("autodiff.")}

        assert own <= allowed, path.name


def test_the_backward_pass_is_short_and_names_no_op_and_no_backend() -> None:
    """`backward.py` can be read in a minute, and knows neither ops nor backends."""
    from autodiff import ops
    from autodiff.registry import registry

    source = (CORE / "backward.py").read_text()
    code = ast.parse(source)
    names = {n.id for n in ast.walk(code) if isinstance(n, ast.Name)}
    names |= {n.attr for n in ast.walk(code) if isinstance(n, ast.Attribute)}
    strings = {n.value for n in ast.walk(code) if isinstance(n, ast.Constant) and isinstance(n.value, str)}

    assert len(source.splitlines()) <= 170
    assert not names & {op.name for op in ops} - {*dir(builtins), *dir(set), *dir(dict)}
    assert not any(backend in text.lower() for backend in registry.backends for text in strings)


def test_no_file_is_long() -> None:
    """No source file has more than 500 lines."""
    files = [
        p for folder in ("core", "backends", "plugins", "tests", "asv_bench") for p in (ROOT / folder).rglob("*.py")
    ]

    assert [p.name for p in files if len(p.read_text().splitlines()) > 500] == []


def run(code: str) -> str:
    """Run `code` in a fresh interpreter and return what it prints."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_autodiff_imports_no_array_library_and_no_plugin() -> None:
    """Plugins, and with them the libraries, load at the first use of the registry."""
    seen = run(
        "import autodiff, sys; print([m for m in ('numpy', 'cupy', 'optree', 'autodiff_ops') if m in sys.modules])"
    )

    assert seen == "[]"


@pytest.mark.parametrize("name", ["extend", "fft", "linalg", "numpy", "testing"])
def test_modules_are_imported_when_they_are_asked_for(name: str) -> None:
    """``import autodiff`` is enough, and imports none of them; `dir` and ``from autodiff import`` know them."""
    full = f"autodiff.{name}"
    code = f"import autodiff, sys; print({full!r} in sys.modules, {name!r} in dir(autodiff), {full}.__name__)"

    assert run(code) == f"False True {full}"
    assert run(f"from autodiff import {name}; print({name}.__name__)") == full


def test_first_use_imports_nothing_slow() -> None:
    """What nobody asked for is not imported, nor what takes longer to import than the core."""
    seen = run(
        "import numpy, sys; before = {*sys.modules}; import autodiff; x = autodiff.Value(2.0); (x * x).backward();"
        "slow = {'cupy', 'optree', 'rich', 'numba', 'opt_einsum', 'importlib.metadata', 'email', 'socket', 'pathlib'};"
        "print(sorted(slow & {*sys.modules} - before))"
    )

    assert seen == "[]"


@pytest.mark.parametrize("package", [p.name for p in PLUGINS])
def test_each_plugin_can_be_imported_first_and_alone(package: str) -> None:
    """A plugin does not depend on who imports it."""
    out = run(f"import {package}, autodiff; print((autodiff.Value(2.0) * 3).item())")

    assert out == "6.0"


def test_public_names_are_what_all_says() -> None:
    """Each module's ``__all__`` names things that exist."""
    import importlib

    for module in sorted(ARROWS):
        imported_module = importlib.import_module("autodiff" if module == "__init__" else f"autodiff.{module}")
        for name in getattr(imported_module, "__all__", ()):
            assert hasattr(imported_module, name), f"{module}.{name}"


def test_the_project_speaks_of_itself_alone() -> None:
    """No file names a machine's paths."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    pattern = re.compile(r"/(home|Users|root)/\w+")
    for name in tracked:
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".json"} and path.is_file():
            assert not pattern.search(path.read_text()), name


def test_no_test_folder_hides_a_package() -> None:
    """Pytest puts `tests` on the path: a folder there called like a package would be imported in its place."""
    used = {
        name.split(".")[0]
        for folder in ("core", "backends", "plugins", "tests", "asv_bench")
        for path in (ROOT / folder).rglob("*.py")
        for name in imported(path)
    }
    ours = {"benchmarks", "cuda_on_cpu", "malformed", "raises", "sabotage"}
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("*.py"))}
    assert folders & used <= ours


def test_no_two_test_files_have_one_name() -> None:
    """Pytest imports test files by their names alone: of two that share one it refuses the second."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
