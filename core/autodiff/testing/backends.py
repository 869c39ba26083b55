"""`check_backend`: a backend does what its interface promises, and ops run on it."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from autodiff.errors import ArgumentTypeError, AutodiffError, BackendMismatchError, shown
from autodiff.registry import registry
from autodiff.standard import standard
from autodiff.testing.checks import check_op
from autodiff.testing.derived import one_of_each_kind
from autodiff.testing.drawing import check_seed
from autodiff.testing.dtypes import DTYPES, NO_SUCH_DTYPE, missing_dtype
from autodiff.testing.report import ConformanceError, Report
from autodiff.value import Value

__all__ = ["check_backend"]

Problems = Iterator[str]

_NUMBERS = np.array([[1.0, 2.0, 3.0], [-0.5, 0.25, 8.0]])


def check_backend(
    backend: str, *, ops: Iterable[Any] | None = None, seed: int = 0
) -> dict[str, dict[str, dict[str, int]]]:
    """Check a backend: its interface first, then ops on it.

    Everything that is wrong is told at once: methods that do not do what `Backend` says, arrays that are not
    recognised, dtypes of the wrong kind, 0-d results that are no arrays, Python numbers that make results wide,
    errors that are not those of autodiff, transfers that lose numbers or gradients; then the ops that fail.

    Parameters
    ----------
    backend : str
        The name of a registered backend.
    ops : iterable of ops or str, optional
        Which ops to run, each on one sample of each kind of numbers and range; by default all that are registered, none if it
        is empty.
    seed : int
        For all draws.

    Returns
    -------
    dict
        For each op what `check_op` returned.

    Raises
    ------
    ConformanceError
        Something is wrong with it; the message lists what.
    UnknownBackendError, BackendUnavailableError
        There is no backend of this name, or it cannot run here.

    Examples
    --------
    >>> from autodiff.testing import check_backend
    >>> check_backend("numpy", ops=["tanh"])["autodiff_ops.tanh"]["float32"]
    {'rev': 3, 'fwd': 3}
    """
    own: Any = registry.backend(backend)
    if ops is not None and not (
        isinstance(ops, list | tuple) and all(isinstance(o, str) or hasattr(o, "id") for o in ops)
    ):
        raise ArgumentTypeError(f"check_backend: ops is a list of ops or of their names; it was given {shown(ops)}")
    check_seed("check_backend", seed)
    chosen = list(registry.ops.values()) if ops is None else [registry.op(o) if isinstance(o, str) else o for o in ops]
    listed = "" if ops is None else f", ops={[op.id for op in chosen]}"
    line = f"from autodiff.testing import check_backend; check_backend({own.name!r}{listed}, seed={seed})"
    report = Report(f"the backend {own.name!r}", {"class": _place(type(own)), "seed": str(seed)}, line)
    # Without numbers all other checks would fail, and say nothing.
    checks = _CHECKS if {"float32", "float64"} & {*_floating(own)} else {"dtypes": _dtypes}
    problems = [f"{name}: {problem}" for name, check in checks.items() for problem in _problems(check, own)]
    if problems:
        report.fail(_listed(f"{len(problems)} things are not as its interface says", problems))
    verified: dict[str, dict[str, dict[str, int]]] = {}
    for op in chosen:
        try:
            verified[op.id] = check_op(op, one_of_each_kind(op), backend=own.name, seed=seed)
        except ConformanceError as exc:
            problems.append(str(exc).partition("\n")[0])
    if problems:
        report.fail(_listed(f"{len(problems)} of {len(chosen)} ops do not work on it", problems))
    return verified


def _place(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _listed(what: str, problems: list[str]) -> str:
    return "".join([what, *(f"\n  - {problem}" for problem in problems)])


def _problems(check: Callable[[Any], Problems], backend: Any) -> list[str]:
    """Run one check; an exception where there should be none is a problem, too."""
    found = []
    try:
        for problem in check(backend):
            found.append(problem)  # noqa: PERF402  # what was found before an exception counts
    except Exception as exc:
        found.append(f"raised {type(exc).__name__}: {exc}")
    return found


def _floating(backend: Any) -> list[str]:
    return [dtype for dtype in DTYPES if missing_dtype(backend, dtype) is None]


def _array(backend: Any, dtype: str | None = None) -> Any:
    return backend.asarray(_NUMBERS.astype(dtype or _floating(backend)[0]))


# ---- the checks ------------------------------------------------------------------------------------------------------


def _dtypes(backend: Any) -> Problems:
    if "float32" not in _floating(backend) and "float64" not in _floating(backend):
        yield f"it has neither float32 nor float64: {missing_dtype(backend, 'float64')}"
    for dtype in (*DTYPES, "int64", "bool"):
        try:
            array = backend.asarray(np.zeros(2, dtype))
        except NO_SUCH_DTYPE:  # which is no fault
            continue
        try:
            named = backend.dtype(dtype)
        except AutodiffError as exc:
            yield f"asarray makes {array.dtype}, and dtype({dtype!r}) raised {type(exc).__name__}: {exc}"
            continue
        kind = "bool" if dtype == "bool" else dtype.rstrip("0123456789")
        if backend.kind(array.dtype) != kind:
            yield f"kind() of {dtype} is {backend.kind(array.dtype)!r}; expected {kind!r}"
        if named != array.dtype:
            yield f"dtype({dtype!r}) is {named}, and asarray makes {array.dtype}"
        if backend.to_numpy(array).dtype != dtype:
            yield f"to_numpy() makes {backend.to_numpy(array).dtype} of {dtype}"
        narrow = backend.astype(backend.asarray(_NUMBERS.astype(np.float32)), named)
        if narrow.dtype != array.dtype:
            yield f"astype() to {dtype} makes {narrow.dtype}"


def _recognition(backend: Any) -> Problems:
    for what, array in {"an array": _array(backend), "a 0-d array": backend.asarray(np.asarray(1.0))}.items():
        owner = registry.backend_of(type(array))
        if not backend.recognises(type(array)):
            yield f"recognises() is False for {what}, {_place(type(array))}"
        elif owner is not backend:
            yield f"{_place(type(array))} belongs to the backend {owner.name if owner else None!r}, which was asked first"
    foreign = [object, list, float, str] + ([] if backend.name == "numpy" else [np.ndarray])
    for cls in foreign:
        if backend.recognises(cls):
            yield f"recognises() is True for {_place(cls)}, whose arrays it does not make"


def _conversion(backend: Any) -> Problems:
    for what, given, kind, shape in (
        ("a list of floats", [1.5, 2.5], "float", (2,)),
        ("a list of ints", [1, 2], "float", (2,)),
        ("an int", 3, "float", ()),
        ("a float", 3.0, "float", ()),
        ("nested lists", [[1.0], [2.0]], "float", (2, 1)),
        ("a list of bools", [True, False], "bool", (2,)),
        ("an array of ints", np.arange(3), "int", (3,)),
    ):
        array = backend.asarray(given)
        if backend.kind(array.dtype) != kind or tuple(array.shape) != shape:
            yield f"asarray() of {what} has dtype {array.dtype} and shape {tuple(array.shape)}; expected {kind} and {shape}"
        elif not np.array_equal(backend.to_numpy(array), np.asarray(given)):
            yield f"asarray() of {what}, {given}, is {backend.to_numpy(array)}"
    array = _array(backend)
    host = backend.to_numpy(array)
    if type(host) is not np.ndarray or not np.array_equal(host, _NUMBERS):
        yield f"to_numpy() is {host!r:.80}; expected the numbers {_NUMBERS.tolist()}"
    else:
        host[...] = 77.0
        if not np.array_equal(backend.to_numpy(array), _NUMBERS):
            yield "to_numpy() shares its memory with the array: a copy was expected"
    if backend.asarray(array).dtype != array.dtype:
        yield "asarray() of an array of its own changes the dtype"


def _creation(backend: Any) -> Problems:
    array = _array(backend)
    shape, dtype = tuple(array.shape), array.dtype
    for name, made, number in (
        ("ones(like)", backend.ones(array), 1.0),
        ("zeros(shape, dtype, type)", backend.zeros(shape, dtype, type(array)), 0.0),
    ):
        if (tuple(made.shape), made.dtype) != (shape, dtype) or not (backend.to_numpy(made) == number).all():
            yield f"{name} is {made.dtype} of shape {tuple(made.shape)}; expected {dtype} of shape {shape}, all {number}"
    for name, made in (("fresh", backend.fresh(array)), ("read_only", backend.read_only(array))):
        if not np.array_equal(backend.to_numpy(made), _NUMBERS):
            yield f"{name}(array) has other numbers than the array"
    if backend.fresh(array) is array:
        yield "fresh(array) is the array itself: somebody else holds it"
    if not backend.same_shape(array.shape, array.shape) or backend.same_shape(array.shape, (7,)):
        yield "same_shape() does not tell (2, 3) from (7,)"
    if backend.device(array) != backend.device(backend.to_device(array, backend.device(array))):
        yield "to_device(array, device(array)) is on another device"


def _zero_dimensional(backend: Any) -> Problems:
    array = _array(backend)
    total = backend.xp.sum(array)
    if not (backend.recognises(type(total)) or type(total) in backend.scalar_types):
        yield f"xp.sum is {_place(type(total))}, which is neither its array nor one of its scalar_types"
    v = Value(array, requires_grad=True)
    y = v.sum()
    y.backward()
    for what, found, shape in (("a sum", y.data, ()), ("a gradient", v.grad, (2, 3))):
        if (
            type(found) in backend.scalar_types
            or tuple(found.shape) != shape
            or registry.backend_of(type(found)) is not backend
        ):
            yield f"{what} is handed out as {_place(type(found))}; expected an array of shape {shape}"


def _weak_numbers(backend: Any) -> Problems:
    for dtype in _floating(backend):
        v = Value(_array(backend, dtype), requires_grad=True)
        for what, y in (("x * 2.0", v * 2.0), ("1 - x", 1 - v), ("x * 2", v * 2), ("x / 3", v / 3)):
            if y.dtype != v.dtype:
                yield f"{what} of {dtype} is {y.dtype}: Python's numbers take the dtype of what they meet"
        y = v * 2.0
        y.backward(backend.ones(y.data))
        if v.grad.dtype != v.dtype:
            yield f"the gradient of {dtype} is {v.grad.dtype}"


def _errors(backend: Any) -> Problems:
    array = _array(backend)
    cases: list[tuple[str, Callable[[], Any], type[Exception]]] = [
        ("asarray('text')", lambda: backend.asarray("text"), ArgumentTypeError),
        ("asarray(object())", lambda: backend.asarray(object()), ArgumentTypeError),
        ("asarray([[1.0], [1.0, 2.0]])", lambda: backend.asarray([[1.0], [1.0, 2.0]]), ArgumentTypeError),
        ("dtype('no_such_dtype')", lambda: backend.dtype("no_such_dtype"), ArgumentTypeError),
        ("to_device(x, 'no such device')", lambda: backend.to_device(array, "no such device"), ArgumentTypeError),
    ]
    if backend.name != "numpy":
        cases.append(("x + numpy_array", lambda: Value(array) + _NUMBERS, BackendMismatchError))
    for what, call, expected in cases:
        try:
            result = call()
        except expected:
            continue
        except Exception as exc:
            yield f"{what} raised {type(exc).__name__}: {exc}; expected {expected.__name__}"
        else:
            yield f"{what} is {result!r:.60}; expected {expected.__name__}"


def _transfer(backend: Any) -> Problems:
    v = Value(_array(backend), requires_grad=True)
    there = standard.to(v, device="numpy")
    back = standard.to(there * 2.0, device=backend.name)
    if type(there.data) is not np.ndarray or not np.array_equal(there.data, _NUMBERS):
        yield f"to('numpy') is {there.data!r:.80}; expected {_NUMBERS.tolist()}"
    if registry.backend_of(type(back.data)) is not backend:
        yield f"to({backend.name!r}) is {_place(type(back.data))}"
    (back * 3.0).sum().backward()
    if v.grad is None or not (backend.to_numpy(v.grad) == 6.0).all():
        yield f"the gradient through to('numpy') and back is {v.grad}; expected 6 everywhere"


def _debugging(backend: Any) -> Problems:
    array, same, other = _array(backend), _array(backend), backend.asarray(_NUMBERS + 1.0)
    if backend.fingerprint(array) != backend.fingerprint(same):
        yield "fingerprint() of equal arrays differs"
    if backend.fingerprint(array) == backend.fingerprint(other):
        yield "fingerprint() of different arrays is the same"
    if backend.has_nan(array) is not False or backend.has_nan(backend.asarray(_NUMBERS * np.nan)) is not True:
        yield "has_nan() does not tell NaN from numbers by True and False"
    if not isinstance(backend.format(array), str):
        yield f"format() is {type(backend.format(array)).__name__}; expected text"
    contextvars.copy_context().run(backend.silence)


_CHECKS: dict[str, Callable[[Any], Problems]] = {
    "dtypes": _dtypes,
    "recognition": _recognition,
    "conversion": _conversion,
    "creation": _creation,
    "0-d results": _zero_dimensional,
    "Python's numbers": _weak_numbers,
    "errors": _errors,
    "transfer": _transfer,
    "debugging": _debugging,
}
