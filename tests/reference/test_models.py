"""Every stored model: what R reports is what we report."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest

from lmmformula import LinearMixedResults
from lmmformula.errors import DroppedRowsWarning, RankWarning, SingularFitWarning
from tests import dense
from tests.reference.reader import MODEL_IDS, Reference, fit, newdata, reference
from tests.tolerances import (
    CRITERION_ATOL,
    ESTIMATE_RTOL,
    EVALUATION_RTOL,
    THETA_RTOL,
    assert_close,
    criterion_limit,
)

DENSE_LIMIT = 800
"""Random effects up to which the dense likelihood is computed."""

EXPECTED_WARNINGS = (DroppedRowsWarning, RankWarning, SingularFitWarning)


@pytest.fixture(params=MODEL_IDS)
def pair(request: pytest.FixtureRequest) -> tuple[LinearMixedResults, Reference]:
    """Return our fit and R's, for one model."""
    with warnings.catch_warnings():
        for category in EXPECTED_WARNINGS:  # tested for in test_warnings.py
            warnings.simplefilter("ignore", category)
        return fit(request.param), reference(request.param)


def identified(ref: Reference) -> bool:
    """Whether theta is unique, so that what depends on it can be compared."""
    return not ref.nonunique_theta


def test_criterion(pair):
    ours, ref = pair
    gap = ours.objective - ref.criterion
    assert gap <= criterion_limit(ref.criterion)
    if gap < -criterion_limit(ref.criterion):
        assert ref.q <= DENSE_LIMIT, "a lower criterion that no dense likelihood confirms"
        theirs = dense.objective_over_effects(ours.design.matrices, ours.theta, ref.reml)
        assert ours.objective == pytest.approx(theirs, abs=CRITERION_ATOL)
    assert ours.criterion == ("REML" if ref.reml else "ML")


def test_criterion_is_the_dense_likelihood(pair):
    ours, ref = pair
    if ref.q > DENSE_LIMIT:
        return
    theirs = dense.objective_over_effects(ours.design.matrices, ours.theta, ref.reml)
    assert ours.objective == pytest.approx(theirs, rel=EVALUATION_RTOL)


def test_size_of_the_problem(pair):
    ours, ref = pair
    assert ours.nobs == ref.n
    assert len(ours.params) == ref.p
    assert ours.df_model == ref.p
    assert ours.npar == ref.df
    assert ours.df_resid == ref.n - ref.df
    assert sum(frame.size for frame in ours.random_effects.values()) == ref.q
    assert dict(ours.ngroups) == ref.ngrps


def test_fixed_effects(pair):
    ours, ref = pair
    assert list(ours.params.index) == ref.fixed_names
    assert_close(ours.params, list(ref.fixef.values()), ESTIMATE_RTOL, "params")
    assert_close(ours.cov_params(), ref.vcov, THETA_RTOL, "vcov")
    assert_close(ours.bse, list(ref.se.values()), THETA_RTOL, "bse")
    assert_close(
        ours.tvalues,
        [b / s for b, s in zip(ref.fixef.values(), ref.se.values(), strict=True)],
        THETA_RTOL,
        "tvalues",
    )
    for frame in (ours.bse, ours.tvalues, ours.cov_params().columns.to_series()):
        assert list(frame.index) == ref.fixed_names


def test_likelihood_and_information_criteria(pair):
    ours, ref = pair
    limit = criterion_limit(ref.criterion)
    assert ours.llf == pytest.approx(ref.logLik, abs=limit)
    assert ours.aic == pytest.approx(ref.AIC, abs=limit)
    assert ours.bic == pytest.approx(ref.BIC, abs=limit)


def test_sigma_and_theta(pair):
    ours, ref = pair
    assert ours.sigma == pytest.approx(ref.sigma, rel=ESTIMATE_RTOL)
    assert ours.scale == pytest.approx(ref.sigma**2, rel=2 * ESTIMATE_RTOL)
    assert len(ours.theta) == len(ref.theta)
    if identified(ref):
        assert_close(ours.theta, ref.theta, THETA_RTOL, "theta")


def expected_varcorr(ref: Reference) -> pd.DataFrame:
    """Return the reference's variance components in the layout of as.data.frame(VarCorr())."""
    rows = []
    for term in ref.varcorr:
        names = ref.effect_names(term["names"])
        for i, name in enumerate(names):
            rows.append((term["group"], name, None, term["cov"][i][i], term["sd"][i]))
        for j in range(len(names)):
            for i in range(j + 1, len(names)):
                corr = term["corr"][i][j]
                corr = math.nan if corr is None else corr
                rows.append((term["group"], names[j], names[i], term["cov"][i][j], corr))
    rows.append(("Residual", None, None, ref.sigma**2, ref.sigma))
    return pd.DataFrame(rows, columns=["grp", "var1", "var2", "vcov", "sdcor"])


def test_variance_components(pair):
    ours, ref = pair
    table, expected = ours.varcorr.to_frame(), expected_varcorr(ref)
    assert list(table.columns) == list(expected.columns)
    assert len(table) == len(expected)
    assert list(table["var2"].isna()) == list(expected["var2"].isna())
    for column in ("var1", "var2"):
        present = expected[column].notna()
        assert list(table[column][present]) == list(expected[column][present])
    # Terms that share a factor carry a suffix in R (`Subject.1`); the factor is the same.
    groups = [grp.split(".")[0] if grp not in ref.ngrps else grp for grp in table["grp"]]
    assert groups == list(expected["grp"])
    if identified(ref):
        assert_close(table["vcov"], expected["vcov"], THETA_RTOL, "vcov")
        spread = expected["var2"].isna()
        assert_close(table["sdcor"][spread], expected["sdcor"][spread], THETA_RTOL, "sd")
        known = ~spread & expected["sdcor"].notna()
        assert_close(table["sdcor"][known], expected["sdcor"][known], THETA_RTOL, "cor")


def test_singular_flag(pair):
    ours, ref = pair
    assert ours.is_singular == ref.isSingular


def test_converged(pair):
    ours, _ = pair
    assert ours.converged
    assert ours.optimum.n_evaluations >= 1


def test_random_effects(pair):
    ours, ref = pair
    assert list(ours.random_effects) == list(ref.ranef)
    if not identified(ref):
        return
    long = ours.ranef(condvar=True)
    for group, stored in ref.ranef.items():
        names, labels = ref.effect_names(stored["names"]), list(stored["levels"])
        modes = ours.random_effects[group]
        assert len(modes) == stored["n_levels"]
        assert list(modes.columns) == names
        assert list(modes.index[: len(labels)]) == labels
        expected = np.array(list(stored["levels"].values()), float)
        got = modes.loc[labels, names].to_numpy()
        for column, name in enumerate(names):
            scale = max(np.abs(expected[:, column]).max(), ref.sigma * 1e-4)
            gap = np.abs(got[:, column] - expected[:, column]).max() / scale
            assert gap <= THETA_RTOL, f"{group}.{name}: {gap:.1e}"
        sds = long[long["grp"] == group].pivot_table(
            index="level", columns="effect", values="sd", sort=False, observed=True
        )
        assert_close(sds.loc[labels, names], list(stored["condsd"].values()), THETA_RTOL, "condsd")


def test_fitted_values_and_residuals(pair):
    ours, ref = pair
    rows = [row - 1 for row in ref.fitted_rows]
    assert_close(ours.fittedvalues.loc[rows], ref.fitted, ESTIMATE_RTOL, "fitted")
    gap = np.max(np.abs(ours.resid.loc[rows].to_numpy() - np.asarray(ref.residuals)))
    assert gap <= ESTIMATE_RTOL * np.max(np.abs(ref.fitted))


def test_wald_intervals(pair):
    ours, ref = pair
    table = ours.conf_int()
    assert list(table.columns) == ["lower", "upper"]
    assert list(table.index) == ref.fixed_names
    assert_close(table["lower"], ref.ci_wald["lower"], ESTIMATE_RTOL, "lower")
    assert_close(table["upper"], ref.ci_wald["upper"], ESTIMATE_RTOL, "upper")


@pytest.mark.parametrize("kind", ["cond", "pop"])
def test_predictions(pair, kind):
    ours, ref = pair
    data = newdata(ref)
    expected = np.array(ref.predict[kind], float)
    if ref.offset is not None:
        # R leaves an offset *argument* out of predictions for new data; here it is a named column.
        expected = expected + data[ref.offset].to_numpy()
    random = "all" if kind == "cond" else "none"
    got = ours.predict(data, random=random, new_levels="zero")
    assert list(got.index) == list(data.index)
    assert_close(got, expected, ESTIMATE_RTOL, kind)


def test_dropped_rows_and_columns(pair):
    ours, ref = pair
    dropped = ours.dropped
    assert len(dropped.columns) == len(ref.dropped_columns)
    assert [int(row) + 1 for row in ours.design.spec.dropped_rows] == ref.dropped_rows
