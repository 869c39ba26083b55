"""Python's operators and the everyday methods of a `Value`, a line each, over the table of standard ops."""

from __future__ import annotations

from typing import Any

from autodiff.calls import binary, call, unary
from autodiff.compiling import mypyc_attr
from autodiff.errors import ArgumentTypeError, BackendMismatchError, shown
from autodiff.handles import Handle
from autodiff.standard import standard

__all__ = ["Operators"]


def _no(modulo: Any, other: Any) -> Any:
    if modulo is not None:
        raise ArgumentTypeError(f"pow() of a Value takes no modulus; it was given {shown(modulo, 40)}. Use v**w % m.")
    return other


def _compare(op: Any, value: Any, other: Any) -> Any:
    try:
        return binary(op, value, other)
    except BackendMismatchError:
        raise
    except ArgumentTypeError:
        # What holds no numbers is equal to no Value. Python then asks the other side, and compares identities at last.
        return NotImplemented


@mypyc_attr(allow_interpreted_subclasses=True)
class Operators(Handle):  # noqa: PLW1641  # Value has the hash: mypyc cannot assign one
    """What `Value` does by operators and methods; the ops return Values."""

    __slots__ = ()

    # fmt: off
    # Any, and not Value, because the table is filled when plugins load.

    def __add__(self, other: Any) -> Any: return binary(standard.add, self, other)
    def __radd__(self, other: Any) -> Any: return binary(standard.add, other, self)
    def __sub__(self, other: Any) -> Any: return binary(standard.subtract, self, other)
    def __rsub__(self, other: Any) -> Any: return binary(standard.subtract, other, self)
    def __mul__(self, other: Any) -> Any: return binary(standard.multiply, self, other)
    def __rmul__(self, other: Any) -> Any: return binary(standard.multiply, other, self)
    def __truediv__(self, other: Any) -> Any: return binary(standard.divide, self, other)
    def __rtruediv__(self, other: Any) -> Any: return binary(standard.divide, other, self)
    def __floordiv__(self, other: Any) -> Any: return binary(standard.floor_divide, self, other)
    def __rfloordiv__(self, other: Any) -> Any: return binary(standard.floor_divide, other, self)
    def __mod__(self, other: Any) -> Any: return binary(standard.remainder, self, other)
    def __rmod__(self, other: Any) -> Any: return binary(standard.remainder, other, self)
    def __divmod__(self, other: Any) -> Any: return self // other, self % other
    def __rdivmod__(self, other: Any) -> Any: return self.__rfloordiv__(other), self.__rmod__(other)
    def __pow__(self, other: Any, modulo: Any = None, /) -> Any: return binary(standard.pow, self, _no(modulo, other))
    def __rpow__(self, other: Any) -> Any: return binary(standard.pow, other, self)
    def __matmul__(self, other: Any) -> Any: return binary(standard.matmul, self, other)
    def __rmatmul__(self, other: Any) -> Any: return binary(standard.matmul, other, self)
    def __and__(self, other: Any) -> Any: return binary(standard.bitwise_and, self, other)
    def __rand__(self, other: Any) -> Any: return binary(standard.bitwise_and, other, self)
    def __or__(self, other: Any) -> Any: return binary(standard.bitwise_or, self, other)
    def __ror__(self, other: Any) -> Any: return binary(standard.bitwise_or, other, self)
    def __xor__(self, other: Any) -> Any: return binary(standard.bitwise_xor, self, other)
    def __rxor__(self, other: Any) -> Any: return binary(standard.bitwise_xor, other, self)
    def __lshift__(self, other: Any) -> Any: return binary(standard.bitwise_left_shift, self, other)
    def __rlshift__(self, other: Any) -> Any: return binary(standard.bitwise_left_shift, other, self)
    def __rshift__(self, other: Any) -> Any: return binary(standard.bitwise_right_shift, self, other)
    def __rrshift__(self, other: Any) -> Any: return binary(standard.bitwise_right_shift, other, self)
    def __floor__(self) -> Any: return unary(standard.floor, self)
    def __ceil__(self) -> Any: return unary(standard.ceil, self)
    def __trunc__(self) -> Any: return unary(standard.trunc, self)
    def __round__(self, digits: int | None = None) -> Any:
        return unary(standard.round, self) if not digits else unary(standard.round, self * 10.0**digits) / 10.0**digits
    def __invert__(self) -> Any: return unary(standard.bitwise_invert, self)
    def __neg__(self) -> Any: return unary(standard.negative, self)
    def __pos__(self) -> Any: return unary(standard.positive, self)
    def __abs__(self) -> Any: return unary(standard.abs, self)
    def __eq__(self, other: object) -> Any: return _compare(standard.equal, self, other)
    def __ne__(self, other: object) -> Any: return _compare(standard.not_equal, self, other)
    def __lt__(self, other: Any) -> Any: return binary(standard.less, self, other)
    def __le__(self, other: Any) -> Any: return binary(standard.less_equal, self, other)
    def __gt__(self, other: Any) -> Any: return binary(standard.greater, self, other)
    def __ge__(self, other: Any) -> Any: return binary(standard.greater_equal, self, other)

    def abs(self) -> Any: return unary(standard.abs, self)
    def exp(self) -> Any: return unary(standard.exp, self)
    def log(self) -> Any: return unary(standard.log, self)
    def sqrt(self) -> Any: return unary(standard.sqrt, self)
    def tanh(self) -> Any: return unary(standard.tanh, self)
    def sigmoid(self) -> Any: return unary(standard.sigmoid, self)
    def relu(self) -> Any: return unary(standard.relu, self)
    def conj(self) -> Any: return unary(standard.conj, self)
    def sum(self, axis: Any = None, keepdims: bool = False, **unknown: Any) -> Any:
        return call(standard.sum, (self,), {"axis": axis, "keepdims": keepdims, **unknown})
    def mean(self, axis: Any = None, keepdims: bool = False, **unknown: Any) -> Any:
        return call(standard.mean, (self,), {"axis": axis, "keepdims": keepdims, **unknown})
    def max(self, axis: Any = None, keepdims: bool = False, **unknown: Any) -> Any:
        return call(standard.max, (self,), {"axis": axis, "keepdims": keepdims, **unknown})
    def reshape(self, *shape: Any) -> Any:
        return call(standard.reshape, (self,), {"shape": shape[0] if len(shape) == 1 else shape})
    def transpose(self, *axes: Any) -> Any:
        if not axes or (len(axes) == 1 and axes[0] is None):
            axes = tuple(range(len(self._array.shape) - 1, -1, -1))
        one = len(axes) == 1 and isinstance(axes[0], tuple | list)
        return call(standard.permute_dims, (self,), {"axes": axes[0] if one else axes})
    # fmt: on

    @property
    def real(self) -> Any:
        """The real part, differentiable and never a view: writing into it leaves this Value as it is.

        Examples
        --------
        >>> from autodiff import Value
        >>> Value([1 + 2j]).real.data
        array([1.])
        """
        return standard.real(self)

    @property
    def imag(self) -> Any:
        """The imaginary part, differentiable; of real numbers zeros, as in NumPy.

        Examples
        --------
        >>> from autodiff import Value
        >>> z = Value(1 + 2j)
        >>> (z.real**2 + z.imag**2).backward()  # abs(z)**2, whose gradient is 2 z
        >>> z.grad
        array(2.+4.j)
        """
        return standard.imag(self)
