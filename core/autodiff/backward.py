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
from autodiff.batch_rules import in_batch
from autodiff.devices import following
from autodiff.graph import SPENT, Edge, between, next_seq, refuse_spent, schedule, spend
from autodiff.modes import BATCH, DEBUG, MODE, NO_GRAD, RULE, mode
from autodiff.projection import project
from autodiff.registry import registry
from autodiff.reuse import large, may_reuse, pull_large, settle
from autodiff.rule import SELECT, Plan, place, same
from autodiff.seeds import start
from autodiff.value import Value

__all__ = ["backward", "pull_back"]


def pull_back(
    roots: Sequence[Edge], seeds: Sequence[Any], wrt: Any = None, *, retain: bool, record: bool, since: int = 0
) -> dict[Any, Any]:
    """Return the cotangents of the edges `wrt`, or of all leaves, for the cotangents `seeds` of `roots`.

    Only nodes between `roots` and `wrt`, not older than `since`, are visited, computed and, unless `retain`, freed.
    The pass runs in a copy of the context, so that no interrupt can leave a mode changed.
    """
    with following() as follow:
        return copy_context().run(_pull_back, roots, seeds, wrt, since, retain, record, follow)


def _pull_back(
    roots: Sequence[Edge], seeds: Sequence[Any], targets: Any, since: int, retain: bool, record: bool, follow: Any
) -> dict[Any, Any]:
    born = next_seq() if record else 0
    if record:
        MODE.set(mode() & ~NO_GRAD | RULE)
    checks, batch = mode() & DEBUG, mode() & BATCH
    order = schedule(roots, max(since, min((e.seq for e in targets or ()), default=0)))
    live = None if targets is None else between(order, set(targets))
    wanted: set[Edge] = set(targets or ())
    reached = wanted if live is None else wanted | live
    refuse_spent(order)
    cotangents: dict[Any, Any] = {}  # of what the pass has come to, and not yet beyond: few at a time
    unusual = record or checks or live is not None or follow is not None
    found: dict[Edge, Any] = {}  # cotangents of nodes: of the targets among them, and of those that retain theirs
    mixed = False  # whether cotangents have another type than their edge says, as batches may: no sums in place then
    for root, seed in zip(roots, seeds, strict=True):
        registry.backend_of(root.type).silence()  # type: ignore[union-attr]  # a root is an array of a backend
        mixed = mixed or type(seed) is not root.type
        cotangents[root] = cotangents[root] + seed if root in cotangents else seed
    summed: set[Edge] = set()  # edges whose cotangent is a sum made here: it is ours to add to in place
    waiting: list[Any] = []  # a large product for a leaf, until its factor is free
    is_complex, dtype, node, saved = False, None, None, None
    # Rules may write into what is the pass's own; what others look at, or queue on streams, is left alone.
    plain = not (record or checks or batch or follow is not None)
    reuses, array_type, most = False, None, large()
    try:
        for node in order:
            g = cotangents.pop(node, None)
            if g is None:  # no path from the roots, or none through which anything flows
                continue
            plan: Plan = in_batch(node.plan) if batch else node.plan
            edges = (node.edge1, node.edge2) + node.more  # noqa: RUF005  # unpacking takes longer than adding ()
            saved = node.saved
            if node.dtype is not dtype:
                dtype = node.dtype
                is_complex = registry.is_complex(dtype, node.type)
            if node.type is not array_type:
                array_type = node.type
                reuses = plain and may_reuse(array_type)
            pulls: Any = plan.conj_pulls if is_complex else plan.pulls
            if plan.replaced is not None and not (record or is_complex):
                pulls = plan.replaced.get(node.type, pulls)
            if unusual or plan.special or node.watch is not None:
                if follow is not None:
                    follow(g, node)
                if node.watch is not None:
                    g = inspection.attend(node, g, found, checks)
                if live is not None:
                    if node in wanted:
                        found[node] = g
                    if node not in live:
                        continue
                if plan is SELECT:
                    place(cotangents, node, g)
                    continue
                if plan.special:
                    pulls, g = plan.specialise(pulls, g)
                if live is not None:
                    pulls = inspection.asked_for(node, pulls, reached)
                saved = plan.lift(node) if record else saved
                pulls = inspection.checked(node, pulls, g, saved) if checks else pulls
            if not retain:
                node.edge1 = node.edge2 = None
                node.more = ()
                node.saved = SPENT
            if reuses and g.size > most and not (is_complex or plan.special):
                holder = [g]
                g = before = q = None  # none of them may refer to it while it is asked who does
                mixed = pull_large(holder, node, plan, pulls, edges, saved, cotangents, summed, waiting, mixed)
                continue
            i = 0
            for pull in pulls:  # not a zip: its tuples cost more than the count
                edge: Edge = edges[i]
                i += 1
                if pull is same:  # what is known of the node need not be asked of the array
                    q = g
                    fits = type(q) is edge.type and node.dtype is edge.dtype and node.shape == edge.shape
                else:
                    q = pull(g, saved)
                    if q is None:
                        continue
                    fits = type(q) is edge.type and q.dtype is edge.dtype and q.shape == edge.shape
                if not fits or record:
                    q = project(q, edge, node, plan.wrt[i - 1], born)
                    mixed = mixed or type(q) is not edge.type
                before = cotangents.get(edge)
                if before is None:
                    cotangents[edge] = q
                    continue
                if follow is not None:
                    follow(q)
                if edge in summed and not mixed:
                    before += q
                    cotangents[edge] = before
                else:
                    before = None  # the dict has the only reference left, if nobody else has one
                    cotangents[edge] = leaves.first_sum(cotangents, edge, q)
                    summed.add(edge)
        settle(waiting, cotangents, summed, mixed, last=True)
        inspection.run_leaf_hooks(cotangents)
    except BaseException as exc:
        inspection.explain(exc, node, saved, order)
        if not retain:  # part of the graph is freed: the next error names the cause
            spend(order, live, exc)
        raise
    cotangents.update(found)
    return cotangents


def backward(
    root: Value,
    gradient: Any = None,
    *,
    inputs: Iterable[Value] | None = None,
    retain_graph: Any = None,  # of any type, so that what is wrong is refused alike in both builds
    create_graph: Any = False,
) -> None:
    """Accumulate gradients into leaves: see `Value.backward`."""
    edge, seed = start(root, gradient, create_graph, retain_graph)
    record = bool(create_graph)
    retain = record if retain_graph is None else bool(retain_graph)
    if inputs is None:
        leaves.commit(pull_back([edge], [seed], retain=retain, record=record))
    else:
        wanted = {leaves.edge_of(v): v for v in leaves.listed(inputs)}
        pulled = pull_back([edge], [seed], wanted, retain=retain, record=record)
        leaves.commit({leaves.of(v): pulled.pop(e) for e, v in wanted.items() if e in pulled})
