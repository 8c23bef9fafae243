"""One option for where repeated work runs; what comes out is the same everywhere."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import OptionError
from lmmformula.postfit.executors import chosen_executor, completed, in_order

SQUARES = [(value,) for value in range(20)]


def square(value: int) -> int:
    return value * value


@pytest.fixture(scope="module")
def fit():
    return lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def client():
    """A cluster in this process."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


CALLS = {
    "simulate": lambda fit, where: fit.simulate(40, seed=1, executor=where),
    "bootstrap": lambda fit, where: fit.bootstrap(600, 1, executor=where).to_frame(),
    "residual bootstrap": lambda fit, where: fit.bootstrap(
        520, 1, "residual", executor=where
    ).to_frame(),
    "bootstrap_lrt": lambda fit, where: pd.DataFrame(
        lf.bootstrap_lrt(*nested(fit), 520, seed=1, executor=where).replicates
    ),
    "power": lambda fit, where: pd.DataFrame(
        lf.power(fit, "Days", 60, seed=1, effect=4.0, executor=where).pvalues
    ),
    "power_curve": lambda fit, where: lf.power_curve(
        fit, "Days", 60, seed=1, effect=[2.0, 4.0], executor=where
    ).to_frame(),
    "exact_rlrt": lambda fit, where: pd.DataFrame(
        lf.exact_rlrt(intercepts(fit), n=20_001, seed=1, executor=where).draws
    ),
}


def intercepts(fit):
    return lf.lmer("Reaction ~ Days + (1 | Subject)", lf.load_dataset("sleepstudy"))


def nested(fit):
    return intercepts(fit), fit


@pytest.mark.parametrize("name", CALLS)
def test_threads_change_nothing(fit, name):
    with ThreadPoolExecutor(2) as pool:
        ours = CALLS[name](fit, pool)
    pd.testing.assert_frame_equal(ours, CALLS[name](fit, None), check_exact=True)


PROCESSES = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("number", "processes")]


@pytest.mark.parametrize("kind", ["joblib", "unordered", "dask", "client", *PROCESSES])
def test_every_kind_of_executor(fit, kind, request):
    name = "power"
    expected = CALLS[name](fit, None)
    joblib = pytest.importorskip("joblib")
    if kind in ("dask", "client"):
        client = request.getfixturevalue("client")
        ours = CALLS[name](fit, client if kind == "client" else "dask")
    elif kind == "processes":
        with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as pool:
            ours = CALLS[name](fit, pool)
    else:
        where = {
            "number": 2,
            "joblib": joblib.Parallel(2, backend="threading"),
            "unordered": joblib.Parallel(2, backend="threading", return_as="generator_unordered"),
        }[kind]
        ours = CALLS[name](fit, where)
    pd.testing.assert_frame_equal(ours, expected, rtol=1e-12)


def test_results_come_in_order():
    assert in_order(square, SQUARES) == [n * n for n in range(20)]
    seen: list[int] = []
    with ThreadPoolExecutor(3) as pool:
        assert in_order(square, SQUARES, pool, seen.append) == [n * n for n in range(20)]
    assert sorted(seen) == list(range(20))


def test_progress_moves_with_every_block(fit):
    done = []
    with ThreadPoolExecutor(2) as pool:
        lf.power(
            fit, "Days", 120, seed=1, executor=pool, progress=lambda now, n: done.append((now, n))
        )
    assert len(done) == 3
    assert done[-1] == (120, 120)


class Held(ThreadPoolExecutor):
    """A pool that begins nothing, and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__(1)
        self.given = []

    def submit(self, function, /, *arguments):
        from concurrent.futures import Future

        future = Future()
        self.given.append(future)
        if len(self.given) == 1:
            future.set_result(function(*arguments))
        return future


def interrupted(pool) -> None:
    with closing(completed(square, SQUARES, pool)) as found:
        for _ in found:
            raise KeyboardInterrupt


def test_an_interrupt_cancels_what_has_not_begun():
    with Held() as pool:
        with pytest.raises(KeyboardInterrupt):
            interrupted(pool)
        assert [future.cancelled() for future in pool.given] == [False] + 19 * [True]


def test_an_error_in_a_task_is_raised_here():
    with ThreadPoolExecutor(2) as pool, pytest.raises(TypeError):
        in_order(square, [("text",), (1,)], pool)


def test_no_seed_is_lost_between_executors(fit):
    root = np.random.SeedSequence(4)
    with ThreadPoolExecutor(2) as pool:
        first = fit.bootstrap(300, root, executor=pool).to_frame()
    pd.testing.assert_frame_equal(first, fit.bootstrap(300, root).to_frame())


@pytest.mark.parametrize("executor", [0, True, 1.5, "spark", object()])
def test_executors_that_mean_nothing(fit, executor):
    with pytest.raises(OptionError) as caught:
        fit.bootstrap(600, 1, executor=executor)
    assert caught.value.argument == "executor"


def test_two_answers_to_one_question(fit):
    with pytest.raises(OptionError, match="both"):
        fit.bootstrap(600, 1, executor=2, n_jobs=2)
    assert chosen_executor(None, 3) == 3
    assert chosen_executor(None, 1) is None


def test_dask_without_a_client(fit, monkeypatch):
    distributed = pytest.importorskip("distributed")

    def none() -> None:
        raise ValueError("no client")

    monkeypatch.setattr(distributed, "default_client", none)
    with pytest.raises(OptionError, match="none is active"):
        fit.bootstrap(600, 1, executor="dask")


def test_dask_that_is_not_installed(fit, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(OptionError, match="not installed"):
        fit.bootstrap(600, 1, executor="dask")
