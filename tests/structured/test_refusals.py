"""What structured models cannot do says so, in the user's terms."""

from __future__ import annotations

import numpy as np
import pytest

import lmmformula as lf
from tests.structured.cases import STRUCTURED_RESIDUALS, fitted

CORRELATED = ["ar1 beside an intercept", "gls"]

ANY_STRUCTURE = {
    "kenward-roger": lambda r: r.summary(ddf="kenward-roger"),
    "kenward-roger-observed": lambda r: r.t_test("t = 0", ddf="kenward-roger-observed"),
    "predictions": lambda r: r.predict(interval="prediction", ddf="kenward-roger-observed"),
    "conditional_aic": lambda r: r.conditional_aic(),
    "exact_rlrt": lambda r: lf.exact_rlrt(r, seed=1),
}
CORRELATION = {
    "standardized": lambda r: r.residuals("standardized"),
    "studentized": lambda r: r.residuals("studentized"),
    "leverage": lambda r: r.leverage(),
    "influence": lambda r: r.influence(),
    "influence of levels": lambda r: r.influence(by=r.design.spec.index.to_numpy() // 4),
}
NO_RANDOM_EFFECTS = {
    "icc": lambda r: r.icc(),
    "repca": lambda r: r.repca(),
    "ranova": lambda r: r.ranova(),
    "case bootstrap": lambda r: r.bootstrap(5, seed=1, kind="case"),
}


@pytest.mark.parametrize("what", ANY_STRUCTURE)
@pytest.mark.parametrize("name", STRUCTURED_RESIDUALS)
def test_independent_residuals_are_needed(name, what):
    result = fitted(name)
    with pytest.raises(lf.OptionError) as caught:
        ANY_STRUCTURE[what](result)
    message = str(caught.value)
    for part in result.design.matrices.residual.variances:
        assert part.text in message
    assert "Try:" in message


@pytest.mark.parametrize("what", CORRELATION)
@pytest.mark.parametrize("name", CORRELATED)
def test_uncorrelated_residuals_are_needed(name, what):
    with pytest.raises(lf.OptionError) as caught:
        CORRELATION[what](fitted(name))
    assert caught.value.term == "ar1(visit | s)"


@pytest.mark.parametrize("what", NO_RANDOM_EFFECTS)
def test_random_effects_are_needed(what):
    with pytest.raises(lf.OptionError) as caught:
        NO_RANDOM_EFFECTS[what](fitted("gls"))
    assert "random-effects term" in str(caught.value)


def test_models_without_random_effects_have_empty_tables():
    result = fitted("gls")
    assert result.random_effects == {}
    assert result.coef() == {}
    assert list(result.ranef(condvar=True).columns) == ["grp", "level", "effect", "value", "sd"]
    assert len(result.ranef()) == 0
    assert result.ngroups == {}
    with pytest.raises(lf.OptionError):
        result.predict(random=["s"])
    with pytest.raises(lf.OptionError):
        result.influence("s")


@pytest.mark.parametrize(
    ("name", "position", "value"),
    [
        ("gls", 0, 1.5),
        ("gls", 0, -2.0),
        ("ar1 beside an intercept", 2, 0.0),
        ("ar1 beside an intercept", 2, -1.0),
        ("cs", 2, 1.2),
        ("ou", 1, -0.5),
    ],
)
def test_parameters_out_of_their_range(name, position, value):
    result = fitted(name)
    theta = np.array(result.theta)
    theta[position] = value
    with pytest.raises(lf.OptionError) as caught:
        result.model.at(theta)
    assert caught.value.argument == "theta"


def test_a_correlation_of_one_has_no_likelihood():
    result = fitted("gls")
    theta = np.array(result.theta)
    theta[0] = 1.0
    with pytest.raises(lf.NumericalError):
        result.model.at(theta)
