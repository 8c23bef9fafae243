"""The scikit-learn regressor: its contract, its columns, and the places where it is used."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import lmmformula as lf

pytest.importorskip("sklearn")

from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

FORMULA = "~ Days + (Days | Subject)"
PREDICTORS = ["Days", "Subject"]

EXACT = "the columns reproduce its data exactly; without a residual variance there is no model"
EXPECTED_FAILURES = {
    "check_sample_weights_shape": EXACT,
    "check_sample_weights_not_overwritten": EXACT,
    "check_sample_weight_equivalence_on_dense_data": EXACT,
    "check_regressors_no_decision_function": EXACT,
}


def test_fewer_than_ten_checks_are_expected_to_fail():
    assert len(EXPECTED_FAILURES) < 10


@pytest.mark.filterwarnings("ignore::lmmformula.errors.LMMWarning")
@parametrize_with_checks(
    [lf.LinearMixedRegressor()], expected_failed_checks=lambda _: EXPECTED_FAILURES
)
def test_contract_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture
def fitted(sleepstudy):
    return lf.LinearMixedRegressor(FORMULA).fit(sleepstudy[PREDICTORS], sleepstudy["Reaction"])


def test_fit_is_the_packages_fit(fitted, sleepstudy):
    fit = lf.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    np.testing.assert_array_equal(fitted.results_.params, fit.params)
    np.testing.assert_array_equal(fitted.predict(sleepstudy[PREDICTORS]), fit.fittedvalues)
    assert fitted.formula_ == "y ~ Days + (Days | Subject)"
    assert list(fitted.feature_names_in_) == PREDICTORS


def test_left_side_names_the_response(sleepstudy):
    model = lf.LinearMixedRegressor("Reaction " + FORMULA)
    model.fit(sleepstudy[PREDICTORS], sleepstudy["Reaction"])
    assert model.results_.response_name == "Reaction"


def test_columns_of_an_array(sleepstudy):
    X = sleepstudy[["Days"]].to_numpy()
    model = lf.LinearMixedRegressor("~ x0 + (x0 | groups)")
    model.fit(X, sleepstudy["Reaction"], groups=sleepstudy["Subject"])
    fit = lf.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    np.testing.assert_allclose(model.results_.params, fit.params, rtol=1e-12)
    with_groups = model.predict(X, groups=sleepstudy["Subject"].tolist())
    np.testing.assert_allclose(with_groups, fit.fittedvalues, rtol=1e-12)
    population = fit.predict(sleepstudy, random="none")
    np.testing.assert_allclose(model.predict(X), population, rtol=1e-12)


def test_default_formula_has_all_columns_and_a_random_intercept(sleepstudy):
    sleepstudy["y"] = np.tile([0.0, 1.0], 90)
    model = lf.LinearMixedRegressor(groups="Subject")
    model.fit(sleepstudy[["y", "Days", "Subject"]], sleepstudy["Reaction"])
    assert model.formula_ == "response ~ 1 + y + Days + (1 | Subject)"
    named = lf.LinearMixedRegressor(groups="who").fit(
        sleepstudy[["Days"]], sleepstudy["Reaction"], groups=sleepstudy["Subject"]
    )
    assert named.formula_ == "y ~ 1 + Days + (1 | who)"


def test_groups_complete_a_formula_without_random_effects(sleepstudy):
    model = lf.LinearMixedRegressor("~ Days", groups="Subject", reml=False)
    model.fit(sleepstudy[PREDICTORS], sleepstudy["Reaction"])
    small = lf.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy, reml=False)
    assert model.results_.objective == small.objective


def test_unknown_groups_are_predicted_at_the_mean_of_the_population(fitted, sleepstudy):
    new = sleepstudy[PREDICTORS].astype({"Subject": str}).assign(Subject="nobody")
    population = fitted.results_.predict(new, random="none")
    np.testing.assert_allclose(fitted.predict(new), population, rtol=1e-12)
    with pytest.raises(lf.DataError) as caught:
        fitted.set_params(new_levels="raise").predict(new)
    assert caught.value.column == "Subject"


def test_which_random_effects_predictions_include(fitted, sleepstudy):
    X = sleepstudy[PREDICTORS]
    population = fitted.results_.predict(sleepstudy, random="none")
    np.testing.assert_array_equal(fitted.set_params(random="none").predict(X), population)


def test_weights(sleepstudy):
    w = np.tile([1.0, 2.0, 0.0], 60)
    model = lf.LinearMixedRegressor("~ Days", groups="Subject")
    model.fit(sleepstudy[PREDICTORS], sleepstudy["Reaction"], sample_weight=w)
    kept = sleepstudy[w > 0]
    fit = lf.lmer("Reaction ~ Days + (1 | Subject)", kept, weights=w[w > 0])
    np.testing.assert_allclose(model.results_.params, fit.params, rtol=1e-12)
    with pytest.raises(lf.DimensionError):
        model.fit(sleepstudy[PREDICTORS], sleepstudy["Reaction"], sample_weight=np.ones((180, 2)))
    with pytest.raises(ValueError, match="inconsistent"):
        model.fit(sleepstudy[PREDICTORS], sleepstudy["Reaction"], sample_weight=np.ones(7))


def test_polars_frame(fitted, sleepstudy):
    frame = pl.from_pandas(sleepstudy)
    model = clone(fitted).fit(frame.select(PREDICTORS), frame["Reaction"])
    np.testing.assert_array_equal(model.results_.params, fitted.results_.params)
    X = sleepstudy[PREDICTORS]
    np.testing.assert_array_equal(model.predict(frame.select(PREDICTORS)), fitted.predict(X))


def test_clone_parameters_and_pickle(fitted, sleepstudy):
    assert clone(fitted).get_params() == fitted.get_params()
    assert fitted.get_params()["formula"] == FORMULA
    with pytest.raises(NotFittedError):
        clone(fitted).predict(sleepstudy[PREDICTORS])
    again = pickle.loads(pickle.dumps(fitted))
    X = sleepstudy[PREDICTORS]
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_grid_search_in_a_pipeline_by_group(sleepstudy):
    scaled = ColumnTransformer(
        [("scaled", StandardScaler(), ["Days"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    pipeline = make_pipeline(scaled, lf.LinearMixedRegressor())
    search = GridSearchCV(
        pipeline,
        {"linearmixedregressor__formula": ["~ 1 + (1 | Subject)", FORMULA]},
        cv=GroupKFold(3),
        scoring="neg_root_mean_squared_error",
    )
    search.fit(sleepstudy[PREDICTORS], sleepstudy["Reaction"], groups=sleepstudy["Subject"])
    assert search.best_params_ == {"linearmixedregressor__formula": FORMULA}
    fit = search.best_estimator_[-1].results_
    assert fit.params["Intercept"] == pytest.approx(sleepstudy["Reaction"].mean())


def test_groups_travel_by_metadata_routing(sleepstudy):
    X, y = sleepstudy[["Days"]], sleepstudy["Reaction"]
    with config_context(enable_metadata_routing=True):
        model = lf.LinearMixedRegressor().set_fit_request(groups=True)
        scores = cross_val_score(
            model, X, y, cv=GroupKFold(3), params={"groups": sleepstudy["Subject"]}
        )
    assert len(scores) == 3
    assert np.isfinite(scores).all()


def test_transformed_response(sleepstudy):
    inner = lf.LinearMixedRegressor(FORMULA)
    model = TransformedTargetRegressor(inner, func=np.log, inverse_func=np.exp)
    X = sleepstudy[PREDICTORS]
    folds = KFold(3, shuffle=True, random_state=0)
    predicted = cross_val_predict(model, X, sleepstudy["Reaction"], cv=folds)
    assert np.corrcoef(predicted, sleepstudy["Reaction"])[0, 1] > 0.8


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"formula": "log(y) ~ Days"}, lf.FormulaError),
        ({"formula": 3}, lf.OptionError),
        ({"groups": "Sbject"}, lf.DataError),
        ({"groups": 3.0}, lf.OptionError),
        ({"groups": [1, 2]}, lf.OptionError),
        ({"formula": "~ Days + (1 | Nobody)"}, lf.FormulaError),
        ({"reml": "yes", "groups": "Subject"}, lf.OptionError),
    ],
)
def test_what_cannot_be_fitted(sleepstudy, parameters, error):
    model = lf.LinearMixedRegressor(**parameters)
    with pytest.raises(error):
        model.fit(sleepstudy[PREDICTORS], sleepstudy["Reaction"])


def test_groups_given_twice(sleepstudy):
    model = lf.LinearMixedRegressor(groups="Subject")
    with pytest.raises(lf.OptionError) as caught:
        model.fit(sleepstudy[PREDICTORS], sleepstudy["Reaction"], groups=sleepstudy["Subject"])
    assert caught.value.option == "groups"
    with pytest.raises(lf.DataError):
        lf.LinearMixedRegressor().fit(
            sleepstudy[["Days"]], sleepstudy["Reaction"], groups=np.ones((180, 2))
        )


def test_columns_of_one_name(sleepstudy):
    frame = sleepstudy[["Days", "Days"]]
    with pytest.raises(lf.DataError) as caught:
        lf.LinearMixedRegressor().fit(frame, sleepstudy["Reaction"])
    assert caught.value.column == "Days"


def test_missing_values(fitted, sleepstudy):
    holes = sleepstudy.assign(Days=sleepstudy["Days"].where(sleepstudy["Days"] != 3))
    with pytest.raises(lf.DataError):
        clone(fitted).fit(holes[PREDICTORS], holes["Reaction"])
    predicted = fitted.predict(holes[PREDICTORS])
    assert (np.isnan(predicted) == holes["Days"].isna()).all()


def test_without_scikit_learn_the_name_says_which_extra():
    code = (
        "import sys; sys.modules['sklearn'] = None; sys.modules['sklearn.base'] = None\n"
        "import lmmformula as lf, pydoc\n"
        "from lmmformula import *\n"
        "try:\n    lf.LinearMixedRegressor('~ x')\n"
        "except lf.OptionError as error:\n    sys.exit(error.extra != 'sklearn')\n"
        "sys.exit('no error')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_import_leaves_scikit_learn_out():
    code = "import sys, lmmformula; dir(lmmformula); sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
