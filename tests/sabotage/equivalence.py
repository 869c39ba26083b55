"""When a survivor is no fault: its gradients are those of the original, bit by bit, on random inputs.

The inputs go further than an op's samples: other sizes, dtypes and attributes, complex numbers, zeros, infinities
and NaN, other inputs that need a gradient, other layouts. What the original refuses does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from autodiff import Value, jvp
from autodiff.registry import registry
from autodiff.testing.drawing import draw

__all__ = ["INPUTS", "outcomes"]

INPUTS = 1000
#: LAPACK may search for the singular values of NaN for ever.
_FINITE = ("factors", "solving", "determinants")
_SPECIAL = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5, np.inf, -np.inf, np.nan, 1e-30, 1e30, 3.0, -3.0, 6.0)


def outcomes(op_ids: Sequence[str], numbers: Sequence[int]) -> list[list[Any] | None]:
    """Return for each number the gradients of one random call; None where the call is refused."""
    with np.errstate(all="ignore"):
        return [_outcome(registry.op(op_ids[n % len(op_ids)]), n) for n in numbers]


def _outcome(op: Any, number: int) -> list[Any] | None:
    rng = np.random.default_rng(number)
    sample = op.samples[int(rng.integers(len(op.samples)))]
    plain = number % 5 == 0  # the sample as it is
    try:
        inputs, attrs = (_drawn(sample, rng), dict(sample.attrs)) if plain else _varied(op, sample, rng)
        if "generator" in op.attrs:
            attrs["generator"] = np.random.default_rng(number)
        floating = [i for i, x in enumerate(inputs) if isinstance(x, np.ndarray) and x.dtype.kind in "fc"]
        op(*deepcopy(inputs), **_copied(attrs))
    except Exception:
        return None
    needs = [i for i in floating if rng.random() < 0.8] or floating
    parts: list[Any] = []
    for step in (_reverse, _forward):
        try:
            parts += step(op, inputs, _copied(attrs), needs, np.random.default_rng(number))
        except Exception as exc:
            parts.append(type(exc).__name__)
    return parts


def _copied(attrs: dict[str, Any]) -> dict[str, Any]:
    return {name: deepcopy(attr) for name, attr in attrs.items()}


def _reverse(op: Any, inputs: Any, attrs: Any, needs: Any, rng: Any) -> list[Any]:
    """Return the gradients of a plain pass, of a recorded one, and those of these."""
    found: list[Any] = []
    for record in (False, True):
        values = [
            Value(x.copy(), requires_grad=i in needs) if isinstance(x, np.ndarray) else x for i, x in enumerate(inputs)
        ]
        y = op(*values, **_copied(attrs))
        outputs = [v for v in (y if isinstance(y, tuple) else (y,)) if v.requires_grad]
        for v in outputs:
            v.backward(_normal(v, rng), retain_graph=True, create_graph=record)
        grads = [values[i].grad for i in needs]
        found += [np.array(g.data if type(g) is Value else g) if g is not None else None for g in grads]
        if record:
            again = [g for g in grads if type(g) is Value and g.requires_grad]
            for v in values:
                if type(v) is Value:
                    v.zero_grad()
            for g in again:
                g.backward(_normal(g, rng), retain_graph=True)
            found += [np.array(v.grad) if type(v) is Value and v.grad is not None else None for v in values]
    return found


def _forward(op: Any, inputs: Any, attrs: Any, needs: Any, rng: Any) -> list[Any]:
    def f(*xs: Any) -> list[Any]:
        given = list(inputs)
        for i, x in zip(needs, xs, strict=True):
            given[i] = x
        y = op(*given, **_copied(attrs))
        return [v for v in (y if isinstance(y, tuple) else (y,)) if v.dtype.kind in "fc"]

    if not needs:
        return []
    xs = [inputs[i] for i in needs]
    return [np.array(t.data if type(t) is Value else t) for t in jvp(f, xs, [_normal(x, rng) for x in xs])[1]]


def _normal(x: Any, rng: Any) -> Any:
    drawn = rng.standard_normal(x.shape)
    if x.dtype.kind == "c":
        drawn = drawn + 1j * rng.standard_normal(x.shape)
    return np.asarray(drawn, dtype=x.dtype)


def _drawn(sample: Any, rng: Any) -> list[Any]:
    return [draw(spec, rng) for spec in sample.inputs]


def _varied(op: Any, sample: Any, rng: Any) -> tuple[list[Any], dict[str, Any]]:
    sizes = {n: int(rng.integers(1, 5)) if rng.random() < 0.5 else n for n in range(10)}
    dtype = rng.choice([np.float64, np.float64, np.float32, np.float16, np.complex128])
    special = rng.random() < 0.3
    inputs = []
    for spec in sample.inputs:
        resized = spec
        if hasattr(spec, "_replace"):
            resized = spec._replace(shape=tuple(sizes.get(n, n) for n in spec.shape))
        x = draw(resized, rng)
        if isinstance(x, np.ndarray) and x.dtype.kind in "fc":
            if rng.random() < 0.3:
                x = x * 3 * rng.standard_normal()
            if dtype == np.complex128 or x.dtype.kind == "c":
                x = x + 1j * rng.standard_normal(x.shape)
            else:
                x = x.astype(dtype)
            if special:
                chosen = rng.choice(_SPECIAL, x.shape)
                if op.module.rpartition(".")[2] in _FINITE:
                    chosen = np.where(np.abs(chosen) < 10, chosen, 0.0)
                x = np.where(rng.random(x.shape) < 0.4, chosen, x).astype(x.dtype)
            x = np.asfortranarray(x) if rng.random() < 0.2 else np.asarray(x)
        inputs.append(x)
    ndim = max([np.ndim(x) for x in inputs if isinstance(x, np.ndarray)], default=0)
    attrs = {**dict(sample.attrs)}
    for name, default in op.attrs.items():
        if rng.random() < 0.3:
            given = attrs.get(name, default)
            attrs[name] = _other(name, given, ndim, sizes, rng)
    return inputs, {name: attr for name, attr in attrs.items() if attr is not _ABSENT}


_ABSENT = object()


def _other(name: str, given: Any, ndim: int, sizes: dict[int, int], rng: Any) -> Any:
    if isinstance(given, bool):
        return not given
    if "axis" in name and ndim:
        one = int(rng.integers(-ndim, ndim))
        return one if isinstance(given, int) or rng.random() < 0.7 else tuple(rng.permutation(ndim).tolist())
    if isinstance(given, int):
        return given + int(rng.integers(-2, 3))
    if isinstance(given, float):
        return given * float(rng.choice([0.0, 0.5, 1.0, 2.0, -1.0]))
    if isinstance(given, tuple) and given and all(isinstance(n, int) for n in given):
        return tuple(sizes.get(n, n) for n in given) if "shape" in name else tuple(rng.permutation(given).tolist())
    return given if given.__class__.__module__ == "builtins" else _ABSENT
