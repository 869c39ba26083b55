"""`Unit`: what one test of the kit is, one op on one backend in one dtype on one sample; which there are, and how to run one.

What is declared `Unsupported` is a unit of its own, over all samples: it has to fail.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from autodiff.plugins import records
from autodiff.registry import registry
from autodiff.samples import Sample, Unsupported
from autodiff.testing.case import Case
from autodiff.testing.derived import named
from autodiff.testing.dtypes import DTYPES, dtypes_of, missing_dtype
from autodiff.testing.op_checks import CHECKS, Check
from autodiff.testing.report import ConformanceError, Report

__all__ = ["MODES", "Unit", "declaration_report", "run", "units_of"]

MODES = ("rev", "fwd")
#: How often a sample that lies at a kink is drawn again.
_DRAWS = 5


class Unit(NamedTuple):
    """One test.

    Attributes
    ----------
    op, backend, dtype
        Of what, where, in which dtype.
    samples : tuple of (int, Sample)
        On what, each with its number; one, unless something is `declared`.
    orders : mapping of str to int
        Up to which derivative in which mode.
    declared : Unsupported or None
        What is expected to fail.
    """

    op: Any
    backend: Any
    dtype: str
    samples: tuple[tuple[int, Sample], ...]
    orders: Mapping[str, int]
    declared: Unsupported | None = None

    @property
    def name(self) -> str:
        """What tells the test from others: ``my_plugin.cube[numpy-float32-0:2x3]``."""
        if self.declared is None:
            ((number, sample),) = self.samples
            what = f"{number}:{named(sample)}"
        else:
            what = "unsupported" + "".join(
                f"-{part}"
                for part in (self.declared.mode, self.declared.order and f"order{self.declared.order}")
                if part
            )
        return f"{self.op.id}[{self.backend.name}-{self.dtype}-{what}]"

    @property
    def checks(self) -> list[Check]:
        """The checks that it runs."""
        declared = self.declared
        if declared is None:
            return [check for check in CHECKS if self._can_run(check)]
        modes = MODES if declared.mode is None else (declared.mode,)
        limited = bool(declared.order or declared.mode)
        return [
            check
            for check in CHECKS
            if (not limited or (check.mode in modes and check.order >= declared.order)) and self._can_run(check)
        ]

    def _can_run(self, check: Check) -> bool:
        reached = check.mode is None or check.order <= self.orders[check.mode]
        return reached and (check.against is None or self.orders[check.against] >= 1)


def _default_order(op: Any) -> int:
    """Return up to which derivative an op is checked: the third if it is elementwise, else the second."""
    return 3 if op.kind == "elementwise" else 2


def units_of(
    op: Any, samples: Iterable[Sample], backend: Any, dtypes: Sequence[str] | None = None, order: int | None = None
) -> Iterator[Unit]:
    """Return the tests of an op on a backend: in each dtype that samples can be drawn in and the backend has."""
    highest = _default_order(op) if order is None else order
    declared: list[Unsupported] = [u for u in (*op.unsupported, *backend.unsupported) if _concerns(u, op, backend)]
    numbered = list(enumerate(samples))
    found = dict.fromkeys(dtype for _, sample in numbered for dtype in dtypes_of(sample))
    for dtype in found:
        if dtype in DTYPES and (missing_dtype(backend, dtype) or (dtypes is not None and dtype not in dtypes)):
            continue
        fitting = tuple((n, sample) for n, sample in numbered if dtype in dtypes_of(sample))
        here = [u for u in declared if u.dtype in (None, dtype)]
        orders = dict.fromkeys(MODES, highest)
        whole = next((u for u in here if not u.order and u.mode is None), None)
        if whole is not None:
            yield Unit(op, backend, dtype, fitting, orders, whole)
            continue
        limits = {
            mode: min([highest, *(max(u.order, 1) - 1 for u in here if u.mode in (None, mode))]) for mode in MODES
        }
        if limits["rev"] < 2 and not _pushes(op):
            limits["fwd"] = 0  # it would be derived from the rule in a recorded pass
        for pair in fitting:
            yield Unit(op, backend, dtype, (pair,), limits)
        for u in here:
            if u.order <= highest:
                yield Unit(op, backend, dtype, fitting, orders, u)


def _concerns(declared: Unsupported, op: Any, backend: Any) -> bool:
    return declared.op in (None, op.id) and declared.backend in (None, backend.name)


def _pushes(op: Any) -> bool:
    """Tell whether the op has a forward rule of its own."""
    return bool(op.jvps or op.joint_jvp) or op.kind in ("linear", "composite") or op.multiplies


def run(unit: Unit, seed: int, explicit: str = "") -> dict[str, int]:
    """Run one test; return up to which derivative it verified each mode.

    `explicit` are the samples as Python, if they are not those of the op. A test of what is declared to be
    unsupported verifies nothing.

    Raises
    ------
    ConformanceError
        A check failed, or nothing did that is declared to be unsupported.
    """
    if unit.declared is None:
        ((number, sample),) = unit.samples
        differentiable = _run_sample(unit, number, sample, seed, explicit)
        return {mode: unit.orders[mode] if differentiable else 0 for mode in MODES}
    for number, sample in unit.samples:
        try:
            _run_sample(unit, number, sample, seed, explicit)
        except ConformanceError:
            return dict.fromkeys(MODES, 0)
    told = f"it is declared to be unsupported, and works: take {unit.declared!r} away"
    return _report(unit, "all", seed, explicit).fail(told)


def _run_sample(unit: Unit, number: int, sample: Sample, seed: int, explicit: str) -> bool:
    """Run the checks on a sample, drawn again if it lies at a kink; tell whether it has derivatives."""
    for draw in range(_DRAWS):
        report = _report(unit, f"{number}: {_written(sample)}", seed, explicit, number)
        if draw:
            report.facts["draw"] = f"number {draw + 1}: those before lay at a kink"
        try:
            return _run_checks(unit, sample, seed + draw * 1_000_003, report)
        except ConformanceError as exc:
            if not exc.at_kink or draw == _DRAWS - 1:
                raise
    raise AssertionError("unreachable")  # pragma: no cover


def _run_checks(unit: Unit, sample: Sample, seed: int, report: Report) -> bool:
    try:
        case = Case(unit.op, unit.backend, sample, seed, report, unit.dtype)
    except Exception as exc:
        report.raised("the op cannot be called on the sample", exc)
    for check in unit.checks:
        report.facts["check"] = check.run.__name__
        try:
            check.run(case)
        except ConformanceError:
            raise
        except Exception as exc:
            report.raised("an exception where there should be none", exc)
    return bool(case.differentiable)


# ---- what a failure says ------------------------------------------------------------------------------------


def declaration_report(op: Any, backend: Any, seed: int) -> Report:
    """Return the report for what is checked of an op once, whatever the sample."""
    lines = {"reproduce": f"{_found(op)}; from autodiff.testing import check_op; check_op(op, seed={seed})"}
    command = _command(op, f"{op.id}[declaration]", seed)
    return Report(repr(op.id), _facts(op, backend, seed), lines | command)


def _report(unit: Unit, which: str, seed: int, explicit: str, number: int | None = None) -> Report:
    op = unit.op
    options = f"backend={unit.backend.name!r}, dtypes=[{unit.dtype!r}], seed={seed}, order={max(unit.orders.values())}"
    names = "check_op"
    chosen = f"op.samples[{number}:{(number or 0) + 1}]"
    if number is None:
        chosen = "op.samples"
    elif number >= len(op.samples):
        names, chosen = "check_op, samples_of", f"samples_of(op)[{number}:{number + 1}]"
    if explicit:
        chosen = f"[{explicit}]" if number is None else f"[{_written(dict(unit.samples)[number])}]"
    line = (
        f"{_found(op)}; {'from autodiff.extend import Array, Sample; ' if explicit else ''}"
        f"from autodiff.testing import {names}; check_op(op, {chosen}, {options})"
    )
    facts = _facts(op, unit.backend, seed)
    facts |= {"dtype": unit.dtype, "sample": which}
    command = {} if explicit else _command(op, unit.name, seed)
    return Report(repr(op.id), facts, {"reproduce": line} | command)


def _facts(op: Any, backend: Any, seed: int) -> dict[str, str]:
    return {"op": op.signature, "plugin": op.plugin, "backend": backend.name, "seed": str(seed)}


def _found(op: Any) -> str:
    """Write how to get at an op."""
    if op.id in registry.ops and registry.ops[op.id] is op:
        return f"from autodiff import ops; op = ops[{op.id!r}]"
    return f"from {op.module} import {op.name} as op"


def _command(op: Any, name: str, seed: int) -> dict[str, str]:
    """Return the command that repeats one test; none if a new process would not find the op."""
    known: Any = registry.ops.get(op.id)
    if known is not op:
        return {}
    if op.plugin != "autodiff" and not any(op.id in r.brought for r in records if r.distribution):
        return {}
    node = shlex.quote(f"autodiff-conformance::{name}")
    return {"or": f"pytest --autodiff-conformance={op.plugin} --autodiff-seed={seed} {node}"}


def _written(sample: Sample) -> str:
    """Write a sample as Python."""
    return f"Sample({sample.inputs!r}, {dict(sample.attrs)!r})"
