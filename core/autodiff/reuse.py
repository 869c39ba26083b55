"""Large arrays that a pass need not make: results of rules are written into memory that is the pass's own.

A fresh array costs as much as the arithmetic that fills it, for the pages that the system hands out, and it counts
where a pass needs the most memory. The cotangent that a rule was handed is often not needed any more once the rule
has run, and so is the partial derivative that it was multiplied by.

`pull_large` is what a pass does with a node, for large cotangents; `leaves.is_own` tells whether nobody but the pass can
reach an array. A product for a leaf may wait until the node that saved its factor is done, and be written into that:
`settle` computes what has waited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

from autodiff import leaves
from autodiff.graph import Edge, Leaf, Node
from autodiff.leaves import is_own
from autodiff.projection import project
from autodiff.registry import registry
from autodiff.rule import FIRST, OUTPUT, SECOND, Plan, Rule, make_call, nothing, same

__all__ = ["always", "large", "may_reuse", "pull_large", "settle"]

#: Beyond so many elements it takes less time to find out who else has an array than to make another one.
_large = 32_768

Writer = Callable[[Any, Any, Any], Any]


def large() -> int:
    """Return how many elements an array must have more than, to be written into."""
    return _large


@contextmanager
def always() -> Iterator[None]:
    """Let every array count as large here, so that what a pass does with large ones can be tried on small ones."""
    names = globals()
    before = names["_large"]
    names["_large"] = -1
    try:
        yield
    finally:
        names["_large"] = before


def may_reuse(array_type: type) -> bool:
    """Tell whether results may be written into arrays of this type; of a node with several results it is a tuple."""
    own = registry.backend_of(array_type)
    return own is not None and own.reuses and array_type not in own.scalar_types


def _writers(plan: Plan, array_type: type) -> tuple[Writer | _Product | None, ...]:
    """Return for each input in ``plan.wrt`` ``write(g, saved, out)``, or None where there is no such thing.

    It is what the pull of that input computes, perhaps in the memory of `out`, an array that nobody else has.
    There is one for a product with a partial derivative, and for a rule of a backend that names ``out``.
    """
    found: tuple[Writer | _Product | None, ...] | None = plan.writers.get(array_type)
    if found is None:
        found = plan.writers[array_type] = tuple(_make_writers(plan, array_type))
    return found


def pull_large(
    holder: list[Any],
    node: Node,
    plan: Plan,
    pulls: Any,
    edges: tuple[Any, ...],
    saved: Any,
    cotangents: dict[Edge, Any],
    summed: set[Edge],
    waiting: list[Any],
    mixed: bool,
) -> bool:
    """Do with a node what `backward.pull_back` does, for the large cotangent in `holder`: in as few new arrays as can be.

    Return whether cotangents are of mixed types by now.
    """
    g: Any = holder.pop()
    settle(waiting, cotangents, summed, mixed)
    writing = _writers(plan, node.type)
    # What is added to sums leaves the cotangent as it is, for the last product to be written into.
    order = sorted(range(len(pulls)), key=lambda i: edges[i] not in summed)
    for i in order:
        pull, edge = pulls[i], edges[i]
        q: Any = g
        if pull is not same:
            q = None
            write = None if pull is nothing else writing[i]
            if isinstance(write, _Product) and edge in summed and not mixed and edge.shape == g.shape:
                cotangents[edge], q = write.added(cotangents[edge], g, saved)
            else:
                # The last rule that reads the cotangent may write into it. Asked before the call, which refers to it too.
                own = is_own([g])
                out = g if write is not None and i == order[-1] and own else None
                if isinstance(write, _Product):
                    factor = write.partial(g, saved)
                    if is_own([factor]):  # asked before a call, which refers to it too
                        out = factor if type(factor) is type(g) else out
                    elif not (own or mixed or waiting) and type(edge) is Leaf and _are_alike(edge, g, factor):
                        waiting.append(_Waiting(edge, g, factor))
                        continue
                    backend: Any = registry.backend_of(type(g))
                    q = backend.multiply(g, factor, out=out)
                    factor = None
                else:
                    q = pull(g, saved) if write is None else write(g, saved, out)
                out = None
        if q is None:
            continue
        if type(q) is not edge.type or q.dtype is not edge.dtype or q.shape != edge.shape:
            q = project(q, edge, node, plan.wrt[i], 0)
            mixed = mixed or type(q) is not edge.type
        _arrive(cotangents, summed, edge, q, mixed)
    return mixed


def _arrive(cotangents: dict[Edge, Any], summed: set[Edge], edge: Edge, q: Any, mixed: bool) -> None:
    if cotangents.get(edge) is None:
        cotangents[edge] = q
    elif edge in summed and not mixed:
        cotangents[edge] = leaves.add_to(cotangents[edge], q)
    else:
        cotangents[edge] = leaves.first_sum(cotangents, edge, q)
        summed.add(edge)


class _Waiting:
    """A product for a leaf: all three are alike, others refer to `g`, and whoever saved `factor` may let go of it soon."""

    __slots__ = ("edge", "factor", "g", "is_old")

    def __init__(self, edge: Edge, g: Any, factor: Any) -> None:
        self.edge, self.g, self.factor, self.is_old = edge, g, factor, False


def settle(
    waiting: list[_Waiting], cotangents: dict[Edge, Any], summed: set[Edge], mixed: bool, *, last: bool = False
) -> None:
    """Compute the product that waits, if there is one, in the memory of its factor if nobody else has that by now.

    Otherwise it waits for one node more, unless this is the `last` time.
    """
    if not waiting:
        return
    one = waiting.pop()
    g, factor, one.factor = one.g, one.factor, None
    alone = is_own([factor])
    if alone or one.is_old or last:
        own: Any = registry.backend_of(type(g))
        q = own.multiply(g, factor, out=factor if alone else None)
        one.g = g = factor = None  # lest a sum find that others refer to them
        _arrive(cotangents, summed, one.edge, q, mixed)
        summed.add(one.edge)  # what is new is the pass's own, too
    else:
        one.factor, one.is_old = factor, True
        waiting.append(one)


def _are_alike(*arrays: Any) -> bool:
    """Tell whether arrays, or an edge and arrays, are of one type, shape and dtype."""
    first = arrays[0]
    kind = getattr(first, "type", type(first))
    return all(type(x) is kind and x.shape == first.shape and x.dtype == first.dtype for x in arrays[1:])


def _make_writers(plan: Plan, array_type: type) -> list[Writer | _Product | None]:
    op = plan.op
    if type(plan) is not Plan or op.joint_vjp is not None:
        return [None] * len(plan.wrt)
    where = {source: i for i, source in enumerate(plan.slots)}
    single = plan.keep in (FIRST, SECOND, OUTPUT)
    for _, its_type, rules in registry.vjp_kernels(op):
        if its_type is array_type:
            own = [Rule(op, (rules if isinstance(rules, tuple) else (rules,))[i], "backend's vjp") for i in plan.wrt]
            return [_into(rule, where, single) if rule.names_out else None for rule in own]
    if not op.multiplies:
        return [None] * len(plan.wrt)
    return [_Product(_partial(op.vjps[i], where, single)) for i in plan.wrt]


def _into(rule: Rule, where: dict[Any, int], single: bool) -> Writer:
    """Return what calls a rule that names ``out``."""
    function: Any = rule.function
    gather = copy(rule)
    gather.function = _arguments
    arguments = make_call(gather, where, single)
    return lambda g, saved, out: function(*arguments(g, saved), out=out)


def _arguments(*args: Any) -> tuple[Any, ...]:
    return args


def _partial(rule: Rule, where: dict[Any, int], single: bool) -> Callable[[Any, Any], Any]:
    """Return what computes the partial derivative from the cotangent, for its type alone, and what was saved."""
    number = rule.number
    return make_call(rule, where, single) if number is None else lambda g, saved: number


class _Product:
    """The product of a cotangent with the partial derivative that `partial` computes of what was saved."""

    __slots__ = ("partial",)

    def __init__(self, partial: Callable[[Any, Any], Any]) -> None:
        self.partial = partial

    def added(self, total: Any, g: Any, saved: Any) -> tuple[Any, Any]:
        """Return ``total + product, None``, or ``total, product`` where the two are not alike; `total` is the pass's own."""
        factor = self.partial(g, saved)
        own: Any = registry.backend_of(type(g))
        if _are_alike(g, total, factor):
            return own.add_product(total, g, factor), None
        return total, own.multiply(g, factor)
