"""The short paths: calls of ops whose kernel has been found, and whose plan has been made, by an earlier call.

- `unary`, `binary`: one or two arrays without attributes, which is what operators are.
- `call`: any number of arrays, and attributes.

Whatever they do not know yet, or do not know how to do, they leave to `Op._full`.
"""

from __future__ import annotations

from typing import Any, cast

from autodiff import handles
from autodiff.arguments import admit
from autodiff.graph import Node, next_seq
from autodiff.handles import REQUIRED, Callee, Handle, wrap
from autodiff.modes import RECORDING, mode
from autodiff.refusals import refuse
from autodiff.registry import PYTHON_SCALARS, registry
from autodiff.rule import BOTH, FIRST, NOTHING, OUTPUT, SECOND, Plan

__all__ = ["binary", "call", "unary"]


def unary(op: Callee, a: Any) -> Any:
    """Apply to one array."""
    if not isinstance(a, Handle):
        return call(op, (a,), {})
    x = a._array
    kernel = op._quick.get(type(x))
    if kernel is None:
        return cast("Any", op)._full((a,), {})
    try:
        y = kernel(x)
    except Exception as exc:
        refuse(op, exc, (x,), {}, (a,))
    edge = a._edge
    plan: Plan | None = op._short_plans[1 << 3 | mode() & RECORDING]
    if edge is None or plan is None:
        return cast("Any", op)._record((a,), (x,), y, (), {})
    keep = plan.keep
    if keep == OUTPUT:
        saved: Any = y
    elif keep == FIRST:
        saved = x
    elif keep == NOTHING:
        saved = None
    else:
        saved = plan.collect((x,), y, (), {})
    # Written out, here and below: a call with so many arguments would cost as much again.
    node = Node()
    node.plan = plan
    node.edge1 = edge
    node.edge2 = None
    node.more = ()
    node.saved = saved
    node.shape = y.shape
    node.dtype = y.dtype
    node.type = type(y)
    node.seq = next_seq()
    node.watch = None
    node.mark = 0
    value: Handle = handles.new_value()
    value._array = y
    value._edge = node
    return value


def binary(op: Callee, a: Any, b: Any) -> Any:
    """Apply to two arrays, one of which may be a number: the path of every operator."""
    edge1 = edge2 = None
    if isinstance(a, Handle):
        x1 = a._array
        edge1 = a._edge
    else:
        x1 = a if type(a) in PYTHON_SCALARS else admit(op, a)
    if isinstance(b, Handle):
        x2 = b._array
        edge2 = b._edge
    else:
        x2 = b if type(b) in PYTHON_SCALARS else admit(op, b)
    t = type(x1)
    kernel = op._quick.get(t if t is type(x2) else (t, type(x2)))
    if kernel is None:
        return cast("Any", op)._full((a, b), {})
    try:
        y = kernel(x1, x2)
    except Exception as exc:
        refuse(op, exc, (x1, x2), {}, (a, b))
    if edge1 is not None:
        needs = 1 << 3 if edge2 is None else 3 << 3
    elif edge2 is not None:
        needs = 2 << 3
    else:
        return wrap(y, None) if isinstance(a, Handle) or isinstance(b, Handle) else y
    plan: Plan | None = op._short_plans[needs | mode() & RECORDING]
    if plan is None:
        return cast("Any", op)._record((a, b), (x1, x2), y, (), {})
    keep = plan.keep
    if keep == NOTHING:
        saved: Any = None
    elif keep == BOTH:
        saved = (x1, x2)
    elif keep == SECOND:
        saved = x2
    elif keep == FIRST:
        saved = x1
    else:
        saved = plan.collect((x1, x2), y, (), {})
    node = Node()
    node.plan = plan
    node.edge1 = edge2 if edge1 is None else edge1
    node.edge2 = None if edge1 is None else edge2
    node.more = ()
    node.saved = saved
    node.shape = y.shape
    node.dtype = y.dtype
    node.type = type(y)
    node.seq = next_seq()
    node.watch = None
    node.mark = 0
    value: Handle = handles.new_value()
    value._array = y
    value._edge = node
    return value


def call(op: Callee, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
    """Apply to any number of arrays, with the attributes that are `given`."""
    attrs = op._defaults
    if attrs or given:
        attrs = {**attrs, **given}
        if len(attrs) != len(op._defaults):
            return cast("Any", op)._full(args, given)
        for attr in attrs.values():
            if attr is REQUIRED or isinstance(attr, Handle):
                return cast("Any", op)._full(args, given)
    xs: Any
    key: Any
    edge1 = edge2 = None
    more: tuple[Any, ...] = ()
    raw = False
    a = args[0] if len(args) == 1 else None
    if isinstance(a, Handle):
        x = a._array
        xs = (x,)
        key = type(x) if op._count == 1 else frozenset((type(x),))
        edge1 = a._edge
        needs = 2 if edge1 is None else 3
    else:
        xs = []
        edges = []
        bit = 1
        needs = 0
        raw = True
        for a in args:
            if isinstance(a, Handle):
                xs.append(a._array)
                edge = a._edge
                if edge is not None:
                    edges.append(edge)
                    needs |= bit
                raw = False
            else:
                xs.append(a if type(a) in PYTHON_SCALARS else admit(op, a))
            bit <<= 1
        if edges:
            needs |= bit
            edge1 = edges[0]
            if len(edges) > 1:
                edge2 = edges[1]
                if len(edges) > 2:
                    more = tuple(edges[2:])
        if op._count < 0:
            key = frozenset(map(type, xs))
        elif len(xs) != op._count:
            key = None
        else:
            key = type(xs[0]) if len(xs) == 1 else tuple(map(type, xs))
    kernel = op._known.get(key)
    if kernel is None:
        return cast("Any", op)._full(args, given)
    try:
        y = kernel(*xs, **attrs)
    except Exception as exc:
        refuse(op, exc, xs, attrs, args)
    residuals: Any = ()
    if op._leaves_more:
        residuals = y[1:]
        y = y[0]
    if raw:
        return y
    if type(y) not in registry.plain_types:
        return cast("Any", op)._record(args, xs, y, residuals, attrs)
    if edge1 is None:
        return wrap(y, None)
    dtype = y.dtype
    plan: Plan | None = op._known_plans.get(needs << 3 | mode() & RECORDING)
    if plan is None or dtype is not edge1.dtype:
        return cast("Any", op)._record(args, xs, y, residuals, attrs)
    node = Node()
    node.plan = plan
    node.edge1 = edge1
    node.edge2 = edge2
    node.more = more
    node.saved = plan.collect(xs, y, residuals, attrs)
    node.shape = y.shape
    node.dtype = dtype
    node.type = type(y)
    node.seq = next_seq()
    node.watch = None
    node.mark = 0
    value: Handle = handles.new_value()
    value._array = y
    value._edge = node
    return value
