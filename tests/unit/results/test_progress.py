"""One option for everything that repeats something: who sees a bar, and when."""

from __future__ import annotations

import inspect
import io
import sys
from types import SimpleNamespace

import pytest

import lmmformula as lf
from lmmformula.errors import OptionError
from lmmformula.postfit import progress as module
from lmmformula.postfit.progress import is_watched, progress_bar, progress_callback, watched


class Terminal(io.StringIO):
    """A stream that says that somebody reads it."""

    def isatty(self) -> bool:
        return True


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Somebody watches; called, what was shown so far."""
    monkeypatch.setattr(module, "is_watched", lambda: True)
    return lambda: capsys.readouterr().err


@pytest.fixture(scope="module")
def fit():
    return lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))


CALLS = {
    "bootstrap": lambda fit, p: fit.bootstrap(3, seed=1, progress=p),
    "simulation": lambda fit, p: fit.simulate(3, seed=1, progress=p),
    "influence": lambda fit, p: fit.influence("Subject", progress=p),
    "profile": lambda fit, p: fit.profile(["Days", "sigma"], progress=p).conf_int(),
    "ranova": lambda fit, p: fit.ranova(progress=p),
    "drop1": lambda fit, p: fit.drop1(progress=p),
    "exact_rlrt": lambda fit, p: lf.exact_rlrt(
        lf.lmer("Reaction ~ Days + (1 | Subject)", lf.load_dataset("sleepstudy")),
        n=20,
        seed=1,
        progress=p,
    ),
    "power": lambda fit, p: lf.power(fit, "Days", 3, seed=1, progress=p),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_function_is_told_everything(fit, name):
    seen = []
    CALLS[name](fit, lambda done, n: seen.append((done, n)))
    counts, totals = zip(*seen, strict=True)
    assert set(totals) == {counts[-1]}
    assert list(counts) == sorted(set(counts))


@pytest.mark.parametrize("name", CALLS)
def test_a_bar_says_what_is_done(fit, name, capsys):
    CALLS[name](fit, True)
    captured = capsys.readouterr()
    assert f"{name}:" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("name", CALLS)
def test_logs_stay_clean(fit, name, capsys, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    CALLS[name](fit, None)
    CALLS[name](fit, False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", [*CALLS, "fit"])
def test_somebody_who_watches_sees_long_work_by_default(fit, name, terminal, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    if name == "fit":
        fit.model.fit()
    else:
        CALLS[name](fit, None)
    assert ("fitting" if name == "fit" else name) in terminal()


@pytest.mark.parametrize(
    "function",
    [
        lf.lmer,
        lf.LinearMixedModel.fit,
        lf.LinearMixedResults.bootstrap,
        lf.LinearMixedResults.drop1,
        lf.LinearMixedResults.influence,
        lf.LinearMixedResults.profile,
        lf.LinearMixedResults.ranova,
        lf.LinearMixedResults.simulate,
        lf.bootstrap_lrt,
        lf.exact_rlrt,
        lf.power,
    ],
)
def test_the_option_is_one(function):
    parameter = inspect.signature(function).parameters["progress"]
    assert parameter.default is None
    assert parameter.kind is parameter.KEYWORD_ONLY


def test_quick_work_shows_nothing_and_imports_nothing(clock, terminal, monkeypatch):
    monkeypatch.setattr(module, "_tqdm", lambda: pytest.fail("a bar for quick work"))
    for _ in watched(range(5), None, "work", "things"):
        clock.now += 0.3
    assert terminal() == ""


def test_a_bar_appears_after_two_seconds_with_what_was_done(clock, terminal, monkeypatch):
    made = []

    class Bar:
        start_t = 100.0

        def __init__(self, **options):
            made.append(options)

        def update(self, size):
            made.append(size)

        def refresh(self):
            made.append(self.start_t)

        def close(self):
            made.append("closed")

    monkeypatch.setattr(module, "_tqdm", lambda: Bar)
    for _ in watched(range(6), None, "work", "things"):
        clock.now += 0.9
    options = {"desc": "work", "total": 6, "unit": " things", "leave": False}
    assert made == [options, 3, pytest.approx(100.0 - 2.7), 1, 1, 1, "closed"]


def test_the_last_step_does_not_open_a_bar(clock, terminal, monkeypatch):
    monkeypatch.setattr(module, "_tqdm", lambda: pytest.fail("a bar for what is over"))
    for _ in watched(range(1), None, "work", "things"):
        clock.now += 60.0


def test_a_bar_is_taken_away_when_work_fails(terminal):
    def work():
        with progress_bar(True, 3, "work", "things") as advance:
            advance(1)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        work()
    assert terminal().rstrip(" ").endswith("\r")


def test_a_fit_counts_evaluations(terminal):
    record = SimpleNamespace(objective=12.3456)
    with progress_callback(True) as callback:
        callback(record)
        callback(record)
    assert "fitting: " in terminal()


@pytest.mark.parametrize(
    ("stderr", "shell", "expected"),
    [
        (Terminal(), None, True),
        (io.StringIO(), None, False),
        (None, None, False),
        (io.StringIO(), SimpleNamespace(kernel=object()), True),
        (io.StringIO(), SimpleNamespace(), False),
    ],
    ids=["terminal", "file", "no stream", "notebook", "piped ipython"],
)
def test_who_watches(monkeypatch, stderr, shell, expected):
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert is_watched() is expected


@pytest.mark.parametrize("wrong", ["yes", 1, 0.5, []])
def test_anything_else_is_refused(fit, wrong):
    with pytest.raises(OptionError, match="`progress` must be") as caught:
        fit.bootstrap(2, seed=1, progress=wrong)
    assert caught.value.argument == "progress"
