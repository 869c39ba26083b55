"""Everything that a plugin needs beside the users' names: declare ops, hooks, backends, samples.

>>> from autodiff.extend import elementwise, hookimpl
"""

from autodiff.backend import Backend
from autodiff.batches import InBatch, shifted
from autodiff.broadcasting import broadcast_to
from autodiff.declarations import Composite, composite, elementwise, linear, primitive
from autodiff.errors import ArgumentError, ArgumentTypeError, BackendMismatchError
from autodiff.hookspecs import hookimpl
from autodiff.leaves import relocate
from autodiff.op import Op
from autodiff.registry import ops_of, registry
from autodiff.samples import Array, Sample, Unsupported, binary, sample, unary

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "Array",
    "Backend",
    "BackendMismatchError",
    "Composite",
    "InBatch",
    "Op",
    "Sample",
    "Unsupported",
    "backend_of",
    "binary",
    "broadcast_to",
    "composite",
    "elementwise",
    "get_backend",
    "hookimpl",
    "linear",
    "ops_of",
    "primitive",
    "relocate",
    "sample",
    "shifted",
    "unary",
]

get_backend = registry.backend
backend_of = registry.backend_of
