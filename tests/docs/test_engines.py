"""The table of what works with which engine, row by row."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import DataError, LMMWarning, OptionError
from tests.docs.blocks import ROOT

HEAD = "| | exact | exact, data in pieces | krylov | partitioned |"


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    g, h = np.sort(rng.integers(0, 20, 300)), rng.integers(0, 9, 300)
    data = pd.DataFrame(
        {"x": rng.normal(size=300), "g": g, "h": h, "f": rng.choice(["a", "b"], 300)}
    )
    data["y"] = data["x"] + rng.normal(size=20)[g] + rng.normal(size=300)
    return data


DATA = rows()
FORMULA = "y ~ x + f + (1 | g)"


def saved(fit: Any, folder: Any) -> None:
    fit.save(folder / "fit.lmm")
    assert lf.load(folder / "fit.lmm").objective == fit.objective
    assert lf.from_json(fit.to_json()).objective == fit.objective


CALLS: dict[str, list[Callable[[Any, Any], Any]]] = {
    "`summary()`, `conf_int()`": [
        lambda fit, _: fit.summary().as_text(),
        lambda fit, _: fit.conf_int(),
        lambda fit, _: fit.t_test([0, 1, 0]),
        lambda fit, _: fit.anova(),
    ],
    "`covariance_parameters()`": [lambda fit, _: fit.covariance_parameters()],
    "`marginal_means()`": [
        lambda fit, _: fit.marginal_means("f").frame,
        lambda fit, _: fit.marginal_slopes("x").frame,
    ],
    "`ranef(condvar=True)`": [lambda fit, _: fit.ranef(condvar=True), lambda fit, _: fit.coef()],
    "`refit_ml()`, `lf.anova()`": [
        lambda fit, _: fit.refit_ml(),
        lambda fit, _: lf.anova(fit.model.at([0.0]), fit),
        lambda fit, _: str(lf.compare(fit.model.at([0.0]), fit)),
    ],
    "`predict(new)`": [lambda fit, _: fit.predict(DATA[:3])],
    "`augment(data)`": [lambda fit, _: fit.augment(DATA)[".fitted"]],
    "`check()`, `report()`": [
        lambda fit, _: str(fit.check()),
        lambda fit, folder: fit.report(folder / "fit.html", figures=False),
    ],
    "`save()`, `to_json()`": [saved],
    "Kenward and Roger's": [lambda fit, _: fit.summary(ddf="kenward-roger").as_text()],
    "`predict(new, interval=)`": [lambda fit, _: fit.predict(DATA[:3], interval="confidence")],
    "leverages": [lambda fit, _: _leverages(fit.augment(DATA))],
    "`profile()`": [lambda fit, _: fit.profile("sigma").conf_int()],
    "`r2()`, `icc()`": [lambda fit, _: fit.r2(), lambda fit, _: fit.icc()],
    "`conditional_aic()`": [lambda fit, _: fit.conditional_aic()],
    "`fittedvalues`": [lambda fit, _: fit.fittedvalues, lambda fit, _: fit.residuals()],
    "`simulate()`, `refit(y)`": [
        lambda fit, _: fit.simulate(1, seed=1),
        lambda fit, _: fit.refit(DATA["y"]),
    ],
    "`ranova()`, `drop1()`": [
        lambda fit, _: fit.ranova(),
        lambda fit, _: fit.drop1(),
        lambda fit, _: lf.exact_rlrt(fit, n=50, seed=1),
    ],
    "`bootstrap()`": [
        lambda fit, _: fit.bootstrap(2, seed=1),
        lambda fit, _: lf.bootstrap_lrt(lf.lmer("y ~ x + (1 | g)", DATA), fit, 2, seed=1),
    ],
    "`leverage()`, `influence()`": [
        lambda fit, _: fit.leverage(),
        lambda fit, _: fit.influence("g"),
        lambda fit, _: fit.residuals("standardized"),
    ],
    "`robust=`": [lambda fit, _: fit.summary(robust="CR1", cluster="g").as_text()],
}


def _leverages(frame: pd.DataFrame) -> Any:
    if ".hat" not in frame:
        raise OptionError("there are no leverages.", suggestion="the exact engine")
    return frame[".hat"]


def table() -> list[tuple[str, list[str]]]:
    """The rows of the page's table: what, and yes or no for every engine."""
    text = (ROOT / "docs" / "how-to" / "large-data.md").read_text(encoding="utf-8")
    lines = text.partition(HEAD)[2].splitlines()[2:]
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        what, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        found.append((what, cells))
    return found


@pytest.fixture(scope="module")
def fits() -> list[Any]:
    dask = pytest.importorskip("dask.dataframe")
    model = lf.lmm(FORMULA, DATA)
    parts = lf.lmm(FORMULA, dask.from_pandas(DATA, npartitions=2))
    return [
        model.fit(),
        lf.lmer(FORMULA, lf.stream(DATA, chunk_rows=100)),
        model.fit(method="krylov", precision=0.2),
        parts.fit(method="partitioned"),
    ]


def test_every_row_is_tried() -> None:
    names = [what for what, _ in table()]
    assert len(names) == len(CALLS)
    for what, start in zip(names, CALLS, strict=True):
        assert what.startswith(start)


@pytest.mark.parametrize("row", range(len(CALLS)), ids=list(CALLS))
def test_the_table_is_true(row: int, fits: list[Any], tmp_path: Any) -> None:
    what, cells = table()[row]
    calls = list(CALLS.values())[row]
    assert len(cells) == len(fits)
    for fit, cell in zip(fits, cells, strict=True):
        for call in calls:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LMMWarning)
                if cell == "yes":
                    call(fit, tmp_path)
                else:
                    assert cell == "no", what
                    with pytest.raises((OptionError, DataError)):
                        call(fit, tmp_path)
