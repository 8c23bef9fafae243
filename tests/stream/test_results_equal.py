"""A fit of data in pieces says what the fit in memory says, wherever no rows are needed."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from tests.stream.fitted import FORMULA, OPTIONS, measured, pieces

pytest.importorskip("pyarrow.parquet")
pytestmark = [
    pytest.mark.filterwarnings("ignore::lmmformula.errors.DroppedRowsWarning"),
    pytest.mark.filterwarnings("ignore::lmmformula.errors.SingularFitWarning"),
]
SAME = 1e-9


FRAMES = {
    "coefficients": lambda fit: fit.coefficient_frame(),
    "kenward-roger": lambda fit: fit.tidy(conf_int=True, ddf="kenward-roger"),
    "covariance": lambda fit: fit.cov_params(),
    "parameters": lambda fit: fit.covariance_parameters(),
    "glance": lambda fit: fit.glance(),
    "modes": lambda fit: fit.ranef(condvar=True),
    "marginal means": lambda fit: fit.marginal_means("f").frame,
    "contrast": lambda fit: fit.t_test([0, 1, -2, 0, 0]).summary_frame(),
    "collinearity": lambda fit: fit.vif().per_column,
    "profile": lambda fit: fit.refit_ml().profile(which=["x"]).conf_int(),
    "ml": lambda fit: fit.refit_ml().coefficient_frame(),
    "new rows": lambda fit: fit.predict(measured()[:9], interval="prediction", new_levels="zero"),
}


@pytest.mark.parametrize("what", FRAMES)
def test_numbers_are_the_same(fits, what):
    whole, parts = (FRAMES[what](fit) for fit in fits)
    pd.testing.assert_frame_equal(pd.DataFrame(parts), pd.DataFrame(whole), rtol=1e-7, atol=1e-8)


def test_criteria_agree_to_nine_digits(fits):
    whole, parts = fits
    assert parts.objective == pytest.approx(whole.objective, rel=SAME)
    assert parts.llf == pytest.approx(whole.llf, rel=SAME)
    assert parts.model.at(whole.theta).objective == pytest.approx(whole.objective, rel=SAME)
    np.testing.assert_allclose(parts.params, whole.params, rtol=1e-8)


TEXTS = {
    "summary": lambda fit: fit.summary().as_text(),
    "html": lambda fit: fit.summary()._repr_html_(),
    "check": lambda fit: str(fit.without_data().check()).rpartition("Note: residuals")[0],
    "remarks": lambda fit: (fit.remarks, fit.data_remarks),
    "names": lambda fit: (fit.fixed_names, fit.response_name, dict(fit.ngroups), fit.formula),
}


@pytest.mark.parametrize("what", TEXTS)
def test_texts_are_the_same(fits, what):
    whole, parts = (TEXTS[what](fit) for fit in fits)
    assert parts == whole


def test_a_check_says_what_it_leaves_out(fits):
    whole, parts = fits
    notes = [str(fit.check()).splitlines()[-2:] for fit in (whole.without_data(), parts)]
    assert "the result was kept without its rows" in notes[0][0]
    assert "the data came in pieces" in notes[1][0]
    assert "`augment()`" in notes[1][1]


def test_models_of_the_same_rows_are_compared(fits, path):
    """A likelihood-ratio test of a fit in pieces with one in memory; other rows are refused."""
    whole, _ = fits
    small = lf.lmer(FORMULA.replace("(x | g)", "(1 | g)"), pieces(path, 77), **OPTIONS)
    mixed, memory = lf.anova(whole, small), lf.anova(whole, small.model.fit(reml=False))
    np.testing.assert_allclose(mixed["chisq"].iloc[1], memory["chisq"].iloc[1], rtol=1e-8)
    other = lf.lmer(FORMULA, pieces(path), weights="1 / w")
    with pytest.raises(lf.DataError, match="different"):
        lf.anova(whole, other)


def test_a_result_outlives_its_session(fits, tmp_path):
    """Pickled, saved or written as JSON it says the same; only the way to the rows is lost."""
    _, parts = fits
    parts.save(tmp_path / "fit.lmm")
    for again in (pickle.loads(pickle.dumps(parts)), lf.load(tmp_path / "fit.lmm")):
        assert again.summary().as_text() == parts.summary().as_text()
        assert again.refit_ml().objective == pytest.approx(parts.refit_ml().objective, rel=SAME)
        assert again.model.is_streamed
        assert again.model.stream is None
        with pytest.raises(lf.DataError, match="needs the rows"):
            again.augment()
    assert parts.without_data().summary().as_text() == parts.summary().as_text()


def test_a_json_record_reads_pieces(fits, path, tmp_path):
    whole, parts = fits
    record = lf.from_json(parts.to_json())
    assert record.results(pieces(path)).objective == pytest.approx(whole.objective, rel=SAME)
    expected = whole.predict(measured(), new_levels="zero")
    found = pd.concat(list(record.predict(pieces(path), new_levels="zero")))
    np.testing.assert_allclose(found["predicted"], expected, rtol=1e-8)
    file = record.predict(path, new_levels="zero", to=tmp_path / "predicted.parquet")
    np.testing.assert_allclose(pd.read_parquet(file)["predicted"], expected, rtol=1e-8)
    with pytest.raises(lf.OptionError, match="`to=`"):
        record.predict(measured(), new_levels="zero", to="x.parquet")


def test_a_report_is_written(fits, tmp_path):
    _, parts = fits
    text = parts.report(tmp_path / "fit.html").read_text(encoding="utf-8")
    assert "Prior weights: 1 / w" in text


def test_a_real_file_of_ratings(tmp_path):
    """73,421 ratings with three factors, in row groups, chunks that cut them, and integer keys."""
    data = lf.load_dataset("insteval")
    path = tmp_path / "insteval.parquet"
    data.to_parquet(path, row_group_size=20_000)
    formula = "y ~ service + (1 | s) + (1 | d) + (1 | dept:service)"
    whole, parts = lf.lmm(formula, data), lf.lmm(formula, pieces(path, 15_000))
    theta = np.array([0.27, 0.44, 0.06])
    first, second = whole.at(theta), parts.at(theta)
    assert second.objective == pytest.approx(first.objective, rel=SAME)
    np.testing.assert_allclose(second.params, first.params, rtol=SAME)
    np.testing.assert_allclose(second.bse, first.bse, rtol=SAME)
    for name, modes in first.random_effects.items():
        np.testing.assert_allclose(second.random_effects[name], modes, rtol=1e-7, atol=SAME)
        assert second.random_effects[name].index.equals(modes.index)
    assert parts.fingerprint == whole.fingerprint
