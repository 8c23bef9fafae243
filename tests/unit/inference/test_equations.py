"""Henderson's equations of a fit: blocks, solution, inverse, what is left after absorbing b."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import lmmformula as lf
from lmmformula.errors import DataError, OptionError
from lmmformula.inference.equations import mixed_model
from lmmformula.postfit.sparse_effects import (
    effects_matrix,
    has_singular_relationship,
    random_covariance,
    relative_factor,
    relative_precision,
)

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def fit():
    return lf.lmer(FORMULA, lf.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def singular():
    return lf.lmm("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff2")).at([0.0])


def test_blocks_are_the_textbook_ones(fit):
    equations = fit.mixed_model_equations()
    m = fit.design.matrices
    Z = equations.Z.toarray()
    assert Z.shape == (180, 36)
    assert np.array_equal(Z[10:20, 2:4], m.X[10:20])
    assert not Z[10:20, :2].any()
    G = np.kron(np.eye(18), fit.varcorr["Subject"].cov)
    assert np.allclose(equations.fixed_block, m.X.T @ m.X / fit.scale, rtol=1e-12)
    assert np.allclose(equations.cross_block.toarray(), m.X.T @ Z / fit.scale, rtol=1e-12)
    expected = Z.T @ Z / fit.scale + np.linalg.inv(G)
    assert np.allclose(equations.random_block.toarray(), expected, rtol=1e-10, atol=1e-12)
    right = np.concatenate([m.X.T @ m.y, Z.T @ m.y]) / fit.scale
    assert np.allclose(equations.right_hand_side, right, rtol=1e-12)
    whole = equations.coefficient_matrix
    assert sparse.issparse(whole)
    assert whole.shape == (38, 38)
    assert (abs(whole - whole.T) > 1e-15).nnz == 0
    assert whole.nnz < 38 * 38 / 3


def test_names(fit):
    equations = fit.mixed_model_equations()
    assert list(equations.index.names) == ["grp", "level", "effect"]
    assert list(equations.index[:3]) == [
        ("fixed", "", "Intercept"),
        ("fixed", "", "Days"),
        ("Subject", "308", "Intercept"),
    ]
    assert equations.labels[1] == "Days"
    assert equations.labels[3] == "Subject 308: Days"
    assert equations.solution["Subject", "308", "Days"] == pytest.approx(9.1989758, rel=1e-6)
    frame = equations.to_frame()
    assert frame.shape == (38, 39)
    assert frame.loc["Days", "Intercept"] == pytest.approx(180 * 4.5 / fit.scale)
    assert list(frame["right_hand_side"]) == list(equations.right_hand_side)


def test_solution_is_the_fit(fit):
    equations = fit.mixed_model_equations()
    pd.testing.assert_series_equal(equations.fixed, fit.params, check_names=False, rtol=1e-10)
    pd.testing.assert_frame_equal(
        equations.random["Subject"], fit.random_effects["Subject"], rtol=1e-8
    )
    pd.testing.assert_series_equal(equations.bse, fit.bse, check_names=False, rtol=1e-10)
    assert np.allclose(equations.coefficient_matrix @ equations.unknowns, equations.right_hand_side)


def test_spherical_form_has_the_same_solution(fit):
    henderson, spherical = fit.mixed_model_equations(), fit.mixed_model_equations("spherical")
    assert spherical.form == "spherical"
    assert np.allclose(spherical.solution, henderson.solution, rtol=1e-9)
    assert not np.allclose(spherical.unknowns, henderson.unknowns, rtol=1e-3)
    assert np.allclose(spherical.inverse(), henderson.inverse(), rtol=1e-8, atol=1e-10)
    assert np.allclose(spherical.variances, np.diagonal(henderson.inverse()), rtol=1e-8)
    assert np.allclose(
        spherical.absorbed().coefficient_matrix,
        henderson.absorbed().coefficient_matrix,
        rtol=1e-10,
    )
    assert "G has no inverse" not in str(spherical)
    assert "Equations are of u" in str(spherical)


def test_singular_fit(singular):
    equations = singular.mixed_model_equations()
    assert equations.form == "spherical"
    assert equations.solution["fixed", "", "Intercept"] == pytest.approx(singular.params.iloc[0])
    assert (equations.random["Batch"]["Intercept"] == 0.0).all()
    assert (equations.prediction_error_variance == 0.0).all()
    assert "the variance of `Intercept` in `(1 | Batch)` is zero" in str(equations)
    with pytest.raises(OptionError) as caught:
        singular.mixed_model_equations("henderson")
    assert caught.value.available == ("spherical",)


def test_a_correlation_of_one():
    data = lf.load_dataset("sleepstudy")
    fit = lf.lmm(FORMULA, data).at([0.9, 0.2, 0.0])
    equations = fit.mixed_model_equations()
    assert equations.form == "spherical"
    pd.testing.assert_series_equal(equations.fixed, fit.params, check_names=False, rtol=1e-9)
    pd.testing.assert_frame_equal(
        equations.random["Subject"], fit.random_effects["Subject"], rtol=1e-8
    )


def test_prediction_errors_contain_the_fixed_effects(fit):
    """Given beta they are the conditional variances, without it they are larger."""
    errors = fit.mixed_model_equations().prediction_error_variance
    conditional = fit.ranef(condvar=True).set_index(["grp", "level", "effect"])["sd"] ** 2
    assert (errors > conditional.loc[errors.index]).all()
    predicted = fit.predict({"Days": [0.0], "Subject": ["308"]}, interval="confidence")
    C = fit.mixed_model_equations().inverse().to_numpy()
    x = np.zeros(38)
    x[[0, 2]] = 1.0
    assert predicted["se"].iloc[0] ** 2 == pytest.approx(x @ C @ x, rel=1e-9)


def test_absorbed(fit):
    absorbed = fit.mixed_model_equations().absorbed()
    V, m = fit.marginal_covariance().to_numpy(), fit.design.matrices
    X = m.X
    assert np.allclose(absorbed.coefficient_matrix, X.T @ np.linalg.solve(V, X), rtol=1e-9)
    assert np.allclose(absorbed.right_hand_side, X.T @ np.linalg.solve(V, m.y), rtol=1e-9)
    assert np.allclose(absorbed.solution, fit.params, rtol=1e-10)
    assert np.allclose(absorbed.covariance, fit.cov_params(), rtol=1e-9)
    assert list(absorbed.coefficient_matrix.columns) == list(fit.params.index)
    text = str(absorbed)
    assert "X'V^-1X" in text
    assert "251.41" in text


def test_weights_and_offset():
    data = lf.load_dataset("sleepstudy")
    data["w"] = np.linspace(0.5, 2.0, 180)
    data["o"] = np.cos(np.arange(180))
    fit = lf.lmer(FORMULA, data, weights="w", offset="o")
    equations = fit.mixed_model_equations()
    assert np.allclose(equations.R_inverse.diagonal(), data["w"] / fit.scale)
    assert np.allclose(equations.y, data["Reaction"] - data["o"])
    assert np.allclose(equations.fixed, fit.params, rtol=1e-9)


def test_without_fixed_effects():
    data = lf.load_dataset("dyestuff")
    fit = lf.lmer("Yield ~ 0 + (1 | Batch)", data)
    equations = fit.mixed_model_equations()
    assert equations.fixed.empty
    assert equations.bse.empty
    assert equations.absorbed().coefficient_matrix.shape == (0, 0)
    assert np.allclose(equations.random["Batch"], fit.random_effects["Batch"], rtol=1e-9)
    assert "Fixed effects: 0" in str(equations)


def test_one_model_matrix_is_left_alone(fit):
    """Zeros are taken out of Z, which shares memory with X."""
    before = fit.design.matrices.X.copy()
    assert effects_matrix(fit.design.matrices.random[0]).nnz == 342
    assert np.array_equal(fit.design.matrices.X, before)


@pytest.mark.parametrize("medium", ["as_text", "as_html", "as_latex", "as_markdown"])
def test_every_medium(fit, medium):
    assert "Subject 308: Days" in getattr(fit.mixed_model_equations(), medium)()
    assert "Days" in getattr(fit.mixed_model_equations().absorbed(), medium)()


def test_printed_table(fit):
    lines = str(fit.mixed_model_equations()).splitlines()
    assert lines[:2] == ["Henderson's mixed model equations", FORMULA]
    assert lines[-1] == "Fixed effects: 2; random effects: 36; 5 of 38 equations are shown."
    assert max(map(len, lines)) <= 110
    few = lf.lmm("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff")).at([1.0])
    assert "5 of 7" in str(few.mixed_model_equations())


def test_many_fixed_effects_leave_room_for_random_ones():
    fit = lf.lmm("price ~ store + (1 | item)", lf.load_dataset("grocery")).at([1.0])
    text = str(fit.mixed_model_equations())
    assert "(5)  item" in text
    assert "(4)" not in text


def test_refusals(fit, monkeypatch):
    with pytest.raises(OptionError) as caught:
        fit.mixed_model_equations("sparse")
    assert caught.value.available == ("henderson", "spherical")
    with pytest.raises(DataError):
        fit.without_data().mixed_model_equations()
    monkeypatch.setattr(mixed_model, "MAX_FRAME", 37)
    monkeypatch.setattr(mixed_model, "MAX_INVERSE", 37)
    equations = fit.mixed_model_equations()
    for call in (equations.to_frame, equations.inverse):
        with pytest.raises(OptionError) as caught:
            call()
        assert (caught.value.n_unknowns, caught.value.limit) == (38, 37)
    assert len(equations.prediction_error_variance) == 36


def test_pickle(fit):
    equations = fit.mixed_model_equations()
    copy = pickle.loads(pickle.dumps(equations))
    assert np.array_equal(copy.solution, equations.solution)


def test_units_do_not_matter():
    """Columns of very different size leave the solution its digits."""
    data = lf.load_dataset("sleepstudy")
    data["seconds"] = data["Days"] * 86400.0 * 1e6
    fit = lf.lmer("Reaction ~ seconds + (seconds | Subject)", data)
    equations = fit.mixed_model_equations()
    assert np.allclose(equations.fixed, fit.params, rtol=1e-9)
    assert np.allclose(equations.bse, fit.bse, rtol=1e-9)


def related(fit, K):
    """The first term of a fit with a relationship between its levels."""
    block = fit.design.matrices.random[0]
    return replace(block, relationship=np.linalg.cholesky(K))


def test_relationships_between_levels(fit):
    """Var(b) = sigma^2 K (x) Sigma in Lambda, its precision, and the covariance of rows."""
    rng = np.random.default_rng(3)
    root = rng.normal(size=(18, 18))
    K = root @ root.T / 18 + 0.2 * np.eye(18)
    block, T = related(fit, K), fit.estimates.templates[0]
    G = np.kron(K, T @ T.T)
    Lambda = relative_factor(block, T).toarray()
    assert np.allclose(Lambda @ Lambda.T, G, rtol=1e-12)
    assert np.allclose(relative_precision(block, T).toarray() @ G, np.eye(36), atol=1e-8)
    Z = effects_matrix(block).toarray()
    rows = np.array([3, 4, 17, 18, 60, 179])
    expected = (Z @ G @ Z.T)[np.ix_(rows, rows)]
    assert np.allclose(random_covariance(block, T, rows), expected, rtol=1e-12)


def test_identical_levels_have_no_inverse(fit):
    K = np.eye(18)
    assert not has_singular_relationship(related(fit, K))
    factor = np.eye(18)
    factor[1] = factor[0]
    block = replace(fit.design.matrices.random[0], relationship=factor)
    assert has_singular_relationship(block)
