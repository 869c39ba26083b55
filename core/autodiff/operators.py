"""Python's operators and the everyday methods of a `Value`, a line each, over the table of standard ops."""

from __future__ import annotations

from typing import Any

from autodiff.errors import ArgumentTypeError
from autodiff.standard import standard

__all__ = ["Operators"]


def _no(modulo: Any, other: Any) -> Any:
    if modulo is not None:
        raise ArgumentTypeError(f"pow() of a Value takes no modulus; it was given {modulo!r:.40}. Use v**w % m.")
    return other


def _compare(op: Any, value: Any, other: Any) -> Any:
    # None, text and the like are equal to no Value: Python then compares identities.
    return NotImplemented if other is None or isinstance(other, str | bytes | dict | set) else op.binary(value, other)


class Operators:
    """What `Value` does by operators and methods; the ops return Values."""

    __slots__ = ()
    __hash__ = object.__hash__  # by identity: `==` compares elements

    # fmt: off
    # Any, and not Value, because the table is filled when plugins load.

    def __add__(self, other: Any) -> Any: return standard.add.binary(self, other)
    def __radd__(self, other: Any) -> Any: return standard.add.binary(other, self)
    def __sub__(self, other: Any) -> Any: return standard.subtract.binary(self, other)
    def __rsub__(self, other: Any) -> Any: return standard.subtract.binary(other, self)
    def __mul__(self, other: Any) -> Any: return standard.multiply.binary(self, other)
    def __rmul__(self, other: Any) -> Any: return standard.multiply.binary(other, self)
    def __truediv__(self, other: Any) -> Any: return standard.divide.binary(self, other)
    def __rtruediv__(self, other: Any) -> Any: return standard.divide.binary(other, self)
    def __floordiv__(self, other: Any) -> Any: return standard.floor_divide.binary(self, other)
    def __rfloordiv__(self, other: Any) -> Any: return standard.floor_divide.binary(other, self)
    def __mod__(self, other: Any) -> Any: return standard.remainder.binary(self, other)
    def __rmod__(self, other: Any) -> Any: return standard.remainder.binary(other, self)
    def __divmod__(self, other: Any) -> Any: return self // other, self % other
    def __rdivmod__(self, other: Any) -> Any: return other // self, other % self
    def __pow__(self, other: Any, modulo: Any = None, /) -> Any: return standard.pow.binary(self, _no(modulo, other))
    def __rpow__(self, other: Any) -> Any: return standard.pow.binary(other, self)
    def __matmul__(self, other: Any) -> Any: return standard.matmul.binary(self, other)
    def __rmatmul__(self, other: Any) -> Any: return standard.matmul.binary(other, self)
    def __and__(self, other: Any) -> Any: return standard.bitwise_and.binary(self, other)
    def __rand__(self, other: Any) -> Any: return standard.bitwise_and.binary(other, self)
    def __or__(self, other: Any) -> Any: return standard.bitwise_or.binary(self, other)
    def __ror__(self, other: Any) -> Any: return standard.bitwise_or.binary(other, self)
    def __xor__(self, other: Any) -> Any: return standard.bitwise_xor.binary(self, other)
    def __rxor__(self, other: Any) -> Any: return standard.bitwise_xor.binary(other, self)
    def __lshift__(self, other: Any) -> Any: return standard.bitwise_left_shift.binary(self, other)
    def __rlshift__(self, other: Any) -> Any: return standard.bitwise_left_shift.binary(other, self)
    def __rshift__(self, other: Any) -> Any: return standard.bitwise_right_shift.binary(self, other)
    def __rrshift__(self, other: Any) -> Any: return standard.bitwise_right_shift.binary(other, self)
    def __floor__(self) -> Any: return standard.floor.unary(self)
    def __ceil__(self) -> Any: return standard.ceil.unary(self)
    def __trunc__(self) -> Any: return standard.trunc.unary(self)
    def __round__(self, digits: int | None = None) -> Any:
        return standard.round.unary(self) if not digits else standard.round.unary(self * 10.0**digits) / 10.0**digits
    def __invert__(self) -> Any: return standard.bitwise_invert.unary(self)
    def __neg__(self) -> Any: return standard.negative.unary(self)
    def __pos__(self) -> Any: return standard.positive.unary(self)
    def __abs__(self) -> Any: return standard.abs.unary(self)
    def __eq__(self, other: object) -> Any: return _compare(standard.equal, self, other)
    def __ne__(self, other: object) -> Any: return _compare(standard.not_equal, self, other)
    def __lt__(self, other: Any) -> Any: return standard.less.binary(self, other)
    def __le__(self, other: Any) -> Any: return standard.less_equal.binary(self, other)
    def __gt__(self, other: Any) -> Any: return standard.greater.binary(self, other)
    def __ge__(self, other: Any) -> Any: return standard.greater_equal.binary(self, other)

    def abs(self) -> Any: return standard.abs.unary(self)
    def exp(self) -> Any: return standard.exp.unary(self)
    def log(self) -> Any: return standard.log.unary(self)
    def sqrt(self) -> Any: return standard.sqrt.unary(self)
    def tanh(self) -> Any: return standard.tanh.unary(self)
    def sigmoid(self) -> Any: return standard.sigmoid.unary(self)
    def relu(self) -> Any: return standard.relu.unary(self)
    def conj(self) -> Any: return standard.conj.unary(self)
    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        return standard.sum(self, axis=axis, keepdims=keepdims)
    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        return standard.mean(self, axis=axis, keepdims=keepdims)
    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        return standard.max(self, axis=axis, keepdims=keepdims)
    def reshape(self, *shape: Any) -> Any:
        return standard.reshape(self, shape=shape[0] if len(shape) == 1 else shape)
    def transpose(self, *axes: Any) -> Any:
        if not axes or axes == (None,):
            axes = tuple(range(len(self.shape) - 1, -1, -1))  # type: ignore[attr-defined]  # Value has it
        return standard.permute_dims(self, axes=axes[0] if len(axes) == 1 and isinstance(axes[0], tuple | list) else axes)
    # fmt: on
