"""Saving and loading: round trips, whole files or none, faults that are named."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

import autodiff_nn as nn
from autodiff import AutodiffError, Value
from autodiff_nn import saving

pytest.importorskip("safetensors")


def test_a_model_goes_round(tmp_path):
    """Names, shapes, dtypes and numbers return, 0-d, empty and transposed arrays too."""
    path = tmp_path / "model.safetensors"
    state = {
        "matrix": np.arange(6.0).reshape(2, 3).T,
        "view": np.arange(10, dtype=np.float32)[::-3],
        "number": np.array(7),
        "empty": np.zeros((0, 3), np.float16),
        "mask": np.array([True, False]),
        "value": Value([1.0, 2.0]),
    }
    nn.save(path, state, {"epoch": "3"})
    found = nn.load(path)

    assert sorted(state) == list(found)
    for name, array in state.items():
        expected = np.asarray(array.data if isinstance(array, Value) else array)
        assert (expected.shape, expected.dtype) == (found[name].shape, found[name].dtype)
        assert expected.tolist() == found[name].tolist()
    assert nn.load_metadata(path) == {"epoch": "3"}


def test_a_module_an_optimiser_and_a_schedule_go_round(tmp_path):
    """All three states can be saved, and be loaded from what comes back."""
    model = nn.Sequential(nn.Linear(2, 2, generator=0), nn.BatchNorm1d(2))
    optimizer = nn.Adam(model.parameters())
    schedule = nn.StepLR(optimizer, 1)
    model(np.eye(2)).sum().backward()
    optimizer.step()
    schedule.step()
    for name, obj in (("model", model), ("optimizer", optimizer), ("schedule", schedule)):
        nn.save(tmp_path / name, obj.state_dict())
    other = nn.Sequential(nn.Linear(2, 2, generator=1), nn.BatchNorm1d(2))
    again = nn.Adam(other.parameters())
    rates = nn.StepLR(again, 1)
    for name, obj in (("model", other), ("optimizer", again), ("schedule", rates)):
        obj.load_state_dict(nn.load(tmp_path / name))

    x = np.random.default_rng(0).normal(size=(3, 2))
    assert model.eval()(x).data.tolist() == other.eval()(x).data.tolist()
    assert again.state[0]["mean"].tolist() == optimizer.state[0]["mean"].tolist()
    assert (again.state[0]["step"], again.groups[0]["lr"], rates.count) == (1, 1e-4, 1)


def test_what_does_not_fit_is_named(tmp_path):
    """A file of another model lists what is missing, unexpected and of another shape."""
    nn.save(tmp_path / "file", nn.Linear(2, 3))
    with pytest.raises(AutodiffError, match=r"Missing: '0.weight', '0.bias'. Unexpected: 'bias', 'weight'."):
        nn.Sequential(nn.Linear(2, 3)).load_state_dict(nn.load(tmp_path / "file"))
    with pytest.raises(AutodiffError, match=r"'weight' has shape \(4, 2\) here and \(3, 2\) in the state"):
        nn.Linear(2, 4).load_state_dict(nn.load(tmp_path / "file"))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupt_leaves_the_old_file(tmp_path, monkeypatch, step):
    """Until the new file is whole and in place, the old one is there; nothing else is left behind."""
    path = tmp_path / "file"
    nn.save(path, {"a": np.zeros(3)})

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(saving.os, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        nn.save(path, {"a": np.ones(3)})
    monkeypatch.undo()

    assert nn.load(path)["a"].tolist() == [0.0, 0.0, 0.0]
    assert os.listdir(tmp_path) == ["file"]


def test_nothing_is_written_of_what_cannot_be(tmp_path):
    """A wrong entry is named, and the old file stays."""
    path = tmp_path / "file"
    nn.save(path, {"a": np.zeros(3)})
    with pytest.raises(AutodiffError, match="'b' is a str; expected an array or a Value"):
        nn.save(path, {"a": np.ones(3), "b": "text"})
    with pytest.raises(AutodiffError, match=r"'c': complex128"):
        nn.save(path, {"c": np.ones(3, complex)})

    assert nn.load(path)["a"].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("read", [nn.load, nn.load_metadata])
def test_damaged_files_are_told(tmp_path, read):
    """A truncated file, and one of another kind, name the path; one that is not there is not found."""
    path = tmp_path / "file"
    nn.save(path, {"a": np.zeros(300)})
    whole = path.read_bytes()
    for content in (whole[:-8], b"text", b""):
        path.write_bytes(content)
        with pytest.raises(AutodiffError, match="file' is no safetensors file, or is damaged"):
            read(path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "other")


def test_no_damage_of_a_file_is_another_error(tmp_path):
    """Cut anywhere, or with bytes changed, a file is read or is told to be damaged."""
    path = tmp_path / "file"
    nn.save(path, {"a": np.arange(3.0), "b": np.zeros((0, 2)), "c": np.array(1, np.int8)}, {"key": "value"})
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(AutodiffError, match="damaged"):
            nn.load(path)
    for _ in range(500):
        content = bytearray(whole)
        content[rng.integers(len(content))] = rng.integers(256)
        path.write_bytes(bytes(content))
        for read in (nn.load, nn.load_metadata):
            with contextlib.suppress(AutodiffError):
                read(path)


def test_files_of_pytorch_are_read(tmp_path):
    """A model's, and every dtype that NumPy has; bfloat16 as float32; of others the error names entry and dtype."""
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("safetensors.torch")
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).double()
    library.save_file(theirs.state_dict(), tmp_path / "model", metadata={"format": "pt"})
    ours = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    assert ours.load_state_dict(nn.load(tmp_path / "model")) == ([], [])
    x = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(ours.eval()(x).data, theirs.eval()(torch.tensor(x)).detach().numpy(), rtol=1e-12)

    names = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64")
    tensors = {name: torch.arange(6).reshape(2, 3).to(getattr(torch, name)) for name in names}
    tensors["bfloat16"] = torch.tensor([1.0, -3.140625, 1e30, float("inf"), 0.0]).to(torch.bfloat16)
    library.save_file(tensors, tmp_path / "dtypes")
    found = nn.load(tmp_path / "dtypes")
    for name in names:
        assert (str(found[name].dtype), found[name].tolist()) == (name, tensors[name].tolist())
        assert found[name].flags.writeable
    assert (found["bfloat16"].dtype, found["bfloat16"].tolist()) == (np.float32, tensors["bfloat16"].tolist())

    library.save_file({"small": torch.ones(2).to(torch.float8_e4m3fn)}, tmp_path / "other")
    with pytest.raises(AutodiffError, match="'small' has the dtype F8_E4M3, which NumPy has not"):
        nn.load(tmp_path / "other")


def test_two_that_save_to_one_path_at_once(tmp_path, monkeypatch):
    """Neither meets the other's unfinished file, though process and thread have one number; the last one stays."""
    path, fsync = tmp_path / "x.safetensors", os.fsync

    def meanwhile(file):
        monkeypatch.setattr(os, "fsync", fsync)
        nn.save(path, {"other": np.zeros(3)})
        assert list(nn.load(path)) == ["other"]
        fsync(file)

    monkeypatch.setattr(os, "fsync", meanwhile)
    nn.save(path, {"x": np.ones(2)})

    assert nn.load(path)["x"].tolist() == [1, 1]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_a_new_file_has_the_permissions_of_any_other(tmp_path, mask):
    """Those that the process gives to what it opens."""
    before = os.umask(mask)
    try:
        nn.save(tmp_path / "x.safetensors", {"x": np.ones(2)})
        (tmp_path / "plain").write_bytes(b"")
    finally:
        os.umask(before)

    assert (tmp_path / "x.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither such permissions nor links for everybody")
def test_permissions_and_links_stay(tmp_path):
    """A file that only its owner may read stays so, and what a link names is replaced, not the link."""
    path, link = tmp_path / "file", tmp_path / "link"
    nn.save(path, {"a": np.zeros(3)})
    path.chmod(0o600)
    link.symlink_to(path)
    nn.save(link, {"a": np.ones(2)})

    assert (link.is_symlink(), path.stat().st_mode & 0o777) == (True, 0o600)
    assert nn.load(path)["a"].tolist() == [1.0, 1.0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such pipes here")
def test_a_pipe_is_written_to_and_stays(tmp_path):
    """What is no file cannot be replaced by one: it would be lost to all others, as /dev/null would to root."""
    pipe, copy = tmp_path / "pipe", tmp_path / "copy"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: copy.write_bytes(pipe.read_bytes()), daemon=True)
    reader.start()
    nn.save(pipe, {"a": np.arange(3.0)})
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    reader.join(10)

    assert nn.load(copy)["a"].tolist() == [0.0, 1.0, 2.0]


def run(code):
    """Run `code` in a fresh interpreter; return what it prints."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_safetensors_is_imported_when_it_is_used():
    """Importing the package, and training, does without."""
    code = "import autodiff_nn as nn, sys; nn.SGD(nn.Linear(2, 1).parameters()).step(); print('safetensors' in sys.modules)"

    assert run(code) == "False"


def test_without_safetensors_the_error_says_what_to_install():
    """It is an ImportError and an AutodiffError."""
    code = """
import sys; sys.modules["safetensors"] = None
import autodiff, autodiff_nn as nn
for call in (lambda: nn.save("file", nn.Linear(1, 1)), lambda: nn.load("file"), lambda: nn.load_metadata("file")):
    try:
        call()
    except ImportError as error:
        print(isinstance(error, autodiff.AutodiffError), "pip install safetensors" in str(error))
"""

    assert run(code).split("\n") == ["True True"] * 3


def test_loading_the_plugin_imports_no_more_than_its_ops():
    """Whoever uses autodiff without a network waits for none of its layers."""
    code = (
        "import autodiff, sys; autodiff.Value(1.0) * 2; print([m for m in sys.modules if m.startswith('autodiff_nn.')])"
    )

    loaded = [f"autodiff_nn.{name}" for name in ("fused", "attention", "checks", "steps", "numpy_kernels")]
    assert run(code) == str(loaded)
