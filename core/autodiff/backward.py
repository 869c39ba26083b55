"""The backward pass: from cotangents of some roots to cotangents of the leaves, and into their ``grad``.

- `pull_back`: the pass itself. It visits nodes in reverse order, hands each node's cotangent to the rules of
  its op, and adds up what arrives at each edge. On the graph it leaves nothing but that a node is spent.
- `backward`: what `Value.backward` does: a seed, the pass, and one commit into every ``grad``.

The same lines run on raw arrays and, when the pass is itself recorded, on Values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import copy_context
from typing import Any

from autodiff import inspection, leaves
from autodiff.errors import ArgumentError, GraphError
from autodiff.graph import Edge, Node, schedule
from autodiff.modes import DEBUG, MODE, NO_GRAD, mode
from autodiff.projection import project
from autodiff.registry import registry
from autodiff.rule import SELECT, SEVERAL
from autodiff.seeds import seed_for
from autodiff.value import Value

__all__ = ["backward", "pull_back"]

_SPENT = (
    "an earlier backward pass freed what this one needs. Pass retain_graph=True to the first one, or compute the "
    "result again."
)


def pull_back(
    roots: Sequence[Edge], seeds: Sequence[Any], wrt: Iterable[Edge] | None = None, *, retain: bool, record: bool
) -> dict[Any, Any]:
    """Return the cotangents of the edges `wrt`, or of all leaves, for the cotangents `seeds` of `roots`.

    Only nodes between `roots` and `wrt` are visited, computed and, unless `retain`, freed. The pass runs in a
    copy of the context, so that no interrupt can leave a mode changed.
    """
    return copy_context().run(_pull_back, roots, seeds, None if wrt is None else set(wrt), retain, record)


def _pull_back(
    roots: Sequence[Edge], seeds: Sequence[Any], targets: set[Edge] | None, retain: bool, record: bool
) -> dict[Any, Any]:
    if record:
        MODE.set(mode() & ~NO_GRAD)
    for root in roots:
        registry.backend_of(root.type).silence()  # type: ignore[union-attr]  # a root is an array of a backend
    checks = mode() & DEBUG
    order = schedule(list(roots), 0 if targets is None else min((e.seq for e in targets), default=0))
    path = None if targets is None else _between(order, targets)
    live = None if path is None or targets is None else path | targets
    found: dict[Edge, Any] = {}  # cotangents of nodes: of the targets among them, and of those that retain theirs
    cotangents: dict[Any, Any] = dict.fromkeys(order)
    for root, seed in zip(roots, seeds, strict=True):
        before = cotangents.get(root)
        cotangents[root] = seed if before is None else before + seed
    summed: set[Edge] = set()  # edges whose cotangent is a sum made here: it is ours to add to in place
    dtype: Any = None
    is_complex = False
    node: Any = None
    try:
        for node in order:
            g = cotangents.pop(node)
            if g is None:  # no path from the roots, or none through which anything flows
                continue
            if node.watch is not None:
                g = inspection.attend(node, g, found, checks)
            if path is not None and targets is not None:
                if node in targets:
                    found[node] = g
                if node not in path:
                    continue
            plan = node.plan
            edges = node.edges
            saved = plan.lift(node) if record else node.saved
            if node.dtype is not dtype:
                dtype = node.dtype
                is_complex = registry.is_complex(dtype, node.type)
                if dtype is SEVERAL:
                    g = tuple(g)
                    dtype = None
            pulls = plan.conj_pulls if is_complex else plan.pulls
            if plan.replaced is not None and not record and not is_complex:
                pulls = plan.replaced.get(node.type, pulls)
            pulled = None
            if plan is SELECT:  # one output of several: its cotangent is a place in a list
                places = cotangents.get(edges[0]) or [None] * len(edges[0].shape)
                before = places[node.saved]
                places[node.saved] = g if before is None else before + g
                cotangents[edges[0]] = places
                continue
            if checks:
                pulled = inspection.checked(node, pulls, g, saved)
            elif pulls is None:
                pulled = plan.pull_joint(g, saved)
            if not retain:
                node.edges = None
                node.saved = _SPENT
            i = 0
            for edge in edges:
                if live is None or edge in live:
                    q = pulls[i](g, saved) if pulled is None else pulled[i]
                    if q is not None:
                        if type(q) is not edge.type or q.dtype is not edge.dtype or q.shape != edge.shape:
                            q = project(q, edge, plan, plan.wrt[i], record)
                        before = cotangents.get(edge)
                        if before is None:
                            cotangents[edge] = q
                        elif edge in summed:
                            before += q
                            cotangents[edge] = before
                        else:
                            cotangents[edge] = before + q
                            summed.add(edge)
                i += 1
    except BaseException as exc:
        _give_up(exc, node, () if retain else order)
        raise
    cotangents.update(found)
    return cotangents


def _between(order: list[Node], targets: set[Edge]) -> set[Edge]:
    """Return the nodes of `order` that depend on a target."""
    path: set[Edge] = set()
    for node in reversed(order):
        if any([edge in path or edge in targets for edge in node.edges]):
            path.add(node)
    return path


def _give_up(exc: BaseException, node: Node | None, order: Iterable[Node]) -> None:
    """Say where it happened, and mark the graph: part of it is freed, so that it cannot be used again."""
    if node is not None:
        exc.add_note(inspection.describe(node))
    cause = f"a backward pass through it failed, {type(exc).__name__}: {exc}. Compute the result again."
    for each in order:
        each.edges = None
        each.saved = cause


def backward(
    root: Value,
    gradient: Any = None,
    *,
    inputs: Iterable[Value] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Accumulate gradients into leaves: see `Value.backward`."""
    if root._edge is None:
        raise GraphError(
            f"backward() on a Value that needs no gradient (dtype {root.dtype}): none of its inputs did, or it was "
            f"computed under no_grad()."
        )
    seed = seed_for(root, gradient, create_graph)
    retain = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        leaves.commit(pull_back([root._edge], [seed], retain=retain, record=create_graph))
    else:
        wanted = {_edge(v): v for v in ([inputs] if isinstance(inputs, Value) else inputs)}
        pulled = pull_back([root._edge], [seed], wanted, retain=retain, record=create_graph)
        leaves.commit({leaves.of(v): pulled.pop(edge) for edge, v in wanted.items() if edge in pulled})


def _edge(value: Value) -> Edge:
    if type(value) is not Value or value._edge is None:
        raise ArgumentError(f"backward(inputs=...) takes Values that need a gradient; it was given {value!r:.80}")
    return value._edge
