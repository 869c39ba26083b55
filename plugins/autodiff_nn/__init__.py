"""Networks on autodiff: modules, layers, losses, optimisers, schedules, saving.

>>> import autodiff_nn as nn
>>> from autodiff import ops
>>> model = nn.Sequential(nn.Linear(2, 16), ops.tanh, nn.Linear(16, 1))
>>> optimizer = nn.Adam(model.parameters(), lr=1e-2)

It is a plugin like anyone else's: it registers the fused ops `linear`, `layer_norm`, `cross_entropy_with_logits` and
`attention` and the steps of the optimisers, and everything else is written with registered ops, for every backend.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from autodiff.extend import hookimpl, ops_of
from autodiff_nn import attention, fused, numpy_kernels, steps  # noqa: F401  # the import gives the fused ops their NumPy kernels
from autodiff_nn.attention import scaled_dot_product_attention
from autodiff_nn.fused import cross_entropy_with_logits, layer_norm, linear

if TYPE_CHECKING:
    from autodiff_nn.layers import BatchNorm1d, Dropout, Embedding, LayerNorm, Linear, Sequential
    from autodiff_nn.losses import (
        binary_cross_entropy_with_logits,
        cross_entropy,
        huber_loss,
        l1_loss,
        mse_loss,
        nll_loss,
    )
    from autodiff_nn.module import LoadReport, Module, functional_call
    from autodiff_nn.optim import SGD, Adam, AdamW, Optimizer, clip_grad_norm, clip_grad_value
    from autodiff_nn.saving import MissingPackageError, load, load_metadata, save
    from autodiff_nn.schedules import (
        CosineAnnealingLR,
        ExponentialLR,
        LambdaLR,
        LinearLR,
        Schedule,
        SequentialLR,
        StepLR,
    )

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "BatchNorm1d",
    "CosineAnnealingLR",
    "Dropout",
    "Embedding",
    "ExponentialLR",
    "LambdaLR",
    "LayerNorm",
    "Linear",
    "LinearLR",
    "LoadReport",
    "MissingPackageError",
    "Module",
    "Optimizer",
    "Schedule",
    "Sequential",
    "SequentialLR",
    "StepLR",
    "binary_cross_entropy_with_logits",
    "clip_grad_norm",
    "clip_grad_value",
    "cross_entropy",
    "cross_entropy_with_logits",
    "functional_call",
    "huber_loss",
    "l1_loss",
    "layer_norm",
    "linear",
    "load",
    "load_metadata",
    "mse_loss",
    "nll_loss",
    "save",
    "scaled_dot_product_attention",
]

# Plugins are loaded when autodiff is first used, also by those who train nothing: the rest waits until it is asked for.
_LATER = ("module", "layers", "losses", "optim", "schedules", "saving")


def __getattr__(name: str) -> Any:
    for module in map(import_module, [f"autodiff_nn.{m}" for m in _LATER] if name in __all__ else []):
        if name in module.__all__:
            return getattr(module, name)
    told = (
        "" if name.startswith("_") else "; activations are functions, as autodiff.ops.relu, which Sequential takes too"
    )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{told}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


@hookimpl
def register_ops(register: Callable[..., None]) -> None:
    """Register the fused ops, and the steps of the optimisers."""
    for op in ops_of(attention, fused, steps):
        register(op)
