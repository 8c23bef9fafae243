"""Reads the stored R results and their data, and fits our counterpart of each model once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import lmmformula as lf
from lmmformula.datasets.csv import read_csv
from tests.reference import names

HERE = Path(__file__).parent
MODEL_IDS = tuple(sorted(path.stem for path in (HERE / "models").glob("*.json")))


@dataclass(frozen=True)
class Reference:
    """One model as R fitted it; fields as in README.md."""

    fields: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def fixed_names(self) -> list[str]:
        """Coefficient names in our spelling."""
        return names.translate(list(self.fixef), factors(self.dataset), self.contrasts)

    def effect_names(self, r_names: list[str]) -> list[str]:
        """Random-effect names in our spelling."""
        return names.translate(r_names, factors(self.dataset), self.contrasts)


@cache
def schema() -> dict[str, Any]:
    """Column types of all data sets."""
    return json.loads((HERE / "data" / "schema.json").read_text())["datasets"]


def factors(dataset: str) -> dict[str, dict[str, Any]]:
    """Return levels and orderedness of a data set's factors."""
    columns = schema()[dataset]["columns"]
    return {name: column for name, column in columns.items() if column["type"] == "factor"}


@cache
def _frame(dataset: str) -> pd.DataFrame:
    if dataset == "insteval":
        return lf.load_dataset("insteval")
    columns = schema()[dataset]["columns"]
    data = read_csv(
        HERE / "data" / schema()[dataset]["file"],
        dtype={name: str for name, column in columns.items() if column["type"] == "factor"},
        keep_default_na=False,
        na_values=["NA"],
    )
    for name, column in columns.items():
        if column["type"] == "factor":
            data[name] = pd.Categorical(
                data[name], categories=column["levels"], ordered=bool(column["ordered"])
            )
    return data


def frame(dataset: str) -> pd.DataFrame:
    """Return a fresh frame with R's types: factors as categoricals in R's order of levels."""
    return _frame(dataset).copy()


@cache
def reference(model_id: str) -> Reference:
    """Return the stored results of one model."""
    return Reference(json.loads((HERE / "models" / f"{model_id}.json").read_text()))


def model_arguments(model_id: str) -> dict[str, Any]:
    """Return what our ``lmm`` takes for a reference model."""
    ref = reference(model_id)
    contrasts = {name: kind.removeprefix("contr.") for name, kind in (ref.contrasts or {}).items()}
    for name, column in factors(ref.dataset).items():
        if column["ordered"] and name in ref.formula:
            contrasts[name] = "poly"
    return {
        "formula": ref.formula,
        "data": frame(ref.dataset),
        "weights": ref.weights,
        "offset": ref.offset,
        "contrasts": contrasts or None,
    }


@cache
def model(model_id: str) -> lf.LinearMixedModel:
    """Return our unfitted model."""
    return lf.lmm(**model_arguments(model_id))


@cache
def fit(model_id: str) -> lf.LinearMixedResults:
    """Return our fit, made once for the whole suite."""
    return model(model_id).fit(reml=reference(model_id).reml)


def newdata(ref: Reference) -> pd.DataFrame:
    """Return the rows of ``predict`` with the types a user would give them."""
    rows = pd.DataFrame(ref.predict["rows"])
    columns = schema()[ref.dataset]["columns"]
    for name in rows.columns:
        if columns[name]["type"] != "factor":
            rows[name] = rows[name].astype(np.float64)
    return rows
