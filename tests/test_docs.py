"""The documentation runs: every python block, every row of the kinks, every example in a docstring.

In a page, blocks fenced as ``python`` run in order and share a namespace; blocks fenced otherwise do not run.
A line that is ``print(...)`` and a comment must print what the comment says.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import inspect
import io
import re
import sys
import tokenize
import types
from pathlib import Path

import pluggy
import pytest

import autodiff
import autodiff.extend
from autodiff import hookspecs, plugins
from autodiff.registry import registry

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HOOKS_PAGE = ROOT / "docs" / "plugin-hooks.md"
KINKS_PAGE = ROOT / "docs" / "kinks.md"

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def _scope(tmp_path, monkeypatch):
    """Undo what a page registers, and keep what it writes out of the repository."""
    monkeypatch.chdir(tmp_path)
    before = list(plugins.records)
    with registry.scoped():
        yield
    plugins.records[:] = before


def blocks(page):
    """Return the python blocks of a page, each with as many empty lines before it as to keep its line numbers."""
    text = page.read_text()
    return ["\n" * text[: m.start(1)].count("\n") + m[1] for m in _BLOCK.finditer(text)]


def module(name, monkeypatch):
    """Return a new module that can be found by name, as what a block declares expects."""
    made = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, made)
    return made


def run(source, namespace, page):
    """Run `source` statement by statement; return (line, said, printed) for each commented print."""
    comments = {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    checked = []
    for statement in ast.parse(source).body:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(ast.Module([statement], []), str(page), "exec"), namespace)
        said = comments.get(statement.end_lineno or 0)
        if said is not None and ast.unparse(statement).startswith("print("):
            checked.append((statement.lineno, said, printed.getvalue().strip()))
    return checked


# ---- pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_code_of_a_page_runs_and_prints_what_it_says(page, monkeypatch, tmp_path):
    """Every python block runs after those before it, and each commented print prints its comment."""
    if page.name == "cupy.md" and (reason := registry.load().backends["cupy"].unavailable()):
        pytest.skip(reason)
    monkeypatch.chdir(tmp_path)
    namespace = module(page.stem.replace("-", "_"), monkeypatch).__dict__
    checked = [result for block in blocks(page) for result in run(block, namespace, page)]
    assert [(line, printed) for line, _, printed in checked] == [(line, said) for line, said, _ in checked]


def test_a_wrong_comment_would_be_seen():
    """A print whose comment says something else is told apart, and other comments are left alone."""
    source = "x = 1  # one\nprint(x)  # 2\nprint(x)  # 1\nif x:\n    print(x)  # as often as it takes\n"
    assert run(source, {}, "here") == [(2, "2", "1"), (3, "1", "1")]


def test_pages_have_one_sentence_on_a_line():
    """The pages on plugins and kinks break lines after sentences and nowhere else, so that changes read well."""
    for page in (HOOKS_PAGE, KINKS_PAGE, ROOT / "docs" / "writing-an-op.md"):
        prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        lines = [line for line in prose.splitlines() if line and line[0] not in "#|-["]
        assert [line for line in lines if line[-1] not in ".:" or re.search(r"[.] [A-Z]", line)] == []


def links(page):
    """Return what a page links to inside the repository, as (path, heading or "")."""
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", prose)
    return [((page.parent / path).resolve() if path else page, heading) for path, heading in found]


def anchors(page):
    """Return the headings of a page as the ends of links that lead there."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name)
def test_links_lead_to_something(page):
    """The file of each link is there, and so is its heading."""
    lost = [
        (path.name, head) for path, head in links(page) if not path.exists() or (head and head not in anchors(path))
    ]
    assert lost == []


def test_links_are_found():
    """Plain ones, some with a heading, some to a name in backquotes."""
    assert (ROOT / "docs" / "benchmarks.md", "with-numba-and-without") in links(ROOT / "README.md")
    assert (HOOKS_PAGE, "") in links(ROOT / "docs" / "writing-an-op.md")


# ---- hooks -----------------------------------------------------------------------------------------------------------


def hooks():
    """Return every hook of autodiff with its parameters: ``{"register_ops": ["register"]}``."""
    manager = pluggy.PluginManager("autodiff")
    manager.add_hookspecs(hookspecs)
    return {name: list(caller.spec.argnames) for name, caller in vars(manager.hook).items() if not name.startswith("_")}


def sections(page):
    """Return the text under each heading of the second level."""
    _, *parts = re.split(r"^## (.*)$", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_hook_has_a_heading_that_is_its_signature():
    """A hook that is added, renamed, or given another parameter, is documented; none is that does not exist."""
    expected = {f"{name}({', '.join(parameters)})" for name, parameters in hooks().items()}
    assert {heading for heading in sections(HOOKS_PAGE) if re.fullmatch(r"\w+\(.*\)", heading)} == expected


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_is_shown_in_a_whole_plugin(hook, monkeypatch):
    """Under its heading come one sentence and one block, which is a plugin that loads and registers something."""
    text = next(text for heading, text in sections(HOOKS_PAGE).items() if heading.startswith(f"{hook}("))
    (source,) = _BLOCK.findall(text)
    (sentence,) = _BLOCK.sub("", text).strip().splitlines()
    plugin = module("my_package", monkeypatch)
    exec(compile(source, str(HOOKS_PAGE), "exec"), plugin.__dict__)
    record = plugins.load_plugin(plugin)
    assert (record.status, len(record.brought), hasattr(plugin, hook), sentence[-1]) == ("loaded", 1, True, ".")


# ---- kinks -----------------------------------------------------------------------------------------------------------


def kinks():
    """Return the rows of all tables of the kinks: op, where, choice, example, result."""
    rows = [line.strip("| ").split(" | ") for line in KINKS_PAGE.read_text().splitlines() if line.startswith("| ")]
    return [(row[0], row[3].strip("`"), row[4].strip("`")) for row in rows if row[0] not in ("op", "---")]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy warns of each singular value that is computed here
@pytest.mark.parametrize(("op", "example", "result"), kinks(), ids=lambda text: text if len(text) < 40 else None)
def test_every_kink_is_as_the_page_says(op, example, result, monkeypatch):
    """The example in each row gives what the row says."""
    namespace = module("kinks", monkeypatch).__dict__
    for block in blocks(KINKS_PAGE):
        run(block, namespace, KINKS_PAGE)
    assert str(eval(example, namespace)) == result


# ---- docstrings ------------------------------------------------------------------------------------------------------


def documented():
    """Return the docstring of every op, and of everything public that a plugin author or a user may call."""
    found = {op.id: op.__doc__ for op in autodiff.ops}
    for owner in (autodiff, autodiff.extend, plugins, sys.modules["autodiff.registry"], sys.modules["autodiff.ops"]):
        found[owner.__name__] = owner.__doc__
        for name in owner.__all__:
            obj = getattr(owner, name)
            if inspect.isclass(obj):
                found |= {f"{owner.__name__}.{name}.{m}": f.__doc__ for m, f in vars(obj).items() if callable(f)}
            found[f"{owner.__name__}.{name}"] = obj.__doc__
    return {name: doc for name, doc in found.items() if doc and ">>>" in doc}


def run_examples(name, doc):
    """Run the examples of a docstring; return what went wrong."""
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
    test = doctest.DocTestParser().get_doctest(doc, {"__name__": "example"}, name, None, None)
    report = io.StringIO()
    doctest.DocTestRunner(optionflags=options).run(test, out=report.write)
    return report.getvalue()


@pytest.mark.parametrize(("name", "doc"), documented().items(), ids=list(documented()))
def test_the_examples_of_a_docstring_run(name, doc):
    """Every example in a docstring gives what it shows."""
    assert run_examples(name, doc) == ""


def test_a_wrong_example_would_be_seen():
    """An example that shows something else is told apart."""
    assert "Got:\n    2" in run_examples("wrong", ">>> 1 + 1\n3\n")


@pytest.mark.parametrize("op", autodiff.ops, ids=lambda op: op.id)
def test_every_shipped_op_has_an_example(op):
    """The docstring of an op begins with what it computes and shows at least one call."""
    if registry.op_origins[op.id].partition(" ")[0] not in ("autodiff", plugins.DISTRIBUTION):
        pytest.skip(f"{op.id} is of another package")
    assert (bool(op.__doc__.strip()), ">>>" in op.__doc__) == (True, True)


def test_the_public_names_exist():
    """What ``__all__`` lists is there, and documented."""
    for owner in (autodiff, autodiff.extend):
        assert [name for name in owner.__all__ if not getattr(owner, name).__doc__] == []
