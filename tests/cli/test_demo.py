"""`autodiff demo`."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import command, environment, install

import autodiff
from autodiff.extend import elementwise
from autodiff.registry import registry
from autodiff_cli import main
from autodiff_cli.demo import data, report, train
from autodiff_cli.demo.model import Classifier

RELU = autodiff.ops["autodiff_activations.relu"]
NAMES = ["layers.0.bias", "layers.0.weight", "layers.1.bias", "layers.1.weight", "layers.2.bias", "layers.2.weight"]

#: A stand-in for the example package, whether that is installed or not.
ROBUST = '''
from autodiff.extend import elementwise, hookimpl

@elementwise(partials=(lambda x, xp: 1 + x / (2 * xp.sqrt(x * x + 1)),))
def bent_identity(xp, x):
    """Bent identity."""
    return x + (xp.sqrt(x * x + 1) - 1) / 2

@hookimpl
def register_ops(register):
    register(bent_identity)
'''


@pytest.fixture(scope="module")
def two_epochs(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run two epochs with warnings as errors and without the example package."""
    out = tmp_path_factory.mktemp("demo") / "deep" / "out"
    disabled = {"AUTODIFF_DISABLE_PLUGINS": "autodiff_robust_losses"}
    return command("demo", "--epochs", 2, "--seed", 3, "--out", out, PYTHONHASHSEED="1", **disabled), out


def load(path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
    """Return the tensors of a checkpoint and what it says of itself."""
    import safetensors

    with safetensors.safe_open(path, "numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["demo"])  # noqa: SIM118  # no mapping


def accuracy_of(path: Path, activation: Any) -> float:
    """Return the test accuracy of a classifier with the parameters of a checkpoint."""
    tensors, _ = load(path)
    classifier = Classifier(activation, np.random.default_rng(99), "numpy")
    classifier.load_state_dict(tensors)
    digits = data.load()
    return float((classifier.predict(digits.test_images) == digits.test_labels).mean())


def test_two_epochs(two_epochs: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """A run says what is in use and what came out, in plain lines and without a warning."""
    done, out = two_epochs
    assert (done.returncode, done.stderr) == (0, "")
    text = " ".join(done.stdout.split())
    for told in (
        "plugins activations (autodiff-toolkit",
        "numpy (in use)",
        "1797 digits of 8x8 pixels: 1437 to train on, 360 to test with",
        "seed 3",
        "activation autodiff_activations.relu, from autodiff-toolkit",
        "autodiff-robust-losses is not there",
        "epoch 1/2 loss",
        "epoch 2/2 loss",
        "after 2 epochs in",
        *(f"written {out / name}" for name in ("loss.png", "predictions.png", "model.safetensors")),
    ):
        assert told in text
    assert "training" not in text
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert sorted(path.name for path in out.iterdir()) == ["loss.png", "model.safetensors", "predictions.png"]


def test_gradient_and_finite_differences_are_printed(
    two_epochs: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    """The two numbers of the gradient check are there and agree."""
    numbers = re.findall(r"(?:backward pass|finite differences) +([+-][0-9.]+)", two_epochs[0].stdout)
    backward, differences = map(float, numbers)
    assert differences == pytest.approx(backward, rel=1e-6)
    assert abs(backward) > 1e-3


def test_pictures_load(two_epochs: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Both pictures are PNG files with something on them."""
    import matplotlib.image

    for name, colours in (("loss.png", 50), ("predictions.png", 17)):
        picture = matplotlib.image.imread(two_epochs[1] / name)
        assert min(picture.shape[:2]) > 500
        assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > colours


def test_checkpoint_gives_the_printed_accuracy(two_epochs: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """The checkpoint names its run, and a classifier with its parameters is as accurate as was printed."""
    done, out = two_epochs
    tensors, told = load(out / "model.safetensors")
    assert sorted(tensors) == NAMES
    assert {name: told[name] for name in ("seed", "epoch", "activation", "sizes")} == {
        "seed": 3,
        "epoch": 2,
        "activation": "autodiff_activations.relu",
        "sizes": [64, 256, 128, 10],
    }
    printed = re.search(r"test accuracy  (\S+)%: (\d+) of 360", done.stdout)
    assert printed is not None
    accuracy = accuracy_of(out / "model.safetensors", RELU)
    assert (f"{100 * accuracy:.2f}", round(360 * accuracy)) == (printed[1], int(printed[2]))
    assert accuracy == told["test_accuracy"] > 0.9


def test_one_seed_gives_one_result(two_epochs: tuple[subprocess.CompletedProcess[str], Path], tmp_path: Path) -> None:
    """Two runs with one seed write the same bytes, whatever the order of hashes; another seed writes others."""
    disabled = {"AUTODIFF_DISABLE_PLUGINS": "autodiff_robust_losses"}
    same = command("demo", "--epochs", 2, "--seed", 3, "--out", tmp_path, PYTHONHASHSEED="2", **disabled)
    assert same.returncode == 0
    first = (two_epochs[1] / "model.safetensors").read_bytes()
    assert (tmp_path / "model.safetensors").read_bytes() == first
    assert main(["demo", "--epochs", "1", "--seed", "4", "--out", str(tmp_path / "other")]) == 0
    other, _ = load(tmp_path / "other" / "model.safetensors")
    assert not np.array_equal(other["layers.0.weight"], load(tmp_path / "model.safetensors")[0]["layers.0.weight"])


def test_activation_of_the_example_package(tmp_path: Path) -> None:
    """With the example package beside autodiff its activation is used, and named."""
    install(
        tmp_path, "autodiff-robust-losses", "7.5", {"robust": "autodiff_robust_losses"}, autodiff_robust_losses=ROBUST
    )
    done = command("demo", "--epochs", 1, "--out", tmp_path / "out", path=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    text = " ".join(done.stdout.split())
    assert "activation autodiff_robust_losses.bent_identity, from autodiff-robust-losses 7.5" in text
    assert "robust (autodiff-robust-losses 7.5)" in text
    assert "is not there" not in text
    assert load(tmp_path / "out" / "model.safetensors")[1]["activation"] == "autodiff_robust_losses.bent_identity"


def test_split_is_fixed_and_stratified() -> None:
    """A fifth of the images, and a fifth of each label, are for testing, the same ones every time."""
    digits, again = data.load(), data.load()
    assert (len(digits.train_labels), len(digits.test_labels)) == (1437, 360)
    assert np.array_equal(digits.test_images, again.test_images)
    for label in range(10):
        counts = [(labels == label).sum() for labels in (digits.train_labels, digits.test_labels)]
        assert counts[1] / sum(counts) == pytest.approx(0.2, abs=0.005)
    rows = {image.tobytes() for image in digits.train_images}
    assert not any(image.tobytes() in rows for image in digits.test_images)


def test_shifted_images_keep_their_place() -> None:
    """An image moves by at most half a pixel: none by 0, and the ink of the inner pixels is the same."""
    image = np.zeros((1, 8, 8))
    image[0, 3, 4] = 1.0
    flat = image.reshape(1, 64)
    assert np.array_equal(data.shifted(flat, np.random.default_rng(0), far=0.0), flat)
    moved = data.shifted(np.repeat(flat, 50, axis=0), np.random.default_rng(0))
    assert moved.sum(axis=1) == pytest.approx(np.ones(50))
    y, x = (np.arange(64) // 8, np.arange(64) % 8)
    offsets = np.stack([moved @ y - 3, moved @ x - 4])
    assert 0.4 < np.abs(offsets).max() <= 0.5
    assert offsets.min() < 0 < offsets.max()


def test_gradient_check_catches_a_wrong_rule(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    """An activation whose derivative is wrong makes the check disagree, and the command exit with 1."""

    @elementwise(partials=(lambda y: 2 * (1 - y * y),))
    def twice_too_steep(xp: Any, x: Any) -> Any:
        return xp.tanh(x)

    monkeypatch.setattr("autodiff_cli.demo.OURS", twice_too_steep.id)
    monkeypatch.setattr("autodiff_cli.demo.PREFERRED", "no.such_op")
    with registry.scoped():
        registry.register_op(twice_too_steep)
        assert main(["demo", "--epochs", "1", "--out", str(tmp_path)]) == 1
    assert "THEY DISAGREE" in capsys.readouterr().out


def test_gradient_check_leaves_the_classifier_alone() -> None:
    """Parameters are the same after the check, and no gradient is left behind."""
    classifier = Classifier(RELU, np.random.default_rng(0), "numpy")
    before = {name: parameter.numpy() for name, parameter in classifier.named_parameters()}
    check = train.check_gradient(classifier, data.load())
    assert check.agrees
    for name, parameter in classifier.named_parameters():
        assert np.array_equal(parameter.data, before[name])
        assert parameter.grad is None


@pytest.mark.parametrize(
    ("backend", "why"), [("nope", "There is no backend 'nope'. Known: "), ("cupy", "cannot run here: ")]
)
def test_backend_that_cannot_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str, why: str
) -> None:
    """An unknown backend and one that cannot run are refused with the reason and what to do."""
    monkeypatch.setattr(type(registry.load().backends["cupy"]), "unavailable", lambda self: "No GPU. Buy one.")
    assert main(["demo", "--backend", backend, "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert why in printed.err
    assert "Choose another with --backend" in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""
    assert not (tmp_path / "out").exists()


def test_backend_by_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """NumPy can be asked for."""
    assert main(["demo", "--backend", "numpy", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert "numpy (in use)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "args", [["--epochs", "0"], ["--epochs", "many"], ["--seed", "-1"], ["--seed", "1.5"], ["--fast"]]
)
def test_bad_arguments(capsys: pytest.CaptureFixture[str], args: list[str]) -> None:
    """Numbers that make no sense are refused by the parser."""
    with pytest.raises(SystemExit) as stop:
        main(["demo", *args])
    assert stop.value.code == 2
    assert args[-1] in capsys.readouterr().err


@pytest.mark.parametrize(("module", "package"), [("sklearn", "scikit-learn"), ("safetensors", "safetensors")])
def test_missing_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str, package: str
) -> None:
    """Without what the extra brings, the command says which package is missing and how to install all of them."""
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["demo", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert f"The demo needs {package}, not installed here" in error
    assert "python -m pip install scikit-learn matplotlib safetensors" in error


def test_missing_op(tmp_path: Path) -> None:
    """Without the activations plugin the command names the ops that it lacks, without a traceback."""
    done = command("demo", "--out", tmp_path, AUTODIFF_DISABLE_PLUGINS="activations")
    assert done.returncode == 2
    assert "'autodiff_activations.relu'" in done.stderr
    assert "`autodiff plugins` says which and why" in done.stderr
    assert "Traceback" not in done.stderr


def test_out_that_is_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file in the place of the folder is refused, and left alone."""
    file = tmp_path / "out"
    file.write_text("mine")
    assert main(["demo", "--out", str(file)]) == 2
    assert "Choose another with --out" in capsys.readouterr().err
    assert file.read_text() == "mine"


#: The command as a terminal starts it: in the background of a shell, SIGINT is ignored, and children inherit that.
INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from autodiff_cli import main
sys.exit(main())
"""


def interrupt(out: Path) -> tuple[int, str, str]:
    """Start a long run, send it SIGINT when it has written a checkpoint, and return exit code and output."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", INTERRUPTIBLE, "demo", "--epochs", "100000", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        deadline = time.monotonic() + 60
        while not (out / "model.safetensors").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    return process.returncode, stdout, stderr


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent as POSIX does")
def test_ctrl_c_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    """SIGINT ends a run with 130, a complete checkpoint of the epoch that it names, and nothing half written."""
    code, stdout, stderr = interrupt(tmp_path)
    assert (code, stderr) == (130, "")
    tensors, told = load(tmp_path / "model.safetensors")
    assert sorted(tensors) == NAMES
    assert f"{tmp_path / 'model.safetensors'} holds epoch {told['epoch']}." in stdout
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent as POSIX does")
def test_ctrl_c_while_a_checkpoint_is_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It waits until the epoch is counted that the file is of."""
    replace = os.replace

    def interrupted(*args: Any) -> None:
        replace(*args)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "replace", interrupted)
    before = signal.getsignal(signal.SIGINT)

    assert main(["demo", "--epochs", "3", "--out", str(tmp_path)]) == 130

    assert signal.getsignal(signal.SIGINT) is before
    assert load(tmp_path / "model.safetensors")[1]["epoch"] == 1
    assert "holds epoch 1." in " ".join(capsys.readouterr().out.split())


def test_ctrl_c_before_the_first_epoch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An interruption while nothing is there yet says so, and leaves an earlier run's checkpoint alone."""
    (tmp_path / "model.safetensors").write_text("of an earlier run")

    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "check_gradient", stop)
    assert main(["demo", "--out", str(tmp_path)]) == 130
    assert "no epoch was complete" in capsys.readouterr().out
    assert (tmp_path / "model.safetensors").read_text() == "of an earlier run"


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_writing_is_all_or_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, function: str) -> None:
    """Interrupted at either step, the old content stays and no other file is left."""
    path = tmp_path / "file"
    report.write(path, b"old")

    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, function, stop)
    with pytest.raises(KeyboardInterrupt):
        report.write(path, b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"old")]


def test_bar_on_a_terminal(tmp_path: Path) -> None:
    """A terminal gets a bar with loss and accuracy in place of the lines."""
    from rich.console import Console

    reporter = report.Reporter(tmp_path)
    screen = io.StringIO()
    reporter.console = Console(file=screen, force_terminal=True, width=100, legacy_windows=False, _environ={})
    with reporter.progress(3) as advance:
        for number in (1, 2, 3):
            advance(train.Epoch(number, 0.5 / number, 1.0, 0.25 * number))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert "training" in text
    assert "3/3" in text
    assert "loss 0.1667  test accuracy 75.00%" in text
    assert "epoch" not in text


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("robust", [False, True])
def test_accuracy(tmp_path: Path, seed: int, robust: bool) -> None:
    """Every seed reaches 97 % on the test images in less than 20 seconds, with either activation."""
    name = "autodiff-robust-losses"
    if robust:
        install(tmp_path, name, "7.5", {"robust": "autodiff_robust_losses"}, autodiff_robust_losses=ROBUST)
    start = time.perf_counter()
    done = command(
        *("demo", "--seed", seed, "--out", tmp_path / "out"),
        path=tmp_path,
        AUTODIFF_DISABLE_PLUGINS="" if robust else name,
    )
    seconds = time.perf_counter() - start
    assert done.returncode == 0
    assert load(tmp_path / "out" / "model.safetensors")[1]["test_accuracy"] >= 0.97
    assert seconds < 20
