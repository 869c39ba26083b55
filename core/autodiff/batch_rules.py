"""Gradient rules on batches: `in_batch` makes, of the plan of an op, the one for nodes that hold batches.

A rule that is written with ops runs on a batch as it is. One that is not, because it asks for numbers or leaves
the ops, is run for one example after the other, and so are the rules of an op whose kernel is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from autodiff.batches import Batched, batch, each_in, example, joined, level_in, levels_of, repeated, size_in
from autodiff.errors import RegistrationError, UnknownOpError
from autodiff.registry import registry
from autodiff.rule import IDENTITY, Plan
from autodiff.standard import standard
from autodiff.value import Value, wrap

__all__ = ["BatchPlan", "all_levels", "check_batching", "guarded", "in_batch", "lifted"]

Call = Callable[[Any, Any], Any]

#: The ops that enter and leave a level, handed over by `autodiff/__init__`: ops are made of rules.
enter: Any = None
leave: Any = None

#: What a rule raises that asks an array of one example for what a batch of them does not have.
_NOT_ON_BATCHES = (UnknownOpError, AttributeError, TypeError)


class BatchPlan(Plan):
    """A plan whose rules are handed batches."""

    __slots__ = ("looped", "plain")

    def __init__(self, plain: Plan) -> None:
        op = self.op = plain.op
        self.plain = plain
        self.count, self.wrt, self.keep, self.slots = plain.count, plain.wrt, plain.keep, plain.slots
        self.getters, self.lifted = plain.getters, plain.lifted
        self.joint = self.pulls = self.conj_pulls = self.batched = None
        self.looped = plain is not IDENTITY and op.batching is None and not (op.broadcasts or op.core_ndims)
        self.special = True
        self.push = self.replaced = None
        self.writers = {}
        if plain.joint is not None:
            self.joint = guarded(plain.joint, self)
        else:
            self.pulls = tuple([guarded(pull, self) for pull in plain.pulls or ()])
            self.conj_pulls = tuple([guarded(pull, self) for pull in plain.conj_pulls or ()])


def in_batch(plan: Plan) -> Plan:
    """Return the plan for nodes, and passes, in which there are batches."""
    if plan.op.kind == "internal" and plan is not IDENTITY:
        return plan
    found: Plan | None = plan if type(plan) is BatchPlan else plan.batched
    if found is None:
        found = plan.batched = BatchPlan(plan)
    return found


def check_batching(op: Any) -> None:
    """Read what a batching rule names; refuse what the op does not have."""
    rule = op.batching
    if callable(rule):
        op.batching_names = tuple(inspect.signature(rule).parameters)
        op.batching_names_batched = "batched" in op.batching_names
        known = {*op.inputs, *op.attrs, op.variadic, "batched"}
        unknown = [name for name in op.batching_names if name not in known]
    elif rule is None or isinstance(rule, tuple):
        unknown = [name for name in rule or () if name not in op.attrs]
    else:
        raise RegistrationError(
            f"{op.id!r}: batching is a function, or a tuple of the names of the attributes that hold axes; given {rule!r:.60}"
        )
    if unknown:
        raise RegistrationError(f"{op.id!r}: batching names {unknown[0]!r}, which {op.signature} does not have")


def guarded(call: Call, plan: BatchPlan) -> Call:
    """Return ``call(g, saved)`` for batches: at once where that works, else one example after the other."""

    def run(g: Any, saved: Any) -> Any:
        level = max(level_in(g), level_in(saved))
        if not level:
            return call(g, saved)
        if not plan.looped:
            try:
                return _marked(call(_beside(g, saved), saved))
            except _NOT_ON_BATCHES:
                pass  # what is wrong with the rule itself is raised again below
        return _marked(_by_loop(call, g, saved, level, plan.op))

    return run


def lifted(array: Any, *others: Any) -> Any:
    """Return a raw array that is the same for all examples as a batch of every level in `others`."""
    for level in sorted(all_levels(others)):
        size: Any = size_in(_outer(others, level), level)
        array = batch(repeated(array, size), level)
    return array


def _beside(g: Any, saved: Any) -> Any:
    """Return a cotangent that is the same for all examples as a batch, so that ``xp`` of the rule is the one for batches."""
    if level_in(g) or type(g) in (tuple, list):
        return g
    return wrap(lifted(g._array, saved), None) if type(g) is Value and g._edge is None else _raw_beside(g, saved)


def _raw_beside(g: Any, saved: Any) -> Any:
    return g if type(g) is Value or registry.backend_of(type(g)) is None else lifted(g, saved)


def all_levels(obj: Any) -> set[int]:
    """Return the levels of all arrays and Values in a nesting of tuples and lists."""
    if isinstance(obj, Batched):
        return set(levels_of(obj))
    if isinstance(obj, tuple | list):
        return set().union(*map(all_levels, obj))
    return all_levels(obj._array) if type(obj) is Value else set()


def _outer(obj: Any, level: int) -> Any:
    """Return the arrays in `obj`, those inside batches of higher levels than `level` taken out."""
    if isinstance(obj, Batched):
        while isinstance(obj, Batched) and obj.level > level:
            obj = obj.array
        return obj
    if isinstance(obj, tuple | list):
        return [_outer(item, level) for item in obj]
    return _outer(obj._array, level) if type(obj) is Value else obj


def _marked(q: Any) -> Any:
    if type(q) in (tuple, list):
        return tuple([_marked(part) for part in q])
    return q.__autodiff_backend__.pulled(q.array, q.level) if isinstance(q, Batched) else q


def _by_loop(call: Call, g: Any, saved: Any, level: int, op: Any) -> Any:
    size: Any = size_in((g, saved), level)
    results = []
    for i in each_in(size):
        own_g, own_saved = _example(g, level, i), _example(saved, level, i)
        again = max(level_in(own_g), level_in(own_saved)) > 0  # of a vmap around this one
        results.append(
            _by_loop(call, own_g, own_saved, level_in((own_g, own_saved)), op) if again else call(own_g, own_saved)
        )
    if type(results[0]) in (tuple, list):
        return tuple([_joined(list(parts), level, size, op) for parts in zip(*results, strict=True)])
    return _joined(results, level, size, op)


def _example(obj: Any, level: int, i: int) -> Any:
    if type(obj) is Value:
        if level_in(obj) != level:
            return obj
        out = leave(obj, level=level, size=size_in(obj, level))
        return standard.getitem(out, index=(i,))
    if type(obj) in (tuple, list):
        return type(obj)([_example(item, level, i) for item in obj])
    return example(obj, level, i)


def _joined(results: list[Any], level: int, size: int, op: Any) -> Any:
    some = next((q for q in results if q is not None), None)
    if some is None:
        return None
    results = [some * 0 if q is None else q for q in results]
    if not any(type(q) is Value for q in results):
        return joined(op, results, level, size)
    return enter(registry.op("autodiff_ops.stack")(*results, axis=0)[:size], level=level, size=size)
