"""Models of Dask DataFrames: engines, refusals, and what a saved result still knows."""

from __future__ import annotations

import logging
import pickle

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.distributed import model as module
from lmmformula.engine.partitioned.system import PartitionedSystem
from lmmformula.errors import DesignError, OptionError
from tests.distributed.frames import pupils
from tests.tolerances import assert_close

dd = pytest.importorskip("dask.dataframe")
pytestmark = pytest.mark.filterwarnings("ignore::lmmformula.DroppedRowsWarning")

FORMULA = "y ~ scale(x) + kind + (x | school) + (1 | school:room)"
SAME = 1e-9


@pytest.fixture(scope="module")
def data():
    return pupils()


@pytest.fixture(scope="module")
def ddf(data):
    return dd.from_pandas(data, npartitions=5)


@pytest.fixture(scope="module")
def model(ddf):
    return lf.lmm(FORMULA, ddf)


@pytest.fixture(scope="module")
def expected(data):
    return lf.lmer(FORMULA, data)


def check(fit, expected) -> None:
    assert fit.objective == pytest.approx(expected.objective, rel=1e-12)
    for part in ("theta", "params", "bse", "sigma"):
        assert_close(getattr(fit, part), getattr(expected, part), SAME, part)
    assert_close(fit.ranef(condvar=True)["sd"], expected.ranef(condvar=True)["sd"], SAME)
    assert fit.summary().as_text() == expected.summary().as_text()


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("method", [None, "exact", "partitioned"])
def test_fits_are_those_of_the_data_in_memory(model, data, method, reml):
    check(model.fit(reml, method=method), lf.lmer(FORMULA, data, reml))


def test_partitioned_fits_keep_the_sums_where_they_are(ddf):
    fit = lf.lmer(FORMULA, ddf, method="partitioned")
    assert isinstance(fit.model.any_system, PartitionedSystem)
    assert "sums" not in fit.model.__dict__


def test_rows_are_shuffled_only_if_groups_are_divided(data, ddf, caplog):
    with caplog.at_level(logging.INFO, "lmmformula"):
        lf.lmm(FORMULA, ddf).fit(method="partitioned")
    assert "shuffled by school" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, "lmmformula"):
        fit = lf.lmm(FORMULA, ddf.shuffle(on="school")).fit(method="partitioned")
    assert "shuffled" not in caplog.text
    check(fit, lf.lmer(FORMULA, data))


def test_sums_too_large_for_this_process_stay_with_the_workers(ddf, expected, monkeypatch, caplog):
    monkeypatch.setattr(module, "available_memory", lambda: 10_000)
    with caplog.at_level(logging.INFO, "lmmformula"):
        fit = lf.lmer(FORMULA, ddf)
    assert "every evaluation goes to the partitions" in caplog.text
    assert isinstance(fit.model.any_system, PartitionedSystem)
    check(fit, expected)


def test_crossed_factors_that_are_too_large_are_fitted_together(ddf, monkeypatch, caplog):
    monkeypatch.setattr(module, "available_memory", lambda: 10_000)
    with caplog.at_level(logging.INFO, "lmmformula"):
        fit = lf.lmer("y ~ x + (1 | school) + (1 | kind)", ddf)
    assert "crosses" in caplog.text
    assert not isinstance(fit.model.any_system, PartitionedSystem)


def test_crossed_factors_cannot_be_partitioned(ddf):
    with pytest.raises(DesignError, match="crosses") as caught:
        lf.lmer("y ~ x + (1 | school) + (1 | kind)", ddf, method="partitioned")
    assert caught.value.level


def test_groups_made_by_an_expression_are_to_be_shuffled_by_hand(ddf):
    with pytest.raises(DesignError, match="divided") as caught:
        lf.lmer("y ~ x + (1 | ifelse(number > 10, 'a', 'b'))", ddf, method="partitioned")
    assert "ddf.shuffle" in caught.value.suggestion
    assert caught.value.level


def test_a_group_of_two_columns_is_shuffled_by_both(data, ddf):
    formula = "y ~ x + (1 | school:room)"
    check(lf.lmer(formula, ddf, method="partitioned"), lf.lmer(formula, data))


def test_data_in_memory_have_no_partitions(data):
    with pytest.raises(OptionError, match="partitioned") as caught:
        lf.lmer(FORMULA, data, method="partitioned")
    assert "Dask" in caught.value.suggestion


@pytest.mark.parametrize("method", ["exact", "partitioned"])
def test_a_saved_result_answers_without_the_cluster(model, expected, method, tmp_path):
    fit = model.fit(method=method)
    fit.save(tmp_path / "fit.pickle")
    again = lf.load(tmp_path / "fit.pickle")
    assert again.summary().as_text() == expected.summary().as_text()
    new = pupils().dropna().head(20)
    assert_close(again.predict(new), expected.predict(new), SAME)
    if method == "partitioned":
        with pytest.raises(OptionError, match="partitions"):
            again.ranef(condvar=True)


def test_pickling_takes_no_data_along(model):
    fit = model.fit(method="partitioned")
    text = pickle.dumps(fit)
    assert b"dask" not in text
    assert b"Delayed" not in text


def test_tests_of_fixed_effects(model, expected):
    fit = model.fit(method="partitioned")
    assert_close(fit.anova()["F"], expected.anova()["F"], SAME)
    for ddf in ("satterthwaite", "kenward-roger", "kenward-roger-observed"):
        ours, theirs = (each.summary(ddf=ddf).frame for each in (fit, expected))
        for column in ("se", "df"):
            assert_close(ours[column], theirs[column], SAME, column)


def test_likelihood_ratios_between_engines(ddf, model, data):
    small = "y ~ scale(x) + kind + (x | school)"
    parts = lf.anova(
        lf.lmer(small, ddf, False), model.fit(False, method="partitioned"), refit=False
    )
    whole = lf.anova(lf.lmer(small, data, False), lf.lmer(FORMULA, data, False), refit=False)
    assert_close(parts["chisq"].dropna(), whole["chisq"].dropna(), SAME)


def test_rows_are_not_at_hand(model):
    fit = model.fit()
    with pytest.raises(lf.LMMError):
        _ = fit.resid


def test_progress_counts_partitions(ddf):
    seen = []
    lf.lmm(FORMULA, ddf, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5, 5)


def test_a_singular_fit_is_named(data):
    # Means of the groups differ less than chance would have it.
    noise = np.random.default_rng(0).normal(size=len(data))
    flat = data.assign(y=noise - pd.Series(noise).groupby(data["school"]).transform("mean"))
    divided = dd.from_pandas(flat, npartitions=4)
    formula = "y ~ x + (1 | school)"
    with pytest.warns(lf.SingularFitWarning):
        fit = lf.lmer(formula, divided, method="partitioned")
    assert fit.theta[0] == 0.0


@pytest.fixture(scope="module")
def client():
    """A cluster in this process; everything it is sent counts as large."""
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")
    with (
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1B"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.parametrize("method", ["exact", "partitioned"])
def test_workers_of_a_cluster(client, ddf, expected, method):
    check(lf.lmer(FORMULA, ddf, method=method), expected)


def test_errors_come_back_from_workers(client, data):
    wrong = dd.from_pandas(data.assign(w=-1.0), npartitions=3)
    with pytest.raises(lf.DataError) as caught:
        lf.lmm(FORMULA, wrong, weights="w")
    assert caught.value.where == "partition 0 of the Dask DataFrame"


def test_an_interrupt_leaves_nothing_running(client, ddf):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lf.lmm(FORMULA, ddf, progress=interrupt)
    assert not any(client.processing().values())
