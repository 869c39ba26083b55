"""Forward mode: tangents swept through the recorded graph, in the order in which it was made.

- `push_forward`: from tangents of some edges to tangents of the roots.

There is no second engine: the sweep reads the nodes that a backward pass would read. A node's forward rule is
the op's own ``jvp``, the product with its partials, the op itself where it is linear, and otherwise the
transpose of its ``vjp``: that is linear in the cotangent, hence pulling a tangent back through it gives the
product with the Jacobian (J. Townsend, "A new trick for calculating Jacobian vector products", 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from autodiff.backward import pull_back
from autodiff.batch_rules import BatchPlan, guarded, in_batch, lifted
from autodiff.broadcasting import broadcast_to
from autodiff.coverage import row
from autodiff.devices import following
from autodiff.errors import RuleError
from autodiff.graph import Edge, Leaf, Node, schedule
from autodiff.inspection import explain
from autodiff.leaves import first_sum, mixed_sum
from autodiff.modes import BATCH, MODE, NO_GRAD, RULE, mode
from autodiff.registry import PYTHON_SCALARS, registry
from autodiff.rule import (
    BOTH,
    FIRST,
    GENERAL,
    IDENTITY,
    NOTHING,
    OUTPUT,
    SECOND,
    SELECT,
    SEVERAL,
    Plan,
    Rule,
    make_call,
    make_pull,
)
from autodiff.standard import standard
from autodiff.value import Value, unwrap, wrap

__all__ = ["push_forward"]

Push = Callable[[list[Any], Any, Node, bool], Any]


def push_forward(tangents: dict[Edge, Any], roots: list[Edge], *, record: bool, since: int = 0) -> list[Any]:
    """Return the tangents of `roots` for those of some edges; None where a root does not depend on them.

    Nothing is spent: a graph can be swept any number of times. Nodes older than `since` are left alone.
    """
    with following() as follow:
        return copy_context().run(_push_forward, dict(tangents), roots, since, record, follow)


def _push_forward(tangents: dict[Edge, Any], roots: list[Edge], since: int, record: bool, follow: Any) -> list[Any]:
    batch = mode() & BATCH
    # Rules that are transposed record, on variables of their own.
    MODE.set(mode() & ~NO_GRAD | RULE if record else mode() & ~NO_GRAD)
    for array_type in {root.type for root in roots}:
        own: Any = registry.backend_of(array_type)
        own.silence()
    order = schedule(roots, max(since, min([edge.seq for edge in tangents], default=0)))
    steps = [(node, node.edges) for node in reversed(order)]
    wanted = set(roots)
    last = {edge: node for node, edges in steps for edge in edges}  # who reads the tangent of an edge last
    for node, edges in steps:
        if node in tangents:  # where the sweep starts
            continue
        # Where none of its inputs has a tangent a node depends on no start, or nothing flows.
        ts = [tangents.get(edge) for edge in edges]
        if all(t is None for t in ts):
            continue
        plan = in_batch(node.plan) if batch else node.plan
        if follow is not None:
            follow(ts, node)
        if plan is SELECT:
            t = None if ts[0] is None else ts[0][node.saved]
        else:
            if plan.push is None:
                plan.push = _make_push(plan)
            try:
                t = plan.push(ts, plan.lift(node) if record else node.saved, node, record)
            except BaseException as exc:
                explain(exc, node, None, order, "forward pass")
                raise
        if t is not None:
            tangents[node] = t if type(t) is tuple else _fit(t, node, record)
        for edge in edges:
            if last[edge] is node and edge not in wanted:
                tangents.pop(edge, None)
    return [tangents.get(root) for root in roots]


def _fit(t: Any, node: Node, record: bool) -> Any:
    """Return a tangent in the space of the node's output: what broadcasts is repeated, and the dtype is its own."""
    raw: Any = (t._array if type(t) is Value else None) if record else t
    if type(raw) is node.type and raw.shape == node.shape and raw.dtype == node.dtype:
        return t
    raw = unwrap(t)
    if (type(t) is Value) is not record or not hasattr(raw, "dtype"):
        raise RuleError(
            f"The forward rule of {node.plan.op.id!r} (plugin {node.plan.op.plugin!r}) returned {type(t).__qualname__} "
            f"in a pass that is {'itself' if record else 'not'} recorded; write it with ops."
        )
    if tuple(raw.shape) != tuple(node.shape):
        t = broadcast_to(t, shape=node.shape)
    if raw.dtype != node.dtype:
        own: Any = registry.backend_of(type(raw))
        t = standard.astype(t, dtype=node.dtype) if record else own.astype(t, node.dtype)
    return t


def _make_push(plan: Plan) -> Push:
    """Return ``push(tangents, saved, node, record)`` for nodes of one plan."""
    if type(plan) is BatchPlan:
        return _on_batches(plan)
    push = _generic_push(plan)
    if plan.op.kind != "elementwise" or not plan.replaced:
        return push
    own = {key: rules for key, rules in plan.replaced.items() if isinstance(rules, tuple)}  # a joint one is none
    return _by_own_rules(own, push) if own else push


def _by_own_rules(own: dict[type, tuple[Any, ...]], push: Push) -> Push:
    """Let the backend's own rules work in plain passes: elementwise, of real numbers, a pull is a push.

    Either is the product with the partial derivative, as long as nothing is broadcast.
    """

    def by_own_rules(ts: list[Any], saved: Any, node: Node, record: bool) -> Any:
        rules = None if record or registry.is_complex(node.dtype, node.type) else own.get(node.type)
        if rules is None or not all(t is None or _is_like(t, node) for t in ts):
            return push(ts, saved, node, record)
        return _summed(ts, rules, saved)

    return by_own_rules


def _is_like(t: Any, node: Node) -> bool:
    return type(t) is node.type and t.shape == node.shape and bool(t.dtype == node.dtype)


def _generic_push(plan: Plan) -> Push:
    op = plan.op
    if plan is IDENTITY:
        return lambda ts, saved, node, record: ts[0]
    where = {source: i for i, source in enumerate(plan.slots)}
    single = plan.keep in (FIRST, SECOND, OUTPUT)
    if op.kind == "linear" and ("attrs",) in where:
        return _linear_push(plan, where)
    if op.joint_jvp is not None:
        call = make_call(op.joint_jvp, where, single)
        return lambda ts, saved, node, record: call(_by_input(plan, ts), saved)
    if op.multiplies:
        return _sum_of([make_pull(op.vjps[i], where, single, True, False) for i in plan.wrt])
    if op.jvps and all(isinstance(op.jvps[i], Rule) for i in plan.wrt):
        return _sum_of([make_call(op.jvps[i], where, single) for i in plan.wrt])
    return _transposed(plan)


def _on_batches(plan: BatchPlan) -> Push:
    push = _make_push(plan.plain)
    if plan.op.kind == "linear":  # the op itself, which knows what to do with a batch
        return push

    def on_batches(ts: list[Any], saved: Any, node: Node, record: bool) -> Any:
        return guarded(lambda ts, saved: push(ts, saved, node, record), plan)(ts, saved)

    return on_batches


def _by_input(plan: Plan, ts: list[Any]) -> tuple[Any, ...]:
    """Return one tangent for each input of the op, None where there is none."""
    by_input: list[Any] = [None] * plan.count
    for i, t in zip(plan.wrt, ts, strict=True):
        by_input[i] = t
    return tuple(by_input)


def _sum_of(pushes: list[Any]) -> Push:
    return lambda ts, saved, node, record: _summed(ts, pushes, saved)


def _summed(ts: list[Any], rules: Any, saved: Any) -> Any:
    if len(ts) == 1:
        return rules[0](ts[0], saved)
    sums: dict[Any, Any] = {}  # it has the only reference to the sum, if nobody else has one
    key: Any = None
    for t, rule in zip(ts, rules, strict=True):
        part = None if t is None else rule(t, saved)
        if part is None:
            continue
        if sums:
            part = first_sum(sums, key, part) if _alike(sums[key], part) else mixed_sum(sums[key], part)
        sums[key] = part
    return sums.get(key)


def _alike(a: Any, b: Any) -> bool:
    """Tell whether two tangents have one dtype; a rule may return one of Python's numbers instead."""
    return type(a) not in PYTHON_SCALARS and type(b) not in PYTHON_SCALARS and bool(a.dtype == b.dtype)


def _linear_push(plan: Plan, where: dict[Any, int]) -> Push:
    op = plan.op
    attrs = where[("attrs",)]

    def push(ts: list[Any], saved: Any, node: Node, record: bool) -> Any:
        given = list(_by_input(plan, ts))
        like = next(t for t in given if t is not None)
        for i, t in enumerate(given):
            if t is None:
                shape = saved[where["shape", None]][i] if op.variadic else saved[where["shape", i]]
                given[i] = _zeros(shape, like, record)
        return op(*given, **saved[attrs])

    return push


def _zeros(shape: Any, like: Any, record: bool) -> Any:
    raw = unwrap(like)
    own: Any = registry.backend_of(type(raw))
    zeros = own.zeros(tuple(shape), raw.dtype, type(raw))
    return wrap(zeros, None) if record else zeros


def _transposed(plan: Plan) -> Push:
    """Derive the forward rule from the backward one: pull the tangents back through the vjp, as a function of g."""

    def push(ts: list[Any], saved: Any, node: Node, record: bool) -> Any:
        several = node.dtype is SEVERAL
        outputs = node.shape if several else [(node.shape, node.dtype, node.type)]
        cotangents = [_variable(*facts, beside=(ts, saved)) for facts in outputs]
        g: Any = tuple(cotangents) if several else cotangents[0]
        pulls: Any = plan.conj_pulls if registry.is_complex(node.dtype, node.type) else plan.pulls
        if plan.special:
            pulls, g = plan.specialise(pulls, g)
        roots, seeds = [], []
        saved = saved if record else _constants(plan, saved)
        for t, pull in zip(ts, pulls, strict=True):
            q = None if t is None else pull(g, saved)
            if q is not None and type(q) is not Value:
                raise RuleError(
                    f"{plan.op.id!r} (plugin {plan.op.plugin!r}) has no forward rule, and none can be derived from its vjp, "
                    f"which returned {type(q).__qualname__} for a Value: it leaves the graph. Give it jvps. {row(plan.op)}"
                )
            if q is not None and q._edge is not None:
                roots.append(q._edge)
                seeds.append(_like(t, q, record))
        wrt = [None if c is None else c._edge for c in cotangents]
        pulled = pull_back(roots, seeds, [e for e in wrt if e is not None], retain=True, record=record) if roots else {}
        if not several:
            return pulled.get(wrt[0])
        found = [None if edge is None else pulled.get(edge) for edge in wrt]
        return tuple(_zero_tangent(t, facts, record) for t, facts in zip(found, outputs, strict=True))

    return push


def _constants(plan: Plan, saved: Any) -> Any:
    """Return what a node saved, its inputs and output as Values that need no gradient.

    A rule on Values then meets them as in a recorded pass: some libraries do not make way in ``array * value``.
    """
    if plan.keep == NOTHING:
        return None
    if plan.keep != GENERAL:
        return tuple(map(_constant, saved)) if plan.keep == BOTH else _constant(saved)
    kept = zip(plan.slots, saved, strict=True)
    return tuple([_constant(item) if slot[0] in ("x", "xs", "y") else item for slot, item in kept])


def _constant(item: Any) -> Any:
    """Return arrays of numbers that could have a gradient as Values without one; anything else as it is."""
    if type(item) is tuple:
        return tuple(map(_constant, item))
    own = registry.backend_of(type(item))
    return wrap(item, None) if own is not None and registry.kind(item.dtype, own) in ("float", "complex") else item


def _variable(shape: Any, dtype: Any, array_type: type, *, beside: Any) -> Value | None:
    """Return zeros to differentiate for, in the place of a cotangent; None for an output that has none."""
    own: Any = registry.backend_of(array_type)
    if registry.kind(dtype, own) not in ("float", "complex"):
        return None
    zeros = lifted(own.zeros(shape, dtype, array_type), *beside)
    return wrap(zeros, Leaf(shape, dtype, type(zeros)))


def _zero_tangent(t: Any, facts: Any, record: bool) -> Any:
    shape, dtype, array_type = facts
    own: Any = registry.backend_of(array_type)
    if t is not None or registry.kind(dtype, own) not in ("float", "complex"):
        return t
    zeros = own.zeros(shape, dtype, array_type)
    return wrap(zeros, None) if record else zeros


def _like(t: Any, q: Value, record: bool) -> Any:
    """Return a tangent as a cotangent of `q`: repeated to its shape, in its dtype."""
    if tuple(t.shape) != q.shape:
        t = broadcast_to(t, shape=q.shape)
    if t.dtype != q.dtype:
        own: Any = registry.backend_of(type(unwrap(t)))
        t = standard.astype(t, dtype=q.dtype) if record else own.astype(t, q.dtype)
    return t
