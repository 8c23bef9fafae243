"""V of the rows of a level, and how levels are asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DataError, OptionError
from lmmformula.postfit import marginal_covariance as module

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def sleep():
    return lf.lmer(FORMULA, lf.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def pastes():
    return lf.lmer("strength ~ 1 + (1 | batch/cask)", lf.load_dataset("pastes"))


@pytest.fixture(scope="module")
def penicillin():
    return lf.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", lf.load_dataset("penicillin"))


def test_one_subject_by_hand(sleep):
    z = np.column_stack([np.ones(10), np.arange(10.0)])
    expected = z @ sleep.varcorr["Subject"].cov.to_numpy() @ z.T + sleep.scale * np.eye(10)
    V = sleep.marginal_covariance("308")
    assert np.allclose(V, expected, rtol=1e-12)
    assert list(V.index) == list(V.columns) == list(range(10))


def test_ways_to_ask_for_a_level(sleep):
    V = sleep.marginal_covariance("309")
    assert list(V.index) == list(range(10, 20))
    for same in (
        sleep.marginal_covariance(309),
        sleep.marginal_covariance("Subject", "309"),
        sleep.marginal_covariance("Subject", 309.0),
        sleep.marginal_covariance(Subject="309"),
        sleep.marginal_covariance(Subject=np.int64(309)),
        sleep.marginal_covariance(level="309"),
    ):
        pd.testing.assert_frame_equal(same, V)


def test_labels_of_the_rows_are_the_users():
    data = lf.load_dataset("sleepstudy").set_index(pd.Index([f"r{i}" for i in range(180)]))
    data.loc["r12", "Reaction"] = np.nan
    with pytest.warns(lf.DroppedRowsWarning):
        model = lf.lmm(FORMULA, data)
    V = model.at([0.9, 0.0, 0.2]).marginal_covariance("309")
    assert list(V.index) == [f"r{i}" for i in range(10, 20) if i != 12]


def test_correlations(sleep):
    V = sleep.marginal_covariance("308").to_numpy()
    R = sleep.marginal_covariance("308", correlation=True).to_numpy()
    sd = np.sqrt(np.diag(V))
    assert np.allclose(R, V / np.outer(sd, sd), rtol=1e-12)
    assert (np.diag(R) == 1.0).all()
    # From lme4's variances: 698.50 / sqrt(1267.04 x 4280.51).
    assert R[0, 9] == pytest.approx(0.29994, abs=1e-4)


def test_interactions_and_their_parts(pastes):
    V = pastes.marginal_covariance("cask:batch", "a:A")
    var = pastes.varcorr
    between = var["cask:batch"].cov.iloc[0, 0] + var["batch"].cov.iloc[0, 0]
    expected = between + np.diag([pastes.scale] * 2)
    assert np.allclose(V, expected, rtol=1e-12)
    pd.testing.assert_frame_equal(pastes.marginal_covariance("a:A"), V)
    pd.testing.assert_frame_equal(pastes.marginal_covariance(batch="A", cask="a"), V)
    pd.testing.assert_frame_equal(pastes.marginal_covariance("A", cask="a"), V)
    whole = pastes.marginal_covariance("A")
    assert whole.shape == (6, 6)
    assert whole.iloc[0, 5] == pytest.approx(var["batch"].cov.iloc[0, 0])


def test_crossed_factors(penicillin):
    """Rows of one plate share the plate; each is of another sample."""
    V = penicillin.marginal_covariance("a")
    parts = penicillin.varcorr.parameters() ** 2
    plate, sample, residual = parts.to_numpy()
    assert np.allclose(V, plate + (sample + residual) * np.eye(6), rtol=1e-10)
    everything = penicillin.marginal_covariance()
    assert everything.shape == (144, 144)
    assert np.count_nonzero(everything.loc[V.index].drop(columns=V.index)) == 6 * 23
    single = penicillin.marginal_covariance(plate="a", sample="B")
    assert single.to_numpy() == pytest.approx(plate + sample + residual)


def test_weights(sleep):
    data = lf.load_dataset("sleepstudy")
    data["w"] = np.linspace(0.5, 2.0, 180)
    fit = lf.lmm(FORMULA, data, weights="w").at(sleep.theta)
    V = fit.marginal_covariance("310").to_numpy()
    z = np.column_stack([np.ones(10), np.arange(10.0)])
    random = z @ fit.varcorr["Subject"].cov.to_numpy() @ z.T
    assert np.allclose(V - random, np.diag(fit.scale / data["w"][20:30]), atol=1e-9)


def test_generalised_least_squares_group_by_group(sleep):
    """Sums over subjects give the fixed effects and their covariance."""
    data = lf.load_dataset("sleepstudy")
    matrix, right = np.zeros((2, 2)), np.zeros(2)
    for subject, rows in data.groupby("Subject", observed=True):
        X = np.column_stack([np.ones(len(rows)), rows["Days"]])
        half = np.linalg.solve(sleep.marginal_covariance(subject), X)
        matrix += X.T @ half
        right += half.T @ rows["Reaction"].to_numpy()
    assert np.allclose(np.linalg.solve(matrix, right), sleep.params, rtol=1e-10)
    assert np.allclose(np.linalg.inv(matrix), sleep.cov_params(), rtol=1e-10)


def ambiguous():
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=60), "s": np.arange(60) % 6, "t": np.arange(60) % 5}
    return lf.lmm("y ~ 1 + (1 | s) + (1 | t)", data).at([1.0, 1.0])


@pytest.mark.parametrize(
    ("asked", "named", "available"),
    [
        (("Sub", "308"), {}, ("Subject",)),
        (("Subject",), {}, "levels"),
        (("Subject", "1"), {}, "levels"),
        ((), {"Subject": "1"}, "levels"),
        ((), {"Days": 3}, ("Subject",)),
        (("1",), {}, "by factor"),
    ],
)
def test_levels_that_do_not_exist(sleep, asked, named, available):
    with pytest.raises(OptionError) as caught:
        sleep.marginal_covariance(*asked, **named)
    levels = tuple(sleep.random_effects["Subject"].index)
    expected = {"levels": levels, "by factor": {"Subject": levels}}
    key = available if isinstance(available, str) else None
    assert caught.value.available == (expected[key] if key else available)


def test_a_level_of_two_factors():
    fit = ambiguous()
    with pytest.raises(OptionError) as caught:
        fit.marginal_covariance(3)
    assert caught.value.available == ("s", "t")
    assert "marginal_covariance(s=" in caught.value.suggestion
    assert fit.marginal_covariance(5).shape == (10, 10)
    assert fit.marginal_covariance(s=3, t=3).shape == (2, 2)


def test_levels_that_never_meet(pastes):
    with pytest.raises(OptionError) as caught:
        pastes.marginal_covariance("a:A", batch="B")
    assert caught.value.levels == (("cask:batch", "a:A"), ("batch", "B"))


def test_too_many_rows(sleep, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 20)
    with pytest.raises(OptionError) as caught:
        sleep.marginal_covariance()
    assert (caught.value.n_rows, caught.value.limit) == (180, 20)
    assert sleep.marginal_covariance("308").shape == (10, 10)


def test_rows_are_needed(sleep):
    with pytest.raises(DataError):
        sleep.without_data().marginal_covariance("308")
