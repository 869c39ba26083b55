"""What graphs keep in memory, by op: for the errors that say that there is none left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from autodiff.graph import Edge, Node, schedule

__all__ = ["tell"]

#: So many ops are named.
_NAMED = 5


def tell(exc: BaseException, edges: Iterable[Edge | None]) -> None:
    """Add to an error, if memory ran out, which ops hold how much in the graphs that end at `edges`."""
    # Not every library has a MemoryError of its own.
    if not isinstance(exc, MemoryError) and "out of memory" not in str(exc).lower():
        return
    nodes = schedule([edge for edge in edges if edge is not None])
    held, counts = _held(nodes)
    if not held:
        return
    ops = ", ".join(f"{op!r} {_size(size)} in {counts[op]} calls" for op, size in held.most_common(_NAMED))
    exc.add_note(
        f"The graph holds {_size(held.total())} for its backward pass: {ops}. What is computed under no_grad() is not "
        f"kept, checkpoint() keeps only inputs, and a graph is freed with the last Value that refers to it."
    )


def _held(nodes: Iterable[Node]) -> tuple[Counter[str], Counter[str]]:
    """Return the bytes that the nodes of each op keep, an array that several keep counted once, and their number."""
    held: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    for node in nodes:
        kept = [a for a in _arrays(node.saved) if id(a) not in seen]
        seen.update(map(id, kept))
        size = sum(int(a.nbytes) for a in kept)
        if size:
            held[node.plan.op.id] += size
            counts[node.plan.op.id] += 1
    return held, counts


def _arrays(saved: Any) -> list[Any]:
    """Return what owns the memory of the arrays in what a node saved."""
    if isinstance(saved, tuple):
        return [array for item in saved for array in _arrays(item)]
    if not hasattr(saved, "nbytes") or not hasattr(saved, "shape"):
        return []
    base = getattr(saved, "base", None)
    return [base if hasattr(base, "nbytes") else saved]


def _size(count: int) -> str:
    number, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{number:.3g} {unit}"
