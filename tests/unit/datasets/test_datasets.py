"""Bundled data: shapes, names and levels as in R, fresh frames, speed, honest errors."""

from __future__ import annotations

import time

import pandas as pd
import pytest

from lmmformula.datasets import list_datasets, load_dataset
from lmmformula.datasets.catalog import CATALOG, LEFT_OUT
from lmmformula.errors import OptionError
from tests.reference.reader import frame, schema

NAMES = list(CATALOG)
COLUMNS = {
    "sleepstudy": ["Reaction", "Days", "Subject"],
    "dyestuff": ["Batch", "Yield"],
    "dyestuff2": ["Batch", "Yield"],
    "penicillin": ["diameter", "plate", "sample"],
    "pastes": ["strength", "batch", "cask", "sample"],
    "cake": ["replicate", "recipe", "temperature", "angle", "temp"],
    "insteval": ["s", "d", "studage", "lectage", "service", "dept", "y"],
    "machines": ["Worker", "Machine", "score"],
    "grocery": ["item", "store", "price"],
}


@pytest.mark.parametrize("name", NAMES)
def test_columns_and_rows(name):
    data = load_dataset(name)
    assert list(data.columns) == COLUMNS[name]
    assert len(data) == CATALOG[name].rows
    assert not data.isna().any(axis=None)


@pytest.mark.parametrize("name", NAMES)
def test_types_are_those_of_r(name):
    data = load_dataset(name)
    for column, stored in schema()[name]["columns"].items():
        if column not in data:
            continue
        if stored["type"] == "factor":
            assert list(data[column].cat.categories) == stored["levels"]
            assert data[column].cat.ordered == stored["ordered"]
        else:
            assert data[column].dtype == {"float": "float64", "int": "int64"}[stored["type"]]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "insteval"])
def test_values_are_those_of_the_reference(name):
    pd.testing.assert_frame_equal(
        load_dataset(name), frame(name)[COLUMNS[name]], check_dtype=False, check_exact=True
    )


def test_insteval_values():
    data = load_dataset("insteval")
    assert data.iloc[0].astype(str).tolist() == ["1", "1002", "2", "2", "0", "2", "5"]
    assert int(data["y"].sum()) == 235369


@pytest.mark.parametrize("name", ["SleepStudy", " sleepstudy ", "SLEEPSTUDY"])
def test_any_case(name):
    assert len(load_dataset(name)) == 180


def test_frames_are_fresh():
    data = load_dataset("dyestuff")
    data.loc[0, "Yield"] = -1.0
    assert load_dataset("dyestuff").loc[0, "Yield"] == 1545.0


def test_insteval_loads_quickly():
    load_dataset("dyestuff")
    started = time.perf_counter()
    load_dataset("insteval")
    assert time.perf_counter() - started < 1.0  # about 0.03 s; a busy machine is forgiven


def test_unknown_name_offers_the_nearest():
    with pytest.raises(OptionError) as caught:
        load_dataset("sleepstud")
    assert caught.value.nearest == "sleepstudy"
    assert caught.value.available == tuple(NAMES)
    assert 'load_dataset("sleepstudy")' in str(caught.value)


def test_hopeless_name():
    with pytest.raises(OptionError) as caught:
        load_dataset("qqqq")
    assert caught.value.nearest is None


@pytest.mark.parametrize("name", [None, 3])
def test_not_a_name(name):
    with pytest.raises(OptionError):
        load_dataset(name)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_left_out_with_a_reason(name):
    with pytest.raises(OptionError, match="not bundled") as caught:
        load_dataset(name)
    assert caught.value.got == LEFT_OUT[name]


def test_list():
    table = list_datasets()
    assert list(table.columns) == ["name", "rows", "description", "origin", "licence"]
    assert list(table["name"]) == NAMES
    assert table.ne("").all(axis=None)
    assert table.attrs["left_out"] == LEFT_OUT
