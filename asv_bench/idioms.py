"""Workloads that each library has a way of its own for: ``python -m asv_bench.peers W1 W2 W3 W4 W5 W6``.

What each library is given is what its documentation would have one write: modules and optimisers where it has them,
functions and transforms where it is about those, its convolution where it has one. A workload of a library is a function
of the data that returns the run to be timed; a run returns what must agree, the gradients or the new parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .libraries import THREADS

__all__ = ["ROWS", "Row"]

Run = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """A workload: its data, by library what makes a run of it, and at which ratio to whom it counts as good enough."""

    text: str
    data: Callable[[np.random.Generator], dict[str, Any]]
    runs: dict[str, Callable[[dict[str, Any]], Run]]
    must: dict[str, float] = field(default_factory=dict)


def pytorch() -> Any:
    """Return PyTorch, with as many threads as every library is given."""
    import torch

    torch.set_num_threads(THREADS)
    return torch


# ---- W1: a step of training -----------------------------------------------------------------------------------------

_RATE = 0.1


def _classifier(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "W1": rng.standard_normal((128, 64)) / 8,
        "b1": np.zeros(128),
        "W2": rng.standard_normal((10, 128)) / 11,
        "b2": np.zeros(10),
        "x": rng.standard_normal((32, 64)),
        "labels": rng.integers(0, 10, 32),
    }


_NAMES = ("W1", "b1", "W2", "b2")


def _training_autodiff(data: dict[str, Any]) -> Run:
    import autodiff_nn as nn
    from autodiff import Value, ops

    p = {name: Value(data[name].copy()) for name in _NAMES}
    optimiser = nn.SGD(p.values(), lr=_RATE)

    def run() -> Any:
        h = ops.tanh(nn.linear(data["x"], p["W1"], p["b1"]))
        loss = nn.cross_entropy(nn.linear(h, p["W2"], p["b2"]), data["labels"])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return [value.data for value in p.values()]

    return run


def _training_torch(data: dict[str, Any]) -> Run:
    torch = pytorch()
    functional = torch.nn.functional
    p = {name: torch.tensor(data[name], requires_grad=True) for name in _NAMES}
    x, labels = torch.from_numpy(data["x"]), torch.from_numpy(data["labels"])
    optimiser = torch.optim.SGD(list(p.values()), lr=_RATE)

    def run() -> Any:
        h = torch.tanh(functional.linear(x, p["W1"], p["b1"]))
        loss = functional.cross_entropy(functional.linear(h, p["W2"], p["b2"]), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return [value.detach().numpy() for value in p.values()]

    return run


def _training_jax(data: dict[str, Any]) -> Run:
    import jax
    import jax.numpy as jnp

    state = {"p": {name: jnp.asarray(data[name]) for name in _NAMES}}

    def loss(p: Any, x: Any, labels: Any) -> Any:
        z = jnp.tanh(x @ p["W1"].T + p["b1"]) @ p["W2"].T + p["b2"]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), labels[:, None], axis=1))

    @jax.jit
    def step(p: Any, x: Any, labels: Any) -> Any:
        return jax.tree.map(lambda w, g: w - _RATE * g, p, jax.grad(loss)(p, x, labels))

    def run() -> Any:
        state["p"] = jax.block_until_ready(step(state["p"], data["x"], data["labels"]))
        return [state["p"][name] for name in _NAMES]

    return run


def _training_autograd(data: dict[str, Any]) -> Run:
    import autograd
    import autograd.numpy as anp
    from autograd.scipy.special import logsumexp

    state = {"p": {name: data[name] for name in _NAMES}}
    rows = np.arange(len(data["labels"]))

    def loss(p: Any) -> Any:
        z = anp.dot(anp.tanh(anp.dot(data["x"], p["W1"].T) + p["b1"]), p["W2"].T) + p["b2"]
        return anp.mean(logsumexp(z, axis=1) - z[rows, data["labels"]])

    gradient = autograd.grad(loss)

    def run() -> Any:
        g = gradient(state["p"])
        state["p"] = {name: w - _RATE * g[name] for name, w in state["p"].items()}
        return list(state["p"].values())

    return run


def _training_mygrad(data: dict[str, Any]) -> Run:
    import mygrad
    from mygrad.nnet.losses import softmax_crossentropy

    p = {name: mygrad.tensor(data[name].copy()) for name in _NAMES}

    def run() -> Any:
        h = mygrad.tanh(mygrad.matmul(data["x"], p["W1"].T) + p["b1"])
        softmax_crossentropy(mygrad.matmul(h, p["W2"].T) + p["b2"], data["labels"]).backward()
        for value in p.values():
            value.data -= _RATE * value.grad
            value.null_grad()
        return [value.data for value in p.values()]

    return run


# ---- W2: an optimiser -----------------------------------------------------------------------------------------------

_COUNT, _STEP = 50, 0.01


def _targets(rng: np.random.Generator) -> dict[str, Any]:
    return {"p": rng.standard_normal((_COUNT, 100)), "t": rng.standard_normal((_COUNT, 100))}


def _adam_autodiff(data: dict[str, Any]) -> Run:
    import autodiff_nn as nn
    from autodiff import Value

    ps = [Value(p.copy()) for p in data["p"]]
    optimiser = nn.Adam(ps, lr=_STEP)

    def run() -> Any:
        optimiser.zero_grad()
        for p, t in zip(ps, data["t"], strict=True):
            ((p - t) * (p - t)).sum().backward()
        optimiser.step()
        return [p.data for p in ps]

    return run


def _adam_torch(data: dict[str, Any]) -> Run:
    torch = pytorch()
    ps = [torch.tensor(p, requires_grad=True) for p in data["p"]]
    ts = [torch.from_numpy(t) for t in data["t"]]
    optimiser = torch.optim.Adam(ps, lr=_STEP)

    def run() -> Any:
        optimiser.zero_grad()
        for p, t in zip(ps, ts, strict=True):
            ((p - t) * (p - t)).sum().backward()
        optimiser.step()
        return [p.detach().numpy() for p in ps]

    return run


# ---- W3: rows of a table, with duplicates ---------------------------------------------------------------------------


def _table(rng: np.random.Generator) -> dict[str, Any]:
    return {"table": rng.standard_normal((5000, 32)), "rows": rng.integers(0, 5000, 4096)}


def _gather_autodiff(data: dict[str, Any]) -> Run:
    from autodiff import grad

    gradient = grad(lambda table: (table[data["rows"]] ** 2).sum())
    return lambda: [gradient(data["table"])]


def _gather_torch(data: dict[str, Any]) -> Run:
    torch = pytorch()
    table, rows = torch.tensor(data["table"], requires_grad=True), torch.from_numpy(data["rows"])

    def run() -> Any:
        return torch.autograd.grad((table[rows] ** 2).sum(), [table])

    return run


def _gather_jax(data: dict[str, Any]) -> Run:
    import jax

    gradient = jax.jit(jax.grad(lambda table, rows: (table[rows] ** 2).sum()))
    table, rows = jax.numpy.asarray(data["table"]), jax.numpy.asarray(data["rows"])
    return lambda: [jax.block_until_ready(gradient(table, rows))]


def _gather_autograd(data: dict[str, Any]) -> Run:
    import autograd
    import autograd.numpy as anp

    gradient = autograd.grad(lambda table: anp.sum(table[data["rows"]] ** 2))
    return lambda: [gradient(data["table"])]


def _gather_mygrad(data: dict[str, Any]) -> Run:
    import mygrad

    table = mygrad.tensor(data["table"])

    def run() -> Any:
        (table[data["rows"]] ** 2).sum().backward()
        return [table.grad]

    return run


# ---- W4: the gradient of a gradient ---------------------------------------------------------------------------------


def _critic(rng: np.random.Generator) -> dict[str, Any]:
    shapes = {"W1": (16, 64), "W2": (64,), "x": (32, 16)}
    return {name: rng.standard_normal(shape) / shape[-1] ** 0.5 for name, shape in shapes.items()}


def _penalty_autodiff(data: dict[str, Any]) -> Run:
    from autodiff import grad, ops

    def slope(p: Any) -> Any:
        g = grad(lambda x: (ops.tanh(x @ p["W1"]) @ p["W2"]).sum())(data["x"])
        return (g * g).sum()

    gradient = grad(slope)
    p = {name: data[name] for name in ("W1", "W2")}
    return lambda: list(gradient(p).values())


def _penalty_torch(data: dict[str, Any]) -> Run:
    torch = pytorch()
    W1, W2, x = (torch.tensor(data[name], requires_grad=True) for name in ("W1", "W2", "x"))

    def run() -> Any:
        y = (torch.tanh(x @ W1) @ W2).sum()
        (g,) = torch.autograd.grad(y, [x], create_graph=True)
        return torch.autograd.grad((g * g).sum(), [W1, W2])

    return run


def _penalty_jax(data: dict[str, Any]) -> Run:
    import jax
    import jax.numpy as jnp

    def slope(p: Any, x: Any) -> Any:
        g = jax.grad(lambda x: (jnp.tanh(x @ p["W1"]) @ p["W2"]).sum())(x)
        return (g * g).sum()

    gradient = jax.jit(jax.grad(slope))
    p = {name: jnp.asarray(data[name]) for name in ("W1", "W2")}
    return lambda: list(jax.block_until_ready(gradient(p, data["x"])).values())


def _penalty_autograd(data: dict[str, Any]) -> Run:
    import autograd
    import autograd.numpy as anp

    def slope(p: Any) -> Any:
        g = autograd.grad(lambda x: anp.sum(anp.dot(anp.tanh(anp.dot(x, p["W1"])), p["W2"])))(data["x"])
        return anp.sum(g * g)

    gradient = autograd.grad(slope)
    p = {name: data[name] for name in ("W1", "W2")}
    return lambda: list(gradient(p).values())


# ---- W5: a contraction ----------------------------------------------------------------------------------------------

_SCORES = "bhqd,bhkd->bhqk"


def _heads(rng: np.random.Generator) -> dict[str, Any]:
    return {name: rng.standard_normal((4, 4, 64, 32)) for name in "qk"} | {"g": rng.standard_normal((4, 4, 64, 64))}


def _einsum_autodiff(data: dict[str, Any]) -> Run:
    from autodiff import Value, ops

    def run() -> Any:
        q, k = Value(data["q"]), Value(data["k"])
        ops.einsum(q, k, subscripts=_SCORES).backward(data["g"])
        return [q.grad, k.grad]

    return run


def _einsum_torch(data: dict[str, Any]) -> Run:
    torch = pytorch()
    q, k = (torch.tensor(data[name], requires_grad=True) for name in "qk")
    g = torch.from_numpy(data["g"])
    return lambda: torch.autograd.grad(torch.einsum(_SCORES, q, k), [q, k], g)


def _einsum_jax(data: dict[str, Any]) -> Run:
    import jax

    @jax.jit
    def both(q: Any, k: Any, g: Any) -> Any:
        return jax.vjp(lambda q, k: jax.numpy.einsum(_SCORES, q, k), q, k)[1](g)

    arrays = [jax.numpy.asarray(data[name]) for name in "qkg"]
    return lambda: jax.block_until_ready(both(*arrays))


def _einsum_autograd(data: dict[str, Any]) -> Run:
    import autograd
    import autograd.numpy as anp

    pull = autograd.make_vjp(lambda pair: anp.einsum(_SCORES, *pair))
    return lambda: list(pull((data["q"], data["k"]))[0](data["g"]))


def _einsum_mygrad(data: dict[str, Any]) -> Run:
    import mygrad

    q, k = mygrad.tensor(data["q"]), mygrad.tensor(data["k"])

    def run() -> Any:
        mygrad.einsum(_SCORES, q, k).backward(data["g"])
        return [q.grad, k.grad]

    return run


# ---- W6: a convolution ----------------------------------------------------------------------------------------------

_SIDE = 3


def _images(rng: np.random.Generator) -> dict[str, Any]:
    return {"x": rng.standard_normal((8, 3, 32, 32)), "w": rng.standard_normal((16, 3, _SIDE, _SIDE))}


def _convolution_autodiff(data: dict[str, Any]) -> Run:
    from autodiff import Value, ops

    def run() -> Any:
        x, w = Value(data["x"]), Value(data["w"])
        size = x.shape[-1] - _SIDE + 1
        # Of each pixel its neighbourhood, and one product: autodiff has no convolution of images.
        shifted = [x[:, :, i : i + size, j : j + size] for i in range(_SIDE) for j in range(_SIDE)]
        parts = ops.stack(*shifted, axis=2).reshape((len(x), -1, size * size))
        y = w.reshape((len(w), -1)) @ parts
        (y * y).sum().backward()
        return [x.grad, w.grad]

    return run


def _convolution_torch(data: dict[str, Any]) -> Run:
    torch = pytorch()
    x, w = (torch.tensor(data[name], requires_grad=True) for name in "xw")

    def run() -> Any:
        y = torch.nn.functional.conv2d(x, w)
        return torch.autograd.grad((y * y).sum(), [x, w])

    return run


def _convolution_jax(data: dict[str, Any]) -> Run:
    import jax

    def loss(x: Any, w: Any) -> Any:
        y = jax.lax.conv(x, w, (1, 1), "VALID")
        return (y * y).sum()

    gradient = jax.jit(jax.grad(loss, (0, 1)))
    arrays = [jax.numpy.asarray(data[name]) for name in "xw"]
    return lambda: jax.block_until_ready(gradient(*arrays))


def _convolution_autograd(data: dict[str, Any]) -> Run:
    import autograd
    import autograd.numpy as anp
    from autograd.scipy.signal import convolve

    def loss(x: Any, w: Any) -> Any:
        y = convolve(x, w[:, :, ::-1, ::-1], axes=([2, 3], [2, 3]), dot_axes=([1], [1]), mode="valid")
        return anp.sum(y * y)

    gradient = autograd.grad(loss, (0, 1))
    return lambda: gradient(data["x"], data["w"])


def _convolution_mygrad(data: dict[str, Any]) -> Run:
    import mygrad
    from mygrad.nnet.layers import conv_nd

    x, w = mygrad.tensor(data["x"]), mygrad.tensor(data["w"])

    def run() -> Any:
        y = conv_nd(x, w, stride=1)
        (y * y).sum().backward()
        return [x.grad, w.grad]

    return run


def _runs(workload: str) -> dict[str, Callable[[dict[str, Any]], Run]]:
    """Return the functions of this module that are called after a workload, by the names of the libraries."""
    found = {name.rpartition("_")[2]: f for name, f in globals().items() if name.startswith(f"_{workload}_")}
    return {"jax.jit" if library == "jax" else library: f for library, f in found.items()}


ROWS = {
    "W1": Row("a step of training, 64-128-10, batch 32, tanh, cross-entropy", _classifier, _runs("training")),
    "W2": Row(f"a step of Adam with the gradients of {_COUNT} arrays of 100", _targets, _runs("adam")),
    "W3": Row("4096 rows of a table of 5000 x 32, duplicates among them", _table, _runs("gather")),
    "W4": Row("the gradient of a squared gradient, 16-64-1, batch 32", _critic, _runs("penalty")),
    "W5": Row(f"einsum `{_SCORES}`, 4 x 4 x 64 x 32", _heads, _runs("einsum")),
    "W6": Row("convolution of 8 images of 3 x 32 x 32 with 16 filters of 3 x 3", _images, _runs("convolution")),
}
