"""Results on disk, in pickles, and without their rows."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DataError

FORMULA = "log(Reaction) ~ poly(Days, 2) + (Days | Subject)"


@pytest.fixture(scope="module")
def data():
    return lf.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def fit(data):
    return lf.lmer(FORMULA, data)


def test_round_trip_with_the_rows(fit, data, tmp_path):
    path = tmp_path / "fit.lmm"
    fit.save(path)
    again = lf.load(path)
    assert str(again) == str(fit)
    pd.testing.assert_series_equal(again.resid, fit.resid)
    pd.testing.assert_series_equal(again.predict(data), fit.predict(data))
    assert again.refit(fit.simulate(1, 1)["sim_1"]).converged
    pd.testing.assert_frame_equal(again.ranef(condvar=True), fit.ranef(condvar=True))


def test_round_trip_without_the_rows(fit, data, tmp_path):
    path = tmp_path / "fit.lmm"
    fit.save(str(path), keep_data=False)
    again = lf.load(str(path))
    assert str(again) == str(fit)
    assert again.nobs == 180
    assert np.allclose(again.predict(data), fit.predict(data))
    pd.testing.assert_frame_equal(again.ranef(condvar=True), fit.ranef(condvar=True))
    assert again.model.fit(reml=False).objective == pytest.approx(
        fit.model.fit(reml=False).objective, abs=1e-9
    )


def test_pickle_of_a_result_and_of_a_model(fit):
    again = pickle.loads(pickle.dumps(fit))
    assert again.objective == pytest.approx(fit.objective, rel=1e-12)
    model = pickle.loads(pickle.dumps(fit.model))
    assert model.at(fit.theta).objective == pytest.approx(fit.objective, rel=1e-12)
    assert repr(model) == repr(fit.model)


def test_a_read_result_computes_what_it_has_not_kept(fit):
    _ = fit.singularities, fit.varcorr
    again = pickle.loads(pickle.dumps(fit))
    assert "varcorr" not in again.__dict__
    assert str(again.varcorr) == str(fit.varcorr)


NEEDS_ROWS = {
    "fittedvalues": lambda fit: fit.fittedvalues,
    "resid": lambda fit: fit.resid,
    "residuals": lambda fit: fit.residuals("pearson"),
    "predict": lambda fit: fit.predict(),
    "simulate": lambda fit: fit.simulate(1, 1),
    "augment": lambda fit: fit.augment(),
    "refit": lambda fit: fit.refit(np.zeros(180)),
}


@pytest.mark.parametrize("name", NEEDS_ROWS)
def test_what_needs_rows_says_so(data, name):
    fit = lf.lmer(FORMULA, data, keep_data=False)
    assert fit.design.matrices.n_obs == 0
    assert len(fit.design.spec.index) == 0
    with pytest.raises(DataError, match="kept without them") as caught:
        NEEDS_ROWS[name](fit)
    assert caught.value.got == "`keep_data=False`"


def test_leaving_the_rows_out_leaves_the_first_result_alone(fit):
    slim = fit.without_data()
    assert slim.without_data().design is slim.design
    assert len(fit.resid) == 180
    assert slim.is_singular == fit.is_singular


def test_a_slim_file_is_small(tmp_path):
    rng = np.random.default_rng(1)
    g = rng.integers(0, 20, 50_000)
    data = pd.DataFrame({"g": g, "x": rng.normal(size=50_000)})
    data["y"] = data["x"] + rng.normal(size=20)[g] + rng.normal(size=50_000)
    fit = lf.lmer("y ~ x + (1 | g)", data)
    fit.save(tmp_path / "all", keep_data=True)
    fit.save(tmp_path / "slim", keep_data=False)
    assert (tmp_path / "slim").stat().st_size < 50_000 < (tmp_path / "all").stat().st_size


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("something else")
    with pytest.raises(DataError, match=r"other\.txt"):
        lf.load(path)
    with pytest.raises(FileNotFoundError):
        lf.load(tmp_path / "absent")


def test_a_file_with_another_object_is_refused(fit, tmp_path):
    from lmmformula.postfit.persist import dump

    dump({"not": "a result"}, tmp_path / "dict")
    with pytest.raises(DataError, match="does not hold results"):
        lf.load(tmp_path / "dict")
