"""The examples in the docstrings of autodiff_nn run, and give what they show."""

from __future__ import annotations

import doctest
import importlib
import inspect
import io
import pkgutil

import pytest

import autodiff_nn

_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def documented():
    """Return each docstring that has an example, of modules, and of classes, their methods and functions there."""
    names = [f"autodiff_nn.{m.name}" for m in pkgutil.iter_modules(autodiff_nn.__path__)]
    found = {}
    for module in map(importlib.import_module, ["autodiff_nn", *names]):
        found[module.__name__] = module.__doc__
        for name in getattr(module, "__all__", ()):
            obj = getattr(module, name)
            found[name] = obj.__doc__
            if inspect.isclass(obj):
                found |= {f"{name}.{key}": f.__doc__ for key, f in vars(obj).items() if callable(f)}
    return {name: doc for name, doc in found.items() if doc and ">>>" in doc}


def run(name, doc):
    """Run the examples of a docstring; return what went wrong."""
    test = doctest.DocTestParser().get_doctest(doc, {"__name__": "example"}, name, None, None)
    report = io.StringIO()
    doctest.DocTestRunner(optionflags=_OPTIONS).run(test, out=report.write)
    return report.getvalue()


@pytest.mark.parametrize(("name", "doc"), documented().items(), ids=list(documented()))
def test_the_examples_of_a_docstring_run(name, doc, tmp_path, monkeypatch):
    """Every example gives what it shows."""
    monkeypatch.chdir(tmp_path)
    if "nn.save" in doc:
        pytest.importorskip("safetensors")

    assert run(name, doc) == ""


def test_what_users_call_has_an_example():
    """Each public class and function is shown at work."""
    bases = {"LoadReport", "MissingPackageError", "Optimizer", "Schedule"}

    assert set(autodiff_nn.__all__) - bases - set(documented()) == set()


def test_a_wrong_example_would_be_seen():
    """An example that shows something else is told apart."""
    assert "Got:\n    2" in run("wrong", ">>> 1 + 1\n3\n")
