"""`check_c_expressions`: the C expressions of an op, compiled, agree with its kernel and its rules.

Backends make kernels of them for devices that need not be here; the system's C compiler is a stand-in that tells
whether they say the same as the op. Without one, ``CC`` in the environment or ``cc``, ``gcc``, ``clang`` on the
path, they are not checked.
"""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from autodiff.testing.case import Case
from autodiff.testing.drawing import draw_like
from autodiff.testing.tolerances import rounding

__all__ = ["check_c_expressions", "compiler"]

_TYPES = {"float64": "double", "float32": "float"}


def check_c_expressions(case: Case) -> None:
    """Compare the C expressions with the values and gradients of the op, on real numbers in float64 and float32."""
    op = case.op
    if case.backend.name != "numpy" or getattr(op, "c", None) is None or case.dtype not in _TYPES or compiler() is None:
        return
    numbers = all(type(attr) in (int, float) for attr in case.attributes.values())
    real = all(type(x) in (int, float) or getattr(x, "dtype", None) == case.dtype for x in case.arrays)
    if not (numbers and real):
        return  # backends do not use them for these either
    attrs = {**op.attrs, **case.attributes}
    arrays = [np.array(x) for x in np.broadcast_arrays(*[np.asarray(x, case.dtype) for x in case.arrays])]
    source = _source(op.inputs, tuple(attrs), op.c, op.c_partials)
    try:
        library = _compiled(source)
    except subprocess.CalledProcessError as exc:
        case.report.fail("its C expressions do not compile", compiler=" ".join(exc.stderr.split()), expressions=source)
    y = np.asarray(case.call(arrays))
    tolerance = rounding(case.dtype)
    value = _call(library, "value", case.dtype, arrays, attrs.values())
    case.report.close(f"the C expression {op.c!r} against the value", value, y, tolerance)
    cotangent = draw_like(value, np.random.default_rng(case.seed))
    for i, partial in enumerate(op.c_partials):
        if op.vjps[i] is None:
            continue
        product = cotangent * _call(library, f"partial_{i}", case.dtype, [*arrays, y], attrs.values())
        run = case.run(arrays, needs=[i], seeds=[cotangent])
        told = f"the C expression {partial!r} against the gradient of {op.inputs[i]}"
        case.report.close(told, product, run.grads[i], tolerance, finite=True)


@functools.cache
def compiler() -> str | None:
    """Return the C compiler, or None if there is none."""
    return next(
        (found for name in (os.environ.get("CC", ""), "cc", "gcc", "clang") if (found := shutil.which(name))), None
    )


def _source(inputs: tuple[str, ...], attrs: tuple[str, ...], value: str, partials: tuple[str, ...]) -> str:
    """Write one function for the value and one for each partial, in both types."""
    lines = ["#include <tgmath.h>"]
    for dtype, c_type in _TYPES.items():
        lines += ["#undef T", f"#define T {c_type}"]
        expressions = [("value", inputs, value), *((f"partial_{i}", (*inputs, "y"), p) for i, p in enumerate(partials))]
        for name, arrays, expression in expressions:
            parameters = [*(f"const T *{a}_" for a in arrays), *(f"T {a}" for a in attrs), "T *out_"]
            read = " ".join(f"const T {a} = {a}_[i_];" for a in arrays)
            lines.append(
                f"void {name}_{dtype}(long n_, {', '.join(parameters)}) "
                f"{{ for (long i_ = 0; i_ < n_; i_++) {{ {read} out_[i_] = (T)({expression}); }} }}"
            )
    return "\n".join(lines) + "\n"


@functools.cache
def _compiled(source: str) -> ctypes.CDLL:
    """Compile and load; the folder may go once the library is loaded."""
    with tempfile.TemporaryDirectory() as folder:
        file, library = Path(folder) / "expressions.c", Path(folder) / "expressions.so"
        file.write_text(source)
        command = [
            compiler() or "cc",
            "-std=c11",
            "-w",
            "-O1",
            "-shared",
            "-fPIC",
            "-o",
            str(library),
            str(file),
            "-lm",
        ]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return ctypes.CDLL(str(library))


def _call(library: ctypes.CDLL, name: str, dtype: str, arrays: list[Any], attrs: Any) -> Any:
    number = ctypes.c_double if dtype == "float64" else ctypes.c_float
    arrays = [np.array(a, dtype, order="C") for a in arrays]
    out = np.empty(arrays[0].shape, dtype)
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in arrays]
    getattr(library, f"{name}_{dtype}")(
        ctypes.c_long(out.size), *pointers, *[number(attr) for attr in attrs], ctypes.c_void_p(out.ctypes.data)
    )
    return out
