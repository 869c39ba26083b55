"""`check_op`: an op does what it promises, on each of its samples."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

from autodiff.errors import ArgumentError, AutodiffError
from autodiff.registry import registry
from autodiff.samples import Sample
from autodiff.testing.case import Case
from autodiff.testing.op_checks import CHECKS, check_second_order
from autodiff.testing.report import ConformanceError, Report

__all__ = ["check_op"]


def check_op(
    op: Any, samples: Sequence[Sample] | None = None, *, backend: str = "numpy", seed: int = 0, order: int = 2
) -> None:
    """Check an op on samples: values, gradients of both orders, dtypes, layouts, and that it keeps its hands clean.

    `docs/conformance-kit.md` says what each check means.

    Parameters
    ----------
    op : op or str
        An op, its id, or its short name.
    samples : sequence of Sample, optional
        On what; by default the samples that the op declares.
    backend : str
        The backend to run on.
    seed : int
        For inputs, cotangents, and the generator of a random op.
    order : {1, 2}
        Whether to check second derivatives too.

    Raises
    ------
    ConformanceError
        A check failed, or the op has no samples. The message has a line of Python that repeats it.

    Examples
    --------
    >>> from autodiff.testing import check_op
    >>> check_op("tanh")
    """
    if order not in (1, 2):
        raise ArgumentError(f"check_op: order is 1 or 2; it was given {order!r}")
    if isinstance(op, str):
        op = registry.op(op)
    if not hasattr(op, "forget_kernels"):
        raise ArgumentError(f"check_op takes an op or the id of one; it was given {op!r:.80}")
    own: Any = registry.backend(backend)
    facts = {"op": f"{op.signature}, of the plugin {op.plugin!r}", "backend": own.name, "seed": str(seed)}
    found = f"from {op.module} import {op.name} as op"
    if op.id in registry.ops and registry.ops[op.id] is op:
        found = f"from autodiff import ops; op = ops[{op.id!r}]"
    options = f"backend={own.name!r}, seed={seed}, order={order}"
    whole = Report(repr(op.id), facts, f"{found}; from autodiff.testing import check_op; check_op(op, {options})")
    _check_pickling(op, whole)
    chosen = op.samples if samples is None else samples
    if not chosen:
        whole.fail("there are no samples: declare samples=[...] with the op, or pass them to check_op")
    for n, sample in enumerate(chosen):
        which = f"op.samples[{n}:{n + 1}]" if samples is None else f"[{_written(sample)}]"
        names = "" if samples is None else "from autodiff.extend import Array, Sample; "
        line = f"{found}; {names}from autodiff.testing import check_op; check_op(op, {which}, {options})"
        report = Report(repr(op.id), {"op": facts["op"], "sample": f"{n}: {_written(sample)}", **facts}, line)
        _check_sample(op, sample, own, seed, order, report)


def _written(sample: Sample) -> str:
    """Write a sample as Python."""
    return f"Sample({sample.inputs!r}, {dict(sample.attrs)!r})"


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


def _check_sample(op: Any, sample: Sample, backend: Any, seed: int, order: int, report: Report) -> None:
    try:
        case = Case(op, backend, sample, seed, order, report)
    except ConformanceError:
        raise
    except Exception as exc:
        report.raised("the op cannot be called on the sample", exc)
    for check in CHECKS:
        if check is check_second_order and order < 2:
            continue
        report.facts["check"] = check.__name__
        try:
            check(case)
        except ConformanceError:
            raise
        except Exception as exc:
            report.raised("an exception where there should be none", exc)
