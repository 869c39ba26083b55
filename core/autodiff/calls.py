"""The short paths: ops of one or two arrays without attributes, which is what operators are.

`unary` and `binary` do what `Op.__call__` does, for kernels that it has found and plans that it has made before;
whatever they do not know yet they leave to it.
"""

from __future__ import annotations

from typing import Any, Final, cast

from autodiff import handles
from autodiff.arguments import admit
from autodiff.graph import Node, next_seq
from autodiff.handles import Callee, Handle, wrap
from autodiff.modes import DEBUG, FORWARD, NO_GRAD, mode
from autodiff.refusals import refuse
from autodiff.registry import PYTHON_SCALARS
from autodiff.rule import BOTH, FIRST, NOTHING, OUTPUT, SECOND, Plan

__all__ = ["binary", "unary"]

_SPECIAL: Final = NO_GRAD | DEBUG | FORWARD


def unary(op: Callee, a: Any) -> Any:
    """Apply to one array."""
    if not isinstance(a, Handle):
        return cast("Any", op)(a)
    x = a._array
    kernel = op._quick.get(type(x))
    if kernel is None:
        return cast("Any", op)(a)
    try:
        y = kernel(x)
    except Exception as exc:
        refuse(op, exc, (x,), {}, (a,))
    edge = a._edge
    plan: Plan | None = op._short_plans[1]
    if edge is None or plan is None or mode() & _SPECIAL:
        return cast("Any", op)._record((x,), (edge,), y, (), {})
    keep = plan.keep
    if keep == OUTPUT:
        saved: Any = y
    elif keep == FIRST:
        saved = x
    elif keep == NOTHING:
        saved = None
    else:
        saved = plan.collect((x,), y, (), {})
    # Written out, here and in `binary`: a call with so many arguments would cost as much again.
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
        return cast("Any", op)(a, b)
    try:
        y = kernel(x1, x2)
    except Exception as exc:
        refuse(op, exc, (x1, x2), {}, (a, b))
    if edge1 is not None:
        plan: Plan | None = op._short_plans[1 if edge2 is None else 3]
    elif edge2 is not None:
        plan = op._short_plans[2]
    else:
        return wrap(y, None) if isinstance(a, Handle) or isinstance(b, Handle) else y
    if plan is None or mode() & _SPECIAL:
        return cast("Any", op)._record((x1, x2), (edge1, edge2), y, (), {})
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
    value: Handle = handles.new_value()
    value._array = y
    value._edge = node
    return value
