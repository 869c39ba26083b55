"""What can be wrong with a gradient rule: from the syntax tree of a function to the faults that can be planted in it.

- `faults`: every `Fault` of a function, one changed place each, of a kind that has a name.
- `RUNTIME`: what the changed sources call; `reached` tells whether one ran where it was changed.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

__all__ = ["RUNTIME", "Fault", "faults", "marked", "reached"]

_AXES = frozenset({"axis", "axes", "axis1", "axis2", "source", "destination", "dim"})
_CASTS = frozenset({"astype", "_as_dtype"})
_SUMS = frozenset({"sum_to", "broadcast_to", "unbroadcast", "reshape"})
_PROJECTIONS = frozenset({"real", "project"})
_NO_DATA = frozenset({"g", "t", "xp", "needs", "self", "record", "recorded"})
_OPPOSITE = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_NEXT_TO = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_NO_COMMUTATION = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)


@dataclass(frozen=True)
class Fault:
    """One place of a function, and what stands there instead.

    `holder` and `field` say where in the tree the changed node hangs, `index` its place in a list.
    """

    kind: str
    line: int
    before: str
    after: str
    holder: ast.AST
    field: str
    index: int | None
    node: ast.AST

    def plant(self) -> Callable[[], None]:
        """Change the tree, and return a function that mends it."""
        slot = getattr(self.holder, self.field)
        old = slot if self.index is None else slot[self.index]
        new = ast.fix_missing_locations(ast.copy_location(self.node, old))

        def put(node: Any) -> None:
            if self.index is None:
                setattr(self.holder, self.field, node)
            else:
                slot[self.index] = node

        put(new)
        return lambda: put(old)


# ---- what changed sources call ------------------------------------------------------------------------------------


def _spoil(result: Any, g: Any) -> Any:
    """Return `result`, after writing into the cotangent."""
    for part in g if isinstance(g, tuple | list) else (g,):
        if isinstance(part, np.ndarray) and part.flags.writeable:
            np.negative(part, out=part)
    return result


_seen: dict[str, Any] = {}


def _stale(place: str, new: Any) -> Any:
    """Return what stood at this place the last time, if it was of the same type, shape and dtype."""
    old = _seen.get(place, new)
    _seen[place] = new
    facts = [(type(x), getattr(x, "shape", None), str(getattr(x, "dtype", None))) for x in (old, new)]
    return old if facts[0] == facts[1] else new


def _mirror(axis: Any) -> Any:
    """Return another axis, which exists: the one as far from the other end."""
    if isinstance(axis, tuple | list):
        return tuple(_mirror(a) for a in axis)
    return 0 if axis is None else ~axis if isinstance(axis, int) else axis


_marks = {"planted": False, "reached": False}


def _reach() -> bool:
    _marks["reached"] = True
    return True


def reached() -> bool:
    """Tell whether the place of the fault that was planted in this process has run; True if none was marked."""
    return _marks["reached"] or not _marks["planted"]


def marked(fault: Fault) -> Fault:
    """Return the fault, with a call before it that notes when its place is reached."""
    _marks["planted"] = True
    call = ast.Call(ast.Name("__reach__", ast.Load()), [], [])
    node: ast.AST = (
        ast.If(call, [fault.node], [])
        if isinstance(fault.node, ast.stmt)
        else ast.BoolOp(ast.And(), [call, cast("ast.expr", fault.node)])
    )
    return replace(fault, node=node)


RUNTIME: dict[str, Any] = {"__spoil__": _spoil, "__stale__": _stale, "__mirror__": _mirror, "__reach__": _reach}


# ---- the faults ----------------------------------------------------------------------------------------------------


def faults(function: Any, *, rule: bool) -> list[Fault]:
    """Return the faults of a function's tree; `rule` tells a gradient rule from a function that it calls.

    Messages of errors are left as they are, and so are defaults, decorators, annotations and docstrings.
    """
    found: dict[str, Fault] = {}
    for fault in _Walk(function, rule).faults():
        found.setdefault(f"{fault.line} {fault.field} {fault.before} -> {fault.after} {id(fault.holder)}", fault)
    return list(found.values())


class _Walk:
    def __init__(self, function: Any, rule: bool) -> None:
        self.function = function
        self.rule = rule
        a = function.args
        self.parameters = [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
        facts = ("_shape", "_dtype", "_device")
        self.data = [p for p in self.parameters if p not in _NO_DATA and p not in _AXES and not p.endswith(facts)]
        self.cotangent = next((p for p in ("g", "t") if p in self.parameters), None)

    def faults(self) -> Iterator[Fault]:
        for holder, field, index, node in self._places(self.function):
            for kind, new in self._changes(holder, field, node):
                if new is not node:
                    yield Fault(
                        kind,
                        getattr(node, "lineno", 0),
                        _text(node),
                        _text(new),
                        holder,
                        field,
                        index,
                        copy.deepcopy(new),
                    )

    def _places(self, function: Any) -> Iterator[tuple[ast.AST, str, int | None, Any]]:
        """Go through the places in the body of a function, not into functions inside it, which are their own."""
        if isinstance(function, ast.Lambda):
            stack: list[Any] = [(function, "body", None, function.body)]
        else:
            stack = [(function, "body", i, s) for i, s in enumerate(function.body)]
        while stack:
            place = stack.pop(0)
            node = place[3]
            yield place
            if isinstance(node, ast.Raise | ast.JoinedStr | ast.Lambda | ast.FunctionDef | ast.ClassDef | ast.Assert):
                continue
            inside: list[Any] = []
            for name, item in ast.iter_fields(node):
                if name in ("annotation", "ctx", "targets", "target") or (
                    isinstance(node, ast.match_case) and name == "pattern"
                ):
                    continue
                if isinstance(item, list):
                    inside += [(node, name, i, part) for i, part in enumerate(item) if isinstance(part, ast.AST)]
                elif isinstance(item, ast.AST):
                    inside.append((node, name, None, item))
            stack = inside + stack

    def _changes(self, holder: Any, field: str, node: Any) -> Iterator[tuple[str, ast.AST]]:
        if isinstance(node, ast.stmt):
            yield from self._of_statements(node)
        elif isinstance(node, ast.expr):
            if (isinstance(holder, ast.Return) and node is holder.value) or node is getattr(self.function, "body", 0):
                yield from self._of_results(node)
            if field == "test" and not isinstance(node, ast.Compare):
                yield "condition negated", ast.UnaryOp(ast.Not(), node)
            yield from self._of_expressions(holder, field, node)

    def _of_results(self, node: Any) -> Iterator[tuple[str, ast.AST]]:
        parts = enumerate(node.elts) if isinstance(node, ast.Tuple) else [(None, node)]
        if isinstance(node, ast.Constant) and not isinstance(node.value, int | float | complex):
            return
        if not self.rule and not isinstance(node, ast.BinOp | ast.Call | ast.UnaryOp):
            return
        for i, part in parts:
            for kind, new in (
                ("sign", ast.UnaryOp(ast.USub(), part)),
                ("factor", ast.BinOp(part, ast.Mult(), ast.Constant(2))),
                ("no gradient", ast.Constant(None)),
            ):
                if kind == "no gradient" and not self.rule:
                    continue
                if i is None:
                    yield kind, new
                else:
                    yield kind, ast.Tuple([new if j == i else e for j, e in enumerate(node.elts)], ast.Load())
        if self.cotangent is not None:
            yield "mutated cotangent", _call("__spoil__", node, ast.Name(self.cotangent, ast.Load()))

    def _of_statements(self, node: Any) -> Iterator[tuple[str, ast.AST]]:
        if isinstance(node, ast.AugAssign):
            stored = copy.deepcopy(node.target)
            yield "dropped accumulation", ast.Assign([stored], node.value)
            yield "dropped statement", ast.Pass()
            if isinstance(node.op, ast.Add | ast.Sub):
                opposite = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
                yield "sign", ast.AugAssign(node.target, opposite, node.value)
            elif isinstance(node.op, ast.Mult | ast.Div):
                inverse = ast.Div() if isinstance(node.op, ast.Mult) else ast.Mult()
                yield "factor", ast.AugAssign(node.target, inverse, node.value)
        elif (
            (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
            or isinstance(node, ast.Continue | ast.Break)
            or (
                isinstance(node, ast.Assign) and all(isinstance(t, ast.Attribute | ast.Subscript) for t in node.targets)
            )
        ):
            yield "dropped statement", ast.Pass()

    def _of_expressions(self, holder: Any, field: str, node: Any) -> Iterator[tuple[str, ast.AST]]:
        match node:
            case ast.BinOp(left, op, right):
                if isinstance(op, ast.Add):
                    yield "sign", ast.BinOp(left, ast.Sub(), right)
                    yield "dropped accumulation", left
                    yield "dropped accumulation", right
                elif isinstance(op, ast.Sub):
                    yield "sign", ast.BinOp(left, ast.Add(), right)
                elif isinstance(op, ast.Mult):
                    yield "factor", left
                    yield "factor", right
                elif isinstance(op, ast.Div):
                    yield "factor", left
                    yield "factor", ast.BinOp(left, ast.Mult(), right)
                elif isinstance(op, ast.BitAnd):
                    yield "condition negated", ast.BinOp(left, ast.BitOr(), right)
                elif isinstance(op, ast.BitOr):
                    yield "condition negated", ast.BinOp(left, ast.BitAnd(), right)
                if isinstance(op, _NO_COMMUTATION):
                    yield "swapped arguments", ast.BinOp(right, op, left)
            case ast.UnaryOp(op, operand):
                yield "sign" if isinstance(op, ast.USub) else "condition negated", operand
            case ast.Constant(value) if isinstance(value, bool):
                kind = "dropped keepdims" if getattr(holder, "arg", "") == "keepdims" else "condition negated"
                yield kind, ast.Constant(not value)
            case ast.Constant(value) if isinstance(value, int | float | complex):
                counts = isinstance(value, int) and field not in ("left", "right")
                yield "off by one" if counts else "factor", ast.Constant(value + 1)
                if isinstance(value, float) and value:
                    yield "factor", ast.Constant(2 * value)
            case ast.Compare(left, [op], [right]):
                yield "comparison flipped", ast.Compare(left, [_OPPOSITE[type(op)]()], [right])
                if type(op) in _NEXT_TO:
                    yield "off by one", ast.Compare(left, [_NEXT_TO[type(op)]()], [right])
            case ast.BoolOp(op, values):
                yield "condition negated", ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            case ast.Call():
                yield from self._of_calls(node)
            case ast.Name(name, ast.Load()):
                if name in _AXES and not isinstance(holder, ast.Attribute):
                    yield "wrong axis", _call("__mirror__", node)
                if self.rule and name in self.data and not isinstance(holder, ast.Attribute):
                    yield "stale residual", _call("__stale__", ast.Constant(f"{node.lineno} {node.col_offset}"), node)
                    for other in self.data:
                        if other != name:
                            yield "swapped arguments", ast.Name(other, ast.Load())

    def _of_calls(self, node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        own = node.func.value if isinstance(node.func, ast.Attribute) and not node.args else None
        first = own if own is not None else next(iter(node.args), None)
        if (
            isinstance(node.func, ast.Attribute)
            and name in ("astype", "reshape")
            and not _is_namespace(node.func.value)
        ):
            first = node.func.value
        if first is not None and not isinstance(first, ast.Starred):
            if name.endswith("conj"):
                yield "dropped conjugate", first
            elif name in _CASTS:
                yield "dropped cast", first
            elif name in _SUMS or name.endswith("unbroadcast"):
                yield "forgotten un-broadcast", first
            elif name in _PROJECTIONS:
                yield "forgotten projection", first
        arguments = node.args
        for i in range(len(arguments) - 1):
            if ast.dump(arguments[i]) != ast.dump(arguments[i + 1]):
                swapped = [*arguments[:i], arguments[i + 1], arguments[i], *arguments[i + 2 :]]
                yield "swapped arguments", ast.Call(node.func, swapped, node.keywords)
        for i, keyword in enumerate(node.keywords):
            if keyword.arg is None:
                continue
            kinds = {
                "keepdims": "dropped keepdims",
                "dtype": "dropped cast",
                "axis": "wrong axis",
                "axes": "wrong axis",
            }
            kind = kinds.get(keyword.arg, "dropped option")
            yield kind, ast.Call(node.func, node.args, node.keywords[:i] + node.keywords[i + 1 :])
            if keyword.arg in _AXES and not isinstance(keyword.value, ast.Name):
                moved = ast.keyword(keyword.arg, _call("__mirror__", keyword.value))
                yield "wrong axis", ast.Call(node.func, node.args, [*node.keywords[:i], moved, *node.keywords[i + 1 :]])


def _is_namespace(node: Any) -> bool:
    return isinstance(node, ast.Name) and node.id in ("xp", "np", "standard", "own", "backend")


def _call(name: str, *arguments: Any) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).split())[:160]
