"""From a function to its source and back: `Source` finds functions in a file and swaps changed ones in.

A changed function takes effect wherever the old one is: the code of every function object that was made from it
is exchanged, and that of the functions around it, which may make more of them.
"""

from __future__ import annotations

import ast
import functools
import gc
import inspect
from collections import defaultdict
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from autodiff.registry import registry
from sabotage.mutations import RUNTIME, Fault, marked

__all__ = ["Source", "function_of", "functions", "source_of"]

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

Key = tuple[str, int, tuple[int, ...]]


class Source:
    """One file: its tree, and the functions in it by what identifies their code."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.tree = ast.parse(Path(path).read_text())
        self.functions: dict[Key, Any] = {}
        self.around: dict[Key, list[Key]] = {}
        self._collect(self.tree, [])

    def _collect(self, node: ast.AST, outer: list[Key]) -> None:
        if isinstance(node, _FUNCTIONS):
            key = _key_of_node(node)
            self.functions[key] = node
            self.around[key] = outer
            outer = [*outer, key]
        for child in ast.iter_child_nodes(node):
            self._collect(child, outer)

    def key(self, function: FunctionType) -> Key | None:
        """Return the key of a function of this file."""
        key = _key_of_code(function.__code__)
        return key if key in self.functions else None

    def plant(self, key: Key, fault: Fault) -> int:
        """Swap the function with the fault in, for good; return how many function objects changed.

        Of a function that others make, and that none has made yet, these are the ones that count.
        """
        before = self._unchanged
        fault = marked(fault)
        mend = fault.plant()
        try:
            after = self._compiled()
            lost = set(before[key].co_freevars) - set(after[key].co_freevars)
            if lost:  # a function's code is exchanged for one that closes over the same names
                mend()
                mend = _keeping(fault, lost).plant()
                after = self._compiled()
        finally:
            mend()
        alive = functions()[self.path]
        changed = 0
        for its in (key, *self.around[key]):
            for function in alive.get(its, ()):
                function.__code__ = after[its]
                function.__globals__.update(RUNTIME)
                changed += its == key or not alive.get(key)
        for op in registry.load().ops.values():
            op.forget_kernels()  # plans may have looked into the function that it was
        return changed

    @functools.cached_property
    def _unchanged(self) -> dict[Key, CodeType]:
        return self._compiled()

    def _compiled(self) -> dict[Key, CodeType]:
        found: dict[Key, CodeType] = {}
        stack: list[CodeType] = [compile(self.tree, self.path, "exec", dont_inherit=True)]
        while stack:
            code = stack.pop()
            found[_key_of_code(code)] = code
            stack += [c for c in code.co_consts if isinstance(c, CodeType)]
        return found


def _keeping(fault: Fault, names: set[str]) -> Fault:
    """Return the fault, with names that nothing uses any more."""
    used = [ast.Name(name, ast.Load()) for name in sorted(names)]
    if isinstance(fault.node, ast.stmt):
        node: Any = ast.If(ast.Tuple(used, ast.Load()), [fault.node], [])
    else:
        node = ast.Subscript(ast.Tuple([fault.node, *used], ast.Load()), ast.Constant(0), ast.Load())
    return Fault(fault.kind, fault.line, fault.before, fault.after, fault.holder, fault.field, fault.index, node)


def _key_of_node(node: Any) -> Key:
    if isinstance(node, ast.Lambda):
        body = node.body
        return "<lambda>", node.lineno, (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset)
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return node.name, first, ()


def _key_of_code(code: CodeType) -> Key:
    if code.co_name != "<lambda>":
        return code.co_name, code.co_firstlineno, ()
    # Several lambdas may begin on one line: the place of what they return tells them apart.
    return "<lambda>", code.co_firstlineno, _last(code)


def _last(code: CodeType) -> tuple[int, ...]:
    positions = [p for p in code.co_positions() if None not in p]
    return max(positions, key=lambda p: (p[1], p[3], -p[0], -p[2]))  # type: ignore[operator]


@functools.cache
def functions() -> dict[str, dict[Key, list[FunctionType]]]:
    """Return every function object that there is, by file and key; looked for once, before the first process is forked."""
    found: dict[str, dict[Key, list[FunctionType]]] = defaultdict(lambda: defaultdict(list))
    for function in [obj for obj in gc.get_objects() if type(obj) is FunctionType]:
        code = function.__code__
        if code.co_filename in _sources:
            found[code.co_filename][_key_of_code(code)].append(function)
    return found


_sources: set[str] = set()


@functools.cache
def source_of(path: str) -> Source:
    """Return the source of a file, parsed once."""
    _sources.add(path)
    return Source(path)


def function_of(rule: Any) -> FunctionType | None:
    """Return the Python function behind a rule, or None."""
    while isinstance(rule, functools.partial):
        rule = rule.func
    rule = inspect.unwrap(rule) if callable(rule) and not hasattr(rule, "forget_kernels") else rule
    return rule if type(rule) is FunctionType else None
