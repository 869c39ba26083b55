"""Compare every op with PyTorch: `compare` one of them, and write the table of them all to ``docs/oracle.md``.

Run as ``python tests/oracle/agreement.py`` it writes that page, and fails if there is a disagreement.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from counterparts import COUNTERPARTS, NO_GRADIENT, reason_to_leave_out

import autodiff
from autodiff import Value, ops
from autodiff.errors import AutodiffError
from autodiff.samples import Array, Sample
from autodiff.testing.drawing import draw, draw_like

__all__ = ["PAGE", "TOLERANCES", "Agreement", "compare", "page"]

PAGE = Path(__file__).parents[2] / "docs" / "oracle.md"
SEEDS = (0, 1)
NO_COMPLEX = "complex numbers, which torch has no kernel or no gradient for here"

#: By the precision of the inputs, the largest difference that counts as agreement, relative to the number, or to 1.
TOLERANCES = {"double": 1e-12, "single": 1e-5}


def single(x: Any) -> Any:
    """Return floating numbers in single precision, anything else as it is."""
    to = {"float64": np.float32, "complex128": np.complex64}.get(str(getattr(x, "dtype", "")))
    return x if to is None else x.astype(to)


@dataclass
class Agreement:
    """How far an op agrees with its counterpart.

    Attributes
    ----------
    op_id : str
        The op.
    reason : str
        Why it has no counterpart; empty if it has.
    samples : int
        Calls compared, in both precisions and with each seed.
    gradients : int
        Gradients compared, one for each input and pass.
    value, gradient : dict
        The largest relative difference, by precision.
    left_out : dict
        Why calls were not compared, and how many.
    in_complex : int
        Of the calls that were compared, those whose real samples were drawn in complex.
    disagreements : list of str
        What differs by more than the tolerance, or in shape or dtype.
    """

    op_id: str
    reason: str = ""
    samples: int = 0
    gradients: int = 0
    value: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TOLERANCES, 0.0))
    gradient: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TOLERANCES, 0.0))
    left_out: dict[str, int] = field(default_factory=dict)
    in_complex: int = 0
    disagreements: list[str] = field(default_factory=list)

    def add(self, what: str, precision: str, actual: Any, expected: Any) -> None:
        """Compare two arrays, the second of them torch's."""
        expected = np.asarray(expected.numpy(force=True))
        actual = np.asarray(actual)
        if (actual.shape, actual.dtype) != (expected.shape, expected.dtype):
            self.disagreements.append(
                f"{what}: {actual.dtype}{actual.shape} here, {expected.dtype}{expected.shape} in torch"
            )
            return
        difference = relative_difference(actual, expected)
        largest = self.value if what.startswith("value") else self.gradient
        largest[precision] = max(largest[precision], difference)
        if difference > TOLERANCES[precision]:
            self.disagreements.append(
                f"{what}, {precision} precision: differs by {difference:.0e}\n{actual} here\n{expected} in torch"
            )


def relative_difference(actual: Any, expected: Any) -> float:
    """Return the largest difference of two arrays, relative to the number or to 1; NaN agrees with NaN."""
    if expected.dtype.kind not in "fc":
        return float(np.any(actual != expected))
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    with np.errstate(all="ignore"):
        differences = np.abs(actual.astype(wide) - expected) / np.maximum(np.abs(expected), 1)
    differences = np.where(same, 0.0, np.where(np.isnan(differences), np.inf, differences))
    return float(differences.max(initial=0.0))


def compare(op: Any) -> Agreement:
    """Compare an op with its counterpart, on all its samples."""
    counterpart = COUNTERPARTS[op.id]
    if isinstance(counterpart, str):
        return Agreement(op.id, reason=counterpart)
    agreement = Agreement(op.id)
    for number, sample in enumerate([*op.samples, *in_complex(op.samples)]):
        for seed in SEEDS:
            rng = np.random.default_rng((seed, number))
            drawn = [draw(spec, rng) for spec in sample.inputs]
            for precision in TOLERANCES:
                xs = [single(x) for x in drawn] if precision == "single" else drawn
                attrs = {**op.attrs, **sample.attrs}
                if "generator" in attrs:
                    attrs["generator"] = np.random.default_rng(seed)
                reason = reason_to_leave_out(op.id, xs, attrs)
                if reason:
                    agreement.left_out[reason] = agreement.left_out.get(reason, 0) + 1
                elif number < len(op.samples):
                    _compare_call(agreement, op, xs, attrs, precision, rng)
                elif _takes(op, xs, attrs):
                    _compare_in_complex(agreement, op, xs, attrs, precision, rng)
    return agreement


def in_complex(samples: Any) -> list[Sample]:
    """Return samples whose real floating arrays are complex, of those that have any."""

    def turned(spec: Any) -> Any:
        if isinstance(spec, Array):
            return spec._replace(kind="complex") if spec.kind == "float" else spec
        return tuple(map(turned, spec)) if isinstance(spec, tuple) else spec

    found = [Sample(tuple(map(turned, s.inputs)), s.attrs) for s in samples]
    return [new for new, s in zip(found, samples, strict=True) if new.inputs != s.inputs]


def _takes(op: Any, xs: list[Any], attrs: Any) -> bool:
    """Tell whether an op takes complex numbers, and keeps their imaginary parts; otherwise it says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            op(*xs, **attrs)
        except (AutodiffError, np.exceptions.ComplexWarning):
            return False
    return True


def _compare_in_complex(agreement: Agreement, op: Any, xs: list[Any], attrs: Any, precision: str, rng: Any) -> None:
    """Compare a call with complex numbers, for which torch lacks many a kernel."""
    before = agreement.samples
    try:
        _compare_call(agreement, op, xs, attrs, precision, rng)
    except (NotImplementedError, RuntimeError, TypeError, ValueError) as exc:
        if isinstance(exc, AutodiffError):
            raise
        agreement.samples = before
        agreement.left_out[NO_COMPLEX] = agreement.left_out.get(NO_COMPLEX, 0) + 1
    else:
        agreement.in_complex += 1


def _compare_call(agreement: Agreement, op: Any, xs: list[Any], attrs: Any, precision: str, rng: Any) -> None:
    agreement.samples += 1
    where = f"of {op.id} on {', '.join(str(np.shape(x)) for x in xs)}, {attrs}"
    differentiated = [i for i, x in enumerate(xs) if _differentiable(op, i, x)]
    tensors = [_tensor(x, xs, i in differentiated) for i, x in enumerate(xs)]
    theirs = _several(COUNTERPARTS[op.id](*tensors, **attrs))
    values = [Value(x) if isinstance(x, np.ndarray) else x for x in xs]
    ours = _several(op(*values, **attrs))
    if len(ours) != len(theirs):
        agreement.disagreements.append(f"value {where}: {len(ours)} outputs here, {len(theirs)} in torch")
        return
    for y, expected in zip(ours, theirs, strict=True):
        agreement.add(f"value {where}", precision, y.data, expected)
    flows = [k for k, y in enumerate(ours) if y.dtype.kind in "fc"]
    if not flows or not differentiated or op.id in NO_GRADIENT or agreement.disagreements:
        return
    seeds = {k: draw_like(np.asarray(ours[k].data), rng) for k in flows}
    # What does not depend on an input has no graph in torch, and the gradient zero.
    known = [k for k in flows if theirs[k].requires_grad]
    expected_grads = torch.autograd.grad(
        [theirs[k] for k in known],
        [tensors[i] for i in differentiated],
        [torch.tensor(seeds[k]) for k in known],
        allow_unused=True,
        materialize_grads=True,
    )
    for recorded in (False, True):
        leaves = [Value(x) if isinstance(x, np.ndarray) else x for x in xs]
        outputs = _several(op(*leaves, **attrs))
        for k in flows:
            outputs[k].backward(seeds[k], retain_graph=True, create_graph=recorded)
        for i, expected in zip(differentiated, expected_grads, strict=True):
            grad = leaves[i].grad
            array = np.zeros_like(xs[i]) if grad is None else grad.data if recorded else grad
            agreement.gradients += 1
            name = "gradient of a recorded pass" if recorded else "gradient"
            agreement.add(f"{name} {where}, input {i}", precision, array, expected)


def _differentiable(op: Any, position: int, x: Any) -> bool:
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "fc":
        return False
    joint = op.joint_vjp is not None or not op.vjps
    return joint or op.vjps[position] is not None


def _tensor(x: Any, xs: list[Any], requires_grad: bool) -> Any:
    """Return a tensor; Python numbers take the precision of the arrays beside them."""
    if isinstance(x, np.ndarray):
        return torch.tensor(x, requires_grad=requires_grad)
    dtypes = [array.real.dtype for array in xs if isinstance(array, np.ndarray) and array.dtype.kind in "fc"]
    return torch.tensor(np.asarray(x, dtypes[0] if isinstance(x, float) and dtypes else None))


def _several(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


# ---- the report -------------------------------------------------------------------------------------------


def page(agreements: list[Agreement], commit: str) -> str:
    """Return the report on a commit as Markdown."""
    compared = [a for a in agreements if not a.reason]
    apart = [a for a in compared if a.disagreements]
    rows = [_row(a) for a in agreements]
    notes = [f"- `{a.op_id}`: {note}." for a in agreements for note in _notes(a)]
    lines = [
        "# Agreement with PyTorch",
        "",
        "Values and gradients of every registered op beside PyTorch's, written by `nox -s oracle`; do not edit.",
        "",
        f"Of {len(agreements)} ops {len(compared)} have a counterpart, and {len(compared) - len(apart)} agree with it.",
        (
            f"{sum(a.samples for a in compared):,} calls and {sum(a.gradients for a in compared):,} gradients were compared, "
            f"on inputs drawn from the op's own samples with {len(SEEDS)} seeds, in double and in single precision, with "
            "normally distributed cotangents, in plain passes (which use the backend's own rules) and in recorded ones "
            "(which use the op's)."
        ),
        (
            f"Each sample is drawn in complex, too: {sum(bool(a.in_complex) for a in compared)} ops were compared there, in "
            f"{sum(a.in_complex for a in compared):,} calls; the others refuse complex numbers, or torch does, or they are "
            "complex in their own samples."
        ),
        "A difference is relative to the number, or to 1 if that is larger.",
        "The table has the largest of each op; a dash means that there is no gradient to compare.",
        (
            f"Ops agree if it is at most {TOLERANCES['double']:.0e} in double precision and {TOLERANCES['single']:.0e} in "
            "single, and shapes and dtypes are the same."
        ),
        "",
        (
            f"Versions: autodiff {autodiff.__version__} at commit {commit}, PyTorch {torch.__version__}, NumPy {np.__version__}, "
            f"Python {platform.python_version()}, {platform.system()} {platform.machine()}."
        ),
        "",
        "| op | calls | value, double | gradient, double | value, single | gradient, single | agrees |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
        *rows,
        "",
        "## What was not compared",
        "",
        *notes,
        "",
    ]
    return "\n".join(lines)


def _row(a: Agreement) -> str:
    if a.reason:
        return f"| `{a.op_id}` | 0 | - | - | - | - | no counterpart |"
    cells = [
        f"{largest[precision]:.0e}" if kind == "value" or a.gradients else "-"
        for precision in TOLERANCES
        for kind, largest in (("value", a.value), ("gradient", a.gradient))
    ]
    verdict = "**no**" if a.disagreements else "yes"
    return f"| `{a.op_id}` | {a.samples} | {' | '.join('0' if c == '0e+00' else c for c in cells)} | {verdict} |"


def _notes(a: Agreement) -> list[str]:
    notes = [a.reason] if a.reason else []
    if a.op_id in NO_GRADIENT:
        notes.append(f"the gradient: {NO_GRADIENT[a.op_id]}")
    return notes + [f"{count} calls: {reason}" for reason, count in a.left_out.items()]


def main() -> int:
    """Write the page; return 1 if there is a disagreement."""
    agreements = [compare(op) for op in sorted(ops, key=lambda op: op.id)]
    command = ["git", "describe", "--always", "--abbrev=10", "--dirty=+changes", "--exclude=*"]
    commit = subprocess.run(command, cwd=PAGE.parent, capture_output=True, text=True, check=True).stdout.strip()
    PAGE.write_text(page(agreements, commit), encoding="utf-8")
    for agreement in agreements:
        for text in agreement.disagreements:
            print(text, file=sys.stderr)
    return int(any(a.disagreements for a in agreements))


if __name__ == "__main__":
    sys.exit(main())
