"""Products of a Hessian and a vector, as each library computes them: ``python -m asv_bench.peers L6 L6a``."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from . import idioms

__all__ = ["ROWS"]

_NAMES = ("W1", "b1", "W2", "b2")


def _curved(rng: np.random.Generator, *, batch: int, sizes: tuple[int, int, int]) -> dict[str, Any]:
    inputs, hidden, outputs = sizes
    shapes = {"W1": (hidden, inputs), "b1": (hidden,), "W2": (outputs, hidden), "b2": (outputs,)}
    return {
        "p": {name: rng.standard_normal(shape) / shape[-1] ** 0.5 for name, shape in shapes.items()},
        "v": {name: rng.standard_normal(shape) for name, shape in shapes.items()},
        "x": rng.standard_normal((batch, inputs)),
        "labels": rng.integers(0, outputs, batch),
    }


def _autodiff(data: dict[str, Any]) -> idioms.Run:
    import autodiff_nn as nn
    from autodiff import hvp, ops

    def loss(p: Any) -> Any:
        h = ops.tanh(nn.linear(data["x"], p["W1"], p["b1"]))
        return nn.cross_entropy(nn.linear(h, p["W2"], p["b2"]), data["labels"])

    return lambda: list(hvp(loss, data["p"], data["v"]).values())


def _torch(data: dict[str, Any]) -> idioms.Run:
    torch = idioms.pytorch()
    functional = torch.nn.functional
    x, labels = torch.from_numpy(data["x"]), torch.from_numpy(data["labels"])
    p, v = (tuple(torch.from_numpy(data[which][name]) for name in _NAMES) for which in "pv")

    def loss(*p: Any) -> Any:
        h = torch.tanh(functional.linear(x, *p[:2]))
        return functional.cross_entropy(functional.linear(h, *p[2:]), labels)

    # Of its three ways the fastest: torch.func's, forward over reverse, takes half as long again, or twice as long.
    return lambda: torch.autograd.functional.hvp(loss, p, v)[1]


def _jax(data: dict[str, Any]) -> idioms.Run:
    import jax
    import jax.numpy as jnp

    def loss(p: Any) -> Any:
        z = jnp.tanh(data["x"] @ p["W1"].T + p["b1"]) @ p["W2"].T + p["b2"]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), data["labels"][:, None], axis=1))

    product = jax.jit(lambda p, v: jax.jvp(jax.grad(loss), (p,), (v,))[1])
    p, v = ({name: jnp.asarray(data[which][name]) for name in _NAMES} for which in "pv")

    def run() -> Any:
        found = jax.block_until_ready(product(p, v))
        return [found[name] for name in _NAMES]

    return run


def _autograd(data: dict[str, Any]) -> idioms.Run:
    import autograd.numpy as anp
    from autograd.differential_operators import make_hvp
    from autograd.scipy.special import logsumexp

    rows = np.arange(len(data["labels"]))

    def loss(p: Any) -> Any:
        z = anp.dot(anp.tanh(anp.dot(data["x"], p["W1"].T) + p["b1"]), p["W2"].T) + p["b2"]
        return anp.mean(logsumexp(z, axis=1) - z[rows, data["labels"]])

    product = make_hvp(loss)
    return lambda: list(product(data["p"])[0](data["v"]).values())


_TEXT = "Hessian-vector product by all parameters of {}-{}-{}, batch {}, tanh, cross-entropy, float64"
_RUNS: dict[str, Any] = {"autodiff": _autodiff, "torch": _torch, "jax.jit": _jax, "autograd": _autograd}

ROWS = {
    name: idioms.Row(_TEXT.format(*sizes, batch), partial(_curved, batch=batch, sizes=sizes), _RUNS, {"torch": 0.9})
    for name, batch, sizes in (("L6", 256, (128, 256, 10)), ("L6a", 32, (64, 128, 10)))
}
