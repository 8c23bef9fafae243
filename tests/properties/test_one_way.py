"""Closed forms of the one-way random model and the engine check each other."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lmmformula as lf
from lmmformula.errors import SingularFitWarning


def drawn(seed, sizes, ratio, shift, unit):
    """Draw responses in groups of given sizes; shuffled rows."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    effects = np.sqrt(ratio) * rng.standard_normal(len(sizes))
    y = unit * (shift + effects[groups] + rng.standard_normal(len(groups)))
    data = pd.DataFrame({"y": y, "g": [f"g{i:02}" for i in groups]})
    return data.sample(frac=1.0, random_state=seed)


def check(data):
    """Compare both criteria, at the optimum and at the boundary."""
    analysis = lf.one_way_random("y", "g", data)
    model = lf.lmm("y ~ 1 + (1 | g)", data)
    for ours, reml in ((analysis.ml, False), (analysis.reml, True)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SingularFitWarning)
            fit = model.fit(reml)
        assert fit.converged
        assert fit.llf == pytest.approx(ours.llf, abs=1e-8)
        assert fit.params["Intercept"] == pytest.approx(ours.mean, rel=1e-7)
        assert fit.bse["Intercept"] == pytest.approx(ours.mean_se, rel=1e-6)
        # The criterion is flat to second order at its minimum: half of the digits are left.
        assert fit.scale == pytest.approx(ours.var_resid, rel=1e-6)
        assert fit.theta[0] ** 2 == pytest.approx(ours.ratio, rel=1e-6, abs=1e-8)
        assert (fit.theta[0] == 0.0) == ours.on_boundary
    table = fit.ranef(condvar=True)
    assert list(table["level"]) == list(analysis.blups.index)
    size = float(np.std(data["y"]))
    assert table["value"].to_numpy() == pytest.approx(analysis.blups["blup"], abs=1e-6 * size)
    assert table["sd"].to_numpy() == pytest.approx(analysis.blups["sd"], abs=1e-6 * size)
    return analysis


scales = st.sampled_from([1.0, 1e-3, 1e4])


@given(
    seed=st.integers(0, 10**6),
    groups=st.integers(2, 15),
    size=st.integers(2, 8),
    ratio=st.sampled_from([0.0, 0.05, 0.5, 4.0]),
    unit=scales,
)
def test_balanced(seed, groups, size, ratio, unit):
    analysis = check(drawn(seed, [size] * groups, ratio, 5.0, unit))
    between, within = analysis.groups.mean_squares
    assert analysis.reml.on_boundary == (between <= within)
    assert analysis.ml.on_boundary == ((1 - 1 / groups) * between <= within)
    assert analysis.moments.on_boundary == (between <= within)
    if between > within:
        assert analysis.reml.var_group == pytest.approx(analysis.moments.var_group, rel=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_balanced_below_the_boundary(seed):
    """Groups that differ less than their residuals make them: MSA < MSE."""
    data = drawn(seed, [5] * 6, 0.0, 2.0, 1.0)
    middle = data.groupby("g")["y"].transform("mean")
    analysis = check(data.assign(y=data["y"] - 0.9 * middle))
    assert analysis.f_test().statistic < 1.0
    assert analysis.moments.var_group < 0.0 == analysis.reml.var_group
    total = analysis.anova["sum_sq"].iloc[2]
    assert analysis.reml.var_resid == pytest.approx(total / 29, rel=1e-12)
    assert analysis.ml.var_resid == pytest.approx(total / 30, rel=1e-12)


@given(
    seed=st.integers(0, 10**6),
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=12).filter(lambda s: sum(s) > len(s)),
    ratio=st.sampled_from([0.0, 0.05, 0.5, 4.0]),
    unit=scales,
)
def test_unbalanced(seed, sizes, ratio, unit):
    check(drawn(seed, sizes, ratio, 5.0, unit))
