"""One step of an optimiser for one parameter, as ops: a backend may do it in one go.

They return new arrays and are not differentiable. The optimisers in `optim` are made of them.
"""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, primitive, sample
from autodiff_nn.checks import told

__all__ = ["adam_factors", "adam_step", "momentum_step", "sgd_step"]

_LIKE = (Array((2, 3)),) * 3


@primitive(
    vjps=(None, None),
    samples=[sample((3,), (3,), lr=0.5), sample((2, 3), (2, 3), lr=0.5, weight_decay=0.1), sample((), (), lr=0.5)],
)
def sgd_step(xp: Any, x: Any, gradient: Any, *, lr: float, weight_decay: float = 0.0) -> Any:
    """``x - lr * (gradient + weight_decay * x)``: a step of gradient descent; not differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.sgd_step(np.array([1.0]), np.array([2.0]), lr=0.25)
    array([0.5])
    """
    return x - lr * (gradient + weight_decay * x if weight_decay else gradient)


@primitive(
    vjps=(None, None, None),
    samples=[
        sample((3,), (3,), (3,), lr=0.5, momentum=0.9),
        sample((2, 3), (2, 3), (2, 3), lr=0.5, momentum=0.9, nesterov=True),
        sample((2, 3), (2, 3), (2, 3), lr=0.5, momentum=0.9, dampening=0.5, weight_decay=0.1),
    ],
)
def momentum_step(
    xp: Any,
    x: Any,
    gradient: Any,
    velocity: Any,
    *,
    lr: float,
    momentum: float,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> Any:
    """A step of gradient descent with momentum: the new numbers and the new velocity; not differentiable.

    With ``d = gradient + weight_decay * x`` the velocity becomes ``momentum * velocity + (1 - dampening) * d``, and the step
    is `lr` times that, or times ``d + momentum * velocity`` with `nesterov`.

    References
    ----------
    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep
    learning", ICML 2013. The form is PyTorch's.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> one = np.array([1.0])
    >>> autodiff.ops.momentum_step(one, one, one, lr=0.5, momentum=0.5)
    (array([0.25]), array([1.5]))
    """
    if weight_decay:
        gradient = gradient + weight_decay * x
    velocity = momentum * velocity + (1 - dampening) * gradient
    return x - lr * (gradient + momentum * velocity if nesterov else velocity), velocity


@primitive(
    vjps=(None, None, None, None),
    samples=[
        Sample((*_LIKE, Array((2, 3), 0.1, 2.0)), {"step": step, "lr": 0.5, **options})
        for step, options in enumerate(({}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled": True}), start=1)
    ],
)
def adam_step(
    xp: Any,
    x: Any,
    gradient: Any,
    mean: Any,
    square: Any,
    *,
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> Any:
    """The step number `step`, from 1, of `Adam`: the new numbers and running means; not differentiable.

    `mean` is that of the gradients, `square` that of their squares. With `decoupled` the weight decay shrinks `x`, as
    in `AdamW`, and otherwise it is part of the gradient.

    References
    ----------
    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> zero = np.zeros(1)
    >>> autodiff.ops.adam_step(np.ones(1), np.ones(1), zero, zero, step=1, lr=0.5)[0].round(6)
    array([0.5])
    """
    scale, eps = adam_factors(step, lr, betas, eps, weight_decay)
    if decoupled:
        x = x * (1 - lr * weight_decay)
    elif weight_decay:
        gradient = gradient + weight_decay * x
    keep, keep_square = betas
    mean = keep * mean + (1 - keep) * gradient
    square = keep_square * square + (1 - keep_square) * (gradient * gradient)
    return x - scale * (mean / (xp.sqrt(square) + eps)), mean, square


def adam_factors(step: Any, lr: Any, betas: Any, eps: Any, weight_decay: Any) -> tuple[float, float]:
    """Return `lr` and `eps` with what undoes that the running means begin at zero: the order of the end of section 2.

    Raises
    ------
    ArgumentError
        `step` does not count from 1, or `betas` are not from 0 to below 1.
    TypeError
        An option is no number; whoever calls the op is told so with all that it was given.
    """
    if not isinstance(step, int) or step < 1:
        raise ArgumentError(f"adam_step: step is the number of a step, from 1; it was given {told(step)}")
    keep, keep_square = betas
    options = {"lr": lr, "eps": eps, "weight_decay": weight_decay, "betas[0]": keep, "betas[1]": keep_square}
    for name, option in options.items():
        if not isinstance(option, (int, float)):
            raise TypeError(f"{name} is a number")
    if not 0 <= min(betas) <= max(betas) < 1:
        raise ArgumentError(f"adam_step: betas are from 0 to below 1; it was given {told(betas)}")
    root = (1 - keep_square**step) ** 0.5
    return lr * root / (1 - keep**step), eps * root
