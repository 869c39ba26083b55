"""`Module`: a tree of parameters and buffers with names, that can be called; `functional_call`: with others in place."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

from autodiff import Value
from autodiff.extend import ArgumentError, ArgumentTypeError, backend_of, relocate
from autodiff_nn.checks import brief, mapping, raw
from autodiff_ops.conversion import to

__all__ = ["LoadReport", "Module", "functional_call", "tree"]


class LoadReport(NamedTuple):
    """What `Module.load_state_dict` left out: names that the state lacks, and names that the module lacks."""

    missing: list[str]
    unexpected: list[str]


class Module:
    """Base of all layers: write a subclass with a method `forward`, and call it.

    - A `Value` that needs a gradient and is no intermediate result becomes a parameter when it is assigned as an
      attribute; whatever Value replaces it later is that parameter too, so that a detached one freezes it.
    - A raw array becomes a buffer, which is saved and not trained, by `register_buffer`.
    - Modules are found in attributes, and in lists, tuples and dicts there; so are Values that need a gradient.

    ``super().__init__()`` need not be called.

    Attributes
    ----------
    training : bool
        Whether layers shall behave as in training; see `train` and `eval`.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> class Scale(nn.Module):
    ...     def __init__(self, factor):
    ...         self.factor = Value(factor)
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> scale = Scale(2.0)
    >>> scale(3.0).item()
    6.0
    >>> [name for name, _ in scale.named_parameters()]
    ['factor']
    """

    training: bool
    _parameters: dict[str, None]  # names, in order; the Values are plain attributes
    _buffers: dict[str, None]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        # Here and not in __init__, which subclasses may forget to call.
        self.__dict__.update(training=True, _parameters={}, _buffers={})
        return self

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; subclasses write it."""
        raise NotImplementedError(f"{type(self).__name__} has no method forward: write it")

    # ---- attributes -----------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        where = f"{type(self).__name__}.{name}"
        if isinstance(value, Value):
            self._check_value(where, name, value)
            if value.requires_grad and value.is_leaf:
                self._parameters[name] = None
        elif name in self._parameters:
            if value is not None:
                raise ArgumentTypeError(
                    f"{where} is a parameter, and was given {brief(value)}. Assign to {where}.data to change its numbers, "
                    f"a Value to replace it, or None to remove it."
                )
            del self._parameters[name]
        elif name in self._buffers:
            value = _buffer(where, value)
        object.__setattr__(self, name, value)

    def _check_value(self, where: str, name: str, value: Value) -> None:
        if name in self._buffers:
            raise ArgumentTypeError(f"{where} is a buffer, which is a raw array; pass value.data in place of a Value")
        if name in self._parameters and not value.is_leaf:
            raise ArgumentError(
                f"{where} is a parameter, and was given an intermediate result. Change its numbers under "
                f"`with autodiff.no_grad():`, or assign Value(result.data)."
            )

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._parameters.pop(name, None)
        self._buffers.pop(name, None)

    def register_buffer(self, name: str, array: Any) -> None:
        """Make `name` an attribute that is saved with the parameters, and not trained: a raw array.

        Raises
        ------
        ArgumentError
            The name is taken by a parameter.
        ArgumentTypeError
            `array` is no raw array.
        """
        if not isinstance(name, str):
            raise ArgumentTypeError(
                f"register_buffer takes a name and a raw array; the name was given as {brief(name)}"
            )
        where = f"{type(self).__name__}.{name}"
        if name in self._parameters:
            raise ArgumentError(f"{where} is a parameter already; choose another name for the buffer")
        array = _buffer(where, array)
        self._buffers[name] = None
        object.__setattr__(self, name, array)

    # ---- the tree -------------------------------------------------------------------------------------------

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Yield this module under the empty name, and each module below it, once, under its dotted name."""
        seen: set[int] = set()
        for name, module in self._walk("", frozenset()):
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def _walk(self, prefix: str, above: frozenset[int]) -> Iterator[tuple[str, Module]]:
        """Yield every place of every module; a module that contains itself is not entered again."""
        if id(self) in above:
            return
        yield prefix, self
        for key, obj in vars(self).items():
            for name, item in _items(key, obj):
                if isinstance(item, Module):
                    yield from item._walk(f"{prefix}.{name}" if prefix else name, above | {id(self)})

    def _places(self, prefix: str, kind: str) -> Iterator[tuple[str, Module, str, Any]]:
        """Yield the full name, the owner, the name there, and the parameter or the buffer."""
        for where, module in self._walk(prefix, frozenset()):
            start = f"{where}." if where else ""
            if kind == "buffer":
                yield from ((start + name, module, name, vars(module)[name]) for name in module._buffers)
                continue
            for key, obj in vars(module).items():
                if key in module._parameters:
                    yield start + key, module, key, obj
                elif isinstance(obj, list | tuple | dict):
                    for name, item in _items(key, obj):
                        if isinstance(item, Value) and item.requires_grad and item.is_leaf:
                            yield start + name, module, name, item

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """Yield the dotted name and the Value of each parameter, those of the modules below included.

        A parameter that has several names, as tied weights have, is yielded once, under the first.
        """
        seen: set[int] = set()
        for name, _, _, value in self._places("", "parameter"):
            if id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def parameters(self) -> Iterator[Value]:
        """Yield each parameter once: what an optimiser takes."""
        return (value for _, value in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Any]]:
        """Yield the dotted name and the raw array of each buffer."""
        return ((name, array) for name, _, _, array in self._places("", "buffer"))

    # ---- modes ----------------------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Set `training` here and below; return the module."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Behave as in use: no dropout, batch norm with its running statistics. The same as ``train(False)``."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters: ``grad`` is None again."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def to(self, device: str) -> Self:
        """Move all parameters and buffers to a backend or device, ``"cupy"``, ``"cupy:1"``; return the module.

        Each parameter stays the same Value, so that optimisers made before go on with it, and its gradient moves
        along. Graphs that were recorded before lead to where it was: their gradients do not arrive any more.

        Raises
        ------
        UnknownBackendError, BackendUnavailableError, ArgumentTypeError
            There is no such backend or device; nothing is moved then.

        Examples
        --------
        >>> import autodiff_nn as nn
        >>> nn.Linear(2, 1).to("numpy").weight.backend
        'numpy'
        """
        parameters = {id(value): value for _, _, _, value in self._places("", "parameter")}
        moved = [(value, to(value.data, device=device)) for value in parameters.values()]
        gradients = [
            None if value.grad is None else to(raw(value.grad), device=device) for value in parameters.values()
        ]
        buffers = [(owner, name, to(array, device=device)) for _, owner, name, array in self._places("", "buffer")]
        for (value, array), gradient in zip(moved, gradients, strict=True):
            relocate(value, array, gradient)
        for owner, name, array in buffers:
            setattr(owner, name, array)
        return self

    # ---- state ----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return copies of all parameters and buffers as raw arrays, by dotted name.

        Later training does not change what was returned. Tied weights are there under each of their names.
        """
        return {name: _copy(obj) for kind in _KINDS for name, _, _, obj in self._places("", kind)}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> LoadReport:
        """Set parameters and buffers to copies of the arrays in `state`; all of them, or none if one does not fit.

        Parameters
        ----------
        state : mapping of str to array or Value
            As `state_dict` returns it; arrays of any backend, which are moved and converted to the dtype here.
        strict : bool
            Whether missing and unexpected names are errors. Wrong shapes always are.

        Returns
        -------
        LoadReport
            The names that were missing and unexpected.

        Raises
        ------
        ArgumentError
            The state does not fit; every name that is at fault is listed.
        """
        mapping(f"{type(self).__name__}.load_state_dict", state)
        if not isinstance(strict, int):
            raise ArgumentTypeError(f"load_state_dict(strict=...) is True or False; it was given {brief(strict)}")
        places = [place for kind in _KINDS for place in self._places("", kind)]
        names = {name for name, *_ in places}
        report = LoadReport([name for name, *_ in places if name not in state], [n for n in state if n not in names])
        faults = [f"Missing: {_quoted(report.missing)}."] if strict and report.missing else []
        faults += [f"Unexpected: {_quoted(report.unexpected)}."] if strict and report.unexpected else []
        ready = []
        for name, owner, key, old in places:
            if name in state:
                try:
                    ready.append((owner, key, old, _converted(state[name], old)))
                except (ArgumentError, ArgumentTypeError) as exc:
                    faults.append(f"{name!r} {exc}.")
        if faults:
            hint = " strict=False ignores names that are missing or unexpected." if strict else ""
            raise ArgumentError(
                f"{type(self).__name__}.load_state_dict: the state does not fit, and nothing was loaded. "
                f"{' '.join(faults)}{hint}"
            )
        for owner, key, old, new in ready:
            if isinstance(old, Value):
                old.data = new
            else:
                setattr(owner, key, new)
        return report

    # ---- description ----------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Say in one line what `repr` shows between the parentheses; by default the parameters' shapes and dtypes."""
        own = [(name, vars(self)[name]) for name in self._parameters]
        return ", ".join(f"{name}: {tuple(value.shape)} {value.dtype}" for name, value in own)

    @reprlib.recursive_repr()
    def __repr__(self) -> str:
        items = [pair for key, obj in vars(self).items() for pair in _items(key, obj)]
        below = [f"({name}): {item!r}" for name, item in items if isinstance(item, Module)]
        return tree(type(self).__name__, self.extra_repr(), below)


def functional_call(module: Module, parameters: Mapping[str, Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a module with other parameters or buffers, by name, in place of its own.

    So the transforms differentiate with respect to a network: `grad`, `vjp` and what is made of them. The module is
    as before when the call returns; meanwhile other threads would see the change.

    Parameters
    ----------
    module : Module
        What to call, with the other arguments.
    parameters : mapping of str to Value or array
        By names of `Module.named_parameters` or `Module.named_buffers`; the module's own serve for the rest.

    Raises
    ------
    ArgumentError
        The module has no such parameter, or it lies in a list and not in an attribute.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff_nn as nn
    >>> from autodiff import grad
    >>> layer = nn.Linear(2, 1, generator=0)
    >>> def loss(parameters):
    ...     return (nn.functional_call(layer, parameters, np.ones((1, 2))) ** 2).sum()
    >>> sorted(grad(loss)(layer.state_dict()))
    ['bias', 'weight']
    """
    if not isinstance(module, Module):
        raise ArgumentTypeError(f"functional_call takes a module first; it was given {brief(module)}")
    mapping("functional_call", parameters)
    places = [place for kind in _KINDS for place in module._places("", kind)]
    movable = {name: (vars(owner), key) for name, owner, key, _ in places if key in vars(owner)}
    unknown = [name for name in parameters if name not in movable]
    if unknown:
        raise ArgumentError(
            f"functional_call: {type(module).__name__} has no {_quoted(unknown)} as attributes; it has {_quoted([*movable])}"
        )
    before = [(*movable[name], movable[name][0][movable[name][1]]) for name in parameters]
    try:
        for name, value in parameters.items():
            attributes, key = movable[name]
            attributes[key] = value
        return module(*args, **kwargs)
    finally:
        for attributes, key, old in before:
            attributes[key] = old


_KINDS = ("parameter", "buffer")


def tree(name: str, extra: str, below: list[str]) -> str:
    """Write what a module holds, a line for each, indented."""
    if not below:
        return f"{name}({extra})"
    lines = "\n".join(([extra] if extra else []) + below).replace("\n", "\n  ")
    return f"{name}(\n  {lines}\n)"


def _items(name: str, obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield an attribute, or for nested lists, tuples and dicts what they hold, under dotted names."""
    if isinstance(obj, list | tuple):
        pairs: Any = enumerate(obj)
    elif isinstance(obj, dict):
        pairs = obj.items()
    else:
        yield name, obj
        return
    for key, item in pairs:
        yield from _items(f"{name}.{key}", item)


def _buffer(where: str, array: Any) -> Any:
    """Return a raw array, 0-d ones too."""
    own: Any = backend_of(type(array))
    if own is None or isinstance(array, Value):
        raise ArgumentTypeError(
            f"{where} is a buffer, which is a raw array, and was given {brief(array)}. Pass value.data of a Value."
        )
    return own.box(array) if type(array) in own.scalar_types else array


def _copy(obj: Any) -> Any:
    array = obj.data if isinstance(obj, Value) else obj
    own: Any = backend_of(type(array))
    return own.fresh(array)


def _converted(new: Any, old: Any) -> Any:
    """Return a copy of `new` with the backend, device and dtype of `old`; say what is wrong if that cannot be."""
    new, old = (a.data if isinstance(a, Value) else a for a in (new, old))
    own: Any = backend_of(type(old))
    theirs: Any = backend_of(type(new))
    if theirs is not own:
        new = own.to_device(own.asarray(new if theirs is None else theirs.to_numpy(new)), own.device(old))
    if tuple(new.shape) != tuple(old.shape):
        raise ArgumentError(f"has shape {tuple(old.shape)} here and {tuple(new.shape)} in the state")
    if _RANK.get(own.kind(new.dtype), 9) > _RANK.get(own.kind(old.dtype), -1):
        raise ArgumentError(f"has dtype {old.dtype} here and {new.dtype} in the state")
    return own.fresh(own.astype(new, old.dtype))


#: A kind of number may be loaded into one of at least its rank.
_RANK = {"bool": 0, "int": 1, "float": 2, "complex": 3}


def _quoted(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)
