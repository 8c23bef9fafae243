"""Studies planned from assumptions alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import FormulaError, OptionError

FORMULA = "rt ~ condition + (condition | subject) + (1 | item)"
FIXED = {"Intercept": 600.0, "condition[T.b]": 30.0}
VARCORR = {
    "sd_Intercept|subject": 100.0,
    "sd_condition[T.b]|subject": 20.0,
    "cor_condition[T.b].Intercept|subject": 0.4,
    "sd_Intercept|item": 50.0,
}


@pytest.fixture
def design():
    return lf.simulate_design({"subject": 12, "item": 8}, within={"condition": ["a", "b"]})


@pytest.fixture
def study(design):
    return lf.plan(FORMULA, design, fixed=FIXED, varcorr=VARCORR, sigma=90.0)


def test_the_assumptions(study):
    assert study.params.to_dict() == FIXED
    values = study.varcorr.parameters().to_dict()
    assert values == pytest.approx({**VARCORR, "sigma": 90.0})
    assert study.sigma == 90.0
    assert study.nobs == 192
    assert study.ngroups == {"subject": 12, "item": 8}
    assert study.formula == FORMULA


def test_standard_errors_are_those_of_generalised_least_squares(study, design):
    Z = pd.get_dummies(design["subject"]).to_numpy(float)
    b = (design["condition"] == "b").to_numpy(float)
    items = pd.get_dummies(design["item"]).to_numpy(float)
    V = 90.0**2 * np.eye(192) + 50.0**2 * items @ items.T
    V += 100.0**2 * Z @ Z.T + 20.0**2 * (Z * b[:, None]) @ (Z * b[:, None]).T
    cross = 0.4 * 100 * 20 * Z @ (Z * b[:, None]).T
    V += cross + cross.T
    X = np.column_stack([np.ones(192), b])
    expected = np.sqrt(np.diag(np.linalg.inv(X.T @ np.linalg.solve(V, X))))
    assert study.bse.to_numpy() == pytest.approx(expected, rel=1e-9)


def test_simulated_responses(study, design):
    one = study.simulate(seed=5)
    assert list(one.columns) == ["subject", "item", "condition", "rt"]
    assert "rt" not in design.columns
    pd.testing.assert_frame_equal(one, study.simulate(seed=np.random.SeedSequence(5)))
    several = study.simulate(seed=5, n=4)
    assert list(several.columns[-4:]) == ["rt_1", "rt_2", "rt_3", "rt_4"]
    assert several["rt_1"].to_numpy() == pytest.approx(one["rt"])
    fit = lf.lmer(FORMULA, one)
    assert study.fit(seed=5).objective == pytest.approx(fit.objective, abs=1e-6)
    many = study.simulate(seed=1, n=2000).iloc[:, 3:].to_numpy()
    assert many.mean() == pytest.approx(615.0, abs=15.0)
    assert many[1].var() == pytest.approx(100**2 + 20**2 + 2 * 800 + 50**2 + 90**2, rel=0.15)


def test_other_designs(design):
    pilot = design.assign(rt=np.arange(192.0))
    given = {"fixed": FIXED, "varcorr": VARCORR, "sigma": 90.0}
    expected = lf.plan(FORMULA, design, **given).simulate(1)["rt"].to_numpy()
    assert lf.plan(FORMULA, pilot, **given).simulate(1)["rt"].to_numpy() == pytest.approx(expected)
    assert pilot["rt"].tolist() == list(np.arange(192.0))
    plain = {name: design[name].astype(str).to_numpy() for name in design}
    assert lf.plan(FORMULA, plain, **given).simulate(1)["rt"].to_numpy() == pytest.approx(expected)
    polars = pytest.importorskip("polars").DataFrame(plain)
    found = lf.plan(FORMULA, polars, **given).simulate(1)
    assert found["rt"].to_numpy() == pytest.approx(expected)


def test_options_of_the_model(design):
    study = lf.plan(
        "rt ~ condition + (1 | subject)", design, contrasts={"condition": "sum"},
        fixed={"condition[S.a]": 5.0}, varcorr={"sd_Intercept|subject": 1.0}, sigma=2.0,
    )  # fmt: skip
    assert study.params.to_dict() == {"Intercept": 0.0, "condition[S.a]": 5.0}
    assert lf.power(study, "condition", 20, seed=1).power == 1.0


def test_no_random_variation_may_be_assumed(design):
    zero = {name: 0.0 for name in VARCORR}
    study = lf.plan(FORMULA, design, fixed=FIXED, varcorr=zero, sigma=90.0)
    se = 90.0 * np.sqrt(2 / 96)
    assert study.bse["condition[T.b]"] == pytest.approx(se)
    assert 0.3 < lf.power(study, "condition", 60, seed=1).power < 0.9


def test_power_of_a_plan(study):
    found = lf.power(study, "condition[T.b]", 60, seed=1, levels={"subject": 40, "item": 20})
    assert found.nobs == 1600
    assert found.ngroups == {"subject": 40, "item": 20}
    assert found.assumed == {"condition[T.b]": 30.0}
    smaller = lf.power(study, "condition[T.b]", 60, seed=1)
    assert found.power > smaller.power


@pytest.fixture
def visits():
    return lf.simulate_design({"subject": 10}, within={"t": range(4)})


def test_structured_residuals(visits):
    study = lf.plan(
        "y ~ t + (1 | subject)", visits, fixed={"t": 0.3}, varcorr={"sd_Intercept|subject": 2.0},
        sigma=1.5, residual="ar1(t | subject)", residuals={"rho": 0.6},
    )  # fmt: skip
    assert study.residuals.to_dict() == {"rho": 0.6}
    assert "rho = 0.6" in str(study)
    t = np.arange(4.0)
    V = 4.0 + 1.5**2 * 0.6 ** np.abs(t[:, None] - t)
    X = np.column_stack([np.ones(4), t])
    expected = np.sqrt(np.diag(np.linalg.inv(10 * X.T @ np.linalg.solve(V, X))))
    assert study.bse.to_numpy() == pytest.approx(expected, rel=1e-8)
    draws = study.simulate(seed=1, n=3000).filter(like="y_").to_numpy().reshape(10, 4, 3000)
    centred = draws - draws.mean(axis=2, keepdims=True)
    found = np.einsum("stn,sun->tu", centred, centred) / 30000
    assert found == pytest.approx(V, rel=0.1)
    options = {"n_sim": 20, "seed": 1, "levels": {"subject": 15}}
    assert lf.power(study, "t", **options).nobs == 60
    assert lf.power(study, "t", **options, residuals={"rho": 0.0}).n_failed == 0


def test_no_random_effects_at_all(visits):
    study = lf.plan(
        "y ~ t", visits, fixed={"t": 0.4}, varcorr={}, sigma=1.0,
        residual="ar1(t | subject)", residuals={"rho": 0.4},
    )  # fmt: skip
    found = lf.power(study, "t", 30, seed=1)
    assert found.n_failed == 0
    assert lf.power(study, "t", 30, seed=1, test="lrt").power == pytest.approx(found.power, abs=0.1)


def test_structured_random_effects(visits):
    for formula, varcorr in (
        ("y ~ t + cs(t | subject)",
         {"sd_Intercept|subject": 1.0, "sd_t|subject": 0.5, "rho|subject": 0.3}),
        ("y ~ t + ar1(0 + factor(t) | subject)", {"sd|subject": 2.0, "rho|subject": 0.5}),
    ):  # fmt: skip
        study = lf.plan(formula, visits, fixed={}, varcorr=varcorr, sigma=1.0, checks="ignore")
        assert study.varcorr.parameters().drop("sigma").to_dict() == pytest.approx(varcorr)
        smaller = {**varcorr, "rho|subject": 5.0}
        with pytest.raises(OptionError) as caught:
            lf.plan(formula, visits, fixed={}, varcorr=smaller, sigma=1.0, checks="ignore")
        assert caught.value.name == "rho|subject"


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        ({}, {"missing": ("rho",)}),
        ({"rho": 1.5}, {"name": "rho"}),
        ({"phi": 0.5}, {"name": "phi"}),
        ({"rho": None}, {"name": "rho"}),
    ],
)
def test_bad_residuals(visits, given, facts):
    with pytest.raises(OptionError) as caught:
        lf.plan("y ~ t", visits, fixed={}, varcorr={}, sigma=1.0, residual="ar1(t | subject)",
                residuals=given)  # fmt: skip
    for name, value in facts.items():
        assert getattr(caught.value, name) == value


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({"fixed": {"condition[b]": 3.0}}, {"argument": "fixed", "closest": "condition[T.b]"}),
        ({"fixed": {"Intercept": "big"}}, {"argument": "fixed"}),
        ({"fixed": 3.0}, {"argument": "fixed"}),
        ({"varcorr": {"sd_Intercept|item": 1.0}}, {"argument": "varcorr"}),
        ({"varcorr": {**VARCORR, "sd_Intercept|items": 1.0}}, {"closest": "sd_Intercept|item"}),
        ({"varcorr": None}, {"argument": "varcorr"}),
        ({"sigma": -1.0}, {"argument": "sigma"}),
        ({"sigma": None}, {"argument": "sigma"}),
        ({"residuals": {"rho": 0.5}}, {"argument": "residuals"}),
    ],
)
def test_bad_assumptions(design, change, facts):
    given = {"fixed": FIXED, "varcorr": VARCORR, "sigma": 90.0, **change}
    with pytest.raises(OptionError) as caught:
        lf.plan(FORMULA, design, **given)
    for name, value in facts.items():
        assert getattr(caught.value, name) == value
    assert caught.value.suggestion


def test_contradicting_correlations(design):
    effects = ("Intercept", "x", "z")
    correlations = {("x", "Intercept"): 0.9, ("z", "Intercept"): 0.9, ("z", "x"): -0.9}
    varcorr = {f"sd_{name}|subject": 1.0 for name in effects}
    varcorr |= {f"cor_{a}.{b}|subject": value for (a, b), value in correlations.items()}
    rng = np.random.default_rng(1)
    table = design.assign(x=rng.standard_normal(192), z=rng.standard_normal(192))
    with pytest.raises(OptionError) as caught:
        lf.plan("y ~ x + z + (x + z | subject)", table, fixed={}, varcorr=varcorr, sigma=1.0)
    assert caught.value.argument == "varcorr"


def test_responses_need_a_name(design):
    with pytest.raises(FormulaError):
        lf.plan("log(rt) ~ condition + (1 | subject)", design, fixed={},
                varcorr={"sd_Intercept|subject": 1.0}, sigma=1.0)  # fmt: skip


def test_it_prints(study):
    text = str(study)
    assert "192 rows, subject: 12, item: 8" in text
    assert "condition[T.b]" in text
    assert "Assumed random effects" in text
    assert study.as_html().count("<table") == 2
