"""From an op's C expressions to CUDA kernels: one launch for its value, one for the product with each partial derivative.

The expressions are the ``c`` and ``c_partials`` of an elementwise declaration, whoever made it. They serve real
floating arrays of one dtype; anything else goes to the generic kernel. Half precision is computed in float32.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import cupy

from autodiff_cupy.building import elementwise

__all__ = ["backward_rules", "forward_kernel"]


def _kernel(name: str, parameters: Sequence[str], expression: str) -> Any:
    # In a declaration T is the type to compute in; in a kernel it is that of the arrays.
    return elementwise(name, " ".join(parameters), re.sub(r"\bT\b", "W", expression))


def _dtype(args: Sequence[Any]) -> Any:
    """Return the one real floating dtype of the arrays among `args`, or None."""
    dtypes = {a.dtype for a in args if isinstance(a, cupy.ndarray)}
    return dtypes.pop() if len(dtypes) == 1 and next(iter(dtypes)).kind == "f" else None


def _numbers(attrs: Any) -> bool:
    return all(type(a) in (int, float) for a in attrs)


def forward_kernel(op: Any) -> Callable[..., Any] | None:
    """Return the kernel of an op that has a C expression, or None: also where CuPy has a function of that name."""
    if op.c is None or not op.takes_xp:
        return None
    names = (*op.inputs, *op.attrs)

    def kernel(*xs: Any, **attrs: Any) -> Any:
        if _dtype(xs) is None or not _numbers(attrs.values()):
            return op.function(cupy, *xs, **attrs)
        return _kernel(op.name, names, op.c)(*xs, *[attrs[name] for name in op.attrs])

    return kernel


def backward_rules(op: Any) -> tuple[Callable[..., Any] | None, ...] | None:
    """Return a rule for each input of an op that has C expressions for its partial derivatives, or None."""
    if not op.c_partials:
        return None
    return tuple(None if op.vjps[i] is None else _rule(op, i) for i in range(len(op.inputs)))


def _rule(op: Any, position: int) -> Callable[..., Any]:
    name, partial, declared = f"{op.name}_vjp_{op.inputs[position]}", op.c_partials[position], op.vjps[position]
    told = [n for n in declared.names(op) if n not in ("g", "xp")]
    used = [n for n in told if re.search(rf"\b{n}\b", partial)]
    # A declaration that selects instead of multiplying wants no infinity times zero.
    product = f"g * ({partial})" if op.multiplies else f"({partial}) == 0 ? T(0) : g * T({partial})"

    def rule(g: Any, *args: Any) -> Any:
        given = dict(zip(told, args, strict=True))
        arrays = [a for a in args if isinstance(a, cupy.ndarray)]
        if any(a.dtype.kind == "c" for a in arrays):  # a real result of complex numbers
            return _declared(op, declared, {**given, "g": g, "xp": cupy})
        if any(a.dtype != g.dtype for a in arrays):  # mixed precision: in that of the result
            given = {n: a.astype(g.dtype) if isinstance(a, cupy.ndarray) else a for n, a in given.items()}
        return _kernel(name, ("g", *used), product)(g, *[given[n] for n in used])

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    # A rule is told what its parameters name: this one what the declared rule names.
    rule.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in ("g", *told)])  # type: ignore[attr-defined]  # inspect reads it
    rule.__name__ = name
    return rule


def _declared(op: Any, declared: Any, given: dict[str, Any]) -> Any:
    """Run the declared rule."""
    found = declared.function(*[given[n] for n in declared.names(op)])
    return given["g"] * cupy.conj(found) if op.multiplies else found
