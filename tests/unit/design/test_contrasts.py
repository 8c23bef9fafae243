"""Codings and the names that they give to columns."""

import numpy as np
import pandas as pd
import pytest
from formulaic.transforms.contrasts import (
    DiffContrasts,
    HelmertContrasts,
    PolyContrasts,
    SumContrasts,
    TreatmentContrasts,
)

from lmmformula.design.contrasts import CONTRASTS, coding, resolve_contrast
from tests.unit.design.frames import N, design, frame

LEVELS = ("a", "b", "c")
NAMES = {
    "treatment": ("[T.b]", "[T.c]"),
    "sum": ("[S.a]", "[S.b]"),
    "poly": ("[.L]", "[.Q]"),
    "helmert": ("[H.b]", "[H.c]"),
    "diff": ("[D.b]", "[D.c]"),
    "sas": ("[T.a]", "[T.b]"),
}
R_MATRICES = {
    "treatment": [[0, 0], [1, 0], [0, 1]],
    "sum": [[1, 0], [0, 1], [-1, -1]],
    "poly": [[-(0.5**0.5), 6**-0.5], [0, -2 * 6**-0.5], [0.5**0.5, 6**-0.5]],
    "helmert": [[-1, -1], [1, -1], [0, 2]],
    "sas": [[1, 0], [0, 1], [0, 0]],
}


@pytest.mark.parametrize("name", CONTRASTS)
def test_every_contrast_has_names_and_full_rank(name):
    made = coding(resolve_contrast(name, "f"), LEVELS, full=False, variable="f")
    assert made.fields == NAMES[name]
    matrix = np.column_stack([made.column(j, np.arange(3)) for j in range(2)])
    assert np.linalg.matrix_rank(np.column_stack([np.ones(3), matrix])) == 3
    if name in R_MATRICES:
        np.testing.assert_allclose(matrix, R_MATRICES[name], atol=1e-12)


@pytest.mark.parametrize("name", CONTRASTS)
def test_full_coding_is_one_column_per_level(name):
    made = coding(resolve_contrast(name, "f"), LEVELS, full=True, variable="f")
    assert made.fields == ("[a]", "[b]", "[c]")
    assert made.column(1, np.array([0, 1, 2])).tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("sum", SumContrasts),
        ("contr.sum", SumContrasts),
        ("Sum", SumContrasts),
        (SumContrasts, SumContrasts),
        (HelmertContrasts(scale=True), HelmertContrasts),
        ("poly", PolyContrasts),
        ("diff", DiffContrasts),
    ],
)
def test_forms_of_a_contrast(given, kind):
    assert isinstance(resolve_contrast(given, "f"), kind)


@pytest.mark.parametrize(
    "formula",
    ["y ~ h + (1 | g)", "y ~ C(h, contr.sum) + (1 | g)", "y ~ C(h, sum) + (1 | g)"],
)
def test_names_of_a_wrapped_variable(formula):
    contrasts = {"h": "sum"} if "C(" not in formula else None
    made = design(formula, contrasts=contrasts)
    assert made.matrices.fixed_names == ("Intercept", "h[S.a]", "h[S.b]", "h[S.c]")
    assert [term.label for term in made.spec.fixed_terms] == ["Intercept", "h"]
    assert made.spec.factors == {"h": ("a", "b", "c", "d")}


def test_wrapped_variable_wins_over_the_argument():
    made = design("y ~ C(h, contr.sum) + (1 | g)", contrasts={"h": "helmert"})
    assert made.matrices.fixed_names[1] == "h[S.a]"
    other = design("y ~ C(h) + (1 | g)", contrasts={"h": "helmert"})
    assert other.matrices.fixed_names[1] == "h[H.b]"


def test_numbers_as_categories():
    made = design("y ~ C(k) + factor(k):x + (1 | g)", frame(k=np.tile([3, 1, 2], 8)))
    assert made.matrices.fixed_names == (
        "Intercept",
        "k[T.2]",
        "k[T.3]",
        "k[1]:x",
        "k[2]:x",
        "k[3]:x",
    )
    assert made.spec.factors == {"k": ("1", "2", "3")}
    assert [term.variables for term in made.spec.fixed_terms] == [(), ("k",), ("k", "x")]


def test_base_level_and_order_of_levels():
    made = design("y ~ relevel(h, ref = 'c') + (1 | g)")
    assert made.matrices.fixed_names == ("Intercept", "h[T.a]", "h[T.b]", "h[T.d]")
    made = design("y ~ h + (1 | g)", contrasts={"h": TreatmentContrasts(base="b")})
    assert made.matrices.fixed_names == ("Intercept", "h[T.a]", "h[T.c]", "h[T.d]")
    data = frame(k=np.tile([3, 1, 2], 8))
    made = design("y ~ factor(k) + (1 | g)", data, contrasts={"k": TreatmentContrasts(base=2)})
    assert made.matrices.fixed_names == ("Intercept", "k[T.1]", "k[T.3]")
    made = design("y ~ factor(h, levels = c('d', 'b', 'c', 'a')) + (1 | g)")
    assert made.spec.factors == {"h": ("d", "b", "c", "a")}


def test_ordered_factors_use_treatment_coding_unless_asked():
    data = frame(o=lambda d: pd.Categorical(d.h, list("dcba"), ordered=True))
    assert design("y ~ o + (1 | g)", data).matrices.fixed_names[1:] == (
        "o[T.c]",
        "o[T.b]",
        "o[T.a]",
    )
    made = design("y ~ o + (o | k)", data.assign(k=np.repeat([1, 2], 12)), contrasts={"o": "poly"})
    assert made.matrices.fixed_names == ("Intercept", "o[.L]", "o[.Q]", "o[.C]")
    assert made.matrices.random[0].effect_names == made.matrices.fixed_names
    assert made.matrices.random[0].z is made.matrices.X


def test_own_matrices():
    made = design("y ~ h + (1 | g)", contrasts={"h": {"ab": [1, -1, 0, 0], "cd": [0, 0, 1, -1]}})
    assert made.matrices.fixed_names == ("Intercept", "h[ab]", "h[cd]")
    made = design("y ~ h + (1 | g)", contrasts={"h": np.eye(4)[:, 1:]})
    assert made.matrices.X[:4, 1:].tolist() == np.eye(4)[:, 1:].tolist()


def test_true_and_false_are_a_factor_as_in_r():
    flags = np.arange(N) % 3 == 0
    made = design("y ~ flag + (1 | g)", frame(flag=flags))
    assert made.matrices.fixed_names == ("Intercept", "flag[T.True]")
    assert made.matrices.X[:, 1].tolist() == flags.astype(float).tolist()
    made = design("y ~ 0 + flag + (1 | g)", frame(flag=flags), contrasts={"flag": "sum"})
    assert made.matrices.fixed_names == ("flag[False]", "flag[True]")
    response = design("flag ~ x + (1 | g)", frame(flag=flags))
    assert set(response.matrices.y) == {0.0, 1.0}
