"""Structured random effects beside a residual: glmmTMB's (or lme4's) fits and dense likelihoods."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula import LinearMixedResults
from tests.reference.structures import reader
from tests.reference.structures.agreement import same_fixed_effects, same_likelihood
from tests.tolerances import THETA_RTOL

CASES = sorted(reader.fits("random"))
PLACES = ("ou", "exp")


@pytest.fixture(params=CASES)
def pair(request: pytest.FixtureRequest) -> tuple[LinearMixedResults, dict]:
    """Our fit and the stored one."""
    return reader.pair("random", request.param)


def test_likelihood(pair):
    same_likelihood(*pair)


def test_number_of_parameters(pair):
    ours, ref = pair
    assert ours.npar == ref["df"]
    if ref.get("package"):
        assert ours.npar == ref["package"]["df"]


def test_fixed_effects(pair):
    same_fixed_effects(*pair)


def test_variance_components(pair):
    ours, ref = pair
    assert ours.sigma == pytest.approx(ref["sigma"], rel=THETA_RTOL)
    stored = {reader.word_and_group(term["text"]): term for term in ref["terms"]}
    assert {(term.structure, term.group) for term in ours.varcorr} == set(stored)
    blocks = {(b.structure, b.group): b for b in ours.design.matrices.random}
    for term in ours.varcorr:
        key = term.structure, term.group
        expected = stored[key]
        sd = np.broadcast_to(expected["sd"], term.sd_values.shape)
        corr = expected.get("corr")
        if term.structure in PLACES:
            corr = reader.exponential(blocks[key].positions, expected["range"])
        assert term.sd_values == pytest.approx(sd, rel=THETA_RTOL)
        assert term.corr_values == pytest.approx(np.array(corr), abs=THETA_RTOL)
