"""Every error of autodiff, one class per cause; each docstring says the cause, shows an example and the fix.

All derive from `AutodiffError`, and also from the built-in exception that a NumPy user would catch.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "AutodiffError",
    "BackendMismatchError",
    "BackendUnavailableError",
    "GradientTypeError",
    "GraphError",
    "IndexingError",
    "KernelError",
    "PluginError",
    "PluginWarning",
    "RegistrationError",
    "RuleError",
    "UnknownBackendError",
    "UnknownOpError",
]


class AutodiffError(Exception):
    """Base of every error that autodiff raises on purpose.

    ``except autodiff.AutodiffError`` catches them all.
    """


class ArgumentError(AutodiffError, ValueError):
    """An argument has the right type and a value that cannot be used.

    Example: ``(Value([1.0, 2.0]) * 2).backward()``; a gradient can start from one number only.
    Fix: the message says what was expected; here ``.sum()`` first, or pass ``gradient=``.
    """


class ArgumentTypeError(AutodiffError, TypeError):
    """An argument is of a type that cannot be used.

    Example: ``Value("text")``.
    Fix: pass what the message lists: numbers, nested lists of numbers, arrays of a known backend.
    """


class GradientTypeError(ArgumentTypeError):
    """A gradient was asked for something that has none: integers, booleans, text.

    Example: ``Value(np.arange(3), requires_grad=True)`` or ``grad(f)(2)``.
    Fix: convert to a floating type first, ``x.astype(float)`` or ``2.0``.
    """


class IndexingError(AutodiffError, IndexError):
    """An index does not fit the array.

    Example: ``Value([1.0, 2.0])[5]``.
    Fix: the message gives the index and the shape.
    """


class KernelError(ArgumentError):
    """The kernel of an op refused its arguments, most often because their shapes do not fit, or failed on them.

    Example: ``Value(np.ones(3)) + np.ones(4)``.
    Fix: the message gives the op and every argument's shape and dtype, and what the library said.
    """


class GraphError(AutodiffError, RuntimeError):
    """The graph cannot be used in this way.

    Example: ``y.backward()`` twice; the first pass freed what the second would need.
    Fix: ``y.backward(retain_graph=True)`` the first time, or compute ``y`` again.
    """


class RuleError(AutodiffError, ValueError):
    """A gradient rule returned something that is no gradient of its input.

    Example: a rule returns shape ``(7,)`` for an input of shape ``(3,)``.
    Fix: it is the rule that needs mending; the message names op, plugin, argument and both shapes.
    """


class BackendMismatchError(ArgumentTypeError):
    """Arrays of two backends, or on two devices, meet in one op.

    Example: ``Value(numpy_array) + cupy_array``.
    Fix: move one of them explicitly, ``v.to("cupy")``; nothing is transferred in silence.
    """


class BackendUnavailableError(AutodiffError, RuntimeError):
    """A backend is known but cannot run here.

    Example: ``Value(1.0, backend="cupy")`` on a machine without a CUDA driver.
    Fix: the message says what is missing and how to get it.
    """


class UnknownBackendError(ArgumentError, LookupError):
    """No backend has this name.

    Example: ``v.to("cuda")``.
    Fix: the message lists the backends that exist; install the package that brings another.
    """


class UnknownOpError(AutodiffError, AttributeError, LookupError):
    """No op has this name, or more than one has it.

    Example: ``autodiff.ops.softpluss``.
    Fix: take one of the nearest names in the message; where two plugins share a name, use the full id.
    """


class RegistrationError(AutodiffError, ValueError):
    """An op, kernel or backend was declared or registered in a way that cannot work.

    Example: a rule that names a parameter which the op does not have.
    Fix: the message names the declaration, what it says, and what is allowed.
    """


class PluginError(AutodiffError, RuntimeError):
    """A plugin could not be loaded.

    Example: an entry point of the group ``autodiff`` whose module raises ImportError.
    Fix: mend or uninstall the distribution that the message names, or skip it with
    ``AUTODIFF_DISABLE_PLUGINS``.
    """


class PluginWarning(RuntimeWarning):
    """A plugin was skipped or is suspicious; everything else keeps working.

    Example: a broken third-party package beside autodiff.
    Fix: ``autodiff plugins`` shows each plugin with its cause.
    """


def shown(obj: object, width: int = 60) -> str:
    """Return the start of ``repr(obj)`` for a message, whatever `obj` makes of being asked for it."""
    try:
        text = repr(obj)
    except Exception as exc:  # nested too deeply, or broken: the message is about something else
        text = f"<{type(obj).__qualname__} whose repr raises {type(exc).__name__}>"
    return text if len(text) <= width else text[: width - 3] + "..."


#: What arguments are called elsewhere, in PyTorch most of them, and here.
_ELSEWHERE = {
    "dim": ("axis", "axes"),
    "dims": ("axes", "axis"),
    "keepdim": ("keepdims",),
    "ddof": ("correction",),
}


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """Return a phrase that offers the names closest to `name`, or an empty string."""
    import difflib  # here, because it is only needed when something goes wrong

    names = sorted(set(known))
    close = [here for here in _ELSEWHERE.get(name, ()) if here in names]
    close = close or difflib.get_close_matches(name, names, n=count, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""


def unknown_name(space: str, name: str, known: Iterable[str]) -> UnknownOpError:
    """Return the error for a name that a namespace lacks."""
    return UnknownOpError(
        f"{space} has no {name!r}: no op of that name is registered.{nearest(name, known)} To add it, see "
        f"'Writing an op' in the documentation."
    )
