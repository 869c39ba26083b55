"""What a backward pass does beside computing: hooks, retained gradients, debug checks, and words for errors."""

from __future__ import annotations

from functools import partial
from typing import Any

from autodiff.debugging import fingerprint
from autodiff.errors import ArgumentError, GraphError, RuleError
from autodiff.graph import Edge, Leaf, Node, Spent, Watch
from autodiff.holding import tell
from autodiff.modes import RULE, Switch
from autodiff.registry import registry
from autodiff.rule import SEVERAL, nothing
from autodiff.value import Value, unwrap, wrap

__all__ = ["asked_for", "attend", "checked", "explain", "run_hooks", "run_leaf_hooks"]


def attend(node: Node, g: Any, found: dict[Edge, Any], checks: int) -> Any:
    """Run the hooks of `node` on its whole cotangent, note it where it is retained, and return it."""
    watch: Any = node.watch
    if watch.hooks:
        g = run_hooks(watch, g, node)
    if watch.leaf is not None:
        found[watch.leaf] = g
    if checks and watch.fingerprint is not None and watch.fingerprint != fingerprint(node):
        raise GraphError(
            f"{node.plan.op.id!r}: an array that its gradient needs was changed between the forward and the backward "
            f"pass. Work on a copy, or compute the result again after the change."
        )
    return g


def run_leaf_hooks(cotangents: dict[Any, Any]) -> None:
    """Run the hooks of the leaves on what arrived there."""
    for leaf in [edge for edge in cotangents if type(edge) is Leaf and edge.hooks]:
        cotangents[leaf] = run_hooks(leaf, cotangents[leaf])


def run_hooks(owner: Watch | Leaf, g: Any, node: Node | None = None) -> Any:
    """Return `g` as the hooks of `owner` leave it.

    Raises
    ------
    ArgumentError
        A hook returned something of another shape.
    """
    like: Any = owner if node is None else node
    own: Any = registry.backend_of(like.type)
    for hook in list((owner.hooks or {}).values()):
        recorded = type(g) is Value
        # A hook sees a copy: writing into it must not reach the graph or a sibling. What it reads is its own affair.
        with Switch(off=RULE):
            new = hook(wrap(g._array, g._edge) if recorded else own.box(own.fresh(g)))
        if new is None:
            continue
        if recorded:
            new = new if type(new) is Value else wrap(own.asarray(new, dtype=like.dtype), None)
        else:
            new = own.asarray(unwrap(new), dtype=like.dtype)
        if tuple(new.shape) != tuple(like.shape):
            raise ArgumentError(
                f"The hook {getattr(hook, '__qualname__', hook)!r} returned shape {tuple(new.shape)} for a gradient of "
                f"shape {tuple(like.shape)}; return one of that shape, or None."
            )
        g = new
    return g


def checked(node: Node, pulls: Any, g: Any, saved: Any) -> list[Any]:
    """Return `pulls` that report what a rule must not do (debug mode).

    Raises
    ------
    RuleError
        When pulled: a rule wrote into its cotangent or into what was saved, or made a NaN out of numbers.
    """
    op = node.plan.op

    def check(pull: Any, position: int, g: Any, saved: Any) -> Any:
        before = _prints(g), _prints(saved)
        q = pull(g, saved)
        if (_prints(g), _prints(saved)) != before:
            raise RuleError(
                f"The gradient rule of {op.id!r} (plugin {op.plugin!r}) for argument {_argument(op, position)!r} wrote into "
                f"its cotangent or into an array that was saved for it. Others read them too: a rule makes new arrays."
            )
        if q is not None and _has_nan(q) and not any(_has_nan(item) for item in _arrays(g)):
            raise RuleError(f"The gradient of {op.id!r} for argument {_argument(op, position)!r} has become NaN.")
        return q

    # `asked_for` may have left out the last ones.
    return [partial(check, pull, position) for pull, position in zip(pulls, node.plan.wrt, strict=False)]


def asked_for(node: Node, pulls: Any, reached: set[Edge]) -> Any:
    """Return `pulls` with nothing in the place of those that lead to no target of the pass, the last ones left out."""
    if node.edge1 in reached and (len(pulls) == 1 or (len(pulls) == 2 and node.edge2 in reached)):
        return pulls  # most nodes have no others
    kept = [pull if edge in reached else nothing for edge, pull in zip(node.edges, pulls, strict=True)]
    while kept and kept[-1] is nothing:  # so that the last one is the last that reads the cotangent
        kept.pop()
    return kept


def _arrays(items: Any) -> list[Any]:
    raw = [unwrap(item) for item in (items if type(items) is tuple else (items,))]
    return [item for item in raw if registry.backend_of(type(item)) is not None]


def _prints(items: Any) -> list[Any]:
    return [registry.backend_of(type(item)).fingerprint(item) for item in _arrays(items)]  # type: ignore[union-attr]  # _arrays keeps those that have one


def _has_nan(item: Any) -> bool:
    raw: Any = unwrap(item)
    own = registry.backend_of(type(raw))
    return own is not None and own.has_nan(raw)


def explain(exc: BaseException, node: Node | None, saved: Any, order: list[Node], where: str = "backward pass") -> None:
    """Say which op a pass that failed was at, and, if debug mode recorded it, which line called that op.

    If memory ran out, say what the nodes of the pass that are left hold.

    Raises
    ------
    GraphError
        The cause is that a pass in another thread, over the same graph, spent the node first.
    """
    if node is None:
        exc.add_note(f"at the start of the {where}")
        return
    if type(saved) is Spent:
        raise saved.error(node) from exc
    tell(exc, order)
    op = node.plan.op
    text = f"in the {where} of {op.id!r} (plugin {op.plugin!r}), {_outputs(node)}"
    line = node.watch.line if node.watch is not None else None
    hint = f"called at {line}" if line else "run forward and backward under autodiff.debug() to see the line"
    exc.add_note(f"{text}; {hint}")


def _outputs(node: Node) -> str:
    if node.dtype is not SEVERAL:
        return f"output shape {node.shape} {node.dtype}"
    facts = ", ".join(f"{shape} {dtype}" for shape, dtype, *_ in node.shape)
    return f"outputs of shapes {facts}, where g has None for an output that nobody used"


def _argument(op: Any, position: int) -> str:
    return op.inputs[position] if position < len(op.inputs) else f"{op.variadic}[{position}]"
