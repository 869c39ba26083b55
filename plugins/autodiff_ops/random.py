"""Random ops. The generator is an attribute: plugins keep no state."""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, primitive, sample


def _dropout_batching(x: Any, p: float, generator: Any) -> Any:
    return dropout.apply(x, p=p, generator=generator)


@primitive(
    vjps=(lambda g, mask: g * mask,),
    jvps=(lambda t, mask: t * mask,),
    residuals=("mask",),
    samples=[sample((3, 4), p=0.0), sample((3, 4), p=0.5), sample((3, 4), p=1.0)],
    batching=_dropout_batching,
)
def dropout(xp: Any, x: Any, *, p: float = 0.5, generator: Any = None) -> Any:
    """Each element is 0 with probability `p`, and ``x / (1 - p)`` otherwise.

    Parameters
    ----------
    x : array
        Any shape.
    p : float
        Probability of dropping, from 0 to 1.
    generator : Generator of the backend, optional
        ``numpy.random.default_rng(seed)`` for NumPy, and for libraries that have no such thing; a fresh one, seeded by
        the system, by default.

    Raises
    ------
    ArgumentError
        `p` is no probability.

    References
    ----------
    N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15 (2014).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.dropout(np.ones(5), p=0.5, generator=np.random.default_rng(0))
    array([2., 0., 0., 0., 2.])
    """
    if not 0 <= p <= 1:
        raise ArgumentError(f"dropout: p is the probability of dropping, from 0 to 1; it was given {p!r}")
    if generator is None:
        generator = _fresh(xp)
    keep = generator.random(x.shape) >= p
    mask = xp.astype(xp.asarray(keep), x.dtype) / (1 - p if p < 1 else 1)
    return x * mask, mask


def _fresh(xp: Any) -> Any:
    """Return a generator of the library, or NumPy's where it has none of that kind."""
    own: Any = getattr(xp, "random", None)
    if hasattr(own, "default_rng"):
        return own.default_rng()
    import numpy as np

    return np.random.default_rng()
