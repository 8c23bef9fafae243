"""Profiles: what zeta is, where its ends are, and what is said when something is amiss."""

from __future__ import annotations

import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import lmmformula as lf
from lmmformula.errors import ConvergenceWarning, InferenceWarning, OptionError
from lmmformula.inference.profile.remarks import trouble
from lmmformula.optimize import OptimumStatus
from tests.tolerances import assert_close

SLEEP = "Reaction ~ Days + (Days | Subject)"
Q = stats.norm.ppf(0.975)
ZETA_ATOL = 1e-4
"""At every end |zeta| is its quantile to this; the search itself asks for 1e-6."""

NAMES = [
    "sd_Intercept|Subject",
    "cor_Days.Intercept|Subject",
    "sd_Days|Subject",
    "sigma",
    "Intercept",
    "Days",
]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return lf.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def sleep(data) -> lf.LinearMixedResults:
    return lf.lmer(SLEEP, data)


@pytest.fixture(scope="module")
def ml(data) -> lf.LinearMixedResults:
    return lf.lmer(SLEEP, data, reml=False)


def excess(deviance: float, fit: lf.LinearMixedResults) -> float:
    """Root of the likelihood ratio statistic."""
    return float(np.sqrt(deviance - fit.objective))


# -- the table -----------------------------------------------------------------------------------


def test_rows_are_named_and_ordered_as_in_lme4(sleep):
    table = sleep.conf_int(method="profile")
    assert list(table.index) == NAMES
    assert list(table.columns) == ["lower", "upper"]


def test_reml_and_ml_fits_have_the_same_profile(sleep, ml):
    one, other = sleep.conf_int(method="profile"), ml.conf_int(method="profile")
    assert_close(one, other, 1e-6, "limits")


@pytest.mark.parametrize("alpha", [0.32, 0.05, 0.001])
def test_zeta_at_the_ends_is_the_quantile(sleep, alpha):
    limits = sleep.profile().limits(alpha)
    q = stats.norm.ppf(1 - alpha / 2)
    for side, sign in (("lower", -1.0), ("upper", 1.0)):
        is_open, zeta = limits[f"open_{side}"], sign * limits[f"zeta_{side}"]
        assert np.all(np.abs(zeta[~is_open] - q) < ZETA_ATOL)
        assert np.all(zeta[is_open] < q)
        at_the_end = ["cor_Days.Intercept|Subject"] if (alpha, side) == (0.001, "upper") else []
        assert list(limits.index[is_open]) == at_the_end  # a correlation of 1 is not that unlikely


def test_intervals_are_nested_and_hold_the_estimate(sleep):
    profile = sleep.profile()
    wide, narrow = profile.conf_int(0.01), profile.conf_int(0.1)
    assert (wide["lower"] < narrow["lower"]).all()
    assert (narrow["upper"] < wide["upper"]).all()
    assert profile.estimates.between(narrow["lower"], narrow["upper"]).all()


def test_estimates_are_the_ml_fits(sleep, ml):
    estimates = sleep.profile().estimates
    expected = pd.concat([ml.varcorr.parameters(), ml.params])
    assert list(estimates.index) == list(expected.index)
    assert_close(estimates, expected, 1e-6, "estimates")


def test_few_evaluations(sleep):
    profile = sleep.profile()
    profile.conf_int()
    assert profile.n_evaluations <= 120  # twelve ends, six estimates


# -- zeta, by other means ------------------------------------------------------------------------


@pytest.mark.parametrize("value", [7.0, 10.0, 13.0])
def test_fixed_effect_held_is_an_offset(data, ml, value):
    fixed = lf.lmer(
        "Reaction ~ 1 + (Days | Subject)", data, reml=False, offset=value * data["Days"]
    )
    zeta = ml.profile("Days").zeta("Days", value)[0]
    assert abs(zeta) == pytest.approx(excess(fixed.objective, ml), abs=1e-6)
    assert np.sign(zeta) == np.sign(value - ml.params["Days"])


def test_weights_and_offset_take_part(data):
    w = np.linspace(0.5, 2.0, len(data))
    offset = 0.1 * np.arange(len(data))
    full = lf.lmer(SLEEP, data, reml=False, weights=w, offset=offset)
    held = lf.lmer(
        "Reaction ~ 1 + (Days | Subject)",
        data,
        reml=False,
        weights=w,
        offset=offset + 6.0 * data["Days"],
    )
    zeta = full.profile("fixed").zeta("Days", 6.0)[0]
    assert -zeta == pytest.approx(excess(held.objective, full), abs=1e-6)


def test_zero_deviation_is_the_model_without_it(data, ml):
    without = lf.lmer("Reaction ~ Days + (1 | Subject)", data, reml=False)
    zeta = ml.profile("random").zeta("sd_Days|Subject", 0.0)[0]
    assert -zeta == pytest.approx(excess(without.objective, ml), abs=1e-6)


def test_zero_correlation_is_the_model_without_it(data, ml):
    without = lf.lmer("Reaction ~ Days + (Days || Subject)", data, reml=False)
    zeta = ml.profile().zeta("cor_Days.Intercept|Subject", 0.0)[0]
    assert -zeta == pytest.approx(excess(without.objective, ml), abs=1e-6)


def balanced_deviance(between: float, within: float, J: int, n: int, t2: float, s2: float):
    """Return the ML deviance of a balanced one-way layout (constants left out)."""
    lam = s2 + n * t2
    return J * (n - 1) * np.log(s2) + J * np.log(lam) + within / s2 + between / lam


@pytest.mark.parametrize(("parameter", "end"), [("sd_Intercept|Batch", 0), ("sigma", 1)])
def test_balanced_one_way_layout_in_closed_form(parameter, end):
    data = lf.load_dataset("dyestuff")
    groups = data.groupby("Batch", observed=True)["Yield"]
    J, n = 6, 5
    within = float(((data["Yield"] - groups.transform("mean")) ** 2).sum())
    between = float(n * ((groups.mean() - data["Yield"].mean()) ** 2).sum())

    def deviance(free: float, held: float) -> float:
        pair = (held**2, np.exp(free)) if end == 0 else (np.exp(free), held**2)
        return balanced_deviance(between, within, J, n, *pair)

    def profiled(held: float) -> float:
        return optimize.minimize_scalar(
            deviance, bounds=(0, 12), args=(held,), method="bounded", options={"xatol": 1e-10}
        ).fun

    s2 = within / (J * (n - 1))
    t2 = (between / J - s2) / n
    best = balanced_deviance(between, within, J, n, t2, s2)
    limits = lf.lmer("Yield ~ 1 + (1 | Batch)", data).conf_int(method="profile")
    for limit in limits.loc[parameter]:
        assert np.sqrt(profiled(limit) - best) == pytest.approx(Q, abs=1e-5)


def test_units_do_not_matter(data, sleep):
    scaled = data.assign(Days=data["Days"] * 1e5, Reaction=data["Reaction"] * 1e-3)
    base = sleep.conf_int(method="profile")
    other = lf.lmer(SLEEP, scaled).conf_int(method="profile")
    unit = np.array([1e-3, 1.0, 1e-8, 1e-3, 1e-3, 1e-8])
    assert np.allclose(other.to_numpy(), base.to_numpy() * unit[:, None], rtol=1e-6)


def test_three_correlated_effects_against_random_starts():
    """Every profile point is a global minimum, as far as twenty starts can tell."""
    from lmmformula.engine.constrained import HeldObjective
    from lmmformula.inference.profile.points import NEWTON

    fit = lf.lmer("score ~ Machine + (Machine | Worker)", lf.load_dataset("machines"), reml=False)
    name = "cor_Machine[T.C].Machine[T.B]|Worker"
    profile = fit.profile(name)
    upper = profile.conf_int().loc[name, "upper"]
    curve = profile._curve(name)
    rng = np.random.default_rng(1)
    for _ in range(20):
        factors = [L + rng.normal(size=L.shape) * np.abs(L).max() for L in curve.fit.factors]
        objective = HeldObjective(fit.system, curve.held, upper)
        found = NEWTON.minimize(objective, objective.start(factors, curve.fit.log_variance))
        assert found.point.value >= curve.fit.deviance + Q**2 - 1e-4


# -- ends of the range ---------------------------------------------------------------------------


def test_open_ends():
    fit = lf.lmer("strength ~ 1 + (1 | batch/cask)", lf.load_dataset("pastes"))
    limits = fit.profile("sd_Intercept|batch").limits()
    row = limits.iloc[0]
    assert (row["lower"], row["open_lower"], row["open_upper"]) == (0.0, True, False)
    assert -Q < row["zeta_lower"] < 0
    assert row["zeta_upper"] == pytest.approx(Q, abs=ZETA_ATOL)


@pytest.mark.filterwarnings("ignore::lmmformula.errors.SingularFitWarning")
def test_variance_estimated_as_zero():
    fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff2"))
    limits = fit.profile().limits()
    assert limits.loc["sd_Intercept|Batch", "lower"] == 0.0
    assert limits.loc["sd_Intercept|Batch", "zeta_upper"] == pytest.approx(Q, abs=ZETA_ATOL)
    plain = limits.loc["Intercept"]
    assert plain["zeta_lower"] == pytest.approx(-Q, abs=ZETA_ATOL)


@pytest.fixture(scope="module")
def singular() -> lf.LinearMixedResults:
    """Slopes that are proportional to the intercepts: a correlation of one."""
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(12), 8)
    x = np.tile(np.linspace(-1, 1, 8), 12)
    b = rng.normal(size=12)
    y = 1 + x + b[g] * (1 + 0.7 * x) + 0.4 * rng.normal(size=len(g))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.SingularFitWarning)
        return lf.lmer("y ~ x + (x | g)", {"y": y, "x": x, "g": g.astype(str)}, reml=False)


def test_correlation_estimated_as_one(singular):
    assert singular.is_singular
    limits = singular.profile().limits()
    row = limits.loc["cor_x.Intercept|g"]
    assert (row["upper"], row["open_upper"], row["zeta_upper"]) == (1.0, True, 0.0)
    assert 0.0 < row["lower"] < 1.0
    assert row["zeta_lower"] == pytest.approx(-Q, abs=ZETA_ATOL)
    closed = limits.drop(index="cor_x.Intercept|g")
    assert np.allclose(closed["zeta_upper"], Q, atol=ZETA_ATOL)


def test_correlation_with_a_zero_variance_is_not_defined():
    rng = np.random.default_rng(0)
    g, x = np.repeat(np.arange(8), 10), np.tile(np.linspace(-1, 1, 10), 8)
    noise = rng.normal(size=(8, 10))
    line = np.column_stack([np.ones(10), x[:10]])
    noise -= noise @ line @ np.linalg.pinv(line)  # every level has the same slope
    y = 2 * rng.normal(size=8)[g] + noise.ravel()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lf.SingularFitWarning)
        fit = lf.lmer("y ~ x + (x | g)", {"y": y, "x": x, "g": g.astype(str)}, reml=False)
    name = "cor_x.Intercept|g"
    profile = fit.profile(name)
    with pytest.warns(InferenceWarning) as caught:
        limits = profile.conf_int()
    assert limits.loc[name].tolist() == [-1.0, 1.0]
    assert caught[0].message.parameters == (name,)
    with pytest.raises(OptionError):
        profile.zeta(name, 0.0)


# -- curves --------------------------------------------------------------------------------------


def test_curves_are_monotone_and_cover_the_interval(sleep):
    frame = sleep.profile().to_frame()
    assert list(frame.columns) == ["parameter", "value", "zeta"]
    for _, curve in frame.groupby("parameter"):
        assert curve["value"].is_monotonic_increasing
        assert curve["zeta"].is_monotonic_increasing
        assert curve["zeta"].iloc[0] == pytest.approx(stats.norm.ppf(0.005), abs=ZETA_ATOL)
        assert curve["zeta"].iloc[-1] == pytest.approx(stats.norm.ppf(0.995), abs=ZETA_ATOL)
        assert len(curve) >= 17


def test_nuisance_parameters_are_those_of_the_constrained_fit(data, ml):
    frame = ml.profile("Days").to_frame(points=2, nuisance=True)
    row = frame.iloc[0]
    offset = row["value"] * data["Days"]
    held = lf.lmer("Reaction ~ 1 + (Days | Subject)", data, reml=False, offset=offset)
    assert row["Days"] == row["value"]
    assert row["Intercept"] == pytest.approx(held.params["Intercept"], rel=1e-5)
    assert row["sigma"] == pytest.approx(held.sigma, rel=1e-5)
    sd = held.varcorr.parameters()["sd_Days|Subject"]
    assert row["sd_Days|Subject"] == pytest.approx(sd, rel=1e-4)


def test_curves_and_intervals_share_points(sleep):
    profile = sleep.profile("sigma")
    profile.to_frame()
    before = profile.n_evaluations
    profile.conf_int()
    assert profile.n_evaluations - before <= 10


# -- which, data, pickles ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("Days", ["Days"]),
        (["sigma", "sd_Days|Subject"], ["sd_Days|Subject", "sigma"]),
        ("random", NAMES[:4]),
        ("fixed", NAMES[4:]),
        (["fixed", "sigma"], NAMES[3:]),
    ],
)
def test_which(sleep, which, expected):
    profile = sleep.profile(which)
    assert list(profile.names) == expected
    assert list(sleep.conf_int(method="profile", which=which).index) == expected
    assert len(profile) == len(expected)
    assert repr(profile) == f"Profile({', '.join(expected)})"


def test_unknown_parameter(sleep):
    with pytest.raises(OptionError) as caught:
        sleep.profile(["Days", "Dys"])
    assert caught.value.value == "Dys"
    assert set(NAMES) < set(caught.value.available)


@pytest.mark.parametrize(
    ("name", "value"),
    [("sigma", 0.0), ("sd_Days|Subject", -1.0), ("cor_Days.Intercept|Subject", 1.1)],
)
def test_values_outside_the_range(sleep, name, value):
    with pytest.raises(OptionError) as caught:
        sleep.profile().zeta(name, value)
    assert caught.value.value == value


@pytest.mark.parametrize("alpha", [0.0, 1.5, "5%"])
def test_bad_alpha(sleep, alpha):
    with pytest.raises(OptionError):
        sleep.profile().conf_int(alpha)


def test_rows_of_the_data_are_not_needed(sleep):
    base = sleep.conf_int(method="profile", which="sigma")
    assert sleep.without_data().conf_int(method="profile", which="sigma").equals(base)


def test_given_theta_has_no_profile(sleep):
    with pytest.raises(OptionError, match="given theta"):
        sleep.model.at(sleep.theta).profile()


def test_pickles(sleep):
    profile = sleep.profile("Days")
    limits = profile.conf_int()
    assert pickle.loads(pickle.dumps(profile)).conf_int().equals(limits)


def test_the_fit_is_left_alone(ml):
    before = ml.theta.copy(), ml.objective
    ml.profile().conf_int()
    assert np.array_equal(ml.theta, before[0])
    assert ml.objective == before[1]


@pytest.mark.filterwarnings("ignore::lmmformula.errors.LMMWarning")
def test_an_effect_that_occurs_twice_has_two_names(data):
    fit = lf.lmer("Reaction ~ Days + (1 | Subject) + (Days | Subject)", data, reml=False)
    names = fit.profile("random").names
    assert names[0] == "sd_Intercept|Subject"
    assert names[1] == "sd_Intercept|Subject.1"
    limits = fit.profile("Days").conf_int()
    plain = lf.lmer(SLEEP, data, reml=False).profile("Days").conf_int()
    assert_close(limits, plain, 1e-5, "limits")


# -- warnings ------------------------------------------------------------------------------------


def _node(zeta: float, slope: float = 1.0, deviance: float = 0.0, certified: bool = True):
    fit = SimpleNamespace(deviance=deviance)
    return SimpleNamespace(zeta=zeta, slope=slope, fit=fit, is_certified=certified)


def _curve(*nodes: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(nodes=nodes, is_defined=True, fit=SimpleNamespace(deviance=0.0))


END = SimpleNamespace(is_exact=True)


@pytest.mark.parametrize(
    ("nodes", "kind", "word"),
    [
        ((_node(0.0), _node(1.0), _node(0.9)), InferenceWarning, "monotone"),
        ((_node(0.0), _node(1.0, slope=-0.1)), InferenceWarning, "monotone"),
        ((_node(0.0), _node(0.0, deviance=-0.5)), ConvergenceWarning, "better fit"),
        ((_node(0.0), _node(1.0, certified=False)), ConvergenceWarning, "exactly"),
    ],
)
def test_trouble_is_told(nodes, kind, word):
    (warning,) = trouble({"Days": _curve(*nodes)}, {"Days": (END, END)})
    assert isinstance(warning, kind)
    assert word in warning.message
    assert warning.parameters == ("Days",)


def test_nothing_to_tell(sleep):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        profile = sleep.profile()
        profile.to_frame(points=3)
        profile.conf_int()


def test_unproved_fit_is_told(data):
    fit = lf.lmm(SLEEP, data)
    few = lf.optimize.Newton(max_evaluations=1)
    with pytest.warns(ConvergenceWarning):
        stopped = fit.fit(reml=False, optimizer=few, start=[3.0, 0.0, 3.0])
    assert stopped.optimum.status is OptimumStatus.MAX_EVALUATIONS
    with pytest.warns(ConvergenceWarning) as caught:
        stopped.profile()
    assert caught[0].message.status is OptimumStatus.MAX_EVALUATIONS
