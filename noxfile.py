#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox"]
# ///
"""The developer's tasks: ``lint``, ``tests``, ``build`` by default; the others when asked for by name."""

from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, types and the project's own files."""
    session.install("-e", ".[lint]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy", "--strict")
    session.run("sp-repo-review", ".")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, without the slow ones, and the notebooks."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)
    session.run("python", "-m", "pytest", "--nbmake", "docs/notebooks")


@nox.session(default=False)
def compiled(session: nox.Session) -> None:
    """Compile the core, and run the tests on it; needs a C compiler."""
    session.install(".[test]", env={"HATCH_BUILD_HOOKS_ENABLE": "1"})
    session.run("python", "-c", "import autodiff; assert autodiff.COMPILED")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(default=False, python="3.13t")
def free_threaded(session: nox.Session) -> None:
    """Run the tests of the core on a CPython without a GIL, wherever one is installed as `python3.13t`."""
    session.install("-e", ".", "pytest", "pytest-benchmark", "hypothesis", "array-api-strict", "array-api-compat")
    session.run("python", "-c", "import sys, autodiff.testing; assert not sys._is_gil_enabled()")
    session.run("python", "-m", "pytest", "tests/core", "tests/behaviours", *session.posargs)


@nox.session(default=False)
def full(session: nox.Session) -> None:
    """Run all the tests, the slow ones too."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "-m", "slow or not slow", *session.posargs)
    session.notify("cuda_on_cpu", ["--full"])
    session.notify("cuda_12")
    session.notify("compiled")


@nox.session(default=False)
def sabotage(session: nox.Session) -> None:
    """Plant faults in rules and engine, and count what the conformance kit catches (`tests/sabotage/README.md`)."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "sabotage", *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session(default=False)
def raises(session: nox.Session) -> None:
    """Run all the tests, and fail if there is a ``raise`` of ours that none reaches, but for those that are listed."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "raises", "-m", "slow or not slow", *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session(default=False)
def oracle(session: nox.Session) -> None:
    """Compare every op with PyTorch, every transform with JAX, and write `docs/oracle.md`."""
    session.install("-e", ".[test,oracle]")
    session.run("python", "-m", "pytest", "tests/oracle", *session.posargs)
    session.run("python", "tests/oracle/agreement.py")


@nox.session(default=False)
def cuda_on_cpu(session: nox.Session) -> None:
    """Run the real CuPy without a GPU, and have NVRTC compile its kernels (`tests/cuda_on_cpu/README.md`)."""
    session.install("-e", ".", "-r", "tests/cuda_on_cpu/requirements.txt")
    session.run("python", "-m", "cuda_on_cpu", *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session(default=False)
def cuda_12(session: nox.Session) -> None:
    """Check that CuPy for CUDA 12 has what the backend uses, and what is said without a driver."""
    session.install("-e", ".[cuda12]", "pytest", "pytest-benchmark")
    session.run("python", "-m", "pytest", "tests/cuda_on_cpu/test_without_driver.py", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel, install it alone and import it from somewhere else."""
    dist = Path(session.create_tmp()).resolve()
    session.install("build")
    session.run("python", "-m", "build", "--outdir", str(dist))
    (wheel,) = dist.glob("*.whl")
    session.install(str(wheel))
    session.chdir(dist)
    session.run("python", "-c", "import autodiff; x = autodiff.Value(3.0); (x * x).backward(); print(x.grad)")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Run each benchmark once on the last commit; `asv continuous` compares two."""
    session.install("-e", ".[bench]")
    session.chdir("asv_bench")
    session.run("asv", "machine", "--yes")
    session.run("asv", "run", "--quick", "--show-stderr", "HEAD^!", *session.posargs)


@nox.session(default=False)
def regress(session: nox.Session) -> None:
    """Fail if HEAD is slower than where it left main; `-- --self-test 10` plants slowdowns and counts the catches."""
    session.install("-e", ".")
    session.run("python", "-m", "asv_bench.regress", *session.posargs)


@nox.session(default=False)
def asv(session: nox.Session) -> None:
    """Measure some commits of the project's history, publish them as pages, and look at those in Chromium.

    Needs npm, chromium and chromedriver. After ``--`` stands what is handed to `asv run`.
    """
    session.install("-e", ".[bench]", "selenium>=4.20")
    # Earlier commits lack what the benchmarks are made of.
    helpers = session.run("git", "log", "--format=%H", "--", "core/autodiff/testing/asv.py", external=True, silent=True)
    first = str(helpers).split()[-1]
    chosen = session.posargs or ["--quick", "--steps", "6", "--bench", "overhead|importing"]
    with session.chdir("asv_bench"):
        session.run("asv", "machine", "--yes")
        # 2 means that a benchmark failed on a commit: the pages have a gap there.
        session.run("asv", "run", *chosen, f"{first}..HEAD", success_codes=[0, 2])
        session.run("asv", "publish")
    session.run("python", "-m", "asv_bench.site")


if __name__ == "__main__":
    nox.main()
