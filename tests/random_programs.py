"""Random programs of array functions, as data: drawn by hypothesis, run by any library that has NumPy's names.

A program takes some arrays, applies instructions to whatever there is already, so that results are shared, and
returns several of its results. All of its functions are analytic: run by NumPy on complex numbers with a tiny
imaginary part, it tells its own derivatives (the complex step), without any library for derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

__all__ = ["Program", "complex_step", "programs"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One instruction: a function of a namespace, of operands and of constants, and what it is called."""

    name: str
    operands: tuple[int, ...]
    constants: tuple[Any, ...]
    shape: Shape


@dataclass(frozen=True)
class Program:
    """Shapes of the arguments, instructions, and which results are returned."""

    inputs: tuple[Shape, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    def __call__(self, xp: Any, xs: Any) -> list[Any]:
        """Run with the functions of `xp` on a list of arrays."""
        found = list(xs)
        for step in self.steps:
            found.append(FUNCTIONS[step.name](xp, *[found[i] for i in step.operands], *step.constants))
        return [found[i] for i in self.outputs]

    def arguments(self, seed: int = 0) -> list[Any]:
        """Draw arguments."""
        rng = np.random.default_rng(seed)
        return [rng.uniform(-1.0, 1.0, shape) for shape in self.inputs]

    def weights(self, seed: int = 1) -> list[Any]:
        """Draw cotangents of the results."""
        rng = np.random.default_rng(seed)
        shapes = [*self.inputs, *(step.shape for step in self.steps)]
        return [rng.uniform(-1.0, 1.0, shapes[i]) for i in self.outputs]

    def total(self, xp: Any, xs: Any) -> Any:
        """Return one number: the results, each weighted, summed."""
        total: Any = 0.0
        for y, w in zip(self(xp, xs), self.weights(), strict=True):
            total = total + xp.sum(y * w)
        return total


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sin": lambda xp, x: xp.sin(x),
    "tanh": lambda xp, x: xp.tanh(x / 2.0),
    "exp": lambda xp, x: xp.exp(xp.sin(x)),
    "sqrt": lambda xp, x: xp.sqrt(1.5 + xp.sin(x)),
    "log": lambda xp, x: xp.log(2.0 + xp.cos(x)),
    "square": lambda xp, x: xp.sin(x) ** 2,
    "cube": lambda xp, x: xp.cos(x) ** 3,
    "power": lambda xp, x: (2.0 + xp.sin(x)) ** 0.7,
    "negative": lambda xp, x: -x,
    "add": lambda xp, x, y: x + y,
    "subtract": lambda xp, x, y: x - 0.5 * y,
    "multiply": lambda xp, x, y: xp.sin(x) * y,
    "divide": lambda xp, x, y: x / (2.0 + xp.sin(y)),
    "pow": lambda xp, x, y: (2.0 + xp.sin(x)) ** xp.cos(y),
    "where": lambda xp, x, y, mask: xp.where(xp.asarray(mask), x, y),
    "matmul": lambda xp, x, y: xp.matmul(xp.sin(x), y),
    "einsum": lambda xp, x, y: xp.einsum("...i,...i->...", xp.sin(x), y),
    "outer": lambda xp, x, y: xp.outer(xp.sin(x), y),
    "sum": lambda xp, x, axis, keepdims: xp.sum(x, axis=axis, keepdims=keepdims),
    "mean": lambda xp, x, axis, keepdims: xp.mean(x, axis=axis, keepdims=keepdims),
    "prod": lambda xp, x, axis: xp.prod(xp.sin(x), axis=axis),
    "logsumexp": lambda xp, x, axis: xp.log(xp.sum(xp.exp(xp.sin(x)), axis=axis)),
    "cumsum": lambda xp, x, axis: xp.cumsum(x, axis=axis),
    "cumprod": lambda xp, x, axis: xp.cumprod(xp.cos(x), axis=axis),
    "reshape": lambda xp, x, shape: xp.reshape(x, shape),
    "transpose": lambda xp, x, axes: xp.transpose(x, axes),
    "broadcast": lambda xp, x, shape: xp.broadcast_to(x, shape),
    "flip": lambda xp, x, axis: xp.flip(x, axis=axis),
    "roll": lambda xp, x, shift, axis: xp.roll(x, shift, axis=axis),
    "repeat": lambda xp, x, count, axis: xp.repeat(x, count, axis=axis),
    "concatenate": lambda xp, x, y, axis: xp.concatenate([x, y], axis=axis),
    "stack": lambda xp, x, y, axis: xp.stack([x, y], axis=axis),
    "slice": lambda xp, x, index: x[index],
    "rows": lambda xp, x, rows: x[np.array(rows)],
    "columns": lambda xp, x, columns: x[..., np.array(columns)],
    "tril": lambda xp, x: xp.tril(x),
    "diagonal": lambda xp, x: xp.diagonal(x),
}  # fmt: skip

_UNARY = ("sin", "tanh", "exp", "sqrt", "log", "square", "cube", "power", "negative")
_BINARY = ("add", "subtract", "multiply", "divide", "pow")
_SIZES = st.integers(1, 3)
_LARGEST = 24


_KINDS = (
    *("unary", "unary", "unary", "binary", "binary", "binary", "sum", "mean", "reshape", "where", "stack"),
    *("prod", "logsumexp", "cumsum", "cumprod", "transpose", "broadcast", "flip", "roll", "repeat"),
    *("concatenate", "slice", "rows", "columns", "matmul", "matmul", "einsum", "outer", "tril", "diagonal"),
)


def _apply(draw: Any, kind: str, shapes: list[Shape]) -> Step | None:
    """Draw one instruction of a kind, or None where nothing there fits."""
    one = draw(st.integers(0, len(shapes) - 1))
    shape = shapes[one]
    n = len(shape)
    if kind == "unary":
        return _step(draw(st.sampled_from(_UNARY)), (one,), (), shapes)
    if kind in ("binary", "where"):
        fits = [j for j, other in enumerate(shapes) if _broadcast(shape, other) is not None]
        two = draw(st.sampled_from(fits))
        if kind == "binary":
            return _step(draw(st.sampled_from(_BINARY)), (one, two), (), shapes)
        both = _broadcast(shape, shapes[two])
        mask = np.random.default_rng(draw(st.integers(0, 99))).random(both) > 0.5
        return _step("where", (one, two), (mask,), shapes)
    if kind in ("matmul", "einsum", "outer", "concatenate", "stack"):
        return _joined(draw, kind, one, shapes)
    if kind == "broadcast":
        return _step(kind, (one,), ((draw(_SIZES), *shape),), shapes)
    if kind == "reshape":
        return _step(
            kind, (one,), (draw(st.sampled_from([(-1,), (1, *shape), (*shape, 1), tuple(reversed(shape))])),), shapes
        )
    if n == 0:
        return None
    axis = draw(st.integers(-n, n - 1))
    if kind in ("sum", "mean"):
        axes = draw(st.sampled_from([None, axis, tuple(range(n))[: max(1, n - 1)]]))
        return _step(kind, (one,), (axes, draw(st.booleans())), shapes)
    if kind in ("prod", "logsumexp", "cumsum", "cumprod", "flip"):
        return _step(kind, (one,), (axis,), shapes)
    if kind == "transpose":
        return _step(kind, (one,), (tuple(draw(st.permutations(range(n)))),), shapes)
    if kind in ("roll", "repeat"):
        return _step(kind, (one,), (draw(st.integers(1, 2)), axis), shapes)
    if kind == "slice":
        parts = [
            draw(st.sampled_from([slice(None), slice(None, None, -1), slice(0, 1), 0, -1, None])) for _ in range(n)
        ]
        return _step(kind, (one,), ((*parts, Ellipsis),), shapes)
    if kind in ("rows", "columns"):
        size = shape[0 if kind == "rows" else -1]
        return _step(kind, (one,), (draw(st.lists(st.integers(-size, size - 1), min_size=1, max_size=3)),), shapes)
    return _step(kind, (one,), (), shapes) if n == 2 else None


def _joined(draw: Any, kind: str, one: int, shapes: list[Shape]) -> Step | None:
    shape = shapes[one]
    fits = []
    for j, other in enumerate(shapes):
        constants: tuple[Any, ...] = ()
        if kind in ("concatenate", "stack"):
            if other != shape or (kind == "concatenate" and not shape):
                continue
            constants = (draw(st.integers(0, len(shape) - (kind == "concatenate"))),)
        elif kind == "outer" and not (len(shape) == len(other) == 1):
            continue
        step = _step(kind, (one, j), constants, shapes)
        if step is not None:
            fits.append(step)
    return draw(st.sampled_from(fits)) if fits else None


def _broadcast(a: Shape, b: Shape) -> Shape | None:
    try:
        both = np.broadcast_shapes(a, b)
    except ValueError:
        return None
    return both if prod(both) <= _LARGEST else None


def _step(name: str, operands: tuple[int, ...], constants: tuple[Any, ...], shapes: list[Shape]) -> Step | None:
    """Return an instruction if its operands fit, and its result is small."""
    try:
        shape = FUNCTIONS[name](np, *[np.zeros(shapes[i]) for i in operands], *constants).shape
    except ValueError:
        return None
    return Step(name, operands, constants, shape) if prod(shape) <= _LARGEST and len(shape) < 4 else None


@st.composite
def programs(draw: Any, longest: int = 12) -> Program:
    """Draw a program of up to three arguments, and half of `longest` to `longest` instructions."""
    inputs = tuple(draw(st.lists(st.lists(_SIZES, max_size=2).map(tuple), min_size=1, max_size=3)))
    shapes = list(inputs)
    steps: list[Step] = []
    for _ in range(draw(st.integers(longest // 2, longest))):
        step = _apply(draw, draw(st.sampled_from(_KINDS)), shapes)
        if step is None:
            step = _apply(draw, draw(st.sampled_from(("unary", "binary"))), shapes)
        if step is not None:
            steps.append(step)
            shapes.append(step.shape)
    last = range(max(len(inputs), len(shapes) - 4), len(shapes))
    outputs = tuple(last) or (0,)
    return Program(inputs, tuple(steps), outputs)


def complex_step(f: Callable[[Any], Any], xs: list[Any], directions: list[Any]) -> Any:
    """Return the derivative of `f`, real on real numbers, in a direction, exact to rounding."""
    h = 1e-40
    return np.imag(f([x + 1j * h * v for x, v in zip(xs, directions, strict=True)])) / h
