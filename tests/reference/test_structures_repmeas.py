"""Every structure on one set of repeated measures, as nlme and glmmTMB report it.

These fits were made with the packages' own stopping rules: nlme's log-likelihoods are right to
1e-6; glmmTMB keeps a residual standard deviation of about 1e-4 where it should have none, which
moves its REML value by 2e-6.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from lmmformula import LinearMixedResults
from lmmformula.errors import SingularFitWarning
from tests.reference.structures import reader

LIKELIHOOD_ATOL = 1e-5
PARAMETER_ATOL = 1e-4

CASES = sorted(reader.fits("repmeas"))


@pytest.fixture(params=CASES)
def pair(request: pytest.FixtureRequest) -> tuple[LinearMixedResults, dict]:
    """Our fit and the stored one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)  # tested for below
        return reader.pair("repmeas", request.param)


def test_likelihood(pair):
    ours, ref = pair
    assert ours.llf == pytest.approx(ref["logLik"], abs=LIKELIHOOD_ATOL)
    assert ours.npar == ref["df"]


def test_fixed_effects(pair):
    ours, ref = pair
    assert list(ours.params.index) == reader.fixed_names(ref)
    fixef, se = (np.array(list(ref[name].values())) for name in ("fixef", "se"))
    assert ours.params.to_numpy() == pytest.approx(fixef, rel=PARAMETER_ATOL)
    assert ours.bse.to_numpy() == pytest.approx(se, rel=PARAMETER_ATOL)


def test_parameters(pair):
    ours, ref = pair
    assert ours.sigma == pytest.approx(ref["sigma"], rel=PARAMETER_ATOL)
    if expected := reader.residual_parameters(ref):
        found = ours.residual_structure.parameters()
        assert set(found.index) == set(expected)
        values = np.array([expected[name] for name in found.index])
        assert found.to_numpy() == pytest.approx(values, rel=PARAMETER_ATOL, abs=PARAMETER_ATOL)


def test_random_effects(pair):
    ours, ref = pair
    terms = ref.get("terms", ())
    assert len(ours.varcorr) == len(terms)
    for term, expected in zip(ours.varcorr, terms, strict=True):
        sd = np.array(expected["sd"])
        if (sd < 1e-3 * ref["sigma"]).all():  # nlme stops before it reaches zero
            assert ours.is_singular
            assert (term.sd_values < 1e-3 * ref["sigma"]).all()
            continue
        assert not ours.is_singular
        assert term.sd_values == pytest.approx(sd, rel=PARAMETER_ATOL)
        assert term.corr_values == pytest.approx(np.array(expected["corr"]), abs=PARAMETER_ATOL)
