"""Saving arrays by name, with safetensors: a format without code in it, which any framework reads."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autodiff import AutodiffError
from autodiff.extend import ArgumentError, ArgumentTypeError
from autodiff_nn.checks import backend, brief, mapping, raw
from autodiff_nn.module import Module

__all__ = ["MissingPackageError", "load", "load_metadata", "save"]


class MissingPackageError(AutodiffError, ImportError):
    """A package that only some functions need is not installed.

    Example: ``autodiff_nn.save(...)`` without safetensors.
    Fix: ``pip install safetensors``.
    """


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as exc:
        raise MissingPackageError(
            f"Saving and loading need the package safetensors ({exc}): pip install safetensors"
        ) from exc
    return safetensors


def save(
    path: str | os.PathLike[str], state: Module | Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays to a file, whole or not at all: until the last byte is there, the old file is.

    Parameters
    ----------
    path : path
        The file; one that exists is replaced, with its permissions kept. A pipe or a device is written to.
    state : Module, or mapping of str to array or Value
        A module stands for its `state_dict`.
    metadata : mapping of str to str, optional
        Whatever else is to be known of them.

    Raises
    ------
    ArgumentTypeError
        One of them is no array, or of a dtype that the format does not have.
    MissingPackageError
        safetensors is not installed.

    Examples
    --------
    >>> import os, tempfile
    >>> import autodiff_nn as nn
    >>> model = nn.Linear(2, 1, generator=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     nn.save(path, model)
    ...     sorted(nn.load(path))
    ['bias', 'weight']
    """
    import numpy as np

    library = _safetensors()
    place = _path("save", path)
    arrays = state.state_dict() if isinstance(state, Module) else mapping("save", state)
    if metadata is not None:
        mapping("save(metadata=...)", metadata)
    host: dict[str, Any] = {}
    for name, entry in arrays.items():
        own = backend(entry)
        if own is None:
            raise ArgumentTypeError(f"save: {name!r} is a {type(entry).__name__}; expected an array or a Value")
        # The format stores rows one after another; and an array in another order would be written as it lies.
        host[name] = np.array(own.to_numpy(raw(entry)), order="C")
    try:
        content = library.numpy.save(host, metadata=None if metadata is None else dict(metadata))
    except (library.SafetensorError, KeyError, TypeError, ValueError) as exc:
        dtypes = ", ".join(f"{name!r}: {array.dtype}" for name, array in host.items())
        raise ArgumentTypeError(f"save: safetensors cannot write this ({exc}); it was given {dtypes:.300}") from exc
    _write(place, content)


def _path(where: str, path: Any) -> Path:
    if not isinstance(path, str | os.PathLike) or "\0" in str(path):
        raise ArgumentTypeError(f"{where} takes the path of a file first; it was given {brief(path)}")
    return Path(path)


def _write(path: Path, content: bytes) -> None:
    if path.exists() and not path.is_file():  # a pipe or a device is written to: /dev/null must stay what it is
        path.write_bytes(content)
        return
    path = path.resolve()  # a link stays one
    # Nobody else's, whichever process, machine or container writes to the folder at this moment.
    part = path.with_name(f".{path.name}.{os.urandom(8).hex()}.part")
    try:
        with part.open("xb") as file:
            if path.is_file():
                shutil.copymode(path, part)  # before anything is in it that not everybody may read
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the arrays of a file, as NumPy arrays in the order of their names.

    ``model.load_state_dict(load(path))`` puts them into a module. Numbers of the dtype bfloat16, which NumPy has not,
    are there as float32, which has them all.

    Raises
    ------
    ArgumentError
        The file is not of this format, or is damaged.
    ArgumentTypeError
        It has numbers of a dtype that NumPy has not.
    MissingPackageError
        safetensors is not installed.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> nn.load("no-such-file")
    Traceback (most recent call last):
    ...
    FileNotFoundError: ...
    """
    library = _safetensors()
    try:
        entries = library.deserialize(_path("load", path).read_bytes())
    except library.SafetensorError as exc:
        raise ArgumentError(f"load: {str(path)!r} is no safetensors file, or is damaged: {exc}") from exc
    return {name: _array(name, **entry) for name, entry in sorted(entries)}


#: NumPy's names of the format's dtypes.
_DTYPES = {
    "BOOL": "bool",
    **{
        f"{letter}{bits}": f"{kind}{bits}" for letter, kind in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)
    },
    **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
    "C64": "complex64",
}


def _array(name: str, dtype: str, shape: list[int], data: bytearray) -> Any:
    """Return an entry of a file as an array that may be written to."""
    import numpy as np

    if dtype == "BF16":  # the upper half of a float32
        wide = np.frombuffer(data, "<u2").astype("<u4") << 16
        return wide.view("<f4").astype(np.float32).reshape(shape)
    if dtype not in _DTYPES:
        raise ArgumentTypeError(
            f"load: {name!r} has the dtype {dtype}, which NumPy has not; convert the file where it was made, or read it "
            f"with safetensors and another library"
        )
    return (
        np.frombuffer(data, np.dtype(_DTYPES[dtype]).newbyteorder("<"))
        .astype(_DTYPES[dtype], copy=False)
        .reshape(shape)
    )


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read the metadata of a file, without its arrays; empty if it has none.

    Raises
    ------
    ArgumentError
        The file is not of this format, or is damaged.

    Examples
    --------
    >>> import os, tempfile
    >>> import autodiff_nn as nn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     nn.save(path, nn.Linear(2, 1), {"epoch": "3"})
    ...     nn.load_metadata(path)
    {'epoch': '3'}
    """
    library = _safetensors()
    place = _path("load_metadata", path)
    with place.open("rb"):  # says what is wrong with the path in the same way as everywhere
        pass
    try:
        with library.safe_open(str(place), framework="numpy") as file:
            return dict(file.metadata() or {})
    except library.SafetensorError as exc:
        raise ArgumentError(f"load_metadata: {str(path)!r} is no safetensors file, or is damaged: {exc}") from exc
