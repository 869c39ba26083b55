"""Other dtypes, devices and backends for the same numbers."""

from __future__ import annotations

from typing import Any

from autodiff.extend import ArgumentError, backend_of, get_backend, linear, sample


@linear(
    transpose=lambda g: g,  # the scheduler casts every cotangent to its input's dtype
    samples=[
        sample((2, 3), dtype="float64"),
        sample((), dtype="float64"),
        sample((2, 3), dtype="float32"),
        sample((3,), dtype="complex128"),
        sample((3,), dtype="int64"),
    ],
    batching=(),
)
def astype(xp: Any, x: Any, *, dtype: Any) -> Any:
    """Convert to another dtype; differentiable between floating and complex types.

    Examples
    --------
    >>> from autodiff import Value
    >>> Value([1.5, 2.5]).astype("float32").dtype
    dtype('float32')
    """
    own: Any = backend_of(type(x))
    return own.astype(x, own.dtype(dtype))


def _to_vjp(g: Any, x_device: Any) -> Any:
    return to(g, device=x_device)


@linear(
    transpose=_to_vjp,
    samples=[sample((2, 3), device="numpy"), sample((), device="numpy")],
    batching=(),
)
def to(xp: Any, x: Any, *, device: str) -> Any:
    """Move to a backend or device, ``"numpy"``, ``"cupy"``, ``"cupy:1"``; the gradient moves back.

    ``"cpu"``, which NumPy says of its arrays, is that of the backend where `x` is, or else NumPy's.

    Examples
    --------
    >>> from autodiff import Value
    >>> Value([1.0]).to("numpy").backend
    'numpy'
    """
    if not isinstance(device, str):
        raise ArgumentError(
            f"to() takes a backend or device by name, such as 'numpy' or 'cupy:1'; it was given {device!r}"
        )
    source: Any = backend_of(type(x))
    if device == source.device(x):
        return x
    name, _, place = device.partition(":")
    target = get_backend("numpy" if device == "cpu" else name)
    if target is source:
        return target.to_device(x, place or None)
    return target.asarray(source.to_numpy(x), device=place or None)
