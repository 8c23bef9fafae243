"""Reads the stored fits of structured models and fits our counterpart of each once."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import lmmformula as lf
from lmmformula.datasets.csv import read_csv
from tests.reference import names, reader

HERE = Path(__file__).parent


@cache
def fits(collection: str) -> dict[str, dict[str, Any]]:
    """Return the stored fits of ``residual``, ``random`` or ``repmeas``, by id."""
    return json.loads((HERE / f"{collection}.json").read_text())["fits"]


@cache
def _columns(dataset: str) -> dict[str, dict[str, Any]]:
    own = json.loads((HERE / "data" / "schema.json").read_text())
    return own[dataset] if dataset in own else reader.schema()[dataset]["columns"]


@cache
def _frame(dataset: str) -> pd.DataFrame:
    factors = {name: c["levels"] for name, c in _columns(dataset).items() if c["type"] == "factor"}
    data = read_csv(HERE / "data" / f"{dataset}.csv", dtype=dict.fromkeys(factors, str))
    for name, levels in factors.items():
        data[name] = pd.Categorical(data[name], categories=levels)
    return data


def frame(dataset: str) -> pd.DataFrame:
    """Return a fresh frame with R's types."""
    own = (HERE / "data" / f"{dataset}.csv").exists()
    return _frame(dataset).copy() if own else reader.frame(dataset)


def model(collection: str, fit_id: str) -> lf.LinearMixedModel:
    """Return our unfitted model."""
    stored = fits(collection)[fit_id]
    return lf.lmm(
        stored["formula"],
        frame(stored["dataset"]),
        residual=stored.get("residual"),
        variance=stored.get("variance"),
        weights=stored.get("weights"),
    )


@cache
def fit(collection: str, fit_id: str) -> lf.LinearMixedResults:
    """Return our fit."""
    return model(collection, fit_id).fit(reml=fits(collection)[fit_id]["reml"])


def pair(collection: str, fit_id: str) -> tuple[lf.LinearMixedResults, dict[str, Any]]:
    """Return our fit and the stored one."""
    return fit(collection, fit_id), fits(collection)[fit_id]


def fixed_names(stored: dict[str, Any]) -> list[str]:
    """Return R's names of the fixed effects in our spelling."""
    columns = _columns(stored["dataset"])
    factors = {
        name: column | {"ordered": False}
        for name, column in columns.items()
        if column["type"] == "factor"
    }
    return names.translate(list(stored["fixef"]), factors, None)


def word_and_group(text: str) -> tuple[str, str]:
    """``cs(0 + visit | subject)`` as ``("cs", "subject")``."""
    found = re.fullmatch(r"(\w+)\(.*\| *(.*)\)", text)
    assert found is not None, text
    return found[1], found[2]


def residual_parameters(stored: dict[str, Any]) -> dict[str, float]:
    """Return natural parameters of the residuals under the names that we give them."""
    out: dict[str, float] = {}
    if (own := stored.get("residual_parameters")) is not None:
        word, _ = word_and_group(own["text"])
        out |= _correlations(word.removeprefix("hom").removeprefix("het"), own, stored["dataset"])
        if "sd" in own:
            first, *others = own["sd"]
            out |= {f"ratio_{level}": own["sd"][level] / own["sd"][first] for level in others}
    for function in stored.get("variance_parameters") or []:
        if "ratio" in function:
            _, *others = function["ratio"]
            out |= {f"ratio_{level}": function["ratio"][level] for level in others}
        for name in ("power", "expon"):
            value = function.get(name)
            if isinstance(value, dict):
                out |= {f"{name}.{level}": number for level, number in value.items()}
            elif value is not None:
                out[name] = value
    return out


def _correlations(word: str, own: dict[str, Any], dataset: str) -> dict[str, float]:
    """Names of a correlation's parameters; packages give some as a matrix only."""
    if word == "us":
        times = frame(dataset)[own["text"].split("(")[1].split(" |")[0]]
        labels = times.cat.categories if times.dtype == "category" else np.unique(times)
        pairs = combinations(range(len(labels)), 2)
        return {f"cor_{labels[j]}.{labels[i]}": own["corr"][i][j] for i, j in pairs}
    if word == "toep":
        lags = own["first_row"][1:]
        return {f"rho_{lag}": value for lag, value in enumerate(lags, start=1)}
    if word == "arma":
        return dict(zip(("phi", "theta"), own["parameters"], strict=True))
    if "phi" in own:
        return {"rho": own["phi"]}
    rho = own["parameters"] if "parameters" in own else own["first_row"][1]
    return {"rho": float(np.ravel(rho)[0])}


def exponential(places: np.ndarray, scale: float) -> np.ndarray:
    """Correlations of places (k, d) that fall with their distance."""
    gaps = places[:, None, :] - places[None, :, :]
    return np.exp(-np.sqrt((gaps**2).sum(axis=-1)) / scale)
