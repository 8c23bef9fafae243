"""Names, counts and tables of natural parameters; what singular fits are called."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.covariance import STRUCTURES, make_structure
from lmmformula.covariance.natural import bounded, parameter_names, rate, unbounded
from tests.structured.test_natural_profiles import rows

MIXED = {
    "ar1(0 + t | g) + (1 | h)": ["sd|g", "rho|g", "sd_Intercept|h"],
    "(u | g) + homcs(0 + t | h)": [
        "sd_Intercept|g",
        "cor_u.Intercept|g",
        "sd_u|g",
        "sd|h",
        "rho|h",
    ],
    "cs(u | g) + ar1(0 + t | g)": [
        "sd_Intercept|g",
        "sd_u|g",
        "rho|g",
        "sd|g.1",
        "rho|g.1",
    ],
    "homtoep(0 + t | g) + diag(u | h)": [
        "sd|g",
        "rho_1|g",
        "rho_2|g",
        "rho_3|g",
        "sd_Intercept|h",
        "sd_u|h",
    ],
    "exp(0 + u | g) + homdiag(u | h)": ["sd|g", "range|g", "sd|h"],
    "hetar1(0 + t | g) + (1 | h)": [
        *(f"sd_t[{i}]|g" for i in range(4)),
        "rho|g",
        "sd_Intercept|h",
    ],
}


def fit(random, **options):
    """A fit, singular or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.SingularFitWarning)
        return lf.lmm(f"y ~ u + {random}", rows(), **options).fit()


@pytest.mark.parametrize("random", MIXED)
def test_names_count_and_likelihood_of_mixed_structures(random):
    fitted = fit(random)
    assert list(fitted.varcorr.parameters().index) == [*MIXED[random], "sigma"]
    assert fitted.npar == 2 + len(MIXED[random]) + 1
    assert set(MIXED[random]) <= set(fitted.profile("random").names)
    relative = fitted.varcorr.parameters().iloc[:-1].copy()
    if "cor_u.Intercept|g" not in relative:  # theta of an unstructured term is a factor
        relative[relative.index.str.startswith("sd")] /= fitted.sigma
        assert relative.to_numpy() == pytest.approx(fitted.theta, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("word", STRUCTURES)
def test_natural_parameters_are_as_many_as_theta(word):
    structure = make_structure(word, 4)
    effects = ("a", "b", "c", "d")
    parameters = structure.natural_parameters(effects)
    assert len(parameters) == structure.n_theta
    phi = structure.start() + 0.1
    template = np.linalg.cholesky(structure.factor(phi) @ structure.factor(phi).T)
    values, sd = structure.natural(template), np.linalg.norm(template, axis=1)
    corr = (template / sd[:, None]) @ (template / sd[:, None]).T
    for parameter, value in zip(parameters, values, strict=True):
        low, high = parameter.limits
        assert low < value < high
        if parameter.kind == "sd":
            assert value == pytest.approx(sd[parameter.effects[0] if parameter.effects else 0])
        elif parameter.effects:
            assert value == pytest.approx(corr[parameter.effects])
        elif parameter.name in ("rho", "rho_1"):
            assert value == pytest.approx(corr[1, 0])
    assert structure.natural(3.0 * template)[0] == pytest.approx(3.0 * values[0])
    assert len(set(parameter_names([structure], [effects], ["g"])[0])) == structure.n_theta


@pytest.mark.parametrize("limits", [(0.0, np.inf), (-1.0, 1.0), (-0.25, 1.0), (-np.inf, np.inf)])
def test_scales_go_there_and_back(limits):
    value, step = 0.37, 1e-6
    x = unbounded(value, limits)
    assert bounded(x, limits) == pytest.approx(value)
    slope = (bounded(x + step, limits) - bounded(x - step, limits)) / (2 * step)
    assert rate(value, limits) == pytest.approx(slope, rel=1e-8)


def test_the_frame_keeps_rs_layout():
    fitted = fit("ar1(0 + t | g) + (1 | h)")
    frame = fitted.varcorr.to_frame()
    own = frame[frame["grp"] == "g"]
    assert len(own) == 4 + 6
    assert own["var1"].tolist()[:4] == [f"t[{i}]" for i in range(4)]
    assert own["var2"].isna().tolist() == [True] * 4 + [False] * 6
    sd, rho = fitted.varcorr.parameters()[["sd|g", "rho|g"]]
    assert own["sdcor"].iloc[4:7].to_numpy() == pytest.approx([rho, rho**2, rho**3])
    assert own["vcov"].iloc[4] == pytest.approx(rho * sd**2)
    triangle = fitted.varcorr.to_frame("lower.tri")
    assert triangle["var2"].tolist()[1:4] == ["t[1]", "t[2]", "t[3]"]


def test_the_table_of_a_shared_variance_has_one_row():
    fitted = fit("ar1(0 + t | g) + cs(u | h)", variance="ident(h)")
    table = fitted.summary().tables["random_effects"]
    cells = [row[:2] for row in table.cells()]
    assert cells == [
        ("g", "ar1, 4 effects"),
        ("", "ar1: rho"),
        ("h", "Intercept"),
        ("", "u"),
        ("", "cs: rho"),
        ("Residual", ""),
    ]
    assert table.heading == ("Group", "Effect", "Variance", "Std. dev.", "Corr.")
    assert "ar1: rho" in fitted.summary().as_html()
    assert "ar1: rho" in fitted.summary().as_latex()


def test_a_range_has_a_column_of_its_own():
    table = fit("exp(0 + u | g)").summary().tables["random_effects"]
    assert table.heading[-1] == "Range"
    assert table.cells()[1][1] == "exp: range"
    assert table.cells()[0][-1] == table.cells()[2][-1] == ""


def test_the_table_of_unstructured_residuals_has_a_triangle():
    d = rows()
    fitted = lf.lmm("y ~ u", d[d["v"] < 4], residual="us(v | g)").fit()
    table = fitted.summary().tables["residual_structure"]
    assert table.heading == ("Parameter", "Estimate", "Std. dev.", "Corr.", "", "")
    assert [row[0] for row in table.cells()] == ["0", "1", "2", "3"]
    own = fitted.residual_structure.parameters()
    assert table.rows[2][1] == pytest.approx(own["ratio_2"])
    assert table.rows[2][2] == pytest.approx(own["ratio_2"] * fitted.sigma)
    assert table.rows[2][3:5] == pytest.approx((own["cor_2.0"], own["cor_2.1"]))
    assert table.notes == ("The residual variance above is that where `us(v | g)` is at 0.",)
    assert fitted.summary().tables["random_effects"].title == "Residual variance"


def test_residual_parameters_in_a_table():
    d = rows().assign(s=lambda d: np.where(d["u"] > 1, "late", "early"))
    fitted = lf.lmm("y ~ u", d, residual="ar1(v | g)", variance="ident(s) + power(w)").fit()
    table = fitted.summary().tables["residual_structure"]
    assert [row[0] for row in table.cells()] == ["rho", "ratio_late", "power"]
    assert table.cells()[0][2] == table.cells()[2][2] == ""
    where = "`ident(s)` is at early and `power(w)` is one"
    assert table.notes == (f"The residual variance above is that where {where}.",)


SHARED = {
    "ar1(0 + t | g)": ("rho|g",),
    "homcs(0 + t | g)": ("rho|g",),
    "cs(0 + t | g)": ("rho|g",),
    "homtoep(0 + t | g)": ("rho_1|g", "rho_2|g", "rho_3|g"),
    "exp(0 + u | g)": ("range|g",),
    "(1 | g) + homdiag(0 + t | g)": ("sd|g",),
}


@pytest.mark.parametrize("random", SHARED)
def test_singular_fits_are_named_in_natural_parameters(random):
    d, rng = rows(), np.random.default_rng(1)
    d["y"] = 0.4 * rng.normal(size=len(d))  # times vary less than residuals alone would make them
    d["y"] -= d.groupby(["g", "t"], observed=True)["y"].transform("mean")
    d["y"] += rng.normal(size=24)[d["g"].cat.codes]
    with pytest.warns(lf.SingularFitWarning) as caught:
        fitted = lf.lmer(f"y ~ u + {random}", d)
    assert caught[0].message.parameters == SHARED[random]
    assert fitted.is_singular
    assert set(SHARED[random]) < set(fitted.varcorr.parameters().index)
