"""On a cluster of worker processes, one of which is killed on the way."""

from __future__ import annotations

import logging
import os
import signal

import pandas as pd
import pytest

import lmmformula as lf
from tests.distributed.frames import pupils
from tests.tolerances import assert_close

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # processes that are killed leave sockets and warnings
]
dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")

FORMULA = "y ~ scale(x) + kind + (x | school) + (1 | school:room)"
SAME = 1e-9
"""The same sums in another order: what the fit's own tolerance leaves is far below."""


@pytest.fixture(scope="module")
def data():
    return pupils(30)


@pytest.fixture(scope="module")
def expected(data):
    with pytest.warns(lf.DroppedRowsWarning):
        return lf.lmer(FORMULA, data)


@pytest.fixture
def client():
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with (
        distributed.LocalCluster(
            n_workers=4, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


class Killer:
    """A progress function that kills a worker at its second call."""

    def __init__(self, client) -> None:
        self.client, self.calls, self.killed = client, 0, None

    def __call__(self, *_) -> None:
        self.calls += 1
        if self.calls == 2:
            self.killed = next(iter(self.client.run(os.getpid).values()))
            os.kill(self.killed, signal.SIGKILL)


def check(fit, expected) -> None:
    assert fit.converged
    assert fit.objective == pytest.approx(expected.objective, rel=1e-12)
    for part in ("theta", "params", "bse", "sigma"):
        assert_close(getattr(fit, part), getattr(expected, part), SAME, part)
    assert_close(fit.ranef()["value"], expected.ranef()["value"], SAME)
    assert fit.summary().as_text() == expected.summary().as_text()


@pytest.mark.parametrize("method", ["exact", "partitioned"])
def test_a_worker_killed_in_the_passes_changes_nothing(client, data, expected, method):
    killer = Killer(client)
    with pytest.warns(lf.DroppedRowsWarning):
        model = lf.lmm(FORMULA, dd.from_pandas(data, npartitions=10), progress=killer)
    check(model.fit(method=method), expected)
    assert killer.killed


def test_a_worker_killed_in_the_evaluations_changes_nothing(client, data, expected):
    with pytest.warns(lf.DroppedRowsWarning):
        model = lf.lmm(FORMULA, dd.from_pandas(data, npartitions=10))
    killer = Killer(client)
    fit = model.fit(method="partitioned", progress=killer)
    assert killer.killed
    assert killer.calls == fit.optimum.n_evaluations
    check(fit, expected)


def test_a_worker_killed_in_the_bootstrap_changes_nothing(client):
    fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    killer = Killer(client)
    found = lf.power(fit, "Days", 400, seed=1, effect=4.0, executor=client, progress=killer)
    assert killer.killed
    alone = lf.power(fit, "Days", 400, seed=1, effect=4.0)
    pd.testing.assert_series_equal(pd.Series(found.pvalues), pd.Series(alone.pvalues), rtol=SAME)
