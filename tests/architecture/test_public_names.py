"""The names that scripts rely on."""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path

import pytest

import lmmformula as lf

ROOT = Path(__file__).parents[2]

FUNCTIONS = {
    "anova",
    "aov",
    "as_frame",
    "bootstrap_lrt",
    "compare",
    "compare_with_lme4",
    "etable",
    "exact_rlrt",
    "from_json",
    "list_datasets",
    "lmer",
    "lmm",
    "load",
    "load_dataset",
    "one_way_random",
    "plan",
    "power",
    "power_curve",
    "rm_anova",
    "simulate_design",
    "stream",
}
CLASSES = {"FitRecord", "LinearMixedModel", "LinearMixedRegressor", "LinearMixedResults"}

MODEL_MEMBERS = {"at", "fit"}
RESULT_ATTRIBUTES = set(
    """params bse tvalues pvalues df_tests llf aic bic nobs npar df_model df_resid scale sigma
    criterion objective theta varcorr ngroups random_effects fittedvalues resid is_singular
    converged optimum model formula dropped""".split()
)
RESULT_METHODS = set(
    """bootstrap cov_params ranef coef residuals summary conf_int predict simulate refit tidy glance
    augment save to_json anova t_test f_test wald_test hypotheses approximation influence
    leverage""".split()
)


def test_public_names():
    assert set(lf.__all__) >= FUNCTIONS | CLASSES
    for name in lf.__all__:
        assert hasattr(lf, name), name


@pytest.mark.parametrize("name", sorted(FUNCTIONS | CLASSES))
def test_public_names_are_documented(name):
    assert inspect.getdoc(getattr(lf, name))


def test_members_of_models_and_results():
    assert set(dir(lf.LinearMixedModel)) >= MODEL_MEMBERS
    assert set(dir(lf.LinearMixedResults)) >= RESULT_METHODS
    data = lf.load_dataset("dyestuff")
    results = lf.lmer("Yield ~ 1 + (1 | Batch)", data)
    missing = {name for name in RESULT_ATTRIBUTES if not hasattr(type(results), name)}
    assert not {name for name in missing if name not in vars(results)}


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (
            lf.lmm,
            "formula data weights offset contrasts subset missing checks residual variance "
            "relationship",
        ),
        (lf.lmer, "formula data reml start optimizer progress keep_data"),
        (lf.LinearMixedModel.fit, "reml start optimizer progress keep_data"),
        (lf.LinearMixedModel.at, "theta reml"),
        (lf.LinearMixedResults.predict, "newdata random new_levels interval alpha"),
        (lf.LinearMixedResults.conf_int, "alpha method"),
        (lf.LinearMixedResults.simulate, "n seed random"),
    ],
)
def test_parameters(function, parameters):
    assert set(inspect.signature(function).parameters) >= set(parameters.split())


def test_version_is_the_project_files():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert lf.__version__ == project["version"]


def test_lazy_names_are_the_public_names():
    homes = [name for names in lf._HOMES.values() for name in names]
    assert sorted([*homes, *lf._MODULES]) == sorted(lf.__all__)
    assert set(dir(lf)) == {*lf.__all__, "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'lmmer'"):
        _ = lf.lmmer
