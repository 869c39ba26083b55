"""Right calls of all ops, of their names in `autodiff.numpy`, and of `Value`."""

from __future__ import annotations

import copy
import math
import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

import autodiff.numpy as anp
from autodiff import Value, ops
from autodiff.testing.drawing import draw
from malformed.targets import K, matrix, target, vector

__all__ = ["PUBLIC"]

# ---- ops, and their names in autodiff.numpy ------------------------------------------------------------------------


def _op_calls(op: Any, n: int, values: bool) -> Callable[[], tuple[Any, ...]]:
    def make() -> tuple[Any, ...]:
        rng = np.random.default_rng(n)
        chosen = op.samples[n % len(op.samples)]
        inputs = [draw(spec, rng) for spec in chosen.inputs]
        if values:
            inputs = [Value(x) if isinstance(x, np.ndarray) and x.dtype.kind in "fc" else x for x in inputs]
        attrs = copy.deepcopy(dict(chosen.attrs))
        if "generator" in op.attrs:
            attrs["generator"] = np.random.default_rng(0)
        for name, default in op.attrs.items():
            if default is None or isinstance(default, bool | int | float | str | tuple):
                attrs.setdefault(name, default)
        return (*inputs, K(attrs))

    return make


for _op in ops:
    target(f"ops.{_op.id}", _op, _op_calls(_op, 1, True))
    target(f"ops.{_op.id} of arrays", _op, _op_calls(_op, 2, False))

_NUMPY: dict[str, Callable[[], tuple[Any, ...]]] = {
    **{f"arc{f}": lambda: (vector() * 0.5,) for f in ("sin", "cos", "tan", "sinh", "tanh")},
    "arccosh": lambda: (vector() + 1.0,),
    "arctan2": lambda: (vector(), vector()),
    **{
        name: lambda: (matrix(), K(axis=0))
        for name in ("amax", "amin", "cumsum", "cumprod", "max", "min", "sum", "mean")
    },
    **{name: lambda: (matrix(), K(axis=0, keepdims=True)) for name in ("var", "std", "prod", "nansum", "nanmean")},
    **{
        name: lambda: (matrix(), K(axis=1))
        for name in ("argmax", "argmin", "all", "any", "sort", "argsort", "flip", "count_nonzero")
    },
    **{
        name: lambda: (vector(),)
        for name in ("absolute", "around", "conjugate", "fabs", "fix", "rint", "round", "ravel")
    },
    **{
        name: lambda: (vector(), vector())
        for name in ("mod", "power", "true_divide", "dot", "inner", "outer", "kron", "vecdot")
    },
    **{name: lambda: (np.array([1, 2]), np.array([1, 3])) for name in ("left_shift", "right_shift")},
    **{name: lambda: (np.array([1, 2]),) for name in ("bitwise_not", "invert")},
    **{name: lambda: ([matrix(), matrix()], K(axis=0)) for name in ("concat", "concatenate", "stack")},
    **{name: lambda: ([matrix(), matrix()],) for name in ("hstack", "vstack")},
    **{name: lambda: ((2, 3), K(dtype="float64")) for name in ("zeros", "ones", "empty")},
    **{name: lambda: (matrix(),) for name in ("zeros_like", "ones_like", "empty_like", "ndim", "shape", "size")},
    **{name: lambda: (matrix(), "float32") for name in ("can_cast", "result_type")},
    **{
        name: lambda: (matrix(),)
        for name in ("iscomplexobj", "isrealobj", "diagonal", "trace", "tril", "triu", "squeeze")
    },
    **{name: lambda: (vector(), vector()) for name in ("allclose", "append", "array_equal", "array_equiv", "isclose")},
    **{name: lambda: (vector(), vector()) for name in ("broadcast_arrays", "may_share_memory", "shares_memory")},
    **{name: lambda: (vector(),) for name in ("atleast_1d", "atleast_2d", "atleast_3d", "deg2rad", "degrees", "diff")},
    **{name: lambda: (vector(),) for name in ("argwhere", "flatnonzero", "iscomplex", "isreal", "nonzero", "rad2deg")},
    **{name: lambda: (matrix(),) for name in ("copy", "fliplr", "flipud", "radians", "trapezoid")},
    **{name: lambda: ([matrix(), matrix()],) for name in ("column_stack", "dstack")},
    **{name: lambda: (matrix(), 1) for name in ("array_split", "hsplit", "rollaxis", "vsplit")},
    "dsplit": lambda: (Value(np.ones((2, 2, 2))), 2),
    "arange": lambda: (0, 6, 2),
    "array": lambda: ([1.0, 2.0], K(dtype="float32")),
    "asarray": lambda: ([1.0, 2.0], K(dtype="float32", copy=True)),
    "astype": lambda: (matrix(), "float32"),
    "broadcast_to": lambda: (vector(), (2, 3)),
    "clip": lambda: (matrix(), 0.2, 0.8),
    "diag": lambda: (vector(),),
    "einsum": lambda: ("ij,j->i", matrix(), vector()),
    "expand_dims": lambda: (matrix(), K(axis=0)),
    "eye": lambda: (3,),
    "finfo": lambda: ("float64",),
    "full": lambda: ((2, 2), 1.0),
    "full_like": lambda: (matrix(), 2.0),
    "iinfo": lambda: ("int64",),
    "isdtype": lambda: (np.dtype("float64"), "real floating"),
    "linspace": lambda: (0.0, 1.0, 5),
    "logsumexp": lambda: (matrix(), K(axis=0)),
    "matmul": lambda: (matrix(), vector()),
    "meshgrid": lambda: (vector(), vector(), K(indexing="ij")),
    "moveaxis": lambda: (matrix(), 0, 1),
    "norm": lambda: (matrix(), K(axis=0)),
    "pad": lambda: (vector(), (1, 2), K(constant_values=0.5)),
    "permute_dims": lambda: (matrix(), (1, 0)),
    "put_along_axis": lambda: (matrix(), np.array([[0], [1]]), matrix()[:, :1], K(axis=1)),
    "repeat": lambda: (matrix(), 2, K(axis=0)),
    "reshape": lambda: (matrix(), (3, 2)),
    "roll": lambda: (matrix(), 1, K(axis=0)),
    "searchsorted": lambda: (np.array([0.0, 1.0, 2.0]), vector()),
    "split": lambda: (matrix(), 3, K(axis=1)),
    "swapaxes": lambda: (matrix(), 0, 1),
    "take": lambda: (matrix(), np.array([0, 1]), K(axis=1)),
    "take_along_axis": lambda: (matrix(), np.array([[0], [1]]), K(axis=1)),
    "tensordot": lambda: (matrix(), matrix(), K(axes=2)),
    "tile": lambda: (vector(), (2, 1)),
    "transpose": lambda: (matrix(), (1, 0)),
    "vector_norm": lambda: (matrix(), K(axis=0)),
    "where": lambda: (np.array([True, False, True]), vector(), vector()),
    **{name: lambda: (vector(),) for name in ("cumulative_sum", "cumulative_prod")},
}
#: The public names of `autodiff.numpy`.
PUBLIC = sorted({*anp._names()})
for _name in PUBLIC:
    if _name in _NUMPY:
        target(f"numpy.{_name}", getattr(anp, _name), _NUMPY[_name])
    else:
        _of_name = getattr(ops, _name, None)
        target(f"numpy.{_name}", getattr(anp, _name), _op_calls(_of_name, 1, True) if _of_name else lambda: (matrix(),))
for _name in ("sum", "add", "exp", "matmul", "concatenate", "where", "tanh", "sort", "linalg.norm", "einsum"):
    _function = operator.attrgetter(_name)(np)
    target(
        f"NumPy's {_name} of Values",
        _function,
        _NUMPY.get(_name.rpartition(".")[2], lambda n=_name: (vector(), vector())[: 1 + (n == "add")]),
    )

# ---- Value -----------------------------------------------------------------------------------------------------------

target("Value", Value, lambda: ([1.0, 2.0], K(requires_grad=True, dtype="float64", backend="numpy")))
for _name in ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "eq", "ne", "lt", "le", "gt", "ge"]:
    target(f"Value {_name}", getattr(operator, _name), lambda: (vector(), vector()))
for _name in ["and_", "or_", "xor", "lshift", "rshift"]:
    target(f"Value {_name}", getattr(operator, _name), lambda: (Value(np.array([1, 2])), np.array([1, 2])))
for _name in ["iadd", "isub", "imul", "itruediv", "ipow", "imatmul"]:
    target(f"Value {_name}", getattr(operator, _name), lambda: (vector() + 0.0, vector()), True)
target("Value divmod", divmod, lambda: (vector(), vector()))
target("Value pow of three", pow, lambda: (vector(), vector()))
target("Value invert", operator.invert, lambda: (Value(np.array([1, 2])),))
for _name, _function in {
    **{f: getattr(operator, f) for f in ("neg", "pos", "abs", "index")},
    "round": round,
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "len": len,
    "iter": lambda v: [*v],
    "float": float,
    "int": int,
    "complex": complex,
    "bool": bool,
    "repr": repr,
    "str": str,
    "hash": hash,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda v: pickle.loads(pickle.dumps(v)),
    "dir": dir,
    "asarray": np.asarray,
    "array": np.array,
    "format": format,
    "sum()": sum,
    "namespace": lambda v: v.__array_namespace__(),
}.items():
    target(f"Value {_name}", _function, lambda: (Value(2.0, requires_grad=False),), False, TypeError, ValueError)
target("Value getitem", operator.getitem, lambda: (matrix(), (0, slice(1, 3))))
target(
    "Value setitem",
    lambda v, i, w: operator.setitem(v, i, w),
    lambda: (matrix() + 0.0, (0, slice(1, 3)), vector()[:2]),
    True,
)
_METHODS: dict[str, Callable[[], tuple[Any, ...]]] = {
    **{
        n: lambda: ()
        for n in [
            "abs",
            "conj",
            "cos",
            "detach",
            "exp",
            "item",
            "log",
            "numpy",
            "relu",
            "retain_grad",
            "tolist",
            "sigmoid",
            "sin",
            "sqrt",
            "tanh",
            "zero_grad",
        ]
    },
    **{
        n: lambda: (K(axis=0),)
        for n in ["all", "any", "argmax", "argmin", "log_softmax", "logsumexp", "softmax", "argsort"]
    },
    **{n: lambda: (K(axis=0, keepdims=True),) for n in ["max", "mean", "min", "prod", "std", "sum", "var"]},
    "astype": lambda: ("float32",),
    "backward": lambda: (K(gradient=np.ones((2, 3)), retain_graph=True, create_graph=False, inputs=None),),
    "clip": lambda: (0.2, 0.8),
    "register_hook": lambda: (lambda g: g,),
    "repeat": lambda: (2, K(axis=0)),
    "reshape": lambda: ((3, 2),),
    "squeeze": lambda: (K(axis=None),),
    "swapaxes": lambda: (0, 1),
    "take": lambda: (np.array([0, 1]), K(axis=1)),
    "to": lambda: ("numpy",),
    "to_device": lambda: ("numpy",),
    "transpose": lambda: (1, 0),
}
for _name, _make in _METHODS.items():

    def _method(v: Any, *args: Any, _name: str = _name, **kwargs: Any) -> Any:
        return getattr(v, _name)(*args, **kwargs)

    target(
        f"Value.{_name}",
        lambda *a, _m=_method, vector=matrix if _name != "item" else lambda: Value(1.0), **k: _m(vector(), *a, **k),
        _make,
        True,
    )
for _name in [
    "T",
    "mT",
    "real",
    "imag",
    "data",
    "device",
    "dtype",
    "grad",
    "is_leaf",
    "ndim",
    "requires_grad",
    "shape",
    "size",
    "backend",
]:
    target(f"Value.{_name}", lambda v, _n=_name: getattr(v, _n) if type(v) is Value else None, lambda: (matrix(),))
target("Value.data =", lambda v, new: setattr(v, "data", new), lambda: (matrix(), np.ones((2, 3))), True)
target("Value.grad =", lambda v, new: setattr(v, "grad", new), lambda: (matrix(), np.ones((2, 3))), True)
target("Value.unknown", lambda name: getattr(matrix(), name), lambda: ("summ",), False, TypeError, AttributeError)
