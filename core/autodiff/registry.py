"""The registry: every op, backend and kernel, and who brought it.

- `registry`: the one that the process uses.
- `Registry`: ops by id and by short name, backends by name and by array type, kernels by (op, backend).

Nothing is loaded while modules are being imported: the first question asked of the registry loads the
plugins, through the loader that ``autodiff/__init__`` hands it.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from autodiff.backend import Backend
from autodiff.errors import (
    ArgumentTypeError,
    BackendMismatchError,
    RegistrationError,
    UnknownBackendError,
    UnknownOpError,
    nearest,
    shown,
)

__all__ = ["Registry", "ops_of", "registry"]

#: Python's numbers reach kernels as they are: they take the dtype of what they meet.
PYTHON_SCALARS = frozenset({bool, int, float, complex})


class Registry:
    """Ops, backends and kernels, by name."""

    def __init__(self) -> None:
        self.ops: dict[str, Any] = {}
        self.names: dict[str, list[Any]] = {}
        self.methods: dict[str, Any] = {}
        self.kernels: dict[tuple[str, str], Callable[..., Any]] = {}
        self.kernel_origins: dict[tuple[str, str], str] = {}
        self.op_origins: dict[str, str] = {}
        self.backends: dict[str, Backend] = {}
        self.default_backend = "numpy"
        self.loader: Callable[[], None] = lambda: None
        self.listeners: list[Callable[[], None]] = []  # run after each change
        self.recorded_xp: Callable[[Backend], Any] = lambda backend: backend.xp
        self.batched_xp: Callable[[Backend], Any] = lambda backend: backend.xp
        self._state = "new"  # then loading, then loaded
        self._lock = threading.RLock()
        self._by_type: dict[type, Backend | None] = {}
        self.plain_types: set[type] = set()  # of arrays that have no streams, and stand for no others
        self._ruled: set[type] = set()  # types of arrays that backends have been asked for rules of their own
        self._kinds: dict[tuple[str, Any], str] = {}

    # ---- loading ----------------------------------------------------------------------------------------

    def load(self) -> Registry:
        """Load the plugins if that has not been done, and return the registry."""
        if self._state != "loaded":
            with self._lock:  # other threads wait; a plugin that asks while it is loaded finds what is there already
                if self._state == "new":
                    self._state = "loading"
                    try:
                        self.loader()
                        self.changed()
                    except BaseException:
                        self._state = "new"
                        raise
                    self._state = "loaded"
        return self

    def changed(self) -> None:
        """Forget what was derived from the tables, and tell those who keep something of their own."""
        self._forget_types()
        self._kinds = {}
        for op in list(self.ops.values()):
            op.forget_kernels()
        for listener in self.listeners:
            listener()

    def _forget_types(self) -> None:
        """Ask the backends again which arrays are theirs.

        The tables are replaced, not cleared: whoever asks at this moment, in another thread, writes what may be out of
        date into the old ones.
        """
        self._by_type = {}
        self.plain_types = set()

    @contextlib.contextmanager
    def scoped(self) -> Iterator[Registry]:
        """Undo at the end of the block whatever was registered in it. For tests.

        Examples
        --------
        >>> from autodiff.registry import registry
        >>> with registry.scoped():
        ...     pass  # register ops, kernels, backends
        """
        self.load()
        tables = self._tables()
        saved = [dict(table) for table in tables]
        names = {name: list(ops) for name, ops in self.names.items()}
        own = [(op, dict(op.own_kernels), dict(op.own_vjp_kernels)) for op in self.ops.values()]
        default = self.default_backend
        try:
            yield self
        finally:
            for table, before in zip(tables, saved, strict=True):
                for op in set(table.values()) - set(before.values()) if table is self.ops else ():
                    op.forget_kernels()
                table.clear()
                table.update(before)
            self.names.clear()
            self.names.update(names)
            for op, kernels, rules in own:
                op.own_kernels, op.own_vjp_kernels = kernels, rules
            self.default_backend = default
            self.changed()

    def _tables(self) -> list[dict[Any, Any]]:
        return [
            self.ops,
            self.methods,
            self.kernels,
            self.kernel_origins,
            self.op_origins,
            self.backends,
        ]

    # ---- registering ------------------------------------------------------------------------------------

    def register_op(self, op: Any, *, origin: str = "", override: bool = False) -> None:
        """Add `op` under its id; the same op twice is a no-op, and one that is declared again replaces the first.

        Raises
        ------
        RegistrationError
            Another op has this id and `override` is not given, or `op` is not an op.
        """
        if not hasattr(op, "forget_kernels"):
            raise RegistrationError(
                f"register() takes an op made by @elementwise, @linear, @primitive or @composite; "
                f"it was given {op!r} by {origin or 'a caller'}"
            )
        known = self.ops.get(op.id)
        if known is op:
            return
        if known is not None:
            again = _declared_again(known, op)
            if not (override or again):
                raise RegistrationError(
                    f"The op id {op.id!r} is taken: it comes from {self.op_origins[op.id] or known.module!r}, "
                    f"and {origin or op.module!r} registers another op under it"
                    f"{known.difference(op)}. Rename one, or pass override=True to replace it."
                )
            self.names[op.name].remove(known)
            op.replaces = not again  # kernels that were registered for the id are those of the op that had it
            if self.methods.get(op.name) is known:
                del self.methods[op.name]
        self.ops[op.id] = op
        self.op_origins[op.id] = origin or op.module
        self.names.setdefault(op.name, []).append(op)
        if op.method:
            # The first to ask keeps the name: the ops shipped with autodiff are registered before all others.
            self.methods.setdefault(op.name, op)
        for listener in self.listeners if self._state == "loaded" else ():
            listener()

    def register_kernel(
        self, op: Any, backend: str, kernel: Callable[..., Any], *, origin: str = "", override: bool = False
    ) -> None:
        """Add a kernel of `op` (an op or its id) for the backend of this name.

        Raises
        ------
        RegistrationError
            There is another one and `override` is not given.
        """
        op_id = op if isinstance(op, str) else op.id
        key = (op_id, backend)
        known = self.kernels.get(key)
        if known is not None and known is not kernel and not (override or _declared_again(known, kernel)):
            raise RegistrationError(
                f"The op {op_id!r} has a kernel for the backend {backend!r} from "
                f"{self.kernel_origins[key]!r}; {origin!r} registers another one. Pass override=True to replace it."
            )
        self.kernels[key] = kernel
        self.kernel_origins[key] = origin
        if op_id in self.ops:
            self.ops[op_id].forget_kernels()

    def register_backend(self, backend: Backend, *, origin: str = "", override: bool = False) -> None:
        """Add a backend under its name.

        Raises
        ------
        RegistrationError
            It is not a `Backend`, or another one has this name and `override` is not given.
        """
        if not isinstance(backend, Backend):
            raise RegistrationError(
                f"register() takes an instance of autodiff.extend.Backend; {origin!r} gave {backend!r}"
            )
        known = self.backends.get(backend.name)
        new = known is not None and type(known) is not type(backend)
        if new and not (override or _declared_again(type(known), type(backend))):
            raise RegistrationError(
                f"The backend {backend.name!r} is {type(known).__module__}.{type(known).__qualname__}; {origin!r} "
                f"registers another one. Pass override=True to replace it."
            )
        self.backends[backend.name] = backend
        if known is None:
            self._forget_types()
        else:
            self.changed()

    # ---- ops --------------------------------------------------------------------------------------------

    def op(self, name: str) -> Any:
        """Return the op of this id, or of this short name if only one plugin has it.

        Raises
        ------
        UnknownOpError
            None has it, or several have.
        """
        self.load()
        if not isinstance(name, str):
            raise ArgumentTypeError(f"An op is asked for by its name or id, a str; it was given {shown(name)}")
        if name in self.ops:
            return self.ops[name]
        ops = self.names.get(name, [])
        if len(ops) == 1:
            return ops[0]
        if ops:
            ids = ", or ".join(f"autodiff.ops[{op.id!r}] for that of {self.op_origins[op.id]}" for op in ops)
            raise UnknownOpError(
                f"More than one op is called {name!r}. Write {ids}. Operators, methods and autodiff.numpy always mean "
                f"the ops that autodiff ships."
            )
        known = [name for name, ops in self.names.items() if ops]
        raise UnknownOpError(
            f"There is no op {name!r}.{nearest(name, [*known, *self.ops])} "
            f"`autodiff ops` lists all {len(self.ops)} of them."
        )

    def vjp_kernels(self, op: Any) -> Iterator[tuple[Backend, type, Any]]:
        """Return the rules that backends have of their own for `op`: backend, type of array, rules."""
        replaces = getattr(op, "replaces", False)
        for backend in list(self.backends.values()):
            for array_type in backend.rule_types():
                self._ruled.add(array_type)
                rules = getattr(op, "own_vjp_kernels", {}).get(backend.name)
                rules = rules or (None if replaces else backend.vjp_kernel_for(op, array_type))
                if rules is not None:
                    yield backend, array_type, rules

    # ---- backends ---------------------------------------------------------------------------------------

    def backend(self, name: str | Backend | None = None) -> Backend:
        """Return the backend of this name, able to run; the default one without a name.

        Raises
        ------
        UnknownBackendError
            No plugin brought one of this name.
        BackendUnavailableError
            It cannot run here.
        """
        self.load()
        if isinstance(name, Backend):
            return name
        if not isinstance(name, str | None):
            raise ArgumentTypeError(f"A backend is asked for by its name, a str; it was given {shown(name)}")
        name = name or self.default_backend
        found = self.backends.get(name)
        if found is None:
            hints = [f"{b.name} ({b.install})" if b.install else b.name for b in self.backends.values()]
            raise UnknownBackendError(
                f"There is no backend {name!r}.{nearest(name, self.backends)} Known: {', '.join(hints) or 'none'}."
            )
        return found.require()

    def backend_of(self, array_type: type) -> Backend | None:
        """Return the backend whose arrays are of this type, or None."""
        try:
            return self._by_type[array_type]
        except KeyError:
            self.load()
        except TypeError:
            raise ArgumentTypeError(f"A type of arrays was expected; it was given {shown(array_type)}") from None
        if not isinstance(array_type, type):
            raise ArgumentTypeError(f"A type of arrays was expected; it was given {shown(array_type)}")
        plain, known = self.plain_types, self._by_type  # before the backends are asked
        # The types of batches name their backend, which is registered under no name.
        found = getattr(array_type, "__autodiff_backend__", None)
        found = found or next((b for b in list(self.backends.values()) if b.recognises(array_type)), None)
        if found is not None and array_type in found.rule_types() and array_type not in self._ruled:
            # Plans were made before the backend's library was loaded, hence without its rules.
            self._ruled.add(array_type)
            for op in list(self.ops.values()):
                op.forget_kernels()
        if found is not None and found.base is None and not found.has_streams:
            plain.add(array_type)
        known[array_type] = found
        return found

    def kind(self, dtype: Any, backend: Backend) -> str:
        """Classify a dtype of `backend`: bool, int, float, complex or other."""
        key = (backend.name, dtype)
        kinds = self._kinds  # before the backend is asked
        try:
            return kinds[key]
        except KeyError:
            kind = kinds[key] = backend.kind(dtype)
            return kind

    def is_complex(self, dtype: Any, array_type: type) -> bool:
        """Tell whether a dtype of arrays of this type is complex."""
        backend = self.backend_of(array_type)
        return backend is not None and dtype is not None and self.kind(dtype, backend) == "complex"

    def asarray(self, data: Any, *, dtype: Any = None, backend: str | None = None) -> tuple[Any, Backend]:
        """Make an array of whatever a user hands in, and say whose it is.

        Numbers and lists become the default floating type of the backend asked for (booleans stay boolean);
        arrays keep their dtype, and go to another backend only if it is named.

        Raises
        ------
        ArgumentTypeError
            `data` holds no numbers, or is nothing that a backend knows.
        """
        own = self.backend_of(type(data))
        if own is not None:
            own.require()
            if backend is not None and backend != own.name:
                target = self.backend(backend)
                return target.asarray(own.to_numpy(data), dtype=dtype), target
            if dtype is not None or type(data) not in own.scalar_types:
                data = own.asarray(data, dtype=dtype)
            return data, own
        target = self.backend(backend)
        return target.asarray(data, dtype=dtype), target

    def common_backend(self, arrays: list[Any], where: str) -> Backend:
        """Return the one backend of `arrays`; Python's numbers belong to all.

        Raises
        ------
        BackendMismatchError
            There are two; `where` is the op to name.
        ArgumentTypeError
            One of them is no array.
        """
        found: Backend | None = None
        first = 0
        for i, array in enumerate(arrays):
            if type(array) in PYTHON_SCALARS:
                continue
            backend = self.backend_of(type(array))
            if backend is None:
                raise ArgumentTypeError(
                    f"{where}: argument {i} is {_describe(array)}; it takes a Value, an array of one of the backends "
                    f"{', '.join(self.backends)}, or a number"
                )
            if found is None or found is backend.base:
                found, first = backend, i
            elif backend is not found and backend is not found.base:
                raise BackendMismatchError(
                    f"{where}: argument {first} is on the backend {found.name!r} and argument {i} on "
                    f"{backend.name!r}; nothing is transferred in silence. Move one of them: "
                    f".to({found.name!r}) or .to({backend.name!r})."
                )
        return found or self.backend()


def _declared_again(old: Any, new: Any) -> bool:
    """Tell whether `new` is what `old` was, declared again: a notebook's cell was run twice, or a module reloaded."""
    place = _place(new)
    if place is None or place != _place(old):
        return False
    module, name = place
    return module == "__main__" or getattr(sys.modules.get(module), name, None) is new


def _place(obj: Any) -> tuple[str, str] | None:
    """Return module and name of an op, a kernel or a class, if it was declared at the top of a module."""
    declared = getattr(obj, "function", obj)
    module, name = getattr(declared, "__module__", None), getattr(declared, "__qualname__", "")
    return (module, name) if module and name.isidentifier() else None


def ops_of(*modules: Any) -> list[Any]:
    """Return the ops that `modules` declare, in order: what a plugin's ``register_ops`` registers.

    Examples
    --------
    >>> from autodiff.extend import ops_of
    >>> import autodiff_ops.random
    >>> ops_of(autodiff_ops.random)
    [<op autodiff_ops.dropout: dropout(x, *, p=0.5, generator=None)>]
    """
    for module in modules:
        if not hasattr(module, "__name__") or not hasattr(module, "__dict__"):
            raise ArgumentTypeError(f"ops_of takes modules; it was given {shown(module)}")
    return [
        obj
        for module in modules
        for obj in vars(module).values()
        if hasattr(type(obj), "forget_kernels") and obj.module == module.__name__
    ]


def _describe(obj: Any) -> str:
    return f"{shown(obj)} of type {type(obj).__module__}.{type(obj).__qualname__}"


#: The registry of the process.
registry = Registry()
