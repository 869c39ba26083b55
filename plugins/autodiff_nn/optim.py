"""The optimisers `SGD`, `Adam` and `AdamW`, and the clipping of gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from autodiff import Value
from autodiff.extend import ArgumentError, ArgumentTypeError, backend_of
from autodiff_nn.checks import backend, brief, mapping, number, one_number, parameter, raw, told
from autodiff_nn.steps import adam_step, momentum_step, sgd_step

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "clip_grad_norm", "clip_grad_value"]


class Optimizer:
    """Base of the optimisers: groups of parameters, each with its options, and what is remembered of each parameter.

    Parameters
    ----------
    parameters : iterable of Value, or of dict
        What to train: ``model.parameters()``; or groups, ``{"params": [...], "lr": 0.1}``, with options of their own.
    options
        For all groups that do not say otherwise.

    Attributes
    ----------
    groups : list of dict
        ``params`` and the options of each group; schedules write ``lr``.

    Notes
    -----
    A step gives each parameter a new array and writes into none, so that graphs which were recorded before, and
    arrays that were taken from ``parameter.data``, stay as they are.
    """

    def __init__(self, parameters: Any, **options: Any) -> None:
        where = type(self).__name__
        if isinstance(parameters, Value | Mapping):
            raise ArgumentTypeError(
                f"{where} takes a list of parameters, or of groups; it was given a {type(parameters).__name__}"
            )
        if not isinstance(parameters, Iterable) or backend(parameters) is not None:
            raise ArgumentTypeError(f"{where} takes parameters, such as model.parameters(); given {brief(parameters)}")
        given = list(parameters)
        groups = given if given and isinstance(given[0], Mapping) else [{"params": given}]
        self.groups: list[dict[str, Any]] = [self._group(where, group, options) for group in groups]
        everything = self.parameters()
        if not everything:
            raise ArgumentError(f"{where} was given no parameters; model.parameters() can be used up only once")
        if len({id(p) for p in everything}) < len(everything):
            raise ArgumentError(f"{where} was given a parameter twice; each may be in one group, once")
        #: What is remembered of each parameter, by its position: arrays like it, and the number of its steps.
        self.state: list[dict[str, Any]] = [{} for _ in everything]

    def _group(self, where: str, group: Mapping[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        unknown = [key for key in group if key not in options and key != "params"]
        if unknown or "params" not in group:
            wrong = f"the option {unknown[0]!r}" if unknown else "no 'params'"
            raise ArgumentError(f"{where}: a group has {wrong}; expected 'params', and any of {', '.join(options)}")
        made = {**options, **group, "params": [parameter(where, p) for p in group["params"]]}
        self._check(where, made)
        return made

    def _check(self, where: str, group: dict[str, Any]) -> None:
        number(where, 0.0, **{name: group[name] for name in ("lr", "weight_decay") if name in group})

    def parameters(self) -> list[Value]:
        """Return the parameters of all groups, in order."""
        return [p for group in self.groups for p in group["params"]]

    def zero_grad(self) -> None:
        """Forget the gradients: ``grad`` is None again."""
        for p in self.parameters():
            p.zero_grad()

    def step(self) -> None:
        """Move each parameter that has a gradient."""
        states = iter(self.state)
        for group in self.groups:
            for p in group["params"]:
                state = next(states)
                g = p.grad
                if g is not None:
                    x = p.data
                    if state:
                        _follow(x, state)
                    p.data = self._moved(x, g.data if type(g) is Value else g, group, state)

    def _moved(self, x: Any, g: Any, group: dict[str, Any], state: dict[str, Any]) -> Any:
        """Return the new numbers of a parameter; may write into `state` alone."""
        raise NotImplementedError(f"{type(self).__name__} has no method _moved")

    # ---- state ----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on later, by name: NumPy's and the backend's arrays, which `save` can write."""
        import numpy as np

        told: dict[str, Any] = {f"group.{i}.lr": np.asarray(float(g["lr"])) for i, g in enumerate(self.groups)}
        for i, (p, state) in enumerate(zip(self.parameters(), self.state, strict=True)):
            for name, entry in state.items():
                array = np.asarray(entry) if isinstance(entry, int) else backend(p).fresh(entry)
                told[f"state.{i}.{name}"] = array
        return told

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, of an optimiser of the same parameters.

        Raises
        ------
        ArgumentError
            The state is that of other parameters; nothing is changed then.
        """
        where = f"{type(self).__name__}.load_state_dict"
        parameters = self.parameters()
        names = [f"group.{i}.lr" for i in range(len(self.groups))]
        states: list[dict[str, Any]] = [{} for _ in parameters]
        for key, entry in mapping(where, state).items():
            if key in names:
                continue
            head, _, rest = key.partition(".")
            place, _, name = rest.partition(".")
            if head != "state" or not place.isdigit() or int(place) >= len(parameters) or name not in self._remembers:
                raise ArgumentError(f"{where}: {key!r} is not part of the state of these {len(parameters)} parameters")
            x = parameters[int(place)].data
            if backend(entry) is None:
                raise ArgumentTypeError(f"{where}: {key!r} is an array; it was given {brief(entry)}")
            if name != "step" and tuple(entry.shape) != tuple(x.shape):
                raise ArgumentError(
                    f"{where}: {key!r} has shape {tuple(entry.shape)}; the parameter has {tuple(x.shape)}"
                )
            states[int(place)][name] = int(entry) if name == "step" else _like(entry, x)
        if any(name not in state for name in names):
            raise ArgumentError(f"{where}: the state has no learning rate for one of the {len(self.groups)} groups")
        rates = [one_number(f"{where}: {name}", state[name]) for name in names]
        for group, rate in zip(self.groups, rates, strict=True):
            group["lr"] = rate
        self.state = [{name: kept[name] for name in self._remembers if name in kept} for kept in states]

    #: Names of what `_moved` keeps of each parameter; the last is an array.
    _remembers: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = [
            f"{len(g['params'])} parameters: " + ", ".join(f"{k}={v!r}" for k, v in g.items() if k != "params")
            for g in self.groups
        ]
        return f"{type(self).__name__}({lines[0]})" if len(lines) == 1 else "\n  ".join([type(self).__name__, *lines])


def _follow(x: Any, state: dict[str, Any]) -> None:
    """Move what is remembered of a parameter to where its numbers `x` are: they may have moved since the last step."""
    own: Any = backend_of(type(x))
    last = next(reversed(state.values()))  # moved after all others: they are where it is
    if type(last) is not type(x) or own.device(last) != own.device(x):
        for name, entry in state.items():
            if name != "step":
                state[name] = _like(entry, x)


def _like(entry: Any, x: Any) -> Any:
    """Return a copy of an array, with the backend and the dtype of `x`."""
    own, theirs = backend(x), backend(entry)
    entry = raw(entry) if theirs is own else own.asarray(theirs.to_numpy(raw(entry)))
    return own.fresh(own.to_device(own.astype(entry, x.dtype), own.device(x)))


def _run(op: Any, x: Any, /, *arrays: Any, **options: Any) -> Any:
    """Call the kernel of an op for arrays that have been checked; in its errors the op is named, as in those of a call."""
    try:
        return op.kernel_for(type(x))(x, *arrays, **options)
    except Exception as exc:  # whatever it is: `refuse` raises it again, or an error of ours from it
        op.refuse(exc, x, *arrays, **options)


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    Parameters
    ----------
    parameters
        As for `Optimizer`.
    lr : float
        The learning rate.
    momentum : float
        The part of the last step that goes on; 0 for none.
    dampening : float
        The part of each new gradient that is left out of the momentum.
    weight_decay : float
        Adds this multiple of the parameter to its gradient.
    nesterov : bool
        Whether to step along the gradient and the momentum that it leads to.

    References
    ----------
    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep
    learning", ICML 2013. The form is PyTorch's.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> w = Value([1.0, 2.0])
    >>> optimizer = nn.SGD([w], lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    array([0.5, 1. ])
    """

    _remembers = ("momentum",)

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-3,
        *,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(
            parameters, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov
        )

    def _check(self, where: str, group: dict[str, Any]) -> None:
        super()._check(where, group)
        number(where, 0.0, momentum=group["momentum"], dampening=group["dampening"])
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ArgumentError(f"{where}: nesterov=True needs a momentum, and no dampening")

    def _moved(self, x: Any, g: Any, group: dict[str, Any], state: dict[str, Any]) -> Any:
        lr, weight_decay = group["lr"], group["weight_decay"]
        if not group["momentum"]:
            return _run(sgd_step, x, g, lr=lr, weight_decay=weight_decay)
        velocity = state["momentum"] if state else backend(x).xp.zeros_like(x)
        options = {
            "lr": lr,
            "momentum": group["momentum"],
            "dampening": group["dampening"] if state else 0.0,  # the first velocity is the gradient
            "weight_decay": weight_decay,
            "nesterov": group["nesterov"],
        }
        x, state["momentum"] = _run(momentum_step, x, g, velocity, **options)
        return x


class Adam(Optimizer):
    """Steps along the running mean of the gradients, divided by the root of the running mean of their squares.

    Parameters
    ----------
    parameters
        As for `Optimizer`; real.
    lr : float
        The learning rate.
    betas : tuple of two floats
        The part of either running mean that each step keeps.
    eps : float
        Added to the root.
    weight_decay : float
        Adds this multiple of the parameter to its gradient; `AdamW` does better.

    References
    ----------
    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> w = Value([1.0, -2.0])
    >>> optimizer = nn.Adam([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(6)
    array([ 0.5, -1.5])
    """

    _remembers = ("step", "mean", "square")
    _decoupled = False

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _check(self, where: str, group: dict[str, Any]) -> None:
        super()._check(where, group)
        if not isinstance(group["betas"], tuple | list) or len(group["betas"]) != 2:
            raise ArgumentError(f"{where}: betas are two numbers; it was given {told(group['betas'])}")
        number(where, 0.0, 1.0, **{f"betas[{i}]": beta for i, beta in enumerate(group["betas"])})
        number(where, 0.0, eps=group["eps"])
        for p in group["params"]:
            if backend(p).kind(p.dtype) == "complex":
                raise ArgumentTypeError(f"{where} trains real parameters; it was given one of dtype {p.dtype}")

    def _moved(self, x: Any, g: Any, group: dict[str, Any], state: dict[str, Any]) -> Any:
        if not state:
            xp = backend(x).xp
            state.update(step=0, mean=xp.zeros_like(x), square=xp.zeros_like(x))
        step = state["step"] + 1
        options = {
            "step": step,
            "lr": group["lr"],
            "betas": group["betas"],
            "eps": group["eps"],
            "weight_decay": group["weight_decay"],
            "decoupled": self._decoupled,
        }
        mean, square = state["mean"], state["square"]
        x, mean, square = _run(adam_step, x, g, mean, square, **options)
        state.update(step=step, mean=mean, square=square)  # all or, if the kernel raises, nothing
        return x


class AdamW(Adam):
    """`Adam` whose weight decay shrinks the parameter itself and stays out of the running means.

    Parameters
    ----------
    parameters, lr, betas, eps
        As for `Adam`.
    weight_decay : float
        Each step multiplies the parameter by ``1 - lr * weight_decay``.

    References
    ----------
    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> nn.AdamW([Value(1.0)], lr=0.1)
    AdamW(1 parameters: lr=0.1, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01)
    """

    _decoupled = True

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(parameters, lr, betas=betas, eps=eps, weight_decay=weight_decay)


# ---- clipping ------------------------------------------------------------------------------------------------


def _with_gradients(where: str, parameters: Any) -> list[Value]:
    if not isinstance(parameters, Iterable) or backend(parameters) is not None:
        parameters = [parameters]  # a single one, or what `parameter` refuses
    given = [parameters] if isinstance(parameters, Value) else list(parameters)
    return [p for p in given if parameter(where, p).grad is not None]


def clip_grad_norm(parameters: Iterable[Value], max_norm: float, norm_type: float = 2.0) -> Any:
    """Scale all gradients together, so that the norm of all their numbers is at most `max_norm`.

    Parameters
    ----------
    parameters : iterable of Value
        Those without a gradient are left alone.
    max_norm : float
        The largest norm.
    norm_type : float
        The p of the norm; ``float("inf")`` for the largest size.

    Returns
    -------
    array
        The norm before, a 0-d array. If it is NaN or infinite, the gradients are NaN or 0 after.

    References
    ----------
    R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> w = Value([3.0, 4.0])
    >>> (w * w).sum().backward()
    >>> nn.clip_grad_norm([w], 1.0)
    array(10.)
    >>> w.grad.round(4)
    array([0.6, 0.8])
    """
    where = "clip_grad_norm"
    number(where, 0.0, max_norm=max_norm)
    if type(norm_type) not in (int, float) or not norm_type > 0:
        raise ArgumentError(f"{where}: norm_type is positive; it was given {told(norm_type)}")
    chosen = _with_gradients(where, parameters)
    if not chosen:
        raise ArgumentError(f"{where}: no parameter has a gradient; call backward() first")
    own = backend(chosen[0])
    xp = own.xp
    gradients = [raw(p.grad) for p in chosen]
    if norm_type == float("inf"):
        norm = xp.max(xp.stack([xp.max(xp.abs(g)) for g in gradients]))
    else:
        norm = sum(xp.sum(xp.abs(g) ** norm_type) for g in gradients) ** (1 / norm_type)
    # PyTorch's 1e-6; a product and no question, which a device would have to wait for.
    factor = max_norm / (norm + 1e-6)
    factor = xp.where(factor < 1, factor, xp.ones_like(factor))
    for p, g in zip(chosen, gradients, strict=True):
        p.grad = g * own.astype(factor, g.dtype)
    return own.box(norm) if type(norm) in own.scalar_types else norm


def clip_grad_value(parameters: Iterable[Value], clip_value: float) -> None:
    """Bring each number of each gradient between ``-clip_value`` and ``clip_value``.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> w = Value([3.0, 0.25])
    >>> (w * w).sum().backward()
    >>> nn.clip_grad_value([w], 1.0)
    >>> w.grad
    array([1. , 0.5])
    """
    number("clip_grad_value", 0.0, clip_value=clip_value)
    for p in _with_gradients("clip_grad_value", parameters):
        p.grad = backend(p).xp.clip(raw(p.grad), -clip_value, clip_value)
