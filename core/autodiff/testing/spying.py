"""Copies of an op: without what backends replaced, or with rules that note when they are called."""

from __future__ import annotations

from copy import copy
from typing import Any

from autodiff.op import Op
from autodiff.rule import Rule

__all__ = ["Spy", "with_its_own_rules"]


def with_its_own_rules(op: Any) -> Op:
    """Return a copy of an op for which neither backends nor others have kernels or rules; those beside it stay."""
    own = ("own_kernels", "own_vjp_kernels", "replaces")
    made = Op(**{name: field for name, field in vars(op).items() if name not in own and not name.startswith("_")})
    made.own_kernels = dict(op.own_kernels)
    made.replaces = True
    return made


class Spy:
    """A copy of an op whose rules note for which inputs they computed something; its kernel is that of the backend."""

    def __init__(self, op: Any, backend: Any, array_type: type) -> None:
        self.called: set[int] = set()
        self.op = with_its_own_rules(op)
        self.op.own_kernels[backend.name] = op.kernel_on(backend, array_type)
        self.op.vjps = tuple(self._watched(rule, i) for i, rule in enumerate(op.vjps))
        if op.joint_vjp is not None:
            self.op.joint_vjp = self._watched_jointly(op.joint_vjp)

    def names(self, position: int, other: int) -> bool:
        """Tell whether the rule of one input names another."""
        rule = self.op.vjps[position]
        return isinstance(rule, Rule) and bool({("x", other), ("xs",)} & {*rule.sources})

    def _watched(self, rule: Any, position: int) -> Any:
        if not isinstance(rule, Rule) or rule.number is not None:
            return rule

        def watched(*args: Any) -> Any:
            self.called.add(position)
            return rule.function(*args)

        return _replaced(rule, watched)

    def _watched_jointly(self, rule: Rule) -> Rule:
        def watched(*args: Any) -> Any:
            pulled = rule.function(*args)
            self.called |= {i for i, q in enumerate(pulled) if q is not None}
            return pulled

        return _replaced(rule, watched)


def _replaced(rule: Rule, function: Any) -> Rule:
    """Return a copy of a rule with another function."""
    made = copy(rule)
    made.function = function
    return made
