"""`check_op`: an op does what it promises, on each of its samples, in each dtype."""

from __future__ import annotations

import doctest
import io
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from autodiff.errors import ArgumentError, ArgumentTypeError, AutodiffError, shown
from autodiff.registry import registry
from autodiff.samples import Sample
from autodiff.testing.derived import samples_of
from autodiff.testing.drawing import check_seed
from autodiff.testing.dtypes import DTYPES
from autodiff.testing.report import Report
from autodiff.testing.units import MODES, declaration_report, run, units_of

__all__ = ["Test", "check_op", "op_tests"]


def check_op(
    op: Any,
    samples: Sequence[Sample] | None = None,
    *,
    backend: str = "numpy",
    dtypes: Sequence[str] | None = None,
    seed: int = 0,
    order: int | None = None,
) -> dict[str, dict[str, int]]:
    """Check an op on samples: values, derivatives of every order, dtypes, layouts, and that it keeps its hands clean.

    `docs/conformance-kit.md` says what each check means.

    Parameters
    ----------
    op : op or str
        An op, its id, or its short name.
    samples : sequence of Sample, optional
        On what; by default `samples_of` the op.
    backend : str
        The backend to run on.
    dtypes : sequence of str, optional
        In which dtypes, of ``"float16"``, ``"float32"``, ``"float64"``, ``"complex64"`` and ``"complex128"``; by
        default in all that the samples can be drawn in and the backend has.
    seed : int
        For inputs, cotangents, and the generator of a random op.
    order : {1, 2, 3}, optional
        Up to which derivative; by default the third for elementwise ops, the second for others.

    Returns
    -------
    dict
        What was verified: for each dtype up to which derivative in which mode, ``{"float64": {"rev": 3, "fwd": 3}}``;
        0 says that values were.

    Raises
    ------
    ConformanceError
        A check failed, or the op has no samples. The message has a line of Python that repeats it, and for a plugin
        that is installed a command.

    Examples
    --------
    >>> from autodiff.testing import check_op
    >>> check_op("tanh")["float32"]
    {'rev': 3, 'fwd': 3}
    """
    if order is not None and (type(order) is not int or order not in (1, 2, 3)):
        raise ArgumentError(f"check_op: order is 1, 2 or 3; it was given {shown(order)}")
    if dtypes is not None and not isinstance(dtypes, list | tuple):
        raise ArgumentTypeError(f"check_op: dtypes is a list of names of dtypes; it was given {shown(dtypes)}")
    for dtype in dtypes or ():
        if type(dtype) is not str or dtype not in (*DTYPES, "int64", "bool"):
            raise ArgumentError(f"check_op: dtypes are of {', '.join(DTYPES)}; it was given {shown(dtype)}")
    if samples is not None and not (isinstance(samples, list | tuple) and all(type(s) is Sample for s in samples)):
        raise ArgumentTypeError(f"check_op: samples is a list of Sample; it was given {shown(samples)}")
    check_seed("check_op", seed)
    if isinstance(op, str):
        op = registry.op(op)
    if not hasattr(op, "forget_kernels"):
        raise ArgumentError(f"check_op takes an op or the id of one; it was given {shown(op, 80)}")
    own: Any = registry.backend(backend)
    _check_declaration(op, declaration_report(op, own, seed), op.samples if samples is None else samples)
    chosen = samples_of(op) if samples is None else list(samples)
    written = "" if samples is None else ", ".join(f"Sample({s.inputs!r}, {dict(s.attrs)!r})" for s in chosen)
    verified: dict[str, dict[str, int]] = {}
    for unit in units_of(op, chosen, own, dtypes, order):
        reached = run(unit, seed, written)
        if unit.declared is None:
            before = verified.get(unit.dtype, dict.fromkeys(MODES, 0))
            verified[unit.dtype] = {mode: max(before[mode], reached[mode]) for mode in MODES}
    return verified


class Test(NamedTuple):
    """One test of an op, for a test runner: its name, what to call, and why it is expected to fail if it is.

    `run` raises `ConformanceError`; for what is declared to be unsupported it does so when that works.
    """

    name: str
    run: Callable[[], Any]
    reason: str | None = None


def op_tests(op: Any, *, backend: str = "numpy", dtypes: Sequence[str] | None = None, seed: int = 0) -> Iterator[Test]:
    """Return what `check_op` does as tests: one for the declaration, one for each dtype and sample.

    The pytest plugin makes its tests of these; parameters are those of `check_op`.

    Examples
    --------
    >>> from autodiff import ops
    >>> from autodiff.testing import op_tests
    >>> first, second, *_ = op_tests(ops.tanh)
    >>> first.name, second.name
    ('autodiff_ops.tanh[declaration]', 'autodiff_ops.tanh[numpy-float64-0:scalar]')
    >>> second.run()
    {'rev': 3, 'fwd': 3}
    """
    own: Any = registry.backend(backend)
    if not hasattr(op, "forget_kernels"):
        raise ArgumentTypeError(f"op_tests takes an op; it was given {shown(op)}")
    check_seed("op_tests", seed)
    yield Test(f"{op.id}[declaration]", partial(_check_declaration, op, declaration_report(op, own, seed), op.samples))
    for unit in units_of(op, samples_of(op), own, dtypes):
        yield Test(unit.name, partial(run, unit, seed), unit.declared.reason if unit.declared else None)


def _check_declaration(op: Any, report: Report, samples: Sequence[Sample]) -> None:
    """Check what belongs to the op and no sample: it has samples, pickles to itself, and its example runs."""
    report.facts["check"] = "check_declaration"
    if not samples:
        report.fail("there are no samples: declare samples=[...] with the op, or pass them to check_op")
    _check_pickling(op, report)
    _check_example(op, report)


def _check_pickling(op: Any, report: Report) -> None:
    # An op pickles as its id, which means something once it is registered.
    if op.id not in registry.ops:
        return
    try:
        again = pickle.loads(pickle.dumps(op))
    except (AutodiffError, pickle.PicklingError, AttributeError, TypeError) as exc:
        report.raised("the op cannot be pickled", exc)
    if again is not op:
        report.fail("the op does not pickle to itself: another one is registered under its id", actual=again)


def _check_example(op: Any, report: Report) -> None:
    """Run the examples of the docstring, in the namespace of its module, where the op is."""
    if ">>>" not in (op.__doc__ or ""):
        return
    namespace = {**vars(sys.modules.get(op.module, sys)), op.name: op, "__name__": "example"}
    test = doctest.DocTestParser().get_doctest(op.__doc__, namespace, op.id, None, None)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
    told = io.StringIO()
    # In its own example ``autodiff.ops.tanh`` is this op, whatever other plugins that are installed call theirs.
    shared = registry.names.get(op.name, [])
    if op in shared:
        registry.names[op.name] = [op]
    try:
        doctest.DocTestRunner(optionflags=options).run(test, out=told.write)
    finally:
        if op in shared:
            registry.names[op.name] = shared
    if told.getvalue():
        lines = [line.strip() for line in told.getvalue().splitlines() if line.strip("* ")]
        report.fail("an example of its docstring shows something else", example="; ".join(lines[1:]))
