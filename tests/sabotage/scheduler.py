"""The engine: every function of the modules that make and run a backward or forward pass, and what has to catch a fault.

A fault is tried on `check_op` of a few ops first, then on those of the tests of `tests/core` and `tests/behaviours`
that call the function, quick ones first. Survivors are compared on random programs.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _pytest.runner import runtestprotocol

import autodiff
from autodiff import Value, ops
from sabotage.checks import SURVIVED, check_ops, differing, told_of
from sabotage.equivalence import INPUTS
from sabotage.mutations import faults, reached
from sabotage.rules import Mutant, keyed, unique
from sabotage.sources import source_of

__all__ = [
    "MODULES",
    "SPREAD",
    "check_scheduler",
    "compare_programs",
    "programs",
    "scheduler_mutants",
    "within_pytest",
]

ROOT = Path(__file__).parents[2]
MODULES = (
    *("backward", "forward", "projection", "leaves", "broadcasting", "rule", "seeds", "graph", "inspection"),
    *("inputs", "transforms"),
)
TESTS = ("tests/core", "tests/behaviours")

#: One op of each kind: a product, broadcasting, complex, a reduction, a matrix product, several outputs, a joint rule,
#: integers among the inputs, linear ops, residuals, an op with forward rules of its own.
SPREAD = [
    f"autodiff_ops.{name}"
    for name in (
        "multiply",
        "add",
        "abs",
        "sum",
        "matmul",
        "where",
        "concat",
        "getitem",
        "astype",
        "max",
        "split",
        "sign",
    )
]

#: So many of the quickest tests come first, since they catch most.
_FIRST = 60
#: Tests of an engine whose gradients are right take no longer than this, those of another no longer than that.
_QUICK, _SLOWEST = 0.1, 3.0
_PASSES: list[dict[str, Any]] = [{"dtypes": ("float64", "complex128"), "order": 1}]


def scheduler_mutants() -> list[Mutant]:
    """Return every mutant of the engine."""
    mutants = []
    for module in MODULES:
        path = sys.modules[f"autodiff.{module}"].__file__ or ""
        source = source_of(path)
        for key, node in source.functions.items():
            name = f"autodiff.{module}.{key[0]}"

            def planter(fault: Any, source: Any = source, key: Any = key) -> Callable[[], int]:
                return lambda: source.plant(key, fault)

            found = keyed(
                f"{name} {key[1:]}" if key[0] == "<lambda>" else name, node, faults(node, rule=_is_rule(node))
            )
            mutants += [
                Mutant(
                    name,
                    f.kind,
                    f"{module}.py:{f.line}",
                    f.before,
                    f.after,
                    list(SPREAD),
                    planter(f),
                    own,
                    [(path, *key[:2])],
                )
                for f, own in found
            ]
    return unique(mutants)


def _is_rule(node: Any) -> bool:
    return any(p.arg in ("g", "ts", "q") for p in node.args.args)


# ---- tests, in this process -----------------------------------------------------------------------------------------

_items: list[tuple[Any, float, set[Any]]] = []


class _Collected:
    """Stops pytest after the collection, and gives the loop to somebody else."""

    def __init__(self, loop: Callable[[list[Any]], None]) -> None:
        self.loop = loop

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        self.loop(list(session.items))
        return True


def within_pytest(loop: Callable[[], Any]) -> Any:
    """Call `loop` inside a session of pytest that has collected and timed the tests."""
    results: list[Any] = []

    def run(items: list[Any]) -> None:
        _measure(items)
        results.append(loop())

    paths = [str(ROOT / t) for t in TESTS]
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--no-header", "-s", f"--rootdir={ROOT}"]
    code = pytest.main([*options, *paths], plugins=[_Collected(run)])
    if not results:
        raise RuntimeError(f"pytest ended with {code} before it ran a test")
    return results[0]


def _measure(items: list[Any]) -> None:
    """Run every test once, and note how long it takes and which functions of the engine it calls."""
    wanted = {sys.modules[f"autodiff.{m}"].__file__ for m in MODULES}
    called: set[Any] = set()

    def note(frame: Any, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename in wanted:
            called.add((code.co_filename, code.co_name, code.co_firstlineno))

    for item in items:
        called.clear()
        began = time.monotonic()
        threading.setprofile(note)
        sys.setprofile(note)
        try:
            failed = _fails(item)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]  # None is documented
        if not failed:  # one that looks at the profiler or at time may not like to be watched
            _items.append((item, time.monotonic() - began, set(called)))


def _fails(item: Any) -> str:
    for report in runtestprotocol(item, log=False, nextitem=None):
        if report.failed:
            return f"{report.nodeid}: {str(report.longrepr).splitlines()[-1:]}"
    return ""


def check_scheduler(mutant: Mutant, expected: dict[int, Any]) -> tuple[str, str]:
    """Plant the fault, check a few ops, then run the tests that call the function.

    Random programs tell whether gradients differ from those `expected`: if not, slow tests are left out.
    """
    if not mutant.plant():
        return "unplanted", "no function was changed"
    outcome = check_ops(mutant.ops, _PASSES)
    if outcome != SURVIVED:
        return outcome
    (where,) = mutant.items
    tests = sorted((entry for entry in _items if where in entry[2]), key=lambda entry: entry[1])
    if told := _first_failure(tests[:_FIRST]):
        return "caught", told
    compared = compare_programs(expected)
    most = _QUICK if compared[0] == "equivalent" and reached() else _SLOWEST
    if told := _first_failure([entry for entry in tests[_FIRST:] if entry[1] < most]):
        return "caught", told
    return told_of(compared)


def _first_failure(tests: list[tuple[Any, float, set[Any]]]) -> str:
    with contextlib.redirect_stdout(None):
        return next((told[:200] for item, *_ in tests if (told := _fails(item))), "")


# ---- survivors ------------------------------------------------------------------------------------------------------


def programs() -> dict[int, Any]:
    """Return the gradients of `INPUTS` random programs, as they are without a fault."""
    return {n: _outcome(n) for n in range(INPUTS)}


def compare_programs(expected: dict[int, Any]) -> tuple[str, str]:
    """Compare the gradients, now that the fault is planted, with those before, bit by bit."""
    for n, parts in expected.items():
        if differing(parts, _outcome(n)):
            return "survived", f"gradients differ in random program {n}"
    return "equivalent", f"bitwise equal in {len(expected)} random programs"


_UNARY = ("tanh", "exp", "sin", "abs", "negative", "square", "sum", "max", "sign", "real", "conj", "ravel", "floor")
_BINARY = ("add", "multiply", "subtract", "maximum", "where", "divide")


def _outcome(number: int) -> list[Any]:
    """Return types and numbers; an exception ends the list."""
    try:
        found = _run(np.random.default_rng(number))
    except Exception as exc:
        found = [type(exc).__name__]
    parts: list[Any] = []
    for part in found:
        raw = part.data if type(part) is Value else part
        parts += [type(part).__name__, np.array(raw) if hasattr(raw, "dtype") else repr(raw)]
    return parts


def _inputs(rng: Any) -> list[Any]:
    shapes = [(), (3,), (2, 3), (1, 3), (2, 1), (0, 3)]
    dtypes = [np.float64, np.float64, np.float32, np.float16, np.complex128]
    found = []
    for _ in range(int(rng.integers(1, 4))):
        x = rng.standard_normal(shapes[rng.integers(len(shapes))])
        dtype = dtypes[rng.integers(len(dtypes))]
        found.append(np.asarray(x + 1j * rng.standard_normal(x.shape) if dtype is np.complex128 else x).astype(dtype))
    return found


def _program(rng: Any, values: list[Any]) -> Any:
    """Return a real number computed from `values` by random ops, each result open to be used again."""
    pool = list(values)
    for _ in range(int(rng.integers(1, 8))):
        a, b = (pool[rng.integers(len(pool))] for _ in range(2))
        which = rng.integers(8)
        with contextlib.suppress(autodiff.AutodiffError):
            if which < 3:
                pool.append(getattr(ops, _UNARY[rng.integers(len(_UNARY))])(a))
            elif which < 6:
                name = _BINARY[rng.integers(len(_BINARY))]
                pool.append(ops.where(ops.real(a) > 0, a, b) if name == "where" else getattr(ops, name)(a, b))
            elif which == 6 and a.ndim:
                pool += ops.split(a, sections=a.shape[-1], axis=-1)
            else:
                pool.append(ops.stack(a, a * 2.0) if rng.random() < 0.5 else ops.matmul(a, ops.matrix_transpose(a)))
    total: Any = 0.0
    for y in pool[len(values) :] or pool:
        total = total + ops.real(y).astype("float64").sum() * float(rng.integers(1, 4))
    return total


def _run(rng: Any) -> list[Any]:
    xs, seed, way = _inputs(rng), int(rng.integers(1 << 30)), int(rng.integers(8))

    def f(*args: Any) -> Any:
        return _program(np.random.default_rng(seed), list(args))

    everything = tuple(range(len(xs)))
    tangents = [np.asarray(rng.standard_normal(x.shape)).astype(x.dtype) for x in xs]
    if way < 3:
        values = [Value(x, requires_grad=bool(rng.random() < 0.9)) for x in xs]
        y = f(*values)
        kept = [values[0] * 2.0]
        y = y + ops.real(kept[0]).astype("float64").sum()
        if way == 1:
            kept[0].retain_grad()
            values[0].register_hook(lambda g: g * 2)
        some = [v for v in values if v.requires_grad][:1] if way == 2 else None
        y.backward(retain_graph=True, inputs=some)
        y.backward(create_graph=way == 2)
        found = [v.grad for v in (*values, *kept)]
        if way == 2:
            again = sum(ops.real(g).astype("float64").sum() for g in found if type(g) is Value and g.requires_grad)
            if type(again) is Value:
                again.backward()
            found += [v.grad for v in values]
        return found
    if way == 3:
        return list(autodiff.grad(f, everything)(*xs))
    if way == 4:
        return list(autodiff.jvp(f, xs, tangents))
    if way == 5:
        y, pull = autodiff.vjp(f, *xs)
        return [y, *pull(np.asarray(1.5)), *pull(np.asarray(-0.5))]
    if way == 6:
        y, push = autodiff.linearize(f, *xs)
        return [y, push(*tangents)]
    return list(autodiff.jvp(autodiff.grad(f, everything), xs, tangents)[1])
