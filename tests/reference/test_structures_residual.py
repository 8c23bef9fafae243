"""Structured residuals: nlme's fits, maximised again as dense likelihoods, and our own."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula import LinearMixedResults
from tests.reference.structures import reader
from tests.reference.structures.agreement import same_fixed_effects, same_likelihood
from tests.tolerances import CRITERION_ATOL, THETA_RTOL

CASES = sorted(reader.fits("residual"))


@pytest.fixture(params=CASES)
def pair(request: pytest.FixtureRequest) -> tuple[LinearMixedResults, dict]:
    """Our fit and the stored one."""
    return reader.pair("residual", request.param)


def test_likelihood(pair):
    same_likelihood(*pair)


def test_number_of_parameters(pair):
    ours, ref = pair
    assert ours.npar == ref["df"]
    assert ours.aic == pytest.approx(-2 * ref["logLik"] + 2 * ref["df"], abs=2 * CRITERION_ATOL)


def test_fixed_effects(pair):
    same_fixed_effects(*pair)


def test_parameters_of_the_residuals(pair):
    ours, ref = pair
    expected = reader.residual_parameters(ref)
    found = ours.residual_structure.parameters()
    assert set(found.index) == set(expected)
    values = np.array([expected[name] for name in found.index])
    assert found.to_numpy() == pytest.approx(values, rel=THETA_RTOL, abs=THETA_RTOL)
    assert ours.sigma == pytest.approx(ref["sigma"], rel=THETA_RTOL)


def test_random_effects(pair):
    ours, ref = pair
    stored = {reader.word_and_group(term["text"]): term for term in ref.get("terms", ())}
    assert {(term.structure, term.group) for term in ours.varcorr} == set(stored)
    for term in ours.varcorr:
        expected = stored[term.structure, term.group]
        assert term.sd_values == pytest.approx(expected["sd"], rel=THETA_RTOL)
        assert term.corr_values == pytest.approx(np.array(expected["corr"]), abs=THETA_RTOL)
