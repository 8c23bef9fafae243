"""Sets of contrasts."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.errors import DimensionError, OptionError
from lmmformula.inference.marginal.families import FAMILIES, contrast_set, family_named

LABELS = ("a", "b", "c", "d")

TABLE = {  # Fisher and Yates' table of orthogonal polynomials
    3: [[-1, 0, 1], [1, -2, 1]],
    4: [[-3, -1, 1, 3], [1, -1, -1, 1], [-1, 3, -3, 1]],
    5: [[-2, -1, 0, 1, 2], [2, -1, -2, -1, 2], [-1, 2, 0, -2, 1], [1, -4, 6, -4, 1]],
}


@pytest.mark.parametrize("k", sorted(TABLE))
def test_polynomials_are_the_tables(k):
    made = contrast_set("poly", LABELS[:1] * k, 0)
    assert made.weights.tolist() == TABLE[k]


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize("k", [2, 3, 7])
def test_contrasts_sum_to_zero(name, k):
    made = contrast_set(name, [str(i) for i in range(k)], 0)
    assert len(made.names) == len(made.weights) > 0
    np.testing.assert_allclose(made.weights.sum(axis=1), 0, atol=1e-12)


def test_names():
    assert contrast_set("pairwise", LABELS[:3], 0).names == ("a - b", "a - c", "b - c")
    assert contrast_set("revpairwise", LABELS[:3], 0).names == ("b - a", "c - a", "c - b")
    assert contrast_set("trt.vs.ctrl", LABELS[:3], 1).names == ("a - b", "c - b")
    assert contrast_set("consec", LABELS[:3], 0).names == ("b - a", "c - b")
    assert contrast_set("poly", LABELS, 0).names == ("linear", "quadratic", "cubic")
    assert contrast_set("eff", LABELS[:2], 0).names == ("a effect", "b effect")
    assert contrast_set([[1, 0, 0, -1]], LABELS, 0).names == ("c1",)


def test_synonyms():
    assert family_named("sequential") is FAMILIES["consec"]
    assert family_named("vs control") is FAMILIES["trt.vs.ctrl"]


def test_custom_contrasts():
    by_list = contrast_set({"first": [1, -1, 0, 0]}, LABELS, 0)
    by_label = contrast_set({"first": {"a": 1, "b": -1}}, LABELS, 0)
    assert by_list.names == by_label.names == ("first",)
    assert by_list.weights.tolist() == by_label.weights.tolist() == [[1, -1, 0, 0]]


def test_unknown_family():
    with pytest.raises(OptionError) as caught:
        contrast_set("pairwse", LABELS, 0)
    assert caught.value.closest == "pairwise"


@pytest.mark.parametrize("row", [[1, -1], [1, -1, 0, 0, 0], 3.0])
def test_wrong_length(row):
    with pytest.raises(DimensionError) as caught:
        contrast_set({"odd": row}, LABELS, 0)
    assert caught.value.contrast == "odd"
    assert caught.value.expected == 4


def test_unknown_label():
    with pytest.raises(OptionError) as caught:
        contrast_set({"odd": {"a": 1, "z": -1}}, LABELS, 0)
    assert caught.value.available == LABELS


@pytest.mark.parametrize("method", [{"odd": [1, np.nan, 0, 0]}, {}])
def test_unusable_coefficients(method):
    with pytest.raises(OptionError):
        contrast_set(method, LABELS, 0)
