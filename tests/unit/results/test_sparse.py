"""`fit(method="sparse")`: the same results as with dense blocks, and clear words where it stops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import InferenceWarning, OptionError

FORMULA = "y ~ x + (1 | pupil) + (1 + x | school) + (1 | area)"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    place = np.repeat(rng.random(120), 3)
    pupil = np.repeat(np.arange(120), 3)
    school = (np.clip(place + 0.05 * rng.normal(size=360), 0.0, 0.999) * 12).astype(int)
    area = (np.clip(place + 0.02 * rng.normal(size=360), 0.0, 0.999) * 25).astype(int)
    x = rng.normal(size=360)
    y = 1.0 + 0.5 * x + rng.normal(size=360)
    for codes, size in ((pupil, 0.7), (school, 0.6), (area, 0.5)):
        y += size * rng.normal(size=codes.max() + 1)[codes]
    y += 0.4 * rng.normal(size=12)[school] * x
    named = {"pupil": pupil, "school": school, "area": area}
    return pd.DataFrame({"y": y, "x": x, **{k: v.astype(str) for k, v in named.items()}})


@pytest.fixture(scope="module")
def fits(data):
    model = lf.lmm(FORMULA, data)
    return model.fit(method="dense"), model.fit(method="sparse")


def test_the_fit_says_what_it_is(fits):
    dense, sparse = fits
    assert (dense.system.tail.kind, sparse.system.tail.kind) == ("dense", "sparse")
    assert sparse.converged


def test_estimates(fits):
    dense, sparse = fits
    assert sparse.llf == pytest.approx(dense.llf, abs=1e-7)
    np.testing.assert_allclose(sparse.theta, dense.theta, atol=2e-6)
    np.testing.assert_allclose(sparse.params, dense.params, atol=1e-6)
    np.testing.assert_allclose(sparse.bse, dense.bse, rtol=1e-5)


def test_degrees_of_freedom_and_intervals(fits):
    dense, sparse = fits
    np.testing.assert_allclose(sparse.conf_int(), dense.conf_int(), atol=1e-5)
    ours, theirs = (fit.conf_int(method="profile", which="sigma") for fit in (sparse, dense))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_rows(fits, data):
    dense, sparse = fits
    moved = data.head(20).assign(school=data["school"].to_numpy()[-20:])
    for rows in (data.head(20), moved):
        ours, theirs = (fit.predict(rows, interval="prediction") for fit in (sparse, dense))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_kenward_roger_is_refused(fits):
    _, sparse = fits
    with pytest.raises(OptionError, match="Kenward") as caught:
        sparse.t_test("x = 0", ddf="kenward-roger")
    assert 'fit(method="dense")' in str(caught.value)


def test_no_mixture_for_several_variances(data):
    small = lf.lmm("y ~ x + (1 | pupil)", data).fit(reml=False)
    large = lf.lmm("y ~ x + (1 | pupil) + (1 | school) + (1 | area)", data)
    with pytest.warns(InferenceWarning, match="kept sparse"):
        lf.anova(small, large.fit(method="sparse", reml=False), boundary="chibar")
