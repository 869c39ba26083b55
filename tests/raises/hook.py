"""`install` makes each ``raise`` of autodiff's own packages note that it was reached, in this process and those it starts.

The source of a module is changed when it is imported: before each ``raise`` stands a call that writes the statement's
place to a file. Nothing else runs slower, which a trace function would see to.
It imports nothing of autodiff's, and little of Python's: `site/sitecustomize.py` calls it wherever Python starts.
"""

from __future__ import annotations

import ast
import builtins
import os
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

__all__ = ["PACKAGES", "ROOT", "VARIABLE", "install", "sites"]

ROOT = Path(__file__).parents[2]
PACKAGES = ("core/autodiff", "plugins", "backends")
#: The environment variable with the file that places are written to.
VARIABLE = "AUTODIFF_RAISES"
_CALL = "__raise_is_reached__"


def install(path: str) -> None:
    """Change what is imported from now on."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    seen: set[str] = set()

    def note(place: str) -> None:
        if place not in seen:
            seen.add(place)
            os.write(file, f"{place}\n".encode())  # one call, so that processes do not mix their lines

    setattr(builtins, _CALL, note)
    get_code = SourceFileLoader.get_code

    def get_changed_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        source = self.get_filename(fullname)
        if not any(source.startswith(f"{ROOT}/{package}/") for package in PACKAGES):
            return get_code(self, fullname)
        tree = ast.parse(self.get_data(source))
        relative = source.removeprefix(f"{ROOT}/")
        for statements, n, node in reversed(list(_raises(tree))):
            call = ast.Call(ast.Name(_CALL, ast.Load()), [ast.Constant(f"{relative}:{node.lineno}")], [])
            statements.insert(n, ast.fix_missing_locations(ast.copy_location(ast.Expr(call), node)))
        return compile(tree, source, "exec", dont_inherit=True)

    SourceFileLoader.get_code = get_changed_code  # type: ignore[method-assign]


def sites() -> dict[str, str]:
    """Return the place of each ``raise`` of the packages, with its text; those marked ``pragma: no cover`` are left out."""
    found = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            text = file.read_text()
            lines = text.splitlines()
            for _, _, node in _raises(ast.parse(text)):
                if "pragma: no cover" not in lines[node.lineno - 1]:
                    found[f"{file.relative_to(ROOT)}:{node.lineno}"] = " ".join(ast.unparse(node).split())
    return found


def _raises(tree: ast.AST) -> list[tuple[list[Any], int, ast.Raise]]:
    """Return each ``raise`` with the list that it stands in, and its place there."""
    found = []
    for node in ast.walk(tree):
        for _, statements in ast.iter_fields(node):
            if isinstance(statements, list):
                found += [(statements, n, s) for n, s in enumerate(statements) if isinstance(s, ast.Raise)]
    return found
