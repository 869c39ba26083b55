"""`to_dot`: the graph behind a Value as text in the DOT language, for Graphviz to draw."""

from __future__ import annotations

from typing import Any

from autodiff.errors import ArgumentTypeError, GraphError
from autodiff.graph import Edge, Node, refuse_spent, schedule
from autodiff.value import Value

__all__ = ["to_dot"]


def to_dot(root: Value, **names: Value) -> str:
    """Return the graph that a backward pass from `root` would walk, in the DOT language of Graphviz.

    Boxes are leaves, where gradients arrive; ellipses are ops, with the shape and dtype of their outputs and what they
    keep for the pass. An arrow goes from an input to the op, and bears the name of the op's parameter. Constants are not
    there: nothing flows to them.

    Parameters
    ----------
    root : Value
        The result of a computation; it needs a gradient.
    **names : Value
        What to call Values in the picture, leaves above all.

    Returns
    -------
    str
        ``graphviz.Source(...)`` shows it in a notebook, ``dot -Tsvg`` turns it into a picture.

    Raises
    ------
    ArgumentTypeError
        `root`, or what bears a name, is not a Value.
    GraphError
        `root` needs no gradient, or a backward pass has freed the graph: draw before it, or retain it.

    Examples
    --------
    >>> from autodiff import Value, to_dot
    >>> x = Value(3.0)
    >>> print(to_dot(x * x, x=x))
    digraph {
        rankdir=BT
        node [fontname="sans-serif"]
        n0 [label="x\\n() float64", shape=box]
        n1 [label="multiply\\n() float64\\nkeeps x1, x2", shape=ellipse]
        n0 -> n1 [label="x1"]
        n0 -> n1 [label="x2"]
    }
    """
    for what, given in (("root", root), *names.items()):
        if not isinstance(given, Value):
            raise ArgumentTypeError(f"to_dot draws the graph of Values; {what} is {type(given).__qualname__!r}")
    if root._edge is None:
        raise GraphError("to_dot was given a Value that needs no gradient: there is no graph behind it to draw")
    order = schedule([root._edge])
    refuse_spent(order)
    called = {value._edge: name for name, value in names.items() if value._edge is not None}
    edges: list[Edge] = [root._edge, *order, *(edge for node in order for edge in node.edges)]
    ids = {edge: f"n{i}" for i, edge in enumerate(sorted(dict.fromkeys(edges), key=lambda edge: edge.seq))}
    lines = [f"    {ids[edge]} [{_look(edge, called.get(edge))}]" for edge in ids]
    for node in reversed(order):
        for position, edge in zip(node.plan.wrt, node.edges, strict=True):
            lines.append(f"    {ids[edge]} -> {ids[node]} [label={_quoted(_parameter(node.plan.op, position))}]")
    return "\n".join(["digraph {", "    rankdir=BT", '    node [fontname="sans-serif"]', *lines, "}"])


def _look(edge: Edge, name: str | None) -> str:
    if not isinstance(edge, Node):
        return f"label={_quoted(name or 'leaf', _space(edge.shape, edge.dtype))}, shape=box"
    op = edge.plan.op
    title = op.name if name is None else f"{name} = {op.name}"
    several = edge.type is tuple
    outputs = [_space(shape, dtype) for shape, dtype, _ in edge.shape] if several else [_space(edge.shape, edge.dtype)]
    kept = [_source(op, slot) for slot in edge.plan.slots]
    keeps = [f"keeps {', '.join(kept)}"] if kept else []
    return f"label={_quoted(title, *outputs, *keeps)}, shape=ellipse"


def _space(shape: Any, dtype: Any) -> str:
    return f"{tuple(shape)} {dtype}"


def _parameter(op: Any, position: int) -> str:
    inputs = op.inputs
    return inputs[position] if position < len(inputs) else f"{op.variadic}[{position - len(inputs)}]"


def _source(op: Any, source: tuple[Any, ...]) -> str:
    """Name what a rule asks for: an input, the output, an attribute, the shape of an input."""
    match source:
        case ("x", int(i)):
            return str(op.inputs[i])
        case ("residual", int(i)):
            return str(op.residuals[i])
        case ("xs",):
            return str(op.variadic)
        case (kind, int(i)):
            return f"{op.inputs[i]}_{kind}"
    return str(source[-1] if source[-1] is not None else f"{op.variadic}_{source[0]}")


def _quoted(*lines: str) -> str:
    text = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return f'"{text}"'
