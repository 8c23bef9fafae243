"""Rows of planned studies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import OptionError


def test_crossed_units():
    design = lf.simulate_design({"subject": 4, "item": 3}, replicates=2)
    assert design.shape == (24, 2)
    assert (design.value_counts(["subject", "item"]) == 2).all()
    assert list(design["subject"].cat.categories) == [f"subject{i}" for i in range(1, 5)]


def test_nested_units():
    design = lf.simulate_design(
        {"school": 3, "class": 2, "pupil": 12}, nested={"class": "school", "pupil": "class"}
    )
    assert design.shape == (72, 3)
    assert design["pupil"].is_unique
    per_class = design.groupby("class", observed=True)
    assert per_class["school"].nunique().eq(1).all()
    assert per_class.size().eq(12).all()
    assert design.groupby("school", observed=True)["class"].nunique().eq(2).all()
    assert design["pupil"].iloc[0] == "pupil01"


def test_nested_beside_crossed():
    design = lf.simulate_design({"site": 2, "subject": 5, "item": 3}, nested={"subject": "site"})
    assert len(design) == 30
    assert design.groupby("subject", observed=True)["item"].nunique().eq(3).all()
    inside = lf.simulate_design(
        {"school": 3, "pupil": 4, "teacher": 2}, nested={"pupil": "school", "teacher": "school"}
    )
    assert len(inside) == 3 * 4 * 2
    assert inside.groupby("teacher", observed=True)["school"].nunique().eq(1).all()
    assert inside.groupby("pupil", observed=True)["school"].nunique().eq(1).all()
    assert inside["school"].iloc[0] == inside["teacher"].iloc[0].replace("teacher", "school")


def test_conditions_within():
    design = lf.simulate_design(
        {"subject": 6}, within={"condition": ["b", "a"], "day": range(5)}, replicates=2
    )
    assert len(design) == 6 * 2 * 5 * 2
    assert list(design["condition"].cat.categories) == ["b", "a"]
    assert design["day"].dtype.kind == "i"
    assert sorted(design["day"].unique()) == list(range(5))
    halves = lf.simulate_design({"s": 2}, within={"x": [0.5, 1.5], "flag": [True, False]})
    assert halves["x"].dtype == np.float64
    assert list(halves["flag"].cat.categories) == ["True", "False"]


def test_conditions_between_are_balanced_and_crossed():
    design = lf.simulate_design(
        {"subject": 12, "item": 4},
        between={
            "group": ("subject", ["control", "treated"]),
            "age": ("subject", ["young", "middle", "old"]),
            "frequency": ("item", ["low", "high"]),
        },
    )
    subjects = design.drop_duplicates("subject")
    assert (subjects.value_counts(["group", "age"]) == 2).all()
    assert len(subjects.value_counts(["group", "age"])) == 6
    by_subject = design.groupby("subject", observed=True)[["group", "age"]].nunique()
    assert by_subject.eq(1).all(axis=None)
    assert design.drop_duplicates("item")["frequency"].value_counts().tolist() == [2, 2]
    dose = lf.simulate_design({"plot": 6}, between={"dose": ("plot", [0, 10, 20])})
    assert dose["dose"].tolist() == [0, 10, 20, 0, 10, 20]


def test_covariates():
    given = {
        "age": ("subject", lambda rng, n: rng.normal(40, 10, n)),
        "x": lambda rng, n: rng.uniform(size=n),
        "length": ("item", [3, 5, 8]),
    }
    units = {"subject": 5, "item": 3}
    design = lf.simulate_design(units, covariates=given, seed=1)
    assert design.groupby("subject", observed=True)["age"].nunique().eq(1).all()
    assert design["age"].nunique() == 5
    assert design["x"].nunique() == 15
    assert design["length"].tolist() == [3, 5, 8] * 5
    pd.testing.assert_frame_equal(design, lf.simulate_design(units, covariates=given, seed=1))
    other = lf.simulate_design(units, covariates=given, seed=2)
    assert not np.allclose(design["x"], other["x"])


@pytest.mark.parametrize(
    ("units", "options", "facts"),
    [
        ({}, {}, {"argument": "units"}),
        (["subject"], {}, {"argument": "units"}),
        ({"subject": 0}, {}, {}),
        ({"subject": 2.5}, {}, {}),
        ({"subject": 5}, {"replicates": 0}, {"argument": "replicates"}),
        ({"subject": 5}, {"nested": {"subject": "school"}}, {"name": "school"}),
        ({"a": 2, "b": 2}, {"nested": {"a": "b", "b": "a"}}, {"argument": "nested"}),
        ({"a": 2}, {"nested": {"a": "a"}}, {"argument": "nested"}),
        ({"subject": 5}, {"within": {"subject": ["a", "b"]}}, {"name": "subject"}),
        ({"subject": 5}, {"within": {"c": "ab"}}, {"argument": "c"}),
        ({"subject": 5}, {"within": {"c": ["a", "a"]}}, {"argument": "c"}),
        ({"subject": 5}, {"within": {"c": []}}, {"argument": "c"}),
        ({"subject": 5}, {"between": {"c": ["a", "b"]}}, {"argument": "between"}),
        ({"subject": 5}, {"between": {"c": ("item", ["a", "b"])}}, {"name": "c"}),
        ({"subject": 5}, {"covariates": {"x": lambda rng, n: rng.normal(size=n)}},
         {"argument": "seed"}),
        ({"subject": 5}, {"covariates": {"x": [1, 2]}}, {"name": "x"}),
        ({"subject": 5}, {"covariates": {"x": ("subject", list("abcde"))}}, {"name": "x"}),
        ({"subject": 10**6, "item": 10**6}, {}, {"argument": "units"}),
    ],
)  # fmt: skip
def test_bad_designs(units, options, facts):
    with pytest.raises(OptionError) as caught:
        lf.simulate_design(units, **options)
    for name, value in facts.items():
        assert getattr(caught.value, name) == value
    assert caught.value.suggestion
