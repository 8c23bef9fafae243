"""Hat values, Cook's distances, standardized residuals and deletions against lme4."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from lmmformula.errors import ConvergenceWarning
from tests.reference import reader
from tests.tolerances import ESTIMATE_RTOL, assert_close

STORED = json.loads((reader.HERE / "influence" / "influence.json").read_text())
MODELS = tuple(key for key in STORED if key not in ("versions", "lme4_influence"))

FIXED_THETA_RTOL = 1e-11
"""At R's own theta everything is arithmetic. Largest gap seen: 7e-14."""

REFIT_RTOL = 2e-6
"""R's refits stop where the criterion is flat, and standard errors and distances depend on the end
point to first order. Largest gap seen: 3e-7."""

DEFAULT_REFIT_RTOL = 2e-4
"""lme4's `influence()` refits with its default tolerances. Largest gap seen: 3e-5."""


@pytest.fixture(params=MODELS)
def stored(request):
    return request.param, STORED[request.param]


def at_theirs(model_id, fields):
    return reader.model(model_id).at(np.atleast_1d(fields["theta"]), reml=model_id.endswith("reml"))


def test_rows(stored):
    model_id, fields = stored
    fit = at_theirs(model_id, fields)
    influence = fit.influence()
    assert_close(fit.leverage().hat, fields["hat"], FIXED_THETA_RTOL)
    assert_close(influence.leverage, fields["hat"], FIXED_THETA_RTOL)
    assert_close(influence.cooks_distance, fields["cooks_distance"], FIXED_THETA_RTOL)
    assert_close(fit.residuals("standardized"), fields["rstudent"], FIXED_THETA_RTOL)
    assert_close(fit.residuals("studentized"), fields["rstudent"], FIXED_THETA_RTOL)
    assert_close(fit.residuals("pearson"), fields["pearson"], FIXED_THETA_RTOL)
    augmented = fit.augment()
    assert_close(augmented[".hat"], fields["hat"], FIXED_THETA_RTOL)
    assert_close(augmented[".cooksd"], fields["cooks_distance"], FIXED_THETA_RTOL)


def test_exact_deletion_of_levels(stored):
    model_id, fields = stored
    fit, theirs = reader.fit(model_id), fields["groups"]
    influence = fit.influence(fields["by"])
    assert influence.exact
    units = theirs["units"]
    assert set(influence.cooks_distance.index) == set(units)
    beta = np.array(theirs["beta"]).reshape(len(units), -1)
    change = beta - fit.params.to_numpy()
    assert_close(influence.dfbeta.loc[units], change, REFIT_RTOL)
    assert_close(
        influence.dfbetas.loc[units], change / np.reshape(theirs["se"], beta.shape), REFIT_RTOL
    )
    assert_close(influence.sigma.loc[units], theirs["sigma"], REFIT_RTOL)
    distance = influence.cooks_distance.loc[units]
    assert_close(distance, theirs["cooks_distance"], REFIT_RTOL)


def test_exact_deletion_of_rows(stored):
    model_id, fields = stored
    fit, theirs = reader.fit(model_id), fields["rows"]
    labels = np.array(["rest"] * fit.nobs, dtype=object)
    picked = [str(i) for i in theirs["position"]]
    labels[theirs["position"]] = picked
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # "rest" leaves too few rows to fit
        influence = fit.influence(labels)
    assert influence.converged[picked].all()
    change = np.reshape(theirs["beta"], (len(picked), -1)) - fit.params.to_numpy()
    assert_close(influence.dfbeta.loc[picked], change, REFIT_RTOL)


def test_one_step_is_near_the_refits(stored):
    model_id, fields = stored
    fit = reader.fit(model_id)
    exact = fit.influence(fields["by"])
    step = fit.influence(fields["by"], exact=False)
    assert not step.exact
    correlation = np.corrcoef(exact.dfbetas.to_numpy().ravel(), step.dfbetas.to_numpy().ravel())
    assert correlation[0, 1] > 0.98


def test_definitions_are_those_of_lme4_influence():
    theirs = STORED["lme4_influence"]
    influence = reader.fit("sleep_full_reml").influence("Subject")
    units = theirs["units"]
    for ours, name in (
        (influence.cooks_distance, "cooks_distance"),
        (influence.dfbeta, "dfbeta"),
        (influence.dfbetas, "dfbetas"),
    ):
        assert_close(ours.loc[units], theirs[name], DEFAULT_REFIT_RTOL, name)


def test_all_rows_refitted():
    fit, theirs = reader.fit("sleep_int_ml"), STORED["sleep_int_ml"]["rows"]
    influence = fit.influence(exact=True)
    change = np.reshape(theirs["beta"], (-1, 2)) - fit.params.to_numpy()
    assert_close(influence.dfbeta.iloc[theirs["position"]], change, REFIT_RTOL)
    assert len(influence) == fit.nobs
    assert_close(fit.leverage().effective_parameters, influence.leverage.sum(), ESTIMATE_RTOL)
