"""Check that CuPy has what the backend asks for: ``python -m cuda_on_cpu.api [FILE ...]``.

Every attribute of `cupy` and `cupyx` in the sources, and every keyword in a call of one, is looked for in the
installed CuPy, whichever version it is. It needs no device.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["main", "problems"]

BACKEND = Path(__file__).parents[2] / "backends" / "autodiff_cupy"
_PARAMETER = re.compile(r"(\w+)\s*(?:=|,|$)")


def keywords(obj: Any) -> set[str] | None:
    """Return the keywords that a function takes; None if nobody can tell, or if it takes all."""
    import cupy

    if isinstance(obj, cupy.ufunc):
        return {"out", "dtype", "casting"}  # `where=` is in the signature, and refused
    if getattr(obj, "__name__", "") == "einsum":
        return {"dtype", "optimize"}  # it takes **kwargs, and refuses others
    try:
        parameters = inspect.signature(obj).parameters.values()
    except (TypeError, ValueError):
        first_line = ((getattr(obj, "__doc__", None) or "").strip().splitlines() or [""])[0]
        signature = re.match(r"\w+\((.*?)\)", first_line)
        return set(_PARAMETER.findall(signature[1])) if signature else None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY}


def root(expression: ast.expr, aliases: dict[str, str]) -> str | None:
    """Return the module that a name stands for: by an import, or `xp` and `self.xp` by our habit."""
    if isinstance(expression, ast.Name):
        return aliases.get(expression.id)
    if isinstance(expression, ast.Attribute) and expression.attr == "xp":
        return "cupy"
    return None


def resolve(expression: ast.expr, aliases: dict[str, str]) -> tuple[str, Any] | None:
    """Return the full name of an attribute and what it is, or `AttributeError`; None for what is not CuPy's."""
    parts: list[str] = []
    while (module := root(expression, aliases)) is None:
        if not isinstance(expression, ast.Attribute):
            return None
        parts.insert(0, expression.attr)
        expression = expression.value
    name, obj = module, importlib.import_module(module)
    for part in parts:
        name = f"{name}.{part}"
        try:
            obj = getattr(obj, part)
        except AttributeError:
            try:
                obj = importlib.import_module(name)
            except ImportError:
                return name, AttributeError
    return name, obj


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the local names of modules and functions of CuPy, and what they stand for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                package = alias.name.split(".")[0]
                if package in ("cupy", "cupyx"):
                    yield (alias.asname, alias.name) if alias.asname else (package, package)


def problems(source: str) -> tuple[int, list[str]]:
    """Return how many references to CuPy a source has, and what is wrong with them, with lines."""
    tree = ast.parse(source)
    aliases = {"xp": "cupy", "cupy": "cupy", **dict(imports(tree))}
    found: set[tuple[int, str]] = set()
    count = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("cupy", "cupyx"):
            module = importlib.import_module(node.module or "")
            count += len(node.names)
            found |= {
                (node.lineno, f"{node.module}.{a.name} does not exist")
                for a in node.names
                if not hasattr(module, a.name)
            }
        if isinstance(node, ast.Attribute) and (known := resolve(node, aliases)):
            count += 1
            if known[1] is AttributeError:
                found.add((node.lineno, f"{known[0]} does not exist"))
        if isinstance(node, ast.Call) and (known := resolve(node.func, aliases)) and known[1] is not AttributeError:
            taken = keywords(known[1])
            for keyword in node.keywords:
                if keyword.arg and taken is not None and keyword.arg not in taken:
                    found.add((node.lineno, f"{known[0]} takes no keyword {keyword.arg!r}"))
    return count, [f"{line}: {text}" for line, text in sorted(found)]


def main(*paths: str) -> int:
    """Check files, the backend's by default; print what is wrong, return the exit code."""
    import cupy

    total, wrong = 0, 0
    for path in [Path(p) for p in paths] or sorted(BACKEND.rglob("*.py")):
        count, texts = problems(path.read_text())
        total, wrong = total + count, wrong + len(texts)
        for text in texts:
            print(f"{path}:{text}")
    print(f"CuPy {cupy.__version__}: {total} references, {wrong} problems")
    return int(wrong > 0 or total == 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
