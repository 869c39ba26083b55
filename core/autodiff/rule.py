"""Gradient rules: what a rule names decides what is kept; a `Plan` is that decision, worked out once.

- `Rule`: a function whose parameters are matched by name.
- `Plan`: for one op and one set of inputs that need a gradient: what to save from the forward pass, and how
  to pull a cotangent back through it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from operator import itemgetter
from types import FunctionType
from typing import Any, Final

from autodiff.compiling import mypyc_attr, returns_its_argument
from autodiff.errors import RegistrationError, RuleError, shown
from autodiff.graph import Node, make_node
from autodiff.handles import Handle, wrap
from autodiff.registry import registry
from autodiff.slots import Get, getter
from autodiff.standard import standard

__all__ = [
    "IDENTITY",
    "MISSING",
    "RESERVED",
    "SELECT",
    "Plan",
    "Rule",
    "Rules",
    "make_call",
    "make_pull",
    "nothing",
    "place",
    "same",
    "select",
]

#: Names that mean something in a rule, hence no input or attribute may have them.
RESERVED = frozenset({"g", "t", "y", "xp", "needs", "batched"})

#: The rule of an input that has none yet; None is the rule of an input that is not differentiable.
MISSING: Any = object()

#: What a rule may name beside what is kept from the forward pass.
_NOT_SAVED = frozenset({"g", "needs", "xp"})

_FACTS = ("shape", "dtype", "device")


@mypyc_attr(native_class=False)  # the conformance kit copies rules, and no pass looks into them
class Rule:
    """A rule and where each of its parameters comes from.

    A source is ``("g",)``, ``("y",)``, ``("xp",)``, ``("needs",)``, ``("x", i)``, ``("xs",)``,
    ``("residual", j)``, ``("attr", name)``, or ``("shape" | "dtype" | "device", i)``, where i is the number
    of the input, None for a variadic one. `names_out`: a backend's rule with ``out=None`` as its last parameter.
    """

    __slots__ = ("function", "names_out", "number", "sources")

    def __init__(self, op: Any, rule: Any, role: str) -> None:
        self.number: complex | None = None
        self.names_out = False
        self.function: Any = rule
        self.sources: tuple[tuple[Any, ...], ...] = ()
        if isinstance(rule, int | float | complex) and role == "partial":
            self.number = rule
            return
        if not callable(rule):
            raise RegistrationError(f"{op.id!r}: the {role} rule {shown(rule)} is no function{_or_number(role)}")
        sources = _sources(op)
        if role.endswith("jvp"):
            sources["t"] = sources["g"]  # a forward rule moves a tangent as the others move a cotangent
        if role == "partial" or role.endswith("jvp"):
            del sources["g"]
        if not role.startswith("joint"):
            del sources["needs"]
        if hasattr(rule, "forget_kernels"):  # an op is a rule of its inputs, whatever its kernel takes
            self.sources = tuple(sources[name] for name in rule.inputs if name in sources)
            if len(self.sources) == len(rule.inputs) > 0:
                return
        names = _plain_names(rule)
        may_write = role == "backend's vjp"
        if may_write and names is not None and names[-1:] == ("out",):
            self.names_out, names = True, names[:-1]
        if names is not None and all(name in sources for name in names):
            self.sources = tuple([sources[name] for name in names])
            return
        try:
            parameters = list(inspect.signature(rule).parameters.values())
        except (TypeError, ValueError):
            raise RegistrationError(
                f"{op.id!r}: the parameters of the {role} rule {rule!r} cannot be read; wrap it in a lambda that names them"
            ) from None
        if may_write and parameters and parameters[-1].name == "out":
            self.names_out = True
            parameters.pop()
        for p in parameters:
            if p.name not in sources or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                raise RegistrationError(
                    f"{op.id!r}: the {role} rule {getattr(rule, '__name__', rule)!r} names {str(p)!r}; "
                    f"a rule's parameters are matched by name, and here they may be {', '.join(sources)}"
                )
        self.sources = tuple(sources[p.name] for p in parameters)

    def names(self, op: Any) -> tuple[str, ...]:
        """Return what the rule of `op` names, in its own order."""
        by_source = {source: name for name, source in _sources(op).items()}
        return tuple(by_source[source] for source in self.sources)


def _plain_names(rule: Any) -> tuple[str, ...] | None:
    """Return the parameters of a function with positional ones alone, else None: `inspect.signature` is slow."""
    if type(rule) is not FunctionType or hasattr(rule, "__wrapped__") or hasattr(rule, "__signature__"):
        return None
    code = rule.__code__
    if code.co_kwonlyargcount or code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
        return None
    return code.co_varnames[: code.co_argcount]


def _or_number(role: str) -> str:
    return " and no number" if role == "partial" else ""


def _sources(op: Any) -> dict[str, tuple[Any, ...]]:
    names: dict[str, tuple[Any, ...]] = {name: (name,) for name in ("g", "y", "xp", "needs")}
    if op.variadic:
        names[op.variadic] = ("xs",)
    for i, name in enumerate(op.inputs):
        names[name] = ("x", i)
    for j, name in enumerate(op.residuals):
        names[name] = ("residual", j)
    for name in op.attrs:
        names[name] = ("attr", name)
    for fact in _FACTS:
        if op.variadic:
            names[f"{op.variadic}_{fact}"] = (fact, None)
        for i, name in enumerate(op.inputs):
            names[f"{name}_{fact}"] = (fact, i)
    return names


#: The dtype of a node with several outputs.
SEVERAL: Any = object()

# What a plan saves: nothing, one array as it is, the two inputs, or a tuple of whatever its sources say.
NOTHING: Final = 0
FIRST: Final = 1
SECOND: Final = 2
OUTPUT: Final = 3
BOTH: Final = 4
GENERAL: Final = 5
_SINGLE = {("x", 0): FIRST, ("x", 1): SECOND, ("y",): OUTPUT}

# What is kept is no array that a derivative flows through; it is the output, or all inputs of a variadic op.
RAW: Final = -1
RESULT: Final = -2
INPUTS: Final = -3

Pull = Callable[[Any, Any], Any]


def _lifted(slot: tuple[Any, ...], wrt: tuple[int, ...]) -> int:
    if slot[0] == "x":
        return wrt.index(slot[1]) if slot[1] in wrt else RAW
    return RESULT if slot[0] == "y" else INPUTS if slot[0] == "xs" else RAW


def forward_sources(op: Any, wrt: tuple[int, ...]) -> set[tuple[Any, ...]]:
    """Return what a sweep forwards needs of a node beside what its backward rules name."""
    if op.kind == "linear":
        # The op itself is applied to the tangents, with zeros where there is none.
        facts = [(fact, None if op.variadic else i) for fact in ("shape", "dtype") for i in range(len(op.inputs) or 1)]
        return {("attrs",), *facts}
    rules = [op.joint_jvp] if op.joint_jvp is not None else [op.jvps[i] for i in wrt if op.jvps]
    return {s for rule in rules if isinstance(rule, Rule) for s in rule.sources if s[0] not in _NOT_SAVED}


@mypyc_attr(native_class=False)  # a tuple with an attribute
class Rules(tuple[Any, ...]):
    """The rules that a backend has for the inputs of an op, and the one that it has for all of them together, or None."""

    joint: Any = None


class Joint:
    """Stands where the rules of a backend for each input would: ``call(g, saved)`` for all inputs of the op together."""

    __slots__ = ("call",)

    def __init__(self, call: Pull) -> None:
        self.call = call


@mypyc_attr(allow_interpreted_subclasses=True)
class Plan:
    """How one op is differentiated with respect to some of its inputs.

    Attributes
    ----------
    wrt : tuple of int
        The inputs that need a gradient, in the order of a node's edges.
    keep : int
        What `Op` saves for the pass, one of NOTHING, FIRST, SECOND, OUTPUT, BOTH, GENERAL.
    lifted : tuple of int
        For each thing that is kept, which edge of the node it is the array of; or one of RAW, RESULT, INPUTS.
    pulls, conj_pulls : tuple of callables, or None
        ``pull(g, saved)`` for each of `wrt`; the second for complex cotangents. None if the rule is joint.
    joint : callable or None
        ``joint(g, saved)`` for all inputs of the op together.
    """

    __slots__ = (
        "batched",
        "conj_pulls",
        "count",
        "getters",
        "joint",
        "keep",
        "lifted",
        "op",
        "pulls",
        "push",
        "replaced",
        "slots",
        "special",
        "writers",
        "wrt",
    )

    def __init__(self, op: Any, mask: int, count: int, forward: bool = False) -> None:
        self.op = op
        self.push: Any = None  # made by `forward`, when a sweep first needs it
        self.batched: Any = None  # made by `batch_rules`, when there is a batch
        self.writers: dict[type, Any] = {}  # made by `reuse`, when there is a large array
        self.count = count
        self.replaced: dict[type, Any] | None = None
        wrt = [i for i in range(count) if mask >> i & 1]
        self.joint: Pull | None = None
        self.pulls: tuple[Pull, ...] | None = None
        self.conj_pulls: tuple[Pull, ...] | None = None
        if op.joint_vjp is not None:
            self.wrt = tuple(wrt)
            rules = [op.joint_vjp]
        else:
            self.wrt = tuple(i for i in wrt if op.vjps[i] is not None)
            rules = [op.vjps[i] for i in self.wrt]
        # Each source once.
        found = {s for rule in rules for s in rule.sources if s[0] not in _NOT_SAVED}
        if forward:
            found |= forward_sources(op, self.wrt)
        self.slots: tuple[tuple[Any, ...], ...] = tuple(sorted(found, key=repr))
        self.getters: tuple[Get, ...] = tuple([getter(slot) for slot in self.slots])
        self.lifted: tuple[int, ...] = tuple([_lifted(slot, self.wrt) for slot in self.slots])
        if len(self.wrt) != len(wrt):
            self.keep = GENERAL
        elif not self.slots:
            self.keep = NOTHING
        elif len(self.slots) == 1:
            self.keep = _SINGLE.get(self.slots[0], GENERAL)
        else:
            self.keep = BOTH if self.slots == (("x", 0), ("x", 1)) else GENERAL
        where = {source: i for i, source in enumerate(self.slots)}
        single = self.keep in (FIRST, SECOND, OUTPUT)
        needs = tuple(bool(mask >> i & 1) for i in range(count))
        if op.joint_vjp is not None:
            self.joint = make_call(op.joint_vjp, where, single, needs)
        else:
            self.pulls = tuple(make_pull(rule, where, single, op.multiplies, False) for rule in rules)
            self.conj_pulls = tuple(make_pull(rule, where, single, op.multiplies, True) for rule in rules)
            self.replaced = self._replacements(where, single, needs)
        # One test in the hot path for whatever is not a plain rule for each input of an op with one output.
        joint = self.joint is not None or any(isinstance(p, Joint) for p in (self.replaced or {}).values())
        self.special = joint or op.kind in ("primitive", "internal")

    def _replacements(
        self, where: dict[Any, int], single: bool, needs: tuple[bool, ...]
    ) -> dict[type, tuple[Pull, ...] | Joint] | None:
        """Return the backends' own rules by type of array, or None: the usual case, which costs one test."""
        found: dict[type, tuple[Pull, ...] | Joint] = {}
        for backend, array_type, rules in registry.vjp_kernels(self.op):
            listed = rules if isinstance(rules, tuple) else (rules,)
            if isinstance(rules, Rules) and rules.joint is not None and len(self.wrt) > 1:
                rule = Rule(self.op, rules.joint, "joint vjp")
                if all(s in where or s[0] in _NOT_SAVED for s in rule.sources):
                    found[array_type] = Joint(make_call(rule, where, single, needs))
                    continue
            pulls = []
            for i in self.wrt:
                rule = Rule(self.op, listed[i], "backend's vjp")
                extra = [s for s in rule.sources if s[0] not in _NOT_SAVED and s not in where]
                if extra:
                    raise RegistrationError(
                        f"{self.op.id!r}: the rule of the backend {backend.name!r} names {extra[0]}, which the rule of the op "
                        f"does not: what is kept from the forward pass is decided there"
                    )
                pulls.append(make_call(rule, where, single))
            found[array_type] = tuple(pulls)
        return found or None

    def specialise(self, pulls: Any, g: Any) -> tuple[Any, Any]:
        """Return pulls and cotangent for a node whose op has several outputs or a joint rule."""
        if type(g) is list:
            g = tuple(g)
        joint = pulls.call if isinstance(pulls, Joint) else self.joint
        if joint is not None:
            results: list[Any] = []
            pulls = [partial(self._pull_joint, joint, results, i) for i in self.wrt]
        return pulls, g

    def _pull_joint(self, joint: Pull, results: list[Any], position: int, g: Any, saved: Any) -> Any:
        """Run the joint rule for the first of its inputs, and hand each input its part.

        Raises
        ------
        RuleError
            It returned another number of cotangents than there are inputs.
        """
        if not results:
            pulled = joint(g, saved)
            if type(pulled) not in (tuple, list) or len(pulled) != self.count:
                shown = f"{len(pulled)} cotangents" if isinstance(pulled, tuple | list) else type(pulled).__qualname__
                raise RuleError(
                    f"The joint rule of {self.op.id!r} (plugin {self.op.plugin!r}) returned {shown}; expected a tuple of "
                    f"{self.count}, one for each input, None where there is no gradient."
                )
            results.extend(pulled)
        return results[position]

    def collect(self, xs: Any, y: Any, residuals: Any, attrs: dict[str, Any]) -> Any:
        """Gather what the rules name."""
        keep = self.keep
        if keep == NOTHING:
            return None
        getters = self.getters
        if len(getters) == 2:  # written out: the most frequent number
            return getters[0](xs, y, residuals, attrs), getters[1](xs, y, residuals, attrs)
        if keep == GENERAL:
            return tuple([get(xs, y, residuals, attrs) for get in getters])
        return getters[0](xs, y, residuals, attrs)

    def lift(self, node: Node) -> Any:
        """Return what `node` saved as Values in the graph, so that a recorded pass differentiates through it."""
        keep, saved = self.keep, node.saved
        if keep == NOTHING:
            return None
        if keep != GENERAL and keep != BOTH:
            return self._lift_one(self.lifted[0], saved, node)
        return tuple([self._lift_one(which, item, node) for which, item in zip(self.lifted, saved, strict=True)])

    def _lift_one(self, which: int, item: Any, node: Node) -> Any:
        if which == RAW:
            return item
        if which >= 0:
            return wrap(item, node.edge1 if which == 0 else node.edge2 if which == 1 else node.more[which - 2])
        if which == INPUTS:
            edges = dict(zip(self.wrt, node.edges, strict=True))
            return tuple([wrap(x, edges[i]) if i in edges else x for i, x in enumerate(item)])
        if type(item) is tuple:
            return tuple([wrap(y, select(node, i, y)) for i, y in enumerate(item)])
        return wrap(item, node)


#: Counted from the end of what is kept: see `make_call`.
_PLACES = {("g",): -1, ("needs",): -2, ("xp",): -3}


def make_call(rule: Rule, where: dict[Any, int], single: bool, needs: tuple[bool, ...] = ()) -> Pull:
    """Return ``call(g, saved)`` that hands `rule` what it names."""
    function: Any = rule.function
    picks = [_PLACES[s] if s in _PLACES else where[s] for s in rule.sources]
    # The frequent shapes are written out: a general call costs as much as a small array's arithmetic.
    if picks == [-1]:
        return lambda g, saved: function(g)
    if single:
        if picks == [0]:
            return lambda g, saved: function(saved)
        if picks == [-1, 0]:
            return function  # type: ignore[no-any-return]  # a rule is whatever callable its author wrote
        if picks == [-1, 0, -3]:
            return lambda g, saved: function(g, saved, _namespace(g))
    elif picks and picks[0] == -1 and (len(picks) == 2 or picks[2:] == [-3]) and picks[1] >= 0:
        place = picks[1]
        if len(picks) == 2:
            return lambda g, saved: function(g, saved[place])
        return lambda g, saved: function(g, saved[place], _namespace(g))

    wants_xp = -3 in picks
    # Written in C; of a single place it would not return a tuple.
    get: Any = itemgetter(*picks) if len(picks) > 1 else lambda found: [found[k] for k in picks]

    def call(g: Any, saved: Any) -> Any:
        kept = (saved,) if single else saved or ()
        return function(*get((*kept, _namespace(g) if wants_xp else None, needs, g)))

    return call


def _namespace(g: Any) -> Any:
    """Return the ``xp`` of a rule: the library of its cotangent, or `autodiff.numpy` if that is a Value."""
    if type(g) is tuple:
        g = next(part for part in g if part is not None)
    if isinstance(g, Handle):
        own: Any = registry.backend_of(type(g._array))
        return registry.recorded_xp(own)
    own = registry.backend_of(type(g))
    return own.xp


def make_pull(rule: Rule, where: dict[Any, int], single: bool, multiplies: bool, conj: bool) -> Pull:
    """Return ``pull(g, saved)``: the rule itself, or the product of the cotangent with a partial derivative."""
    if not multiplies:
        return make_call(rule, where, single)
    number = rule.number
    if number is not None:
        factor: Any = number.conjugate() if conj else number
        if factor == 1:
            return same
        return _negated if factor == -1 else lambda g, saved: g * factor
    if not rule.sources:
        constant: Any = rule.function
        return (lambda g, saved: g * _conj(constant())) if conj else lambda g, saved: g * constant()
    derivative = make_call(rule, where, single)
    if conj:
        return lambda g, saved: g * _conj(derivative(g, saved))
    if len(rule.sources) == 1 and rule.sources[0] in where:
        # The most frequent shapes of all: spare them a call, or two.
        function: Any = rule.function
        place = where[rule.sources[0]]
        if returns_its_argument(function):
            return (lambda g, saved: g * saved) if single else lambda g, saved: g * saved[place]
        return (lambda g, saved: g * function(saved)) if single else lambda g, saved: g * function(saved[place])
    return lambda g, saved: g * derivative(g, saved)


def nothing(g: Any, saved: Any) -> None:
    """Pull nothing back: nobody asked for it."""


def same(g: Any, saved: Any) -> Any:
    """Pull the cotangent back as it is."""
    return g


def _negated(g: Any, saved: Any) -> Any:
    return -g


def _conj(p: Any) -> Any:
    return p.conjugate() if isinstance(p, int | float | complex) else standard.conj(p)


def _unchanged(g: Any) -> Any:
    return g


class _Internal:
    """Stands where an op would, for nodes that the engine makes itself."""

    def __init__(self, name: str) -> None:
        self.id = f"autodiff.{name}"
        self.name = name
        self.plugin = "autodiff"
        self.kind = "internal"
        self.inputs = ("x",)
        self.variadic = self.core_ndims = self.joint_vjp = None
        self.broadcasts = self.multiplies = False
        self.residuals: tuple[str, ...] = ()
        self.attrs: dict[str, Any] = {}
        self.vjps = (Rule(self, _unchanged, "vjp"),)


#: The plan of a node that passes its cotangent on: transforms differentiate for such a node of their own.
IDENTITY = Plan(_Internal("identity"), 1, 1)

#: The plan of a node that selects one of several outputs: the backward pass puts its cotangent into the place
#: ``saved`` of its edge.
SELECT = Plan(_Internal("select"), 1, 1)


def select(node: Node, index: int, output: Any) -> Node:
    """Make the edge of one output of a node that has several."""
    return make_node(SELECT, (node,), index, output.shape, output.dtype, type(output))


def place(cotangents: dict[Any, Any], node: Node, g: Any) -> None:
    """Put the cotangent of one output of several into its place in the list of them."""
    several = node.edge1
    places = cotangents.get(several) or [None] * len(several.shape)
    before = places[node.saved]
    places[node.saved] = g if before is None else before + g
    cotangents[several] = places
