"""`checkpoint`: keep the inputs of a function instead of what its ops saved, and compute it again when needed."""

from __future__ import annotations

import copy
import functools
import weakref
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import isqrt
from typing import Any

from autodiff import trees
from autodiff.backward import pull_back
from autodiff.errors import ArgumentError, ArgumentTypeError, GraphError, shown
from autodiff.forward import push_forward
from autodiff.graph import Edge, Leaf, Node, Spent, make_node, next_seq
from autodiff.inputs import check_function, name_of
from autodiff.modes import FORWARD, NO_GRAD, REPLAY, RULE, Switch, mode
from autodiff.registry import registry
from autodiff.rule import GENERAL, SELECT, SEVERAL, Plan, select
from autodiff.value import Value, wrap

__all__ = ["checkpoint", "checkpoint_sequential"]

Function = Callable[..., Any]


def checkpoint(f: Function, *args: Any, recompute_inputs: bool = True) -> Function:
    """Return a function that computes as `f` does, and keeps only its inputs for the backward pass.

    The backward pass computes `f` a second time, which costs one more forward pass and saves the memory of
    everything between. Gradients reach positional and keyword arguments and Values that `f` refers to.

    Where one checkpointed call takes what another returned, as in a chain of blocks, not even every input is kept:
    of the calls 0, 1, 2, ... in a row those of 0, 1, 4, 9, 16, ... keep theirs, and the others' are computed again,
    once, from the nearest before. What n blocks keep grows with the square root of n, for a third forward pass.

    Parameters
    ----------
    f : callable
        Takes and returns any nesting of Values, arrays and anything else. Called again it must do the same:
        generators that it hands to random ops are replayed, other hidden state is its own business, and Values
        that it refers to must not have been changed in between.
    recompute_inputs : bool
        False keeps every input, which saves the third forward pass.

    Returns
    -------
    callable
        May be nested, and differentiated to any order, in both modes.

    Raises
    ------
    GraphError
        In the backward pass: computed again, `f` returned something of another structure or shape.
    ArgumentError
        `f` calls a random op without a generator, which could not be replayed.
    ArgumentTypeError
        `f` is no function, its arguments were given along with it, or `recompute_inputs` is no bool.

    Notes
    -----
    A block of a linear map and an activation keeps two arrays: the one that enters the activation, and the result,
    which is the next one's input. Checkpointed with every input kept it keeps one, half of that; 64 of them in a row
    keep 8, and 14 more at the peak of the backward pass. An input that is no result of a checkpointed call, as where
    something is added to it in between, is always kept, and so is one that somebody else still has.

    References
    ----------
    T. Chen et al., "Training deep nets with sublinear memory cost" (2016), arXiv:1604.06174.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import Value, checkpoint
    >>> x = Value(np.ones(3))
    >>> block = checkpoint(lambda v: (v * 2).tanh() * v)
    >>> block(x).sum().backward()
    >>> x.grad.round(4)
    array([1.1053, 1.1053, 1.1053])
    """

    check_function("checkpoint", f)
    if args:
        raise ArgumentTypeError(
            f"checkpoint takes a function and returns one: checkpoint({name_of(f)})(...). It was given {len(args)} more "
            f"arguments."
        )
    if not isinstance(recompute_inputs, bool):
        raise ArgumentTypeError(f"checkpoint(recompute_inputs=...) is True or False; given {shown(recompute_inputs)}")

    @functools.wraps(f)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        if mode() & NO_GRAD:
            return f(*args, **kwargs)
        return _record(_Call(f, args, kwargs), recompute_inputs)

    return checkpointed


def checkpoint_sequential(functions: Sequence[Function], segments: int | None = None) -> Function:
    """Return the composition of functions, checkpointed in segments.

    Of each segment but the last, which the backward pass begins with, only the input is kept, and its functions are
    computed again when the pass reaches it. One function by itself keeps its input as well: `checkpoint` of each
    saves what is between the inputs alone, while with about as many segments as functions in each, what is kept
    grows with the square root of their number.

    Parameters
    ----------
    functions : sequence of callable
        Each takes what the one before returned. Parameters may be Values that they refer to, as layers do.
    segments : int, optional
        Into how many runs of about equal length to cut; by default the square root of the number of functions.

    Returns
    -------
    callable
        Takes what the first function takes.

    Raises
    ------
    ArgumentError
        There are no functions, or `segments` is no number from 1 to theirs.
    ArgumentTypeError
        What is given are no functions.

    References
    ----------
    T. Chen et al., "Training deep nets with sublinear memory cost" (2016), arXiv:1604.06174.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import Value, checkpoint_sequential
    >>> x = Value(np.ones(3))
    >>> deep = checkpoint_sequential([lambda v: v * 2] * 9, segments=3)
    >>> deep(x).sum().backward()
    >>> x.grad
    array([512., 512., 512.])
    """
    if not isinstance(functions, Iterable):
        raise ArgumentTypeError(f"checkpoint_sequential takes a sequence of functions; it was given {shown(functions)}")
    try:
        listed = list(functions)
    except TypeError as exc:  # an array of no dimension calls itself iterable
        raise ArgumentTypeError(
            f"checkpoint_sequential takes a sequence of functions; it was given {shown(functions)}"
        ) from exc
    for function in listed:
        check_function("checkpoint_sequential", function)
    count = (isqrt(len(listed) - 1) + 1 if listed else 0) if segments is None else segments
    if not listed or type(count) is not int or not 1 <= count <= len(listed):
        raise ArgumentError(
            f"checkpoint_sequential takes functions, and from 1 segment to as many as there are; it was given "
            f"{len(listed)} functions and segments={segments!r}"
        )
    bounds = [len(listed) * i // count for i in range(count + 1)]
    parts = [_composed(listed[start:stop]) for start, stop in pairwise(bounds)]
    # Their inputs are kept: that is what the segments are for.
    return _composed([*(checkpoint(part, recompute_inputs=False) for part in parts[:-1]), parts[-1]])


def _composed(functions: list[Function]) -> Function:
    def composed(*args: Any, **kwargs: Any) -> Any:
        first, *rest = functions
        y = first(*args, **kwargs)
        for function in rest:
            y = function(y)
        return y

    return composed


class _Call:
    """One call of a checkpointed function, which can be made again."""

    def __init__(self, f: Function, args: Any, kwargs: Any) -> None:
        self.f = f
        leaves, self.treedef = trees.flatten((args, kwargs))
        # Handles of our own: the caller may re-bind theirs, by `+=` or `v[i] = w`, before the backward pass.
        self.leaves = [copy.copy(leaf) if type(leaf) is Value else leaf for leaf in leaves]
        #: How many checkpointed calls come before it in a row.
        self.number = 0
        # By id: each generator, kept so that its id stays its own, and a copy from before it was first used.
        self.generators: dict[int, tuple[Any, Any]] = {}

    def run(self, *, again: bool, record: bool = True) -> tuple[list[Any], Any]:
        """Call the function; return the leaves of its result and their structure."""
        args, kwargs = trees.unflatten(self.treedef, self._given())
        copies = {key: _copied(before) for key, (_, before) in self.generators.items()} if again else None
        token = REPLAY.set(functools.partial(self._generator, REPLAY.get(), copies))
        try:
            with Switch(on=0 if record else NO_GRAD, off=NO_GRAD | RULE):
                return trees.flatten(self.f(*args, **kwargs))
        finally:
            REPLAY.reset(token)

    def let_go(self) -> None:
        """Let go of the inputs that other checkpointed calls made, unless the place in the row says otherwise."""
        made = [_Made.of(leaf) if type(leaf) is Value else None for leaf in self.leaves]
        self.number = 1 + max((m.call.number for m in made if m is not None), default=-1)
        if isqrt(self.number) ** 2 != self.number:
            self.leaves = [leaf if m is None else m for leaf, m in zip(self.leaves, made, strict=True)]

    def _given(self) -> list[Any]:
        """Return handles of our own on what the call was given."""
        while True:  # until no other pass has let go of an array in between
            self._bring_back()
            given = [
                copy.copy(leaf) if type(leaf) is Value else leaf.value() if type(leaf) is _Made else leaf
                for leaf in self.leaves
            ]
            if not any(g is _GONE for g in given):
                return given

    def _bring_back(self) -> None:
        """Compute the inputs again that were let go of, and before them theirs, as far as they are needed."""
        calls = {id(self): self}
        todo = [self]
        there: dict[_Made, Any] = {}  # so that nobody, another pass or one of the functions, lets go of them meanwhile
        for call in todo:  # grows while it is read
            for made in call.leaves:
                if type(made) is not _Made:
                    continue
                array = made.array()
                if array is not None:
                    there[made] = array
                elif id(made.call) not in calls:
                    calls[id(made.call)] = made.call
                    todo.append(made.call)
        results: dict[int, list[Any]] = {}
        for call in sorted(todo, key=lambda call: call.number):
            for made in call.leaves:
                if type(made) is _Made:
                    made.hold(there.get(made), results.get(id(made.call)))
            if call is not self:
                results[id(call)] = call.run(again=True, record=False)[0]

    def release(self) -> None:
        """Let go of the inputs again that `run` brought back."""
        for leaf in self.leaves:
            if type(leaf) is _Made:
                leaf.release()

    def _generator(self, outer: Any, copies: dict[int, Any] | None, generator: Any) -> Any:
        """Return the generator that a random op is to use in the place of the one it was given."""
        if generator is None:
            raise ArgumentError(
                f"checkpoint of {name_of(self.f)}: a random op without a generator cannot be replayed; give it "
                f"generator=numpy.random.default_rng(seed), or that of its backend."
            )
        if copies is not None and id(generator) in copies:
            return copies[id(generator)]
        used = generator if outer is None else outer(generator)
        if copies is None and id(generator) not in self.generators:
            self.generators[id(generator)] = (generator, _copied(used))
        return used


class _Made:
    """Stands for a Value that another checkpointed call returned; its array is there as long as somebody has it."""

    __slots__ = ("_array", "_edge", "_place", "_ref", "call")

    def __init__(self, call: _Call, place: int, value: Value) -> None:
        self.call = call
        self._place = place
        self._edge: Any = value._edge
        self._ref = weakref.ref(value._array)
        self._array: Any = None

    @classmethod
    def of(cls, value: Value) -> _Made | None:
        """Return what stands for `value`; None if no such call made it, or its array cannot be let go of."""
        edge: Any = value._edge
        node = edge.edge1 if type(edge) is Node and edge.plan is SELECT else None
        if node is None or type(node.plan) is not _CheckpointPlan or type(node.saved) is Spent:
            return None
        call, places, _ = node.saved
        try:
            return cls(call, places[edge.saved], value)
        except TypeError:  # scalars and batches know no weak references
            return None

    def array(self) -> Any:
        """Return the array, None if it has to be computed."""
        array = self._array  # read once: another pass may let go of it in between
        return self._ref() if array is None else array

    def hold(self, array: Any, results: list[Any] | None) -> None:
        """Keep the array: the one that is there, or else that of the results."""
        if array is None:
            y = results[self._place] if results is not None and self._place < len(results) else None
            if type(y) is not Value or tuple(y.shape) != tuple(self._edge.shape):
                raise _another(self.call)
            array = y._array
            self._ref = weakref.ref(array)
        self._array = array

    def release(self) -> None:
        """Keep the array no longer."""
        self._array = None

    def value(self) -> Any:
        """Return a handle such as the caller had; `_GONE` if the array is not there."""
        array = self.array()
        return _GONE if array is None else wrap(array, self._edge)


_GONE = object()


def _another(call: _Call) -> GraphError:
    return GraphError(
        f"checkpoint: computed again, {name_of(call.f)} returned something of another structure than the first time. "
        f"A checkpointed function must do the same each time it is called."
    )


def _copied(generator: Any) -> Any:
    """Return a generator in the same state; the libraries know how theirs are copied."""
    copies = (backend.copy_generator(generator) for backend in registry.backends.values())
    found = next((made for made in copies if made is not None), None)
    return copy.deepcopy(generator) if found is None else found


def _record(call: _Call, recompute_inputs: bool) -> Any:
    """Run once, and replace the graph of the run by one node with the edges at which that graph ends."""
    start = next_seq()
    leaves, treedef = call.run(again=False)
    places = [i for i, y in enumerate(leaves) if type(y) is Value and type(y._edge) is Node and y._edge.seq > start]
    if not places:
        return trees.unflatten(treedef, leaves)
    edges = _ends([leaves[i]._edge for i in places], start)
    if recompute_inputs:
        call.let_go()
    facts = tuple([(leaves[i].shape, leaves[i].dtype, type(leaves[i]._array)) for i in places])
    node = make_node(_CheckpointPlan(len(edges)), edges, (call, places, edges), facts, SEVERAL, tuple)
    for k, i in enumerate(places):
        leaves[i] = wrap(leaves[i]._array, select(node, k, leaves[i]._array))
    return trees.unflatten(treedef, leaves)


def _ends(roots: list[Edge], start: int) -> tuple[Edge, ...]:
    """Return the edges, older than `start` or leaves, at which the graph below `roots` ends."""
    found: dict[Edge, None] = dict.fromkeys(roots)
    ends: dict[Edge, None] = {}
    todo: list[Any] = list(found)
    for node in todo:  # grows while it is read
        for edge in node.edges:
            if type(edge) is Leaf or edge.seq < start:
                ends[edge] = None
            elif edge not in found:
                found[edge] = None
                todo.append(edge)
    return tuple(ends)


class _CheckpointOp:
    """Stands where an op would."""

    id = "autodiff.checkpoint"
    name = "checkpoint"
    plugin = "autodiff"
    kind = "internal"
    inputs = ()
    variadic = "edges"
    broadcasts = False
    core_ndims = None


class _CheckpointPlan(Plan):
    """Pulls cotangents back, and pushes tangents forward, through a graph that it makes when it is asked to."""

    __slots__ = ()

    def __init__(self, count: int) -> None:
        self.op = _CheckpointOp
        self.count = count
        self.wrt = tuple(range(count))
        self.keep = GENERAL
        self.slots = ()
        self.pulls = self.conj_pulls = self.joint = self.replaced = self.batched = None
        self.special = True
        self.push = _push
        self.writers = {}

    def lift(self, node: Node) -> Any:
        """Return what was saved: the call is made again with the Values that it was made with."""
        return node.saved

    def specialise(self, pulls: Any, g: Any) -> tuple[Any, Any]:
        """Return one pull for each edge; the first of them does the work for all."""
        results: list[Any] = []

        def pull(position: int, g: Any, saved: Any) -> Any:
            if not results:
                results.extend(_pull(g, saved))
            return results[position]

        return [functools.partial(pull, position) for position in self.wrt], tuple(g)


def _again(saved: Any) -> tuple[list[Any], int]:
    """Compute the outputs again; return the edges of those that have one, and the number where their graph begins.

    What is older belongs to the pass around: an edge where this graph ends may depend on another one.
    """
    call, places, _ = saved
    start = next_seq()
    leaves, _ = call.run(again=True)
    if max(places) >= len(leaves) or any(type(leaves[i]) is not Value or leaves[i]._edge is None for i in places):
        raise _another(call)
    return [leaves[i]._edge for i in places], start


def _pull(g: Any, saved: Any) -> list[Any]:
    record = any(type(part) is Value for part in g)
    roots, start = _again(saved)
    saved[0].release()  # the calls before keep theirs until their turn comes
    pairs = [(root, part) for root, part in zip(roots, g, strict=True) if part is not None]
    for root, part in pairs:
        if tuple(root.shape) != tuple(part.shape):
            raise GraphError(f"checkpoint: computed again, an output has shape {root.shape}, and first {part.shape}")
    edges = saved[2]
    pulled = pull_back([r for r, _ in pairs], [p for _, p in pairs], edges, retain=record, record=record, since=start)
    return [pulled.get(edge) for edge in edges]


def _push(ts: list[Any], saved: Any, node: Node, record: bool) -> Any:
    given = {edge: t for edge, t in zip(saved[2], ts, strict=True) if t is not None}
    with Switch(on=FORWARD):
        roots, start = _again(saved)
    return tuple(push_forward(given, roots, record=record, since=start))
