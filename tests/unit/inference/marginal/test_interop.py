"""The adapter for the marginaleffects package."""

from __future__ import annotations

import importlib.util

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DataError, OptionError

MISSING = importlib.util.find_spec("marginaleffects") is None


@pytest.fixture(scope="module")
def fitted():
    data = lf.load_dataset("cake")
    return lf.lmer("angle ~ recipe * temp + (1 | recipe:replicate)", data), data


@pytest.mark.skipif(not MISSING, reason="marginaleffects is installed")
def test_needs_the_package(fitted):
    fit, data = fitted
    with pytest.raises(OptionError) as caught:
        fit.marginaleffects(data)
    assert caught.value.package == "marginaleffects"


@pytest.fixture
def package():
    return pytest.importorskip("marginaleffects")


@pytest.mark.filterwarnings("ignore")
def test_predictions_are_our_means(package, fitted):
    fit, data = fitted
    model = fit.marginaleffects(data, ddf="kenward-roger")
    theirs = package.avg_predictions(model, by="recipe").to_pandas()
    ours = fit.marginal_means("recipe", ddf="kenward-roger").to_frame()
    assert theirs["recipe"].tolist() == ours["recipe"].tolist()
    np.testing.assert_allclose(theirs["estimate"], ours["mean"], rtol=1e-10)
    np.testing.assert_allclose(theirs["std_error"], ours["se"], rtol=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_comparisons_and_slopes(package, fitted):
    fit, data = fitted
    model = fit.marginaleffects(data)
    theirs = package.avg_comparisons(model, variables={"recipe": "pairwise"}).to_pandas()
    ours = fit.marginal_means("recipe").contrasts("revpairwise", "none").to_frame()
    np.testing.assert_allclose(np.sort(theirs["estimate"]), np.sort(ours["estimate"]), rtol=1e-6)
    slopes = package.avg_slopes(model, variables="temp", by="recipe").to_pandas()
    expected = fit.marginal_slopes("temp", by="recipe")["slope"]
    np.testing.assert_allclose(slopes["estimate"], expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_grids_missing_rows_and_transforms(package):
    data = lf.load_dataset("sleepstudy")
    data.loc[[3, 7], "Days"] = np.nan
    data = data.assign(sex=np.where(data["Subject"].astype(int) % 2, "f", "m"))
    with pytest.warns(lf.errors.DroppedRowsWarning):
        fit = lf.lmer("Reaction ~ poly(Days, 2) * sex + (1 | Subject)", data)
    model = fit.marginaleffects(data, df=20.0)
    grid = package.datagrid(model=model, Days=[0.5, 4.0], sex=["m"])
    theirs = package.predictions(model, newdata=grid).to_pandas()
    rows = pd.DataFrame({"Days": [0.5, 4.0], "sex": ["m", "m"]})
    np.testing.assert_allclose(theirs["estimate"], fit.predict(rows, random="none"), rtol=1e-8)
    assert len(package.predictions(model)) == 178


@pytest.mark.filterwarnings("ignore")
def test_bad_input(package, fitted):
    fit, data = fitted
    with pytest.raises(DataError) as caught:
        fit.marginaleffects(data.iloc[:10])
    assert caught.value.expected == len(data)
    with pytest.raises(OptionError):
        fit.marginaleffects(data, df=0)
    with pytest.raises(OptionError):
        package.predictions(fit.marginaleffects(data), vcov="HC3")
