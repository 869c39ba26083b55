"""`install` makes each ``raise`` of autodiff's own packages note that it was reached, in this process and those it starts.

The source of a module is changed when it is imported: before each ``raise`` stands a call that writes the statement's
key to a file. Nothing else runs slower, which a trace function would see to.
It imports nothing of autodiff's, and little of Python's: `site/sitecustomize.py` calls it wherever Python starts.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import os
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

__all__ = ["PACKAGES", "ROOT", "VARIABLE", "install", "sites"]

ROOT = Path(__file__).parents[2]
PACKAGES = ("core/autodiff", "plugins", "backends")
#: The environment variable with the file that places are written to.
VARIABLE = "RAISES_NOTES"
_CALL = "__raise_is_reached__"


def install(path: str) -> None:
    """Change what is imported from now on."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    seen: set[str] = set()

    def note(key: str) -> None:
        if key not in seen:
            seen.add(key)
            os.write(file, f"{key}\n".encode())  # one call, so that processes do not mix their lines

    setattr(builtins, _CALL, note)
    get_code, parse = SourceFileLoader.get_code, ast.parse

    def get_changed_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        source = self.get_filename(fullname)
        if not _is_ours(source):
            return get_code(self, fullname)
        return compile(changed_parse(self.get_data(source), source), source, "exec", dont_inherit=True)

    def changed_parse(source: Any, filename: Any = "<unknown>", *args: Any, **kwargs: Any) -> Any:
        tree = parse(source, filename, *args, **kwargs)
        if _is_ours(str(filename)):
            for key, (statements, n, node) in reversed(_keyed(str(filename).removeprefix(f"{ROOT}/"), tree).items()):
                call = ast.Call(ast.Name(_CALL, ast.Load()), [ast.Constant(key)], [])
                statements.insert(n, ast.fix_missing_locations(ast.copy_location(ast.Expr(call), node)))
        return tree

    SourceFileLoader.get_code = get_changed_code  # type: ignore[method-assign]
    ast.parse = changed_parse  # what pytest imports a plugin by, in whose assertions it writes


def _is_ours(path: str) -> bool:
    return any(path.startswith(f"{ROOT}/{package}/") for package in PACKAGES)


def sites() -> dict[str, str]:
    """Return each ``raise`` of the packages by its key, with place and text; those with ``pragma: no cover`` are left out."""
    found = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            text = file.read_text()
            lines = text.splitlines()
            relative = str(file.relative_to(ROOT))
            for key, (_, _, node) in _keyed(relative, ast.parse(text)).items():
                if "pragma: no cover" not in lines[node.lineno - 1]:
                    found[key] = f"{relative}:{node.lineno}: {_text(node)}"
    return found


Site = tuple[list[Any], int, ast.Raise]


def _keyed(relative: str, tree: ast.AST) -> dict[str, Site]:
    """Return each ``raise`` with the list that it stands in, and its place there, by what stays when lines move."""
    found: dict[str, Site] = {}
    for node in ast.walk(tree):
        for _, statements in ast.iter_fields(node):
            if isinstance(statements, list):
                for n, statement in enumerate(statements):
                    if isinstance(statement, ast.Raise):
                        digest = hashlib.blake2b(_text(statement).encode(), digest_size=6).hexdigest()
                        same = sum(key.startswith(f"{relative}:{digest}:") for key in found)
                        found[f"{relative}:{digest}:{same}"] = statements, n, statement
    return found


def _text(node: ast.Raise) -> str:
    return " ".join(ast.unparse(node).split())
