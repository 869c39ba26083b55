"""The cotangent that a backward pass starts from."""

from __future__ import annotations

from typing import Any

from autodiff.batches import base_of
from autodiff.errors import ArgumentError, ArgumentTypeError, BackendMismatchError, GraphError, shown
from autodiff.graph import Edge
from autodiff.registry import registry
from autodiff.value import Value, unwrap, wrap

__all__ = ["seed_for", "start"]


def start(root: Value, gradient: Any, recorded: Any, retain: Any) -> tuple[Edge, Any]:
    """Return the edge of `root` and its cotangent; errors are those of `seed_for`, and:

    Raises
    ------
    GraphError
        `root` needs no gradient.
    ArgumentTypeError
        A switch is neither True nor False.
    """
    for name, switch in (("create_graph", recorded), ("retain_graph", retain)):
        if switch is not None and switch is not True and switch is not False and not isinstance(switch, int):
            raise ArgumentTypeError(f"backward({name}=...) is True or False; it was given {shown(switch)}")
    if root._edge is None:
        raise GraphError(
            f"backward() on a Value that needs no gradient (dtype {root.dtype}): none of its inputs did, or it was "
            f"computed under no_grad()."
        )
    return root._edge, seed_for(root, gradient, recorded)


def seed_for(root: Value, gradient: Any, recorded: bool, *, what: str = "backward(gradient=...)") -> Any:
    """Return the cotangent of `root`: `gradient`, checked, or one for a single real number.

    Raises
    ------
    ArgumentError
        No gradient for something else than a single real number, or one of another shape or kind.
    BackendMismatchError
        It lives on another backend.
    """
    data = root._array
    if type(gradient) is type(data) and gradient.dtype == data.dtype and gradient.shape == data.shape:
        return wrap(gradient, None) if recorded else gradient  # what arrives most often needs no question more
    own: Any = registry.backend_of(type(data))
    kind = registry.kind(data.dtype, own)
    if gradient is None:
        if root.size != 1 or kind == "complex":
            what = f"shape {root.shape}" if kind != "complex" else f"dtype {data.dtype}"
            raise ArgumentError(
                f"backward() without a gradient starts from a single real number; this Value has {what}. Reduce it, for "
                f"instance by .sum(), or pass gradient= of shape {root.shape}."
            )
        seed = own.ones(data)
        return wrap(seed, None) if recorded else seed
    raw, theirs = registry.asarray(unwrap(gradient), backend=None if _has_backend(gradient) else own.name)
    if base_of(theirs) is not base_of(own):
        raise BackendMismatchError(
            f"{what}: the Value is on the backend {own.name!r} and its gradient on {theirs.name!r}; "
            f"move it with .to({own.name!r})."
        )
    if tuple(raw.shape) != tuple(data.shape):
        raise ArgumentError(
            f"{what} was given shape {tuple(raw.shape)} for a Value of shape {root.shape}; they must agree."
        )
    given = registry.kind(raw.dtype, own)
    if given == "complex" and kind == "float":
        raise ArgumentError(
            f"{what} was given dtype {raw.dtype} for a Value of dtype {data.dtype}; a real result has a real gradient."
        )
    if recorded and type(gradient) is Value:
        return gradient if raw.dtype == data.dtype else gradient.astype(data.dtype)
    if raw.dtype != data.dtype:
        raw = theirs.astype(raw, data.dtype)
    if type(raw) is not type(data) and type(data) in own.scalar_types:  # of another type it would forbid sums in place
        raw = own.unbox(raw)
    return wrap(raw, None) if recorded else raw


def _has_backend(gradient: Any) -> bool:
    return registry.backend_of(type(unwrap(gradient))) is not None
