"""One session per promise; `nox -l` lists them, arguments after `--` are passed on."""

from __future__ import annotations

import tomllib
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "types", "layers", "tests"]
nox.options.default_venv_backend = "venv"

PYTHONS = ["3.11", "3.12", "3.13"]
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
PROJECT = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))


def install(session: nox.Session, *groups: str) -> None:
    """Install the package as it stands, with some dependency groups."""
    session.install("--upgrade", "pip")
    session.install("-e", ".", *(part for group in groups for part in ("--group", group)))


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    session.install("--upgrade", "pip")
    session.install("--group", "lint")
    session.run("ruff", "check", *session.posargs, ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strictly."""
    install(session, "types")
    session.run("mypy", *session.posargs)


@nox.session
def layers(session: nox.Session) -> None:
    """Who may import whom."""
    install(session, "test")
    session.run("lint-imports", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the quick suite on every Python at hand."""
    install(session, "test")
    session.run("pytest", *session.posargs, env=ONE_THREAD)


@nox.session
def tests_slow(session: nox.Session) -> None:
    """Run the tests that the quick suite leaves out, and new random designs by the hundred."""
    install(session, "test")
    env = {**ONE_THREAD, "HYPOTHESIS_PROFILE": "thorough"}
    session.run("pytest", "-m", "slow", *session.posargs, env=env, success_codes=[0, 5])
    session.run("pytest", "tests/properties", *session.posargs, env=env)


@nox.session(python="3.11")
def tests_min(session: nox.Session) -> None:
    """Run the quick suite with the lowest versions that pyproject.toml allows."""
    extras = PROJECT["project"]["optional-dependencies"]
    names = ("plot", "polars", "arrow", "parallel", "sklearn", "completion", "tables", "word")
    optional = [line for name in names for line in extras[name]]
    bounds = [*PROJECT["project"]["dependencies"], *optional]
    lowest = [line.replace(">=", "==") for line in bounds]
    session.install("--upgrade", "pip")
    session.install("-e", ".", "--group", "test", *lowest)
    session.run("pytest", "-W", "default", *session.posargs, env=ONE_THREAD)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the pages strictly and run every code block in them."""
    install(session, "docs", "test")
    session.run("mkdocs", "build", "--strict", "--site-dir", session.create_tmp())
    session.run("pytest", "tests/docs", *session.posargs, env=ONE_THREAD)
    session.run("pytest", "-m", "slow", "tests/docs/test_pages.py", env=ONE_THREAD)


@nox.session
def notebooks(session: nox.Session) -> None:
    """Run the notebooks and compare with their saved outputs; `-- save` keeps the new ones."""
    install(session, "notebooks", "test")
    if "save" in session.posargs:
        session.run("python", "docs/notebooks/execute.py", env=ONE_THREAD)
    arguments = ["-m", "slow or not slow", "tests/docs/test_notebooks.py"]
    session.run("pytest", *arguments, env=ONE_THREAD)


@nox.session
def recipes(session: nox.Session) -> None:
    """Draw what the page on other libraries draws with seaborn and plotnine."""
    install(session, "recipes", "test")
    arguments = ["-m", "not r", "tests/interop/test_recipes.py"]
    session.run("pytest", *arguments, *session.posargs, env=ONE_THREAD)


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks: answers are checked first, then timed."""
    install(session, "bench")
    session.run("python", "-m", "benchmarks.run", *session.posargs, env=ONE_THREAD)


@nox.session
def build(session: nox.Session) -> None:
    """Build the distributions and fit a model from the wheel alone."""
    session.install("build")
    dist = session.create_tmp()
    session.run("python", "-m", "build", "--outdir", dist)
    wheel = next(Path(dist).glob("*.whl"))
    session.install(str(wheel))
    session.run("lmmformula", "fit", "Reaction ~ Days + (Days | Subject)", "sleepstudy")
