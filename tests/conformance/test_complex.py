"""Every op has right gradients of complex numbers, by PyTorch's convention, or refuses them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, ops, vjp
from autodiff.extend import Array
from autodiff.testing.drawing import draw

#: What complex differences say nothing of: eigenvectors have phases of their own, casts round, fmod cuts.
LEFT_OUT = {"eigh", "svd", "astype", "fmod", "dropout"}


def _drawn(spec: Any, rng: Any) -> Any:
    if isinstance(spec, tuple) and not isinstance(spec, Array) and all(type(n) is int for n in spec):
        spec = Array(spec)
    if isinstance(spec, Array) and spec.kind == "float":
        spec = spec._replace(kind="complex", distinct=False)
    return draw(spec, rng)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op_id", [op.id for op in ops if op.name not in LEFT_OUT])
def test_gradients_of_complex_numbers(op_id: str) -> None:
    """Along random directions, with a random complex cotangent, against central differences."""
    op, rng = ops[op_id], np.random.default_rng(0)
    for sample in op.samples:
        xs = [_drawn(spec, rng) for spec in sample.inputs]
        rules = op.joint_vjp is not None or not op.vjps
        wrt = [
            i
            for i, x in enumerate(xs)
            if getattr(x, "dtype", None) == np.complex128 and (rules or op.vjps[i] is not None)
        ]

        def f(*zs: Any, xs: Any = xs, wrt: Any = wrt, attrs: Any = sample.attrs) -> list[Any]:
            full = list(xs)
            for i, z in zip(wrt, zs, strict=True):
                full[i] = z
            y = op(*full, **attrs)
            return list(y) if isinstance(y, tuple | list) else [y]

        at = [xs[i] for i in wrt]
        try:
            ys = [np.asarray(y) for y in f(*at)]
            if not wrt or any(y.dtype.kind not in "fc" for y in ys):
                continue
            cs = [
                rng.standard_normal(y.shape) + (1j * rng.standard_normal(y.shape) if y.dtype.kind == "c" else 0)
                for y in ys
            ]
            pulled = vjp(f, *at)[1](cs)
        except (TypeError, ValueError):
            continue  # it refuses complex numbers, or these
        vs = [rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape) for x in at]
        h = 1e-6
        ends = [f(*[x + step * v for x, v in zip(at, vs, strict=True)]) for step in (h, -h)]
        slope = sum(np.sum(np.conj(c) * (a - b)).real for c, a, b in zip(cs, *ends, strict=True)) / (2 * h)
        found = sum(np.sum(np.conj(g) * v).real for g, v in zip(pulled, vs, strict=True))
        assert found == pytest.approx(slope, rel=1e-4, abs=1e-4)


def test_a_number_has_the_sigmoid_of_an_array() -> None:
    """Also a complex one."""
    z = 0.3 + 0.7j
    wanted = 1 / (1 + np.exp(-z))
    assert ops.sigmoid(Value(z)).item() == pytest.approx(wanted)
    assert ops.sigmoid(np.array([z]))[0] == pytest.approx(wanted)
