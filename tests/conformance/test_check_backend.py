"""`check_backend` tells the author of a backend what is missing: each planted fault is told, and a right one passes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("array_api_strict")

import array_api_strict as strict
from strict_backend import Array, StrictBackend

from autodiff.errors import BackendUnavailableError, UnknownBackendError
from autodiff.extend import elementwise, unary
from autodiff.registry import registry
from autodiff.testing import ConformanceError, check_backend, check_op


def faulty(**methods: Any) -> Any:
    """Return a backend with some methods replaced."""
    return type("Faulty", (StrictBackend,), methods)()


def to_numpy(self: Any, array: Any) -> Any:
    host = StrictBackend.to_numpy(self, array)
    return host.astype(np.float32) if host.dtype == np.float64 else host


def recognises_all(self: Any, array_type: type) -> bool:
    return True


def asarray_of_numbers_alone(self: Any, obj: Any, *, dtype: Any = None, device: Any = None) -> Any:
    if isinstance(obj, str) or type(obj) is object:
        raise ValueError("no")
    return StrictBackend.asarray(self, obj, dtype=dtype)


def asarray_that_keeps_ints(self: Any, obj: Any, *, dtype: Any = None, device: Any = None) -> Any:
    return StrictBackend.asarray(self, np.asarray(obj) if isinstance(obj, list | int) else obj, dtype=dtype)


def dtype_but_float32(self: Any, name: Any) -> Any:
    return StrictBackend.dtype(self, "no_such_dtype" if name == "float32" else name)


class Wide:
    """A namespace whose sums are NumPy's."""

    def __getattr__(self, name: str) -> Any:
        return getattr(strict, name)

    def sum(self, x: Any, **options: Any) -> Any:
        return np.float64(StrictBackend().to_numpy(x).sum())


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "kind": ({"kind": lambda self, dtype: "float"}, "dtypes: kind() of int64 is 'float'; expected 'int'"),
    "narrow": ({"to_numpy": to_numpy}, "dtypes: to_numpy() makes float32 of float64"),
    "greedy": ({"recognises": recognises_all}, "recognises() is True for builtins.object"),
    "ints": ({"asarray": asarray_that_keeps_ints}, "conversion: asarray() of a list of ints has dtype array_api_strict.int64"),
    "copy": ({"fresh": lambda self, array, alone=False: array}, "creation: fresh(array) is the array itself"),
    "zeros": (
        {"zeros": lambda self, shape, dtype, array_type: self.xp.ones(shape, dtype=dtype)},
        "creation: zeros(shape, dtype, type)",
    ),
    "scalars": ({"xp": Wide()}, "0-d results: xp.sum is numpy.float64, which is neither its array"),
    "errors": (
        {"asarray": asarray_of_numbers_alone}, "errors: asarray('text') raised ValueError: no; expected ArgumentTypeError",
    ),
    "dtype": ({"dtype": lambda self, name: getattr(strict, str(name), None) or strict.float32}, "dtype('no_such_dtype') is"),
    "dtype without a name": (
        {"dtype": dtype_but_float32}, "dtypes: asarray makes array_api_strict.float32, and dtype('float32') raised",
    ),
    "device": ({"to_device": lambda self, array, device: array}, "to_device(x, 'no such device') is"),
    "fingerprint": ({"fingerprint": lambda self, array: 0}, "fingerprint() of different arrays is the same"),
    "nan": ({"has_nan": lambda self, array: False}, "has_nan() does not tell"),
    "exception": ({"ones": lambda self, like: like.no_such_method()}, "creation: raised AttributeError"),
}  # fmt: skip


@pytest.mark.parametrize(("methods", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told(methods: Any, message: str) -> None:
    """With what was expected."""
    with registry.scoped() as scoped:
        scoped.register_backend(faulty(**methods))
        with pytest.raises(ConformanceError, match=re.escape(message)) as caught:
            check_backend("strict", ops=())
    assert "the backend 'strict'" in str(caught.value)


def test_a_right_backend_passes_and_says_what_was_verified() -> None:
    """Its interface alone, or ops on it."""
    with registry.scoped() as scoped:
        scoped.register_backend(StrictBackend())
        assert check_backend("strict", ops=()) == {}
        found = check_backend("strict", ops=["tanh", "sum"])
    assert found["autodiff_ops.tanh"]["float64"] == {"rev": 3, "fwd": 3}
    assert found["autodiff_ops.sum"]["complex64"] == {"rev": 2, "fwd": 2}


def test_numpy_passes() -> None:
    """The interface of the backend that is always there."""
    check_backend("numpy", ops=["sum"])


def test_all_faults_are_told_at_once_and_the_line_repeats_them() -> None:
    """A list, with the class and what to run."""
    with registry.scoped() as scoped:
        scoped.register_backend(faulty(has_nan=lambda self, array: False, fingerprint=lambda self, array: 0))
        with pytest.raises(ConformanceError, match="2 things are not as its interface says") as caught:
            check_backend("strict", ops=())
        message = str(caught.value)
        assert re.search(r"class +\S+[.]Faulty\n", message)
        with pytest.raises(ConformanceError) as again:
            exec(re.search("reproduce +(.*)", message)[1], {})  # type: ignore[index]  # it is there
        assert str(again.value) == message


def test_ops_that_fail_on_it_are_listed() -> None:
    """Each with its first line; the rest is still run."""

    @elementwise(partials=(1,), samples=unary())
    def only_numpy(xp: Any, x: Any) -> Any:
        return xp.ascontiguousarray(x)

    with registry.scoped() as scoped:
        scoped.register_backend(StrictBackend())
        scoped.register_op(only_numpy)
        with pytest.raises(ConformanceError, match="1 of 2 ops do not work on it") as caught:
            check_backend("strict", ops=[only_numpy, "tanh"])
    assert "- 'test_check_backend.only_numpy': the op cannot be called on the sample" in str(caught.value)


def test_a_result_on_another_device_is_caught() -> None:
    """A kernel that makes arrays where they happen to be made is one of the faults that only a second device shows."""
    host = strict.Device("CPU_DEVICE")

    @elementwise(partials=(1,), samples=unary())
    def wanders(xp: Any, x: Any) -> Any:
        return xp.asarray(x, device=host if isinstance(x, Array) else None, copy=True)

    with registry.scoped() as scoped:
        scoped.register_backend(StrictBackend())
        with pytest.raises(ConformanceError, match="device of output 0"):
            check_op(wanders, backend="strict")


def test_a_backend_that_is_not_there_is_an_error_of_its_own() -> None:
    """Unknown, or unable to run: not a failure of the backend."""
    with pytest.raises(UnknownBackendError):
        check_backend("no_such_backend")
    with registry.scoped() as scoped:
        scoped.register_backend(faulty(unavailable=lambda self: "no driver"))
        with pytest.raises(BackendUnavailableError, match="no driver"):
            check_backend("strict")
