"""The rules of all ops, with the functions of the same plugin that they call: what faults are planted in.

A `Target` is a function, and the ops whose check has to catch what is wrong with it.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

from autodiff import ops
from autodiff.registry import registry
from autodiff.rule import Rule
from sabotage.mutations import faults
from sabotage.sources import Source, function_of, source_of

__all__ = ["Mutant", "keyed", "rule_mutants", "unique"]

#: A function that many ops use is tried on so many of them.
_USERS = 12

#: What Numba has compiled is a kernel: no fault in its source changes what runs.
_COMPILED = frozenset({"autodiff_numpy.loops", "autodiff_numpy.single"})
#: How many threads there are changes no gradient.
_THREADS = frozenset({"threads", "_helpers", "_help", "_shared"})


@dataclass
class Mutant:
    """One fault, ready to be planted in a process that is thrown away.

    `where` is what the score is counted by: an op, or a function that several use. `key` is the same for the same
    fault as long as its function stays as it is, whatever changes elsewhere.
    """

    where: str
    kind: str
    place: str
    before: str
    after: str
    ops: list[str]
    plant: Callable[[], int]
    key: str
    items: list[Any] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.where} [{self.kind}] {self.place}: {self.before} -> {self.after}"


@dataclass
class Target:
    """A function and its users."""

    source: Source
    key: Any
    function: FunctionType
    rule: bool = False
    users: dict[str, None] = field(default_factory=dict)


def rule_mutants() -> list[Mutant]:
    """Return every mutant of every rule that runs without a GPU."""
    targets: dict[Any, Target] = {}
    mutants: list[Mutant] = []
    for op in ops:
        for _role, rule in _rules_of(op):
            function = function_of(rule)
            if function is None:
                continue
            for called in _reached(function):
                source = source_of(called.__code__.co_filename)
                key = source.key(called)
                if key is None:
                    continue
                target = targets.setdefault((source.path, key), Target(source, key, called))
                target.rule |= called is function
                target.users[op.id] = None
        mutants += _of_objects(op)
    for target in targets.values():
        mutants += _of_target(target)
    return unique(sorted(mutants, key=lambda m: m.where))


def unique(mutants: list[Mutant]) -> list[Mutant]:
    """Number those that have the same key: lambdas of one op that say the same."""
    seen: Counter[str] = Counter()
    for mutant in mutants:
        seen[mutant.key] += 1
        if seen[mutant.key] > 1:
            mutant.key += f" {seen[mutant.key]}"
    return mutants


def _rules_of(op: Any) -> Iterator[tuple[str, Any]]:
    for role in ("vjps", "jvps"):
        for rule in getattr(op, role):
            if isinstance(rule, Rule) and rule.number is None:
                yield role, rule.function
    for role in ("joint_vjp", "joint_jvp"):
        rule = getattr(op, role)
        if isinstance(rule, Rule):
            yield role, rule.function
    for backend, _, rules in registry.vjp_kernels(op):
        if backend.unavailable() is None:
            for function in (*(rules if isinstance(rules, tuple) else (rules,)), getattr(rules, "joint", None)):
                if function is not None:
                    yield f"rule of {backend.name}", function


def _reached(function: FunctionType) -> list[FunctionType]:
    """Return `function`, and what it calls of its own package, and what these call."""
    found: dict[int, FunctionType] = {}
    stack = [function]
    package = _package(function)
    while stack:
        f = stack.pop()
        if id(f) in found:
            continue
        found[id(f)] = f
        source = source_of(f.__code__.co_filename)
        key = source.key(f)
        if key is None:
            continue
        cells = zip(f.__code__.co_freevars, f.__closure__ or (), strict=True)
        scope = {**f.__globals__, **{name: cell.cell_contents for name, cell in cells}}
        for node in ast.walk(source.functions[key]):
            obj = scope.get(node.id) if isinstance(node, ast.Name) else None
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = scope.get(node.value.id)
                obj = getattr(module, node.attr, None) if isinstance(module, ModuleType) else None
            called = function_of(obj) if obj is not None else None
            if called is not None and _package(called) == package and not _is_machinery(called):
                stack.append(called)
    return list(found.values())


def _is_machinery(function: FunctionType) -> bool:
    return function.__module__ in _COMPILED or (
        function.__module__ == "autodiff_numpy.blocks" and function.__name__ in _THREADS
    )


def _package(function: FunctionType) -> str:
    return str(function.__module__).partition(".")[0]


def _of_target(target: Target) -> list[Mutant]:
    node = target.source.functions[target.key]
    users = list(target.users)
    name = getattr(target.function, "__qualname__", "lambda")
    where = users[0] if len(users) == 1 else f"{target.function.__module__}.{name}"
    file = target.source.path.rpartition("/")[2]

    def planter(fault: Any) -> Callable[[], int]:
        return lambda: target.source.plant(target.key, fault)

    return [
        Mutant(where, f.kind, f"{file}:{f.line} {name}", f.before, f.after, users[:_USERS], planter(f), key)
        for f, key in keyed(f"{where} {file} {name}", node, faults(node, rule=target.rule))
    ]


def keyed(where: str, node: ast.AST, found: list[Any]) -> Iterator[tuple[Any, str]]:
    """Return each fault of a function with a key."""
    source = f"{where} {ast.dump(node)}"
    for n, fault in enumerate(found):
        yield fault, hashlib.blake2b(f"{n} {source}".encode(), digest_size=12).hexdigest()


def _of_objects(op: Any) -> list[Mutant]:
    """Return the mutants of rules that have no source of their own: numbers, and ops that are rules."""
    mutants = []
    for role in ("vjps", "jvps"):
        for i, rule in enumerate(getattr(op, role)):
            if not isinstance(rule, Rule):
                continue
            changes: list[tuple[str, str, Any]] = []
            if rule.number is not None:
                n = rule.number
                changes = [
                    ("sign", str(n), -n or 1),
                    ("factor", str(n), 2 * n or 2),
                    ("no gradient", str(n), 0 if n else 1),
                ]
            elif hasattr(rule.function, "forget_kernels"):
                own = rule.function
                changes = [
                    ("sign", own.id, lambda *a, own=own: -own(*a)),
                    ("factor", own.id, lambda *a, own=own: 2 * own(*a)),
                    ("no gradient", own.id, lambda *a: None),
                ]

            def plant(rule: Rule, new: Any) -> int:
                if rule.number is not None:
                    rule.number = new
                else:
                    rule.function = new
                for known in ops:
                    known.forget_kernels()
                return 1

            mutants += [
                Mutant(
                    op.id, kind, f"{role}[{i}]", before, str(new), [op.id],
                    lambda rule=rule, new=new: plant(rule, new), f"{op.id} {role}[{i}] {kind} {before}",
                )
                for kind, before, new in changes
            ]  # fmt: skip
    return mutants
