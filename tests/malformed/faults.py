"""Classes of faults: what can be wrong with a call. Each takes a right call and returns a wrong one.

`FAULTS` has a function for each class: ``fault(call, choose)``, where ``choose(options)`` draws one of a sequence.
"""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import array_api_strict
import numpy as np
from strict_backend import StrictBackend, strict_array

from autodiff import Value

__all__ = ["FAULTS", "Call"]

Choose = Callable[[Sequence[Any]], Any]


@dataclass
class Call:
    """A function, and what it is called with."""

    function: Callable[..., Any]
    args: list[Any]
    kwargs: dict[str, Any]

    def __call__(self) -> Any:
        return self.function(*self.args, **self.kwargs)


class Opaque:
    """Something that no library knows."""


class Refusing:
    """Says that it is an array, and raises when it is asked for it."""

    shape, dtype, ndim, size = (2,), np.dtype(float), 1, 2

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("this array does not want to be read")


class Pretending:
    """Has attributes of an array and is none."""

    shape, dtype, ndim, size, requires_grad = (2, 3), "float64", 2, 6, True


class Sub(np.ndarray):
    """A subclass of NumPy's array."""


def _matrix() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy advises against them, for good reasons
        return np.matrix([[1.0, 2.0]])


def _itself() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def _deep(depth: int, kind: type = list) -> Any:
    nested: Any = 1.0
    for _ in range(depth):
        nested = kind([nested])
    return nested


#: Made anew for every call: some are used up, or could be written into.
TYPES: Sequence[Callable[[], Any]] = (
    lambda: None,
    lambda: "text",
    lambda: "",
    lambda: b"bytes",
    Opaque,
    lambda: {"a": 1.0},
    lambda: {1.0, 2.0},
    lambda: Opaque,
    lambda: len,
    lambda: (x for x in (1.0, 2.0)),
    lambda: iter([1.0]),
    lambda: range(3),
    lambda: slice(0, 2),
    lambda: Ellipsis,
    lambda: NotImplemented,
    lambda: decimal.Decimal("1.5"),
    lambda: fractions.Fraction(1, 3),
    lambda: dt.date(2026, 1, 1),
    lambda: True,
    lambda: 1,
    lambda: 2.5,
    lambda: 1 + 2j,
    lambda: float("nan"),
    lambda: np,
)
SHAPES: Sequence[Callable[[], Any]] = (
    lambda: np.ones(()),
    lambda: np.ones((7,)),
    lambda: np.ones((2, 3, 4, 5)),
    lambda: np.ones((0,)),
    lambda: np.ones((3, 0, 2)),
    lambda: np.ones((1, 1, 1, 1, 1, 1)),
    lambda: Value(np.ones((11, 13))),
    lambda: Value(np.ones(())),
    lambda: Value(np.ones((0, 5))),
    lambda: [[1.0, 2.0], [3.0]],
    lambda: (),
    list,
    lambda: (2, 3),
    lambda: (-1, -1),
)
AXES: Sequence[Callable[[], Any]] = (
    lambda: 99,
    lambda: -99,
    lambda: (0, 0),
    lambda: (0, -1),
    lambda: (0, 99),
    lambda: 0.5,
    lambda: "0",
    lambda: (),
    lambda: [0],
    lambda: True,
    lambda: np.int64(1),
    lambda: np.array([0, 1]),
    lambda: (None,),
    lambda: ("a", "b"),
    lambda: 2**70,
    lambda: Value(1),
    lambda: Value(np.array(0)),
)
DTYPES: Sequence[Callable[[], Any]] = (
    lambda: np.array([1, 2, 3]),
    lambda: np.array([True, False]),
    lambda: np.array(["a", "b"]),
    lambda: np.array([b"a"]),
    lambda: np.array([None, 1.0], dtype=object),
    lambda: np.array(["2026-01-01"], dtype="datetime64[D]"),
    lambda: np.array([3], dtype="timedelta64[s]"),
    lambda: np.zeros(2, dtype=[("x", float), ("y", int)]),
    lambda: np.ones(3, np.float16),
    lambda: np.ones(3, np.longdouble),
    lambda: np.ones(3, np.complex64),
    lambda: np.ones(3, ">f8"),
    lambda: np.array([200, 255], np.uint8),
    lambda: Value(np.ones(3, np.complex128)),
    lambda: Value(np.array([1, 2, 3])),
    lambda: Value(np.array([True, False, True])),
    lambda: "float99",
    lambda: "object",
    lambda: np.dtype("U3"),
    lambda: np.float32,
    lambda: np.str_("word"),
)
SIZES: Sequence[Callable[[], Any]] = (
    lambda: -1,
    lambda: 0,
    lambda: -7,
    lambda: 2**62,
    lambda: -(2**63),
    lambda: 2**200,
    lambda: (2**62,),
    lambda: (-3, 2),
    lambda: (0,),
    lambda: float("inf"),
    lambda: -float("inf"),
    lambda: 1e400,
    lambda: np.int8(-1),
    lambda: np.zeros((0, 0)),
    lambda: Value(np.zeros((0,))),
)
NESTING: Sequence[Callable[[], Any]] = (
    lambda: [Value(1.0), Value(2.0)],
    lambda: (Value([1.0]), Value([2.0, 3.0])),
    lambda: [[Value(1.0)], 2.0],
    lambda: {"a": Value(1.0)},
    lambda: [None, 1.0],
    lambda: [[[]]],
    lambda: _deep(70),
    lambda: _deep(5000),
    lambda: _deep(5000, tuple),
    _itself,
    lambda: [np.ones(2), np.ones(3)],
    lambda: (1, (2, (3, 4))),
    lambda: ((0, 1), (1, 0)),
    lambda: [[1, 2], [3, 4]],
    lambda: [["a"]],
    lambda: Value(Value(2.0)),
    lambda: np.array([Value(1, requires_grad=False)], dtype=object),
)
FOREIGN: Sequence[Callable[[], Any]] = (
    Refusing,
    Pretending,
    _matrix,
    lambda: np.ma.masked_array([1.0, 2.0], [True, False]),
    lambda: np.ones((2, 3)).view(Sub),
    lambda: np.rec.array([(1.0, 2)], dtype=[("a", float), ("b", int)]),
    lambda: memoryview(b"abc"),
    lambda: bytearray(b"abc"),
    lambda: array_api_strict.ones((2, 3)),
    lambda: array_api_strict.asarray(1.0),
    lambda: np.nditer(np.ones(2)),
)
BACKENDS: Sequence[Callable[[], Any]] = (
    lambda: Value(strict_array(np.ones((2, 3)))),
    lambda: Value(strict_array(2.0)),
    lambda: Value([1.0, 2.0], backend="strict", requires_grad=False),
    lambda: "cupy",
    lambda: "nowhere",
    lambda: "strict",
    lambda: "numpy:3",
    lambda: "cupy:0",
    lambda: ":",
    lambda: 3,
    StrictBackend,
)


def _replaced(
    call: Call, choose: Choose, values: Sequence[Callable[[], Any]], where: Callable[[Any, str], bool]
) -> Call:
    """Put one of `values` into the place of an argument, one that `where` likes if there is any."""
    places: list[Any] = [*range(len(call.args)), *call.kwargs]
    liked = [p for p in places if where(call.args[p] if isinstance(p, int) else call.kwargs[p], str(p))]
    if not places:
        return Call(call.function, [choose(values)()], {})
    place = choose(liked or places)
    args, kwargs = list(call.args), dict(call.kwargs)
    target: Any = args if isinstance(place, int) else kwargs
    old = target[place]
    inside = isinstance(old, list | tuple) and old and choose((False, False, True))
    if inside:
        n = choose(range(len(old)))
        target[place] = type(old)([*old[:n], choose(values)(), *old[n + 1 :]]) if type(old) in (list, tuple) else old
    else:
        target[place] = choose(values)()
    return Call(call.function, args, kwargs)


def _anywhere(value: Any, name: str) -> bool:
    return True


def _is_array(value: Any, name: str) -> bool:
    return hasattr(value, "dtype") or isinstance(value, list | float)


def _is_option(value: Any, name: str) -> bool:
    return not _is_array(value, name)


def _is_place(value: Any, name: str) -> bool:
    return "backend" in name or "device" in name or _is_array(value, name)


def _keyword(call: Call, choose: Choose) -> Call:
    name = choose(("axiss", "out", "self", "where", "requires_grad", "x", "op", "backend", "foo", "args", "dtype", "y"))
    return Call(call.function, call.args, {**call.kwargs, name: choose((None, 1, "text", True))})


def _missing(call: Call, choose: Choose) -> Call:
    ways = ["more", *(["positional"] if call.args else []), *(["keyword"] if call.kwargs else [])]
    match choose(ways):
        case "positional":
            n = choose(range(len(call.args)))
            return Call(call.function, [*call.args[:n], *call.args[n + 1 :]], call.kwargs)
        case "keyword":
            gone = choose(list(call.kwargs))
            return Call(call.function, call.args, {k: v for k, v in call.kwargs.items() if k != gone})
    return Call(call.function, [*call.args, *choose(([1.0], [None, None], [1, 2, 3, 4, 5, 6, 7]))], call.kwargs)


def _of(values: Sequence[Callable[[], Any]], where: Callable[[Any, str], bool]) -> Callable[[Call, Choose], Call]:
    return lambda call, choose: _replaced(call, choose, values, where)


FAULTS: dict[str, Callable[[Call, Choose], Call]] = {
    "types": _of(TYPES, _anywhere),
    "shapes": _of(SHAPES, _is_array),
    "axes": _of(AXES, _is_option),
    "dtypes": _of(DTYPES, _anywhere),
    "sizes": _of(SIZES, _is_option),
    "nesting": _of(NESTING, _anywhere),
    "foreign arrays": _of(FOREIGN, _is_array),
    "wrong backends": _of(BACKENDS, _is_place),
    "wrong keyword": _keyword,
    "missing argument": _missing,
}
