"""Right calls of what is in `autodiff`, `autodiff.extend`, `autodiff.testing`, `autodiff_nn`, and of the command."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

import autodiff
import autodiff.numpy as anp
import autodiff.testing as kit
import autodiff_nn as nn
from autodiff import Value, extend, ops
from autodiff.extend import Array, sample
from autodiff_cli import main
from malformed.targets import K, matrix, same, square, target, vector

# ---- autodiff ---------------------------------------------------------------------------------------------------------

_TRANSFORMED = {
    **{n: lambda: (square, 0) for n in ("grad", "value_and_grad", "hessian")},
    "jacobian": lambda: (same, 0, K(mode="auto")),
    **{n: lambda: (same, 0) for n in ("elementwise_grad", "holomorphic_grad")},
}
for _name, _make in _TRANSFORMED.items():
    _number = np.array([1 + 1j, 2.0]) if _name == "holomorphic_grad" else np.array([1.0, 2.0])

    def _applied(*args: Any, _name: str = _name, _at: Any = _number, **kwargs: Any) -> Any:
        return getattr(autodiff, _name)(*args, **kwargs)(_at)

    target(f"autodiff.{_name}", _applied, _make)
    target(f"autodiff.{_name} called", lambda *a, _m=_make, _n=_name, **k: getattr(autodiff, _n)(_m()[0])(*a, **k),
            lambda _a=_number: (_a,))  # fmt: skip
target("autodiff.grad of a tree", autodiff.grad(lambda p, n: (p["a"] * n).sum()), lambda: ({"a": vector()}, 2.0))
target("autodiff.vjp", autodiff.vjp, lambda: (same, np.array([1.0, 2.0]), K(has_aux=False)))
target("autodiff.vjp pull", lambda *a, **k: autodiff.vjp(same, np.ones(2))[1](*a, **k), lambda: (np.ones(2),))
target("autodiff.jvp", autodiff.jvp, lambda: (same, (np.ones(2),), (np.ones(2),), K(has_aux=False)))
target("autodiff.linearize", autodiff.linearize, lambda: (same, np.ones(2)))
target(
    "autodiff.linearize push", lambda *a, **k: autodiff.linearize(same, np.ones(2))[1](*a, **k), lambda: (np.ones(2),)
)
target("autodiff.hvp", autodiff.hvp, lambda: (square, np.ones(2), np.ones(2)))
target("autodiff.stop_gradient", autodiff.stop_gradient, lambda: (vector(),))
target("autodiff.checkpoint", lambda f, *a: autodiff.checkpoint(f)(*a), lambda: (same, vector()))
target("autodiff.checkpoint_sequential", lambda fs, *a: autodiff.checkpoint_sequential(fs)(*a),
       lambda: ([same, same], vector()))  # fmt: skip
target("autodiff.custom_gradient", lambda f, *a, **k: autodiff.custom_gradient(**k)(f)(*a),
        lambda: (lambda x: x * 2.0, np.ones(2), K(vjps=(lambda g: g * 2.0,))))  # fmt: skip
target("autodiff.approximate_gradient", lambda f, x, **k: autodiff.approximate_gradient(f, **k)(x),
        lambda: (lambda x: x * x, vector(), K(eps=1e-6)))  # fmt: skip
for _name in ("debug", "enable_grad", "no_grad"):

    def _within(*args: Any, _name: str = _name, **kwargs: Any) -> Any:
        with getattr(autodiff, _name)(*args, **kwargs):
            return vector() * 2.0

    target(f"autodiff.{_name}", _within, lambda: ())
    target(
        f"autodiff.{_name} as a decorator",
        lambda f, x, _n=_name: getattr(autodiff, _n)()(f)(x),
        lambda: (same, vector()),
    )
target("autodiff.is_grad_enabled", autodiff.is_grad_enabled, lambda: ())
target("autodiff.ops[]", lambda name: ops[name], lambda: ("autodiff_ops.add",))
target("autodiff.ops.", lambda name: getattr(ops, name), lambda: ("add",), False, TypeError, AttributeError)
target("autodiff.numpy.", lambda name: getattr(anp, name), lambda: ("summ",), False, TypeError, AttributeError)

# ---- autodiff.extend ---------------------------------------------------------------------------------------------------


def _kernel(xp: Any, x: Any) -> Any:
    return x * x


def _declared(name: str) -> Callable[..., Any]:
    def declare(function: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(extend, name)(*args, **kwargs)(function)

    return declare


target("extend.elementwise", _declared("elementwise"), lambda: (_kernel, K(partials=(lambda x: 2 * x,), samples=[sample((3,))],
        c="x * x", c_partials=("2 * x",), method=False)))  # fmt: skip
target(
    "extend.linear",
    _declared("linear"),
    lambda: (_kernel, K(transpose=lambda g: g, signature=None, samples=[], method=False)),
)
target("extend.primitive", _declared("primitive"), lambda: (_kernel, K(vjps=(lambda g, x: g * x,), jvps=(lambda t, x: t * x,),
        residuals=(), signature="(n)->(n)", samples=[], method=False)))  # fmt: skip
target("extend.composite", _declared("composite"), lambda: (same, K(samples=[], method=False)))
target("extend.sample", extend.sample, lambda: ((2, 3), K(axis=0)))
target("extend.Sample", extend.Sample, lambda: ((Array((2,)),), {"axis": 0}))
target("extend.Array", extend.Array, lambda: ((2, 3), -1.0, 1.0, "float", False))
target("extend.unary", extend.unary, lambda: (-1.0, 1.0))
target("extend.binary", extend.binary, lambda: ((-1.0, 1.0), (0.5, 2.0)))
target("extend.ops_of", extend.ops_of, lambda: (nn.fused,))
target("extend.get_backend", extend.get_backend, lambda: ("numpy",))
target("extend.backend_of", extend.backend_of, lambda: (np.ndarray,))

# ---- autodiff.testing --------------------------------------------------------------------------------------------------

target(
    "testing.check_op",
    kit.check_op,
    lambda: ("autodiff_ops.floor", [sample((2,))], K(backend="numpy", seed=0, order=1)),
    False,
    kit.ConformanceError,
)
target(
    "testing.check_grads",
    kit.check_grads,
    lambda: (square, (np.ones(2),), K(order=1, modes=("rev",), seed=0)),
    False,
    kit.ConformanceError,
)
target("testing.numeric_vjp", kit.numeric_vjp, lambda: (lambda x: [x * x], [np.ones(2)], [np.ones(2)], 0), False)

target(
    "testing.check_backend",
    lambda *a, **k: kit.check_backend(*a, **{"ops": ["autodiff_ops.floor"], **k}),
    lambda: ("numpy", K(ops=[ops["autodiff_ops.floor"]], seed=0)),
    False,
    kit.ConformanceError,
)
target(
    "testing.op_tests",
    lambda *a, **k: next(kit.op_tests(*a, **k)),
    lambda: (ops["autodiff_ops.floor"], K(backend="numpy", seed=0)),
)
target("testing.samples_of", kit.samples_of, lambda: (ops["autodiff_ops.floor"],))
target("testing.missing_dtype", kit.missing_dtype, lambda: (extend.get_backend("numpy"), "float32"))
target("testing.Test", kit.Test, lambda: ("name", same, None))
target("extend.Unsupported", extend.Unsupported, lambda: ("reason", K(backend="numpy", dtype="float16", order=1)))
target("autodiff.to_dot", autodiff.to_dot, lambda: ((vector() * 2.0).sum(), K(x=vector())))

target("autodiff.vmap", lambda *a, **k: autodiff.vmap(*a, **k)(np.ones((2, 3))), lambda: (same, 0, K(out_axes=0)))
target("autodiff.vmap called", lambda *a, **k: autodiff.vmap(same)(*a, **k), lambda: (np.ones((2, 3)),))
target("extend.broadcast_to", extend.broadcast_to, lambda: (vector(), K(shape=(2, 3))))
target("extend.relocate", extend.relocate, lambda: (vector(), np.ones(3)), True)
target("extend.shifted", extend.shifted, lambda: (0, 2))
target("extend.InBatch", extend.InBatch, lambda: (np.ones(2),))

# ---- autodiff_nn --------------------------------------------------------------------------------------------------------


def _layer() -> Any:
    return nn.Linear(3, 2, generator=0)


def _optimizer() -> Any:
    return nn.SGD([vector()], lr=0.1)


def _with_grad() -> list[Any]:
    v = vector()
    v.grad = np.ones(3)
    return [v]


_NN: dict[str, tuple[Any, Callable[[], tuple[Any, ...]]]] = {
    "Linear": (nn.Linear, lambda: (3, 2, K(bias=True, generator=0))),
    "Linear called": (lambda *a: _layer()(*a), lambda: (matrix(),)),
    "LayerNorm": (nn.LayerNorm, lambda: (3,)),
    "LayerNorm called": (lambda *a: nn.LayerNorm(3)(*a), lambda: (matrix(),)),
    "BatchNorm1d": (nn.BatchNorm1d, lambda: (3,)),
    "BatchNorm1d called": (lambda *a: nn.BatchNorm1d(3)(*a), lambda: (matrix(),)),
    "Dropout": (nn.Dropout, lambda: (0.5, K(generator=0))),
    "Dropout called": (lambda *a: nn.Dropout(0.5, generator=0)(*a), lambda: (matrix(),)),
    "Embedding": (nn.Embedding, lambda: (4, 3, K(generator=0))),
    "Embedding called": (lambda *a: nn.Embedding(4, 3, generator=0)(*a), lambda: (np.array([0, 3]),)),
    "Sequential": (nn.Sequential, lambda: (_layer(), ops.tanh)),
    "Sequential called": (lambda *a: nn.Sequential(_layer(), ops.tanh)(*a), lambda: (matrix(),)),
    "binary_cross_entropy_with_logits": (
        nn.binary_cross_entropy_with_logits,
        lambda: (vector(), np.array([0.0, 1.0, 1.0])),
    ),
    "cross_entropy": (nn.cross_entropy, lambda: (matrix(), np.array([0, 2]))),
    "nll_loss": (nn.nll_loss, lambda: (matrix(), np.array([0, 2]))),
    "huber_loss": (nn.huber_loss, lambda: (vector(), np.zeros(3))),
    "l1_loss": (nn.l1_loss, lambda: (vector(), np.zeros(3))),
    "mse_loss": (nn.mse_loss, lambda: (vector(), np.zeros(3), K(reduction="mean"))),
    "linear": (nn.linear, lambda: (matrix(), Value(np.ones((2, 3))), Value(np.ones(2)))),
    "layer_norm": (nn.layer_norm, lambda: (matrix(), Value(np.ones(3)), Value(np.ones(3)), K(ndim=1, eps=1e-5))),
    "cross_entropy_with_logits": (nn.cross_entropy_with_logits, lambda: (matrix(), np.array([0, 2]), K(axis=-1))),
    "functional_call": (nn.functional_call, lambda: (_layer(), {"bias": np.zeros(2)}, matrix())),
    "Module.load_state_dict": (
        lambda *a, **k: _layer().load_state_dict(*a, **k),
        lambda: (_layer().state_dict(), K(strict=True)),
    ),
    "Module.register_buffer": (lambda *a, **k: _layer().register_buffer(*a, **k), lambda: ("mean", np.zeros(2))),
    "Module.attribute": (lambda name, x: setattr(_layer(), name, x), lambda: ("weight", Value(np.ones((2, 3))))),
    "Module.train": (lambda *a, **k: _layer().train(*a, **k), lambda: (True,)),
    "SGD": (nn.SGD, lambda: ([vector()], K(lr=0.1, momentum=0.9, weight_decay=0.0, nesterov=True))),
    "Adam": (nn.Adam, lambda: ([vector()], K(lr=0.1, betas=(0.9, 0.99), eps=1e-8))),
    "AdamW": (nn.AdamW, lambda: ([vector()], K(lr=0.1, weight_decay=0.1))),
    "Optimizer": (nn.Optimizer, lambda: ([vector()],)),
    "Optimizer.step": (lambda *a, **k: nn.Adam(_with_grad(), lr=0.1).step(*a, **k), lambda: ()),
    "Optimizer.load_state_dict": (lambda *a: _optimizer().load_state_dict(*a), lambda: (_optimizer().state_dict(),)),
    "clip_grad_norm": (nn.clip_grad_norm, lambda: (_with_grad(), 1.0, K(norm_type=2.0))),
    "clip_grad_value": (nn.clip_grad_value, lambda: (_with_grad(), 1.0)),
    "StepLR": (nn.StepLR, lambda: (_optimizer(), 2, 0.5)),
    "ExponentialLR": (nn.ExponentialLR, lambda: (_optimizer(), 0.9)),
    "CosineAnnealingLR": (nn.CosineAnnealingLR, lambda: (_optimizer(), 10)),
    "LambdaLR": (nn.LambdaLR, lambda: (_optimizer(), lambda n: 0.5)),
    "LinearLR": (nn.LinearLR, lambda: (_optimizer(), K(start_factor=0.5, end_factor=1.0, total_iters=5))),
    "SequentialLR": (
        nn.SequentialLR,
        lambda: (_two := _optimizer(), [nn.StepLR(_two, 2), nn.ExponentialLR(_two, 0.9)], [3]),
    ),
    "Schedule": (nn.Schedule, lambda: (_optimizer(),)),
    "Schedule.load_state_dict": (
        lambda *a: nn.StepLR(_optimizer(), 2).load_state_dict(*a),
        lambda: (nn.StepLR(_optimizer(), 2).state_dict(),),
    ),
    "LoadReport": (nn.LoadReport, lambda: ([], [])),
}
for _name, (_function, _make) in _NN.items():
    _allowed = (NotImplementedError,) if _name in ("Optimizer", "Schedule") else ()
    target(f"nn.{_name}", _function, _make, _name.split(".")[0] != "mse_loss", *_allowed)


def _in_folder(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(name: Any, *args: Any, **kwargs: Any) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            before = os.getcwd()
            os.chdir(folder)
            try:
                nn.save("there", {"a": np.ones(2)})
                result = function(name, *args, **kwargs)
                if os.path.exists("there"):
                    nn.load("there")
                return result
            finally:
                os.chdir(before)
                if any(entry.endswith(".part") for entry in os.listdir(folder)):
                    raise AssertionError("a part of a file was left")

    return call


target("nn.save", _in_folder(nn.save), lambda: ("there", {"a": np.ones(3)}, {"epoch": "1"}), False, OSError)
target("nn.load", _in_folder(nn.load), lambda: ("there",), False, OSError)
target("nn.load_metadata", _in_folder(nn.load_metadata), lambda: ("there",), False, OSError)

# ---- the command ---------------------------------------------------------------------------------------------------------


def _command(*arguments: Any) -> int:
    if "demo" in arguments and not any("-" in str(a) for a in arguments[1:]):
        return 0  # a right call of the demo takes minutes
    return main([a if isinstance(a, str) else str(a) for a in arguments])


target("autodiff plugins", _command, lambda: ("plugins",), False, SystemExit)
target("autodiff ops", _command, lambda: ("ops", "tanh"), False, SystemExit)
target("autodiff demo", lambda a, b: main(["demo", f"--{a}", str(b)]), lambda: ("epochs", "none"), False, SystemExit)
