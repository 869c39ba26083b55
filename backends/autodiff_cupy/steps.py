"""Steps of optimisers, one launch for each parameter."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from autodiff_cupy.building import several

__all__ = ["adam_step", "momentum_step", "sgd_step"]

Kernel = Callable[..., Any]


def _fits(*arrays: Any) -> bool:
    """Tell whether arrays are real floating ones of one shape and dtype."""
    return {(a.shape, a.dtype) for a in arrays} == {(arrays[0].shape, arrays[0].dtype)} and arrays[0].dtype.kind == "f"


def sgd_step(generic: Kernel, x: Any, gradient: Any, *, lr: float, weight_decay: float) -> Any:
    """One launch."""
    if not _fits(x, gradient):
        return generic(x, gradient, lr=lr, weight_decay=weight_decay)
    return _sgd()(x, gradient, lr, weight_decay)


@cache
def _sgd() -> Any:
    return several("sgd_step", "x gradient", "lr decay", "new_x", "new_x = x - lr * (gradient + decay * x);")


def momentum_step(generic: Kernel, x: Any, gradient: Any, velocity: Any, **options: Any) -> Any:
    """One launch."""
    if not _fits(x, gradient, velocity):
        return generic(x, gradient, velocity, **options)
    lr, momentum, dampening = options["lr"], options["momentum"], options["dampening"]
    # The step is a sum of the gradient and the velocity, of which only nesterov has both.
    parts = (1.0, momentum) if options["nesterov"] else (0.0, 1.0)
    return _momentum()(x, gradient, velocity, lr, momentum, 1 - dampening, options["weight_decay"], *parts)


@cache
def _momentum() -> Any:
    return several(
        "momentum_step",
        "x gradient velocity",
        "lr momentum rest decay of_gradient of_velocity",
        "new_x new_velocity",
        """
        const W d = gradient + decay * x;
        new_velocity = momentum * velocity + rest * d;
        new_x = x - lr * (of_gradient * d + of_velocity * new_velocity);
        """,
    )


def adam_step(generic: Kernel, x: Any, gradient: Any, mean: Any, square: Any, **options: Any) -> Any:
    """One launch."""
    if not _fits(x, gradient, mean, square):
        return generic(x, gradient, mean, square, **options)
    (keep, keep_square), lr, decay, step = options["betas"], options["lr"], options["weight_decay"], options["step"]
    shrink, coupled = (1 - lr * decay, 0.0) if options["decoupled"] else (1.0, decay)
    scale, correction = lr / (1 - keep**step), (1 - keep_square**step) ** -0.5
    rest = (1 - keep, 1 - keep_square)  # worked out here, in double precision
    return _adam()(
        x, gradient, mean, square, keep, keep_square, *rest, scale, correction, options["eps"], shrink, coupled
    )


@cache
def _adam() -> Any:
    return several(
        "adam_step",
        "x gradient mean square",
        "keep keep_square rest rest_square scale correction eps shrink decay",
        "new_x new_mean new_square",
        """
        const W d = gradient + decay * x;
        new_mean = keep * mean + rest * d;
        new_square = keep_square * square + rest_square * d * d;
        new_x = shrink * x - scale * (new_mean / (correction * sqrt(new_square) + eps));
        """,
    )
