"""ICC, R squared, conditional AIC, random-effects PCA and VIF against R."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.engine import conditional
from tests.reference import reader
from tests.tolerances import assert_close

STORED = json.loads((reader.HERE / "fit_statistics" / "fit_statistics.json").read_text())
MODELS = tuple(key for key in STORED if key not in ("versions", "vif_cake"))

RTOL = 1e-9
"""At R's own theta everything is arithmetic."""

CAIC4_RTOL = 1e-7
"""It inverts n x n matrices. Largest gap seen: 2e-8."""

OTHER_R2 = {
    "machines_slopes_reml": "performance takes columns of X for those of Z",
    "sleep_zcp_reml": "performance counts the first of two terms of one factor only",
}
"""R squared as published is in `test_variance_parts` for these as well."""

OTHER_CAIC4 = {"machines_slopes_reml"}
"""With three effects cAIC4 pairs derivatives of Lambda with entries of its transpose, which are in
another order."""

DIFFERENCE_RTOL = 1e-4
"""Central differences over refits in R. Largest gap seen: 1e-6 of the degrees of freedom, which are
30; the correction for estimating theta, of which 1e-4 is asked, is about one of them."""


def fitted(fields):
    weights = fields.get("weights")
    model = lf.lmm(
        fields["formula"],
        reader.frame(fields["dataset"]),
        weights=weights if isinstance(weights, str) else None,
    )
    return model.at(np.atleast_1d(fields["theta"]), reml=fields.get("reml", True))


@pytest.fixture(params=MODELS, scope="module")
def stored(request):
    fields = STORED[request.param]
    return fitted(fields), fields


def test_variance_parts(stored):
    fit, fields = stored
    parts = fit.r2().parts
    assert_close([parts.fixed], [fields["var_fixed"]], RTOL)
    assert_close([parts.random_total], [fields["johnson"]], RTOL)
    assert_close([parts.residual], [fields["sigma"] ** 2], RTOL)


@pytest.mark.parametrize("model_id", sorted(set(MODELS) - set(OTHER_R2)))
def test_r_squared_and_icc(model_id):
    fields = STORED[model_id]
    fit = fitted(fields)
    r2, icc = fit.r2(), fit.icc()
    expected = [fields["r2"]["marginal"], fields["r2"]["conditional"]]
    assert_close([r2.marginal, r2.conditional], expected, RTOL)
    expected = [fields["icc"]["adjusted"], fields["icc"]["unadjusted"]]
    assert_close([icc.adjusted, icc.unadjusted], expected, RTOL)


def test_conditional_aic(stored):
    fit, fields = stored
    found = fit.conditional_aic()
    assert_close([found.llf], [fields["conditional_llf"]], RTOL)
    assert_close([found.df_fixed_theta], [fields["trace_hat"] + 1.0], RTOL)
    correction = fields["generalized_df"] - fields["trace_hat"]
    assert found.correction == pytest.approx(correction, rel=2 * DIFFERENCE_RTOL, abs=2e-5)


@pytest.mark.parametrize(
    "model_id", sorted(key for key in MODELS if "caic4" in STORED[key] and key not in OTHER_CAIC4)
)
def test_conditional_aic_of_caic4(model_id, monkeypatch):
    """Its figures, once a term of the correction is halved as it halves it (see make.R)."""
    fields = STORED[model_id]
    whole = conditional._bracket

    def halved(evaluation, factors, Sigmas, directions):
        once = whole(evaluation, factors, Sigmas, directions)
        rho = conditional._residual_products(evaluation)
        w = conditional._applied(evaluation, directions, rho)
        moved = conditional._projected(evaluation, factors, w)
        own = conditional._dot(w, rho)
        linear = own - conditional._dot(conditional._applied(evaluation, Sigmas, rho), moved)
        return once + 0.5 * own / evaluation.pwrss * linear

    monkeypatch.setattr(conditional, "_bracket", halved)
    found = fitted(fields).conditional_aic()
    assert found.df == pytest.approx(fields["caic4"]["df"], rel=CAIC4_RTOL)
    assert found.caic == pytest.approx(fields["caic4"]["caic"], rel=CAIC4_RTOL)


def test_random_effects_pca(stored):
    fit, fields = stored
    pca = fit.repca()
    assert {one.group for one in pca.groups} == set(fields["repca"])
    for group, expected in fields["repca"].items():
        sd, rotation = np.atleast_1d(expected["sdev"]), np.atleast_2d(expected["rotation"])
        assert_close(pca[group].sd, sd, RTOL)
        assert_close(np.abs(pca[group].loadings), np.abs(rotation), 1e-8)


def test_variance_inflation():
    fields = STORED["vif_cake"]
    frame = fitted(fields).vif().to_frame()
    assert_close(frame["gvif"], fields["gvif"], 1e-8)
    assert frame["df"].tolist() == fields["df"]
    assert_close(frame["se_factor"], fields["scaled"], 1e-8)
    quadratic = STORED["sleep_quad_reml"]
    assert_close(fitted(quadratic).vif().gvif, list(quadratic["vif"].values()), 1e-8)
