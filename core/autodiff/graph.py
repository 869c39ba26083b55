"""The graph: what one op application leaves behind, and the order in which a backward pass visits it.

- `Node`: one op application. Its edges point to the nodes and leaves of the inputs that need a gradient.
- `Leaf`: where a gradient ends; `Cell`: the place for it, which the leaf's handles own.
- `schedule`: the nodes below some roots, later ones first; `between`: those of them above some targets.

Edges never point to a `Value`: handles come and go, and may be re-bound, without touching the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from itertools import count
from operator import attrgetter
from threading import RLock
from typing import Any
from weakref import ref

from autodiff.compiling import mypyc_attr
from autodiff.errors import GraphError

__all__ = [
    "SPENT",
    "Cell",
    "Edge",
    "Leaf",
    "Node",
    "Spent",
    "Watch",
    "between",
    "make_node",
    "next_seq",
    "refuse_spent",
    "schedule",
    "spend",
]

# A node is made after its inputs, hence has a higher number: sorting by it is a topological order.
next_seq = count(1).__next__


@mypyc_attr(native_class=False)  # those have no weak references
class Cell:
    """Holds a gradient. The handles of a leaf own it, and the leaf refers to it weakly.

    A gradient that is itself recorded refers back to the leaf: owned by the leaf it would be a cycle, and the
    graph would wait for the garbage collector.
    """

    __slots__ = ("__weakref__", "grad")

    def __init__(self) -> None:
        self.grad: Any = None


class Edge:
    """What a gradient flows along: a `Node` or a `Leaf`, with the shape, dtype and type that it must have there."""

    __slots__ = ("dtype", "seq", "shape", "type")

    shape: Any
    dtype: Any
    type: Any
    seq: int


class Leaf(Edge):
    """Where a gradient ends: a parameter, an input, or an intermediate that asked for its gradient."""

    __slots__ = ("cell", "hooks")

    def __init__(self, shape: Any, dtype: Any, type: type) -> None:
        self.shape = shape
        self.dtype = dtype
        self.type = type
        self.seq = next_seq()
        self.cell: Callable[[], Cell | None] = _no_cell
        self.hooks: dict[int, Callable[[Any], Any]] | None = None

    def own(self, cell: Cell) -> Cell:
        """Let gradients arrive in `cell`, as long as somebody else holds it; return it."""
        self.cell = ref(cell)
        return cell


def _no_cell() -> None:
    """Stand for the cell of a leaf that nobody can ask for its gradient, as in transforms."""


class Node(Edge):
    """One op application: how to pull a cotangent back (`plan`), through what (`saved`), and where to (`edges`).

    `shape`, `dtype` and `type` are those of the output, which the cotangent must have; of an op with several
    outputs, `shape` has one such triple for each.
    Most nodes have one edge or two. They are attributes, and only further ones a tuple: what the garbage collector
    has to walk through again and again, while a large graph grows, are nodes alone.
    A node whose pass has been run is spent: it has no edges left, and `saved` says why.
    """

    __slots__ = ("edge1", "edge2", "mark", "more", "plan", "saved", "watch")

    plan: Any
    edge1: Any
    edge2: Any
    more: tuple[Any, ...]
    saved: Any
    watch: Watch | None
    mark: int  # of the last `schedule` that found it

    @property
    def edges(self) -> tuple[Any, ...]:
        """The nodes and leaves of the inputs that need a gradient."""
        return tuple([edge for edge in (self.edge1, self.edge2) if edge is not None]) + self.more

    def spend(self, spent: Spent) -> None:
        """Give up what only a pass needs, because of `spent`."""
        self.edge1 = self.edge2 = None
        self.more = ()
        self.saved = spent


def make_node(plan: Any, edges: tuple[Any, ...], saved: Any, shape: Any, dtype: Any, type: Any) -> Node:
    """Make a node with any number of edges."""
    node = Node()  # without an `__init__`, which costs more than all the assignments
    node.plan = plan
    node.edge1 = edges[0] if edges else None
    node.edge2 = edges[1] if len(edges) > 1 else None
    node.more = edges[2:]
    node.saved = saved
    node.shape = shape
    node.dtype = dtype
    node.type = type
    node.seq = next_seq()
    node.watch = None
    node.mark = 0
    return node


class Watch:
    """What somebody wants to know of a node: its gradient, a hook on it, the line that made it, its stream."""

    __slots__ = ("fingerprint", "hooks", "leaf", "line", "stream")

    def __init__(self) -> None:
        self.leaf: Leaf | None = None
        self.hooks: dict[int, Callable[[Any], Any]] | None = None
        self.line: str | None = None
        self.fingerprint: Any = None
        self.stream: Any = None  # of its library, where that is not the default one


_by_seq = attrgetter("seq")

#: Held while nodes are marked; by one thread again, as a finaliser may differentiate.
_MARKING = RLock()


class Spent:
    """Stands in the place of what a node saved, once its pass has been run or has failed; says why it is gone."""

    __slots__ = ("cause",)

    def __init__(self, cause: str) -> None:
        self.cause = cause

    def error(self, node: Node) -> GraphError:
        """Return the error for a pass that needs `node`."""
        return GraphError(f"The result of {node.plan.op.id!r} cannot be differentiated: {self.cause}")


#: What a node saved, after a pass that did not retain the graph.
SPENT = Spent(
    "an earlier backward pass freed what this one needs. Pass retain_graph=True to the first one, or compute the "
    "result again."
)


def schedule(roots: Iterable[Edge], floor: int = 0) -> list[Node]:
    """Return the nodes that `roots` depend on and that are not older than `floor`, each before its inputs.

    Iterative, so that the depth of a graph is limited by memory alone. What has been found is marked on the nodes, under
    a lock: a set of a million nodes is slow. A pass must not mind to find a node twice, which happens where a finaliser
    that Python runs meanwhile schedules the same graph.
    """
    order: list[Any] = []
    with _MARKING:
        mark = next_seq()
        for root in roots:
            if isinstance(root, Node) and root.mark != mark:
                root.mark = mark
                order.append(root)
        for node in order:  # grows while it is read
            # Written out: most nodes have one edge, few have more than two, and a loop would need a tuple of them.
            edge = node.edge1
            if isinstance(edge, Node) and edge.mark != mark and edge.seq >= floor:
                edge.mark = mark
                order.append(edge)
            edge = node.edge2
            if edge is None:
                continue
            if isinstance(edge, Node) and edge.mark != mark and edge.seq >= floor:
                edge.mark = mark
                order.append(edge)
            for edge in node.more:
                if isinstance(edge, Node) and edge.mark != mark and edge.seq >= floor:
                    edge.mark = mark
                    order.append(edge)
    order.sort(key=_by_seq, reverse=True)
    return order


def between(order: list[Node], targets: set[Edge]) -> set[Edge]:
    """Return the nodes of `order` that depend on one of `targets`."""
    path: set[Edge] = set()
    for node in reversed(order):
        # Written out, as in `schedule`; None is in neither.
        edge1, edge2 = node.edge1, node.edge2
        leads = edge1 in path or edge1 in targets or edge2 in path or edge2 in targets
        if leads or (node.more and any(edge in path or edge in targets for edge in node.more)):
            path.add(node)
    return path


def refuse_spent(nodes: Iterable[Node]) -> None:
    """Refuse a pass through `nodes` before it has begun, if one of them is spent.

    Also if it seems to lie on no path to what was asked for: its edges are gone, and nobody can tell any more.

    Raises
    ------
    GraphError
        One of them is spent.
    """
    for node in nodes:
        if type(node.saved) is Spent:
            raise node.saved.error(node)


def spend(nodes: Iterable[Node], live: Container[Edge] | None, exc: BaseException) -> None:
    """Mark the nodes of a pass that failed, those that are `live` if not all, as unusable because of `exc`."""
    spent = Spent(f"a backward pass through it failed, {type(exc).__name__}: {exc}. Compute the result again.")
    for node in nodes:
        if live is None or node in live:
            node.spend(spent)
