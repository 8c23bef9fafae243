"""How the optimum is reached: few evaluations, from anywhere, in any units."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.errors import LMMWarning
from lmmformula.optimize import OPTIMIZERS
from tests import dense
from tests.reference.reader import MODEL_IDS, fit, frame, model, reference
from tests.tolerances import SCALE_RTOL, assert_close, criterion_limit

COUNTED = ("sleepstudy", "dyestuff", "dyestuff2", "penicillin", "pastes", "insteval", "timss")
FEW = [name for name in MODEL_IDS if reference(name).dataset in COUNTED]
MAX_EVALUATIONS = 12

HARD = [
    name
    for name in MODEL_IDS
    if (reference(name).default_excess or 0.0) > 1e-4
    or name.startswith("timss")
    or reference(name).isSingular
]
"""Models on which lme4's default stops above the optimum, and others that invite it."""


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)  # singular fits are expected here
        yield


@pytest.mark.parametrize("name", FEW)
def test_few_evaluations_from_the_default_start(name):
    assert fit(name).optimum.n_evaluations <= MAX_EVALUATIONS


@pytest.mark.parametrize("scale", [1.0, 0.1, 3.0])
@pytest.mark.parametrize("name", HARD)
def test_every_start_arrives(name, scale):
    unfitted, ref = model(name), reference(name)
    random = fit(name).design.matrices.random
    for start in (scale, dense.pack_identity(random, scale)):  # in working and in user's units
        ours = unfitted.fit(reml=ref.reml, start=start)
        assert ours.objective <= ref.criterion + criterion_limit(ref.criterion)
        assert ours.converged


@pytest.mark.parametrize("factor", [1e5, 1e-5])
@pytest.mark.parametrize("reml", [True, False])
def test_units_of_a_slope_do_not_matter(factor, reml):
    data = frame("sleepstudy")
    formula = "Reaction ~ Days + (Days | Subject)"
    base = lf.lmer(formula, data, reml)
    scaled = lf.lmer(formula, data.assign(Days=data["Days"] * factor), reml)
    shift = 2.0 * np.log(factor) if reml else 0.0
    assert scaled.objective - shift == pytest.approx(base.objective, rel=SCALE_RTOL)
    assert_close(scaled.params * [1.0, factor], base.params, SCALE_RTOL, "params")
    assert_close(scaled.bse * [1.0, factor], base.bse, SCALE_RTOL, "bse")
    assert_close(scaled.theta * [1.0, factor, factor], base.theta, SCALE_RTOL, "theta")
    assert_close(scaled.fittedvalues, base.fittedvalues, SCALE_RTOL, "fitted")
    assert scaled.sigma == pytest.approx(base.sigma, rel=SCALE_RTOL)


@pytest.mark.parametrize("optimizer", sorted(set(OPTIMIZERS) - {"newton"}))
@pytest.mark.parametrize("name", ["sleep_full_reml", "penicillin_ml", "pastes_nested_reml"])
def test_other_optimizers_agree(name, optimizer):
    ref = reference(name)
    ours = model(name).fit(reml=ref.reml, optimizer=optimizer)
    assert ours.objective == pytest.approx(ref.criterion, abs=1e-5)


def test_singular_components_are_exact_zeros():
    assert fit("dyestuff2_reml").theta[0] == 0.0
    assert fit("dyestuff2_ml").theta[0] == 0.0
