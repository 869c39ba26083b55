"""What is installed, as tables: plugins, backends, ops, and all about one op.

A terminal of 80 columns, and a pipe, get two columns with everything about an op below each other; wide ones a
column for each. Nothing is cut.
"""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

import autodiff
from autodiff.errors import PluginWarning, UnknownOpError
from autodiff.plugins import PluginRecord, records
from autodiff.registry import registry
from autodiff.rule import MISSING
from autodiff_cli.errors import CannotRunError

__all__ = ["load_plugins", "show_op", "show_ops", "show_plugins"]

#: Beside the ids of ops there is at least so much room; from so much on each fact has a column of its own.
ROOM, WIDE = 40, 130

_STYLES = {"loaded": "green", "failed": "bold red"}


def load_plugins() -> list[PluginRecord]:
    """Load the plugins without a warning, and return what became of each: the tables say it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        registry.load()
    return records


def show_plugins() -> None:
    """Print every plugin with its distribution, version, status, and what it brought or why not; then the backends."""
    found = load_plugins()
    names = Counter(record.name for record in found)
    table = Table(box=box.SIMPLE_HEAD, title="Plugins", title_justify="left", show_lines=True)
    for heading in ("plugin", "distribution", "version", "status"):
        table.add_column(heading, no_wrap=heading != "distribution", overflow="fold")
    table.add_column("what it brought, or what went wrong", overflow="fold", min_width=24)
    for record in found:
        told = [_brought(record)] if record.brought else []
        told += [record.cause] if record.cause else []
        if names[record.name] > 1:
            told.append(f"another distribution has a plugin {record.name!r} too: one should be renamed")
        table.add_row(
            Text(record.name, "bold"),
            Text(record.distribution or record.module),
            Text(record.version),
            Text(record.status, _STYLES.get(record.status, "yellow")),
            Text("\n".join(told)),
        )
    # Version, status and some words: what the columns beside the name need.
    console = _console(least=max((len(record.name) for record in found), default=0) + 66)
    console.print(table, crop=False)
    console.print(f"autodiff {autodiff.__version__}, {'a compiled core' if autodiff.COMPILED else 'all of it Python'}")
    backends = Table(box=box.SIMPLE_HEAD, title="Backends", title_justify="left")
    backends.add_column("backend", no_wrap=True)
    backends.add_column("can it run here?", overflow="fold")
    for name, backend in registry.backends.items():
        reason = backend.unavailable()
        default = ", and is the default" if name == registry.default_backend else ""
        backends.add_row(Text(name, "bold"), Text(f"no: {reason}" if reason else f"yes{default}"))
    console.print(backends)


def show_ops() -> None:
    """Print every op: id, origin, kind, signature, backends with a kernel, rules, and what it is."""
    failed = [record.name for record in load_plugins() if record.status == "failed"]
    ops = list(autodiff.ops)
    # An id is copied from here: it is whole, and the rest has room beside it, whatever the terminal's width.
    longest = max((len(op.id) for op in ops), default=0)
    console = _console(least=longest + ROOM)
    table = Table(box=box.SIMPLE_HEAD, title=f"{len(ops)} ops", title_justify="left", show_lines=True)
    table.add_column("op", no_wrap=True)
    wide = console.width >= longest + WIDE
    facts = ("signature", "what it is", "kind", "origin", "rules", "kernels")
    for heading in facts if wide else ("about it",):
        table.add_column(heading, overflow="fold")
    for op in sorted(ops, key=lambda op: op.id):
        signature, doc = Text(op.signature, "bold"), _first_line(op)
        rules, kernels, origin = _rules(op), op.kernel_origins(), registry.op_origins[op.id]
        if wide:
            table.add_row(Text(op.id), signature, *map(Text, (doc, op.kind, origin, rules, kernels)))
        else:
            lines = (doc, f"{op.kind}, from {origin}", f"rules: {rules}", f"kernels: {kernels}")
            table.add_row(Text(op.id), Text("\n").join([signature, *map(Text, lines)]))
    console.print(table, crop=False)
    if failed:
        Console(stderr=True, highlight=False).print(
            f"Ops may be missing: {', '.join(map(repr, failed))} failed to load. `autodiff plugins` says why.",
            markup=False,
        )


def show_op(name: str) -> None:
    """Print all about one op.

    Raises
    ------
    CannotRunError
        No op has this name, or several do.
    """
    load_plugins()
    try:
        op: Any = autodiff.ops[name]
    except UnknownOpError as exc:
        raise CannotRunError(str(exc)) from None
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in _facts(op):
        table.add_row(label, Text(text))
    console = _console()
    console.print(Text(op.id, "bold"), soft_wrap=True)
    console.print()
    console.print(table)
    console.print()
    console.print(Text(inspect.getdoc(op) or "It has no docstring."), soft_wrap=True)


def _facts(op: Any) -> Iterable[tuple[str, str]]:
    yield "signature", op.signature + ("; a method of Value too" if op.method else "")
    yield "kind", op.kind
    yield "origin", f"{registry.op_origins[op.id]}, declared in {_place(op.function, named=False)}"
    yield "kernels", op.kernel_origins()
    if op.kind == "composite":
        yield "rules", _rules(op)
        return
    word = "partial" if op.multiplies else "vjp"
    if op.joint_vjp is not None:
        yield "joint vjp", _rule(op, op.joint_vjp)
    else:
        for argument, rule in zip(op.inputs, op.vjps, strict=True):
            if rule is MISSING:
                yield f"{word} of {argument}", "missing: an error as soon as it needs a gradient"
            elif rule is None:
                yield f"{word} of {argument}", "none: not differentiable"
            else:
                yield f"{word} of {argument}", _rule(op, rule)
    yield "forward rules", _forward(op)
    if op.residuals:
        yield "residuals", f"{', '.join(op.residuals)}: results of the kernel for the rules alone"
    if op.c is not None:
        yield "in C", op.c
        for argument, text in zip(op.inputs, op.c_partials, strict=False):
            yield f"in C, partial of {argument}", text


def _rules(op: Any) -> str:
    """Say in a line which inputs have a rule."""
    if op.kind == "composite":
        return "those of the ops in its body"
    if op.joint_vjp is not None:
        return f"joint vjp of {', '.join([*op.inputs, *([f'*{op.variadic}'] if op.variadic else [])])}"
    pairs = list(zip(op.inputs, op.vjps, strict=True))
    groups = {
        "partial of" if op.multiplies else "vjp of": [name for name, rule in pairs if rule not in (None, MISSING)],
        "not differentiable:": [name for name, rule in pairs if rule is None],
        "missing:": [name for name, rule in pairs if rule is MISSING] + ([f"*{op.variadic}"] if op.variadic else []),
    }
    return "; ".join(f"{words} {', '.join(names)}" for words, names in groups.items() if names)


def _rule(op: Any, rule: Any) -> str:
    """Describe one rule: where it is, and what it keeps from the forward pass."""
    if rule.number is not None:
        return f"the number {rule.number}; keeps nothing"
    kept = [_source(op, source) for source in rule.sources if source[0] not in ("g", "needs", "xp")]
    return f"keeps {', '.join(kept) or 'nothing'}; {_place(rule.function)}"


def _source(op: Any, source: tuple[Any, ...]) -> str:
    """Return the name by which a rule asks for `source`."""
    match source:
        case ("y",):
            return "y"
        case ("xs",):
            return str(op.variadic)
        case ("x", int(i)):
            return str(op.inputs[i])
        case ("residual", int(i)):
            return str(op.residuals[i])
        case ("attr", str(name)):
            return name
    fact, i = source
    return f"{op.variadic if i is None else op.inputs[i]}_{fact}"


def _forward(op: Any) -> str:
    if op.kind == "linear":
        return "the op itself: it is linear"
    if op.joint_jvp is not None:
        return "joint"
    if op.jvps:
        return "of its own"
    if op.kind == "composite":
        return "those of its body"
    return "the partials" if op.multiplies else "derived from the vjps"


def _place(function: Any, *, named: bool = True) -> str:
    """Return where `function` is written: ``_sum_vjp in autodiff_ops.reduction, line 52``."""
    function = inspect.unwrap(function)
    name = getattr(function, "__name__", "<lambda>")
    code = getattr(function, "__code__", None)
    line = f", line {code.co_firstlineno}" if code is not None else ""
    return f"{f'{name} in ' if named and name != '<lambda>' else ''}{getattr(function, '__module__', '?')}{line}"


def _first_line(op: Any) -> str:
    return (inspect.getdoc(op) or "").partition("\n")[0]


def _brought(record: PluginRecord) -> str:
    """Sum up what a plugin registered: ops by their short names, backends, kernels."""
    # An op is noted by its id, the rest in words.
    ops = [name.rpartition(".")[2] for name in record.brought if " " not in name]
    rest = [name for name in record.brought if " " in name]
    told = [f"{len(ops)} op{'s' if len(ops) != 1 else ''}: {', '.join(ops)}"] if ops else []
    return "\n".join([*told, *rest])


def _console(least: int = 0) -> Console:
    """Return a console at least this wide: lines may rather be longer than the terminal's than be cut."""
    console = Console(highlight=False)
    return console if console.width >= least else Console(highlight=False, width=least)
