"""The numbers behind the pictures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

import lmmformula as lf
from tests.plots.gallery import cake, intercepts, machines, penicillin, serial, slopes, way


def data(kind, subject, **options):
    return lf.plot.data(kind, subject, **options)


def test_panels_hold_observations_and_both_lines():
    frame = data("panels", slopes())
    seen, line = frame[frame["kind"] == "observed"], frame[frame["kind"] == "line"]
    assert len(seen) == 180
    beta = slopes().params
    population = beta["Intercept"] + beta["Days"] * line["Days"]
    np.testing.assert_allclose(line["population"], population, rtol=1e-12)
    own = slopes().coef()["Subject"].loc[line["Subject"]]
    expected = own["Intercept"].to_numpy() + own["Days"].to_numpy() * line["Days"]
    np.testing.assert_allclose(line["group_line"], expected, rtol=1e-12)


def test_panels_are_ordered_by_a_coefficient():
    frame = data("panels", slopes(), order="Days")
    order = list(dict.fromkeys(frame["Subject"]))
    assert slopes().coef()["Subject"].loc[order, "Days"].is_monotonic_increasing


def test_panels_of_many_groups_are_a_selection_in_order():
    frame = data("panels", slopes(), n_groups=4)
    levels = list(slopes().coef()["Subject"].index)
    assert list(dict.fromkeys(frame["Subject"])) == [levels[i] for i in (0, 6, 11, 17)]


def test_panels_with_a_column_that_the_model_does_not_hold():
    raw = lf.load_dataset("sleepstudy").assign(hours=lambda frame: 24.0 * frame["Days"])
    frame = data("panels", slopes(), x="hours", data=raw)
    line = frame[frame["kind"] == "line"]
    beta = slopes().params
    expected = beta["Intercept"] + beta["Days"] * line["hours"] / 24.0
    np.testing.assert_allclose(line["population"], expected, rtol=1e-12)


def test_panels_of_correlated_residuals_have_no_line_of_their_own():
    assert data("panels", serial())["group_line"].isna().all()


def test_caterpillar_is_sorted_and_has_the_intervals_of_ranef():
    frame = data("caterpillar", slopes(), alpha=0.1)
    one = frame[frame["effect"] == "Intercept"]
    assert one["value"].is_monotonic_increasing
    assert list(one["level"]) == list(frame.loc[frame["effect"] == "Days", "level"])
    np.testing.assert_allclose(frame["upper"] - frame["value"], ndtri(0.95) * frame["sd"])
    modes = slopes().ranef(condvar=True).set_index(["effect", "level"])["value"]
    found = frame.set_index(["effect", "level"])["value"]
    np.testing.assert_allclose(found, modes.loc[found.index], rtol=1e-14)


def test_caterpillar_picks_the_term():
    frame = data("caterpillar", penicillin(), term="sample", sort=None)
    assert set(frame["grp"]) == {"sample"}
    assert list(frame["level"]) == list(penicillin().random_effects["sample"].index)


def test_shrinkage_starts_from_least_squares_within_groups():
    frame = data("shrinkage", slopes())
    raw = lf.load_dataset("sleepstudy")
    raw["Subject"] = raw["Subject"].astype(str)
    own = {
        level: np.polyfit(one["Days"], one["Reaction"], 1) for level, one in raw.groupby("Subject")
    }
    for place, effect in enumerate(["Days", "Intercept"]):
        mine = frame[frame["effect"] == effect].set_index("level")
        expected = [own[level][place] for level in mine.index]
        np.testing.assert_allclose(mine["within"], expected, rtol=1e-9)
        coefficient = slopes().coef()["Subject"][effect]
        np.testing.assert_allclose(mine["conditional"], coefficient.loc[mine.index], rtol=1e-12)


def test_shrinkage_of_intercepts_goes_towards_the_population():
    frame = data("shrinkage", intercepts())
    ratio = (frame["conditional"] - frame["population"]) / (frame["within"] - frame["population"])
    assert ratio.between(0.0, 1.0).all()
    expected = 10 * 1.2**2 / (1 + 10 * 1.2**2)
    np.testing.assert_allclose(ratio, expected, rtol=1e-9)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_ellipses_hold_their_share(share):
    frame = data("ellipse", slopes())
    line = frame[frame["share"] == share][["x", "y"]].to_numpy()
    inverse = np.linalg.inv(slopes().varcorr["Subject"].cov.to_numpy())
    distance = np.einsum("ni,ij,nj->n", line, inverse, line)
    np.testing.assert_allclose(1.0 - np.exp(-0.5 * distance), share, rtol=1e-10)


def test_ellipses_of_all_pairs():
    frame = data("ellipse", machines())
    assert frame.groupby(["effect_x", "effect_y"]).ngroups == 3


def test_residuals_are_the_standardized_ones():
    frame = data("residuals", slopes())
    np.testing.assert_array_equal(frame["residual"], slopes().residuals("standardized"))
    np.testing.assert_array_equal(frame["fitted"], slopes().fittedvalues)
    spread = data("scale_location", slopes())["root_size"]
    np.testing.assert_allclose(spread**2, frame["residual"].abs())


def test_smooth_of_a_straight_line_is_that_line():
    frame = data("residuals", slopes(), residual="marginal")
    x = frame["fitted"]
    from lmmformula.plot.residual_panels import _smoothed

    straight = frame.assign(residual=3.0 - 0.5 * x)
    np.testing.assert_allclose(_smoothed(straight, "residual")["smooth"], 3.0 - 0.5 * x, rtol=1e-8)


def test_correlated_residuals_are_normalized():
    frame = data("residuals", serial())
    np.testing.assert_array_equal(frame["residual"], serial().residuals("normalized"))


def test_residuals_by_group_are_sorted_by_medians():
    frame = data("residuals_by_group", slopes())
    medians = frame.groupby("Subject", sort=False)["residual"].median()
    assert medians.is_monotonic_increasing
    assert len(frame) == 180


def test_pointwise_envelope_holds_order_statistics():
    frame = data("qq", slopes(), alpha=0.1)
    rng = np.random.default_rng(5)
    drawn = np.sort(rng.standard_normal((4000, len(frame))), axis=1)
    outside = (drawn < frame["lower"].to_numpy()) | (drawn > frame["upper"].to_numpy())
    assert abs(outside.mean() - 0.1) < 0.01
    assert frame["quantile"].is_monotonic_increasing


def test_simulated_envelope_depends_on_the_seed_alone():
    one, two = (data("qq", slopes(), envelope="simulation", n=19, seed=4) for _ in range(2))
    assert one.equals(two)
    assert (one["lower"] < one["upper"]).all()


def test_random_quantiles_are_those_of_blom():
    frame = data("random_qq", slopes(), effects="Days")
    assert frame["value"].is_monotonic_increasing
    np.testing.assert_allclose(ndtr(frame["quantile"]), (np.arange(1, 19) - 0.375) / 18.25)


def test_influence_is_sorted():
    frame = data("influence", slopes(), exact=False)
    assert frame["cooks_distance"].is_monotonic_decreasing
    assert frame.index[0] == "309"


def test_coefficients_side_by_side():
    frame = data("coefficients", {"ML": slopes().refit_ml(), "REML": slopes()}, intercept=True)
    assert list(frame["term"]) == ["Intercept", "Intercept", "Days", "Days"]
    table = slopes().coefficient_frame(ddf="satterthwaite", alpha=0.05)
    mine = frame[frame["model"] == "REML"].set_index("term")
    np.testing.assert_array_equal(mine["lower"], table["lower"])


def test_interaction_is_the_table_of_means():
    frame = data("interaction", cake())
    assert list(frame.columns[:2]) == ["recipe", "temperature"]
    assert len(frame) == 18


def test_shares_of_variance_sum_to_one():
    frame = data("variance", [slopes(), intercepts()])
    np.testing.assert_allclose(frame.groupby("model")["share"].sum(), 1.0)
    share = frame.set_index(["model", "part"])["share"]
    assert np.isclose(share["Model 1", "Fixed effects"], slopes().r2().marginal)


def test_correlation_of_effects_and_of_residuals():
    frame = data("correlation", machines())
    np.testing.assert_allclose(frame, machines().varcorr["Worker"].corr)
    lags = data("correlation", serial()).to_numpy()[0]
    np.testing.assert_allclose(lags, 0.76 ** np.arange(10))


def test_zeta_meets_the_intervals():
    profile = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff")).profile()
    limits, frame = profile.conf_int(), data("zeta", profile)
    for name in profile.names:
        mine = frame[frame["parameter"] == name]
        for end, sign in (("lower", -1.0), ("upper", 1.0)):
            if name == "sd_Intercept|Batch" and end == "lower" and limits.loc[name, end] == 0.0:
                continue
            found = np.interp(sign * ndtri(0.975), mine["zeta"], mine["value"])
            assert np.isclose(found, limits.loc[name, end], rtol=2e-3)


def test_densities_hold_what_zeta_says():
    profile = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff")).profile()
    frame = data("density", profile, parameters=["sigma", "Intercept"])
    for _, mine in frame.groupby("parameter"):
        mass = np.trapezoid(mine["density"], mine["value"]) if hasattr(np, "trapezoid") else None
        if mass is not None:
            expected = ndtr(mine["zeta"].iloc[-1]) - ndtr(mine["zeta"].iloc[0])
            assert np.isclose(mass, expected, rtol=2e-3)


def test_bootstrap_is_long():
    found = slopes().bootstrap(20, seed=1)
    frame = data("bootstrap", found, parameters="Days")
    np.testing.assert_array_equal(frame["value"], found.to_frame()["Days"])


def test_trace_knows_the_rejected():
    frame = data("trace", way())
    assert list(frame["accepted"]) == [True, True, False, True, True, True, True]
    assert frame["excess"].min() == 0.0


def test_overview_has_the_data_of_its_panels():
    frame = data("overview", slopes())
    assert list(dict.fromkeys(frame["panel"])) == [
        "residuals",
        "qq",
        "scale_location",
        "caterpillar",
    ]
    assert (frame["panel"] == "caterpillar").sum() == 18
