"""autodiff: exact derivatives of any order for NumPy-like code, with ops and backends that arrive as plugins.

>>> from autodiff import Value
>>> x = Value(3.0)
>>> y = x * x + x
>>> y.backward()
>>> print(y.data, x.grad)
12.0 7.0
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from autodiff import backward as _backward
from autodiff import batch_rules as _batch_rules
from autodiff import batches as _batches
from autodiff import broadcasting as _broadcasting
from autodiff import handles as _handles
from autodiff import levels as _levels
from autodiff import plugins as _plugins
from autodiff import value as _value
from autodiff.checkpointing import checkpoint, checkpoint_sequential
from autodiff.custom import approximate_gradient, custom_gradient
from autodiff.derivatives import elementwise_grad, hessian, holomorphic_grad, hvp, jacobian, stop_gradient
from autodiff.drawing import to_dot
from autodiff.errors import AutodiffError
from autodiff.modes import debug, enable_grad, is_grad_enabled, no_grad
from autodiff.ops import ops
from autodiff.registry import registry as _registry
from autodiff.standard import standard as _standard
from autodiff.transforms import grad, jvp, linearize, value_and_grad, vjp
from autodiff.value import Value
from autodiff.vectorizing import vmap

__all__ = [
    "COMPILED",
    "AutodiffError",
    "Value",
    "approximate_gradient",
    "checkpoint",
    "checkpoint_sequential",
    "custom_gradient",
    "debug",
    "elementwise_grad",
    "enable_grad",
    "grad",
    "hessian",
    "holomorphic_grad",
    "hvp",
    "is_grad_enabled",
    "jacobian",
    "jvp",
    "linearize",
    "no_grad",
    "ops",
    "stop_gradient",
    "to_dot",
    "value_and_grad",
    "vjp",
    "vmap",
]

__version__ = "0.1.0"

#: Whether the modules that every call of an op goes through are compiled.
COMPILED = not str(_handles.__file__).endswith(".py")


#: What is called something else here.
_ELSEWHERE = {
    "jacfwd": 'jacobian(f, mode="forward")',
    "jacrev": 'jacobian(f, mode="reverse")',
    "jit": "nothing: functions run as they are written",
    "remat": "checkpoint(f)",
    "custom_vjp": "custom_gradient",
    "custom_jvp": "custom_gradient",
    "tensor": "Value(x)",
    "Tensor": "Value(x)",
    "array": "Value(x), or autodiff.numpy.array",
    "nn": "the package autodiff_nn",
}


#: Modules that are imported when they are first asked for.
_MODULES = ("extend", "fft", "linalg", "numpy", "testing")

if TYPE_CHECKING:
    from autodiff import extend as extend
    from autodiff import fft as fft
    from autodiff import linalg as linalg
    from autodiff import numpy as numpy
    from autodiff import testing as testing
else:  # type checkers would take every name for one that exists

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"autodiff.{name}")
        told = f"; it is {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{told}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *_MODULES})


class _NumpyProtocols:
    """`autodiff.numpy`, imported when NumPy's protocols first need it."""

    def __getattr__(self, name: str) -> Any:
        import autodiff.numpy

        return getattr(autodiff.numpy, name)


def _load() -> None:
    for op in _broadcasting.OPS:
        _registry.register_op(op, origin="autodiff")
    _plugins.load_all()


def _recorded_xp(backend: Any) -> Any:
    import autodiff.numpy

    return autodiff.numpy.recorded_xp(backend)


def _batched_xp(backend: Any) -> Any:
    import autodiff.numpy

    return autodiff.numpy.batched_xp(backend)


# The core's modules do not import each other in a circle: what one needs of a later one is handed over here.
_value.run_backward = _backward.backward
_value.spread_for = _levels.spread_for
_value.numpy_protocols = _batches.numpy_protocols = _NumpyProtocols()
_batch_rules.enter, _batch_rules.leave = _levels.enter, _levels.leave
_registry.loader = _load
_registry.recorded_xp = _recorded_xp
_registry.batched_xp = _batched_xp
_registry.listeners.append(lambda: _standard.fill(_registry.ops))
