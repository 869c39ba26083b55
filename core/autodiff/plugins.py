"""Plugins: from entry points of the group ``autodiff`` to the registry.

- `load_all`: what the registry calls when it is first asked something.
- `load_plugin`: one plugin, a module or any object with hooks, by hand.
- `records`: what was found, and what became of it.

A plugin that fails is reported by name and the rest keep working. pluggy's own loader is not used: one broken
plugin takes it down, and it skips a second package with the same entry-point name without a word.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from typing import Any

import pluggy

from autodiff import hookspecs
from autodiff.entries import described, entries
from autodiff.errors import PluginError, PluginWarning, RegistrationError
from autodiff.registry import Registry, registry

__all__ = ["GROUP", "PluginRecord", "load_all", "load_plugin", "normal_name", "records"]

GROUP = "autodiff"
DISTRIBUTION = "autodiff-toolkit"

_HOOKS = ("register_backends", "register_ops", "register_kernels")


class PluginRecord:
    """One entry point and what became of it.

    Attributes
    ----------
    name, module, distribution, version : str
        The entry point's name and value, and whose it is.
    status : str
        ``"loaded"``, ``"disabled"``, ``"failed"`` or ``"empty"``; `cause` says why.
    brought : list of str
        Ids of what it registered.
    """

    def __init__(self, name: str, module: str, distribution: str, version: str = "") -> None:
        self.name = name
        self.module = module
        self.distribution = distribution
        self.version = version
        self.status = "loaded"
        self.cause = ""
        self.brought: list[str] = []

    @property
    def origin(self) -> str:
        """The name to use in messages."""
        return f"{self.distribution} {self.version}".strip() if self.distribution else self.module

    def is_called(self, name: str) -> bool:
        """Tell whether a name means this plugin: that of its module, its package, its entry point or its distribution."""
        module = self.module.partition(":")[0]
        own = (self.module, module, module.partition(".")[0], self.name, self.distribution)
        wanted = normal_name(name)
        return bool(wanted) and any(normal_name(other) == wanted for other in own)


#: Every plugin that was found, in the order of loading.
records: list[PluginRecord] = []

#: pluggy's part: it knows which function of a plugin implements which hook.
_manager = pluggy.PluginManager("autodiff")
_manager.add_hookspecs(hookspecs)


def load_all(points: Iterable[Any] | None = None, into: Registry = registry) -> list[PluginRecord]:
    """Load every plugin that is installed and not switched off; return what became of each.

    `points` are entry points of `importlib.metadata` to load in place of those that are installed.

    ``AUTODIFF_DISABLE_PLUGINS=a,b`` skips, before their import, the plugins with these module names,
    entry-point names or distribution names; ``AUTODIFF_PLUGIN_AUTOLOAD=0`` skips all that autodiff does not
    ship itself.

    Warns
    -----
    PluginWarning
        A plugin failed, brought nothing, misspelt a hook, or shares its entry-point name with another.
    """
    records.clear()
    disabled = os.environ.get("AUTODIFF_DISABLE_PLUGINS", "").split(",")
    autoload = os.environ.get("AUTODIFF_PLUGIN_AUTOLOAD", "1") != "0"
    found = entries(GROUP) if points is None else described(points)
    # Ours first: methods and messages go by them. Otherwise by name, so that every process sees one order.
    found.sort(key=lambda p: (p.distribution != DISTRIBUTION, p.name, p.value))
    seen: dict[str, PluginRecord] = {}
    for point in found:
        distribution = point.distribution
        record = PluginRecord(point.name, point.value, distribution, point.version)
        if any(r.name == point.name and r.module == point.value and r.distribution == distribution for r in records):
            continue  # the same distribution found twice on the path, as editable installs are
        records.append(record)
        if any(record.is_called(name) for name in disabled):
            record.status, record.cause = "disabled", "AUTODIFF_DISABLE_PLUGINS"
            continue
        if not autoload and distribution != DISTRIBUTION:
            record.status, record.cause = "disabled", "AUTODIFF_PLUGIN_AUTOLOAD=0"
            continue
        if point.name in seen:
            _warn(
                f"Two plugins have the entry-point name {point.name!r}: {seen[point.name].module!r} of "
                f"{seen[point.name].origin!r} and {point.value!r} of {record.origin!r}. Both are loaded; ask one of the "
                f"authors to rename theirs."
            )
        seen.setdefault(point.name, record)
        try:
            plugin = point.load()
        except (Exception, SystemExit) as exc:  # whatever a stranger's import raises must not take the rest down
            _failed(record, exc)
            continue
        _register(plugin, record, into)
    return records


def load_plugin(plugin: Any, name: str | None = None) -> PluginRecord:
    """Load one plugin by hand: a module, or any object with hooks. For notebooks and tests.

    Parameters
    ----------
    plugin : module or object
        What an entry point would name.
    name : str, optional
        A name for messages.

    Raises
    ------
    PluginError
        It fails, brings nothing, or misspells a hook.

    Examples
    --------
    >>> from autodiff.plugins import load_plugin
    >>> import autodiff_activations
    >>> load_plugin(autodiff_activations).status  # loaded already: registering the same again is a no-op
    'loaded'
    """
    registry.load()
    module = getattr(plugin, "__name__", type(plugin).__name__)
    record = PluginRecord(name or module, module, "")
    with warnings.catch_warnings():
        warnings.simplefilter("error", PluginWarning)
        try:
            _register(plugin, record, registry)
        except PluginWarning as warning:
            raise PluginError(str(warning)) from warning.__cause__
    records.append(record)
    registry.changed()
    return record


def _register(plugin: Any, record: PluginRecord, into: Registry) -> None:
    """Run the hooks of one plugin; undo what it registered if one of them fails."""
    spec = getattr(plugin, "__spec__", None)
    if getattr(spec, "_initializing", False):
        _failed(
            record,
            PluginError(
                f"{record.module!r} is still being imported: its import used autodiff's registry (it created a Value, or "
                f"called an op). Move that into a function."
            ),
        )
        return
    if _manager.is_registered(plugin):
        _manager.unregister(plugin)  # a module that was reloaded has other functions than pluggy found before
    try:
        _manager.register(plugin, name=f"{record.origin}:{record.name}:{record.module}:{id(plugin)}")
    except Exception as exc:  # pluggy validates hooks here: the fault is the plugin's
        _failed(record, exc)
        return
    pending = _misspelt(plugin)
    if pending:
        record.cause = f"no such hook: {', '.join(pending)}"
        _warn(
            f"The plugin {record.name!r} ({record.origin}) implements {', '.join(map(repr, pending))}, which is no hook of "
            f"autodiff. The hooks are {', '.join(_HOOKS)}."
        )
    before = [dict(table) for table in into._tables()]
    names = {name: list(ops) for name, ops in into.names.items()}
    try:
        for hook_name in _HOOKS:
            for implementation in getattr(_manager.hook, hook_name).get_hookimpls():
                if implementation.plugin is plugin:
                    _call(implementation, hook_name, record, into)
    except (Exception, SystemExit) as exc:  # as for the import
        for table, old in zip(into._tables(), before, strict=True):
            table.clear()
            table.update(old)
        into.names.clear()
        into.names.update(names)
        into.changed()
        _manager.unregister(plugin)
        _failed(record, exc)
        return
    if not record.brought:
        record.status = "empty"
        record.cause = record.cause or "it registered nothing"
        if not pending:
            _warn(
                f"The plugin {record.name!r} ({record.origin}, {record.module}) registered nothing. It needs a function "
                f"marked @hookimpl, for instance `def register_ops(register)`, at the place that its entry point names."
                f"{_is_a_folder(plugin)}"
            )


def _is_a_folder(plugin: Any) -> str:
    """Return a sentence if what was imported is a folder that happens to have the name, in the current one often."""
    folders = [*getattr(plugin, "__path__", ())]
    if not folders or getattr(plugin, "__file__", None):
        return ""
    return f" What was imported is a folder without __init__.py that came first on the path: {folders[0]}."


def _call(implementation: Any, hook_name: str, record: PluginRecord, into: Registry) -> None:
    def register(*args: Any, override: bool = False) -> None:
        if hook_name == "register_ops":
            if not override:
                _refuse_second(args[0], record, into)
            into.register_op(*args, origin=record.origin, override=override)
            record.brought.append(args[0].id)
        elif hook_name == "register_kernels":
            into.register_kernel(*args, origin=record.origin, override=override)
            record.brought.append(f"kernel of {args[0] if isinstance(args[0], str) else args[0].id} for {args[1]}")
        else:
            into.register_backend(*args, origin=record.origin, override=override)
            record.brought.append(f"backend {args[0].name}")

    arguments = {"register": register}
    implementation.function(*[arguments[name] for name in implementation.argnames])


def _refuse_second(op: Any, record: PluginRecord, into: Registry) -> None:
    """Refuse two ops of one id from one plugin: only what was loaded before can be declared again."""
    op_id = getattr(op, "id", None)
    if op_id in record.brought and into.ops[op_id] is not op:
        raise RegistrationError(
            f"{record.origin or record.module} registers two ops whose id is {op_id!r}"
            f"{into.ops[op_id].difference(op)}. Rename one, or pass override=True to replace the first."
        )


def _misspelt(plugin: Any) -> list[str]:
    """Return the names of the plugin's hook implementations that no specification has."""
    callers = _manager.get_hookcallers(plugin) or []
    return [caller.name for caller in callers if not caller.has_spec()]


def _failed(record: PluginRecord, exc: BaseException) -> None:
    record.status = "failed"
    record.cause = f"{type(exc).__name__}: {exc}"
    record.brought.clear()
    _warn(
        f"The plugin {record.name!r} ({record.origin}, {record.module}) failed and is skipped: {record.cause}. Mend or "
        f"uninstall it, or set AUTODIFF_DISABLE_PLUGINS={record.name}.",
        exc,
    )


def _warn(message: str, cause: BaseException | None = None) -> None:
    warning = PluginWarning(message)
    warning.__cause__ = cause
    warnings.warn(warning, stacklevel=2)


def normal_name(name: str) -> str:
    """Return a name as the index of packages compares it: My_Plugin is my-plugin."""
    return name.strip().replace("_", "-").lower()
