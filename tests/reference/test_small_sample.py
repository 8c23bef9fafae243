"""Small designs: Satterthwaite and Kenward-Roger tables of SAS, JMP and lmerTest.

SAS and JMP take the observed information, lmerTest (that is pbkrtest) the expected one.
"""

from __future__ import annotations

import functools
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import InferenceWarning, SingularFitWarning
from tests.tolerances import (
    EXPECTED_INFORMATION_RTOL,
    JMP_RTOL,
    SAS_EARLY_STOP_RTOL,
    SAS_RTOL,
)

HERE = Path(__file__).parent / "small_sample"
STRIPS = ("X1", "X2", "X3", "X4", "X5", "X6")


def quadratic(variables: tuple[str, ...]) -> str:
    """Return all first- and second-order terms."""
    squares = " + ".join(f"I({name}^2)" for name in variables)
    return f"({' + '.join(variables)})^2 + {squares}"


def frame(name: str) -> pd.DataFrame:
    """Return one of the data sets, with names that a formula can hold."""
    if name == "sleep_study":
        data = lf.load_dataset("sleepstudy")
        return data.rename(columns={"Days": "days"})
    data = pd.read_csv(HERE / "data" / f"{name}.csv")
    data.columns = [column.replace(" ", "_") for column in data.columns]
    if name == "pastry_dough":
        data["FR"] = (data["Flow_Rate"] - 37.5) / 7.5
        data["MC"] = (data["Moisture_Content"] - 21) / 3
        data["SS"] = (data["Screw_Speed"] - 350) / 50
        data["LEI"] = data["Longitudinal_Expansion_Index"]
    if name == "bioequivalence":
        data["period"] = data["period"].astype(str)
    return data


BIOEQUIVALENCE = "log_data ~ period + formulation + sequence"
MODELS: dict[str, tuple[str, str]] = {
    "battery_cell": (
        "battery_cell",
        f"Y ~ ({' + '.join(STRIPS)})^2 + (1 | Whole_Plots) + (1 | Subplots)",
    ),
    "wind_tunnel": (
        "wind_tunnel",
        f"EFFICIENCY ~ {quadratic(('FRH', 'RRH', 'YA', 'GC'))} + (1 | Whole_Plots)",
    ),
    "pastry_dough": ("pastry_dough", f"LEI ~ {quadratic(('FR', 'MC', 'SS'))} + (1 | Day)"),
    "bioequivalence_homogeneous": ("bioequivalence", f"{BIOEQUIVALENCE} + (1 | subject)"),
    "bioequivalence_intermediate": (
        "bioequivalence",
        f"{BIOEQUIVALENCE} + (0 + formulation | subject)",
    ),
    "bioequivalence_heterogeneous": (
        "bioequivalence",
        f"{BIOEQUIVALENCE} + (0 + formulation | subject)",
    ),
    "sleep_study": ("sleep_study", "Reaction ~ days + (days || Subject)"),
    "sleep_study_corr": ("sleep_study", "Reaction ~ days + (days | Subject)"),
    "sleep_study_quadratic": (
        "sleep_study",
        "Reaction ~ days + I(days^2) + (days + I(days^2) || Subject)",
    ),
    "sleep_study_some_corr_quadratic": (
        "sleep_study",
        "Reaction ~ days + I(days^2) + (1 | Subject) + (0 + days + I(days^2) | Subject)",
    ),
    "sleep_study_corr_quadratic": (
        "sleep_study",
        "Reaction ~ days + I(days^2) + (days + I(days^2) | Subject)",
    ),
}
"""Data and formula by model."""

VARIANCES = {"bioequivalence_heterogeneous": "ident(formulation)"}
"""Variance function of the residuals by model."""

TABLES: dict[str, tuple[str, str, bool, float]] = {
    **{
        f"{model}_sas_{kind}": (model, method, True, limit)
        for kind, method in (("sw", "satterthwaite"), ("kr", "kenward-roger-observed"))
        for model, limit in (
            ("battery_cell", SAS_EARLY_STOP_RTOL),
            ("wind_tunnel", SAS_RTOL),
            ("pastry_dough", SAS_RTOL),
            ("bioequivalence_homogeneous", SAS_RTOL),
            ("sleep_study", SAS_RTOL),
            ("sleep_study_corr", SAS_RTOL),
            ("sleep_study_quadratic", SAS_EARLY_STOP_RTOL),
            ("sleep_study_some_corr_quadratic", SAS_EARLY_STOP_RTOL),
            ("sleep_study_corr_quadratic", SAS_EARLY_STOP_RTOL),
        )
    },
    "sleep_study_fa0_sas_sw": ("sleep_study_corr", "satterthwaite", True, SAS_RTOL),
    "bioequivalence_homogeneous_sas_sw_ml": (
        "bioequivalence_homogeneous",
        "satterthwaite",
        False,
        SAS_RTOL,
    ),
    "bioequivalence_intermediate_sas_sw": (
        "bioequivalence_intermediate",
        "satterthwaite",
        True,
        3 * SAS_RTOL,  # correlation one: SAS's own iteration ends there
    ),
    "bioequivalence_heterogeneous_sas_solution": (
        "bioequivalence_heterogeneous",
        "satterthwaite",
        True,
        SAS_RTOL,
    ),
    **{
        f"{model}_jmp": (model, "kenward-roger-observed", True, JMP_RTOL)
        for model in ("battery_cell", "wind_tunnel", "pastry_dough", "sleep_study")
    },
    **{
        f"{model}_lmertest": (model, "kenward-roger", True, EXPECTED_INFORMATION_RTOL)
        for model in ("battery_cell", "wind_tunnel", "pastry_dough", "sleep_study")
    },
}
"""Model, method, REML and tolerance by table."""

TESTS: dict[str, tuple[str, str, bool, float]] = {
    "bioequivalence_homogeneous_sas_tests3_sw": ("SAS", "satterthwaite", True, SAS_RTOL),
    "bioequivalence_homogeneous_sas_tests3_kr": ("SAS", "kenward-roger-observed", True, SAS_RTOL),
    "bioequivalence_homogeneous_sas_tests3_sw_ml": ("SAS", "satterthwaite", False, SAS_RTOL),
    "bioequivalence_heterogeneous_sas_tests3": ("SAS", "satterthwaite", True, SAS_RTOL),
    "bioequivalence_jmp": ("JMP", "kenward-roger-observed", True, JMP_RTOL),
}
"""Program, method, REML and tolerance by table of type III tests."""


@functools.cache
def fit(model: str, reml: bool) -> lf.LinearMixedResults:
    """Return our fit; SAS's codings have the last level as the baseline."""
    data, formula = MODELS[model]
    factors = ("period", "formulation", "sequence") if data == "bioequivalence" else ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        coding = dict.fromkeys(factors, "sas") or None
        variance = VARIANCES.get(model)
        return lf.lmer(formula, frame(data), reml, contrasts=coding, variance=variance)


def stored(name: str) -> pd.DataFrame:
    """Return a table with columns ``estimate, se, df`` under our names of the effects."""
    table = pd.read_csv(HERE / "results" / f"{name}.csv")
    if name.endswith("lmertest"):
        table.columns = ["effect", "estimate", "se", "df", "t", "p"]
        table["effect"] = table["effect"].str.replace("^", " ** ")
        table["effect"] = table["effect"].replace({"(Intercept)": "Intercept", "Days": "days"})
        return table.set_index("effect")
    table = table[table[["StdErr"] if "StdErr" in table else ["Std Error"]].notna().all(axis=1)]
    levels = [column for column in ("sequence", "period", "formulation") if column in table]
    effects = [_effect(row, levels) for _, row in table.iterrows()]
    renamed = table.rename(columns={"Estimate": "estimate", "StdErr": "se", "DF": "df"})
    renamed = renamed.rename(columns={"Std Error": "se", "DFDen": "df"})
    return renamed.set_index(pd.Index(effects))


JMP_NAMES = {"Flow Rate": "FR", "Moisture Content": "MC", "Screw Speed": "SS"}


def _effect(row: pd.Series, levels: list[str]) -> str:
    """Return the name of an effect: ``X1*X1`` is a square, a level belongs to a factor."""
    name = str(row["Effect"] if "Effect" in row else row["Term"]).split("(")[0]
    if name in levels:
        return f"{name}[{row[name].strip()}]"
    parts = [JMP_NAMES.get(part, part) for part in name.split("*")]
    if len(parts) == 2 and parts[0] == parts[1]:
        return f"I({parts[0]} ** 2)"
    return ":".join(parts)


def matched(ours: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return our rows under the table's names."""
    plain = {name.replace("[S.", "[").replace("[T.", "["): name for name in ours.index}
    assert set(plain) == set(table.index)
    return ours.loc[[plain[name] for name in table.index]]


@pytest.mark.parametrize("name", TABLES)
def test_coefficients(name):
    model, method, reml, limit = TABLES[name]
    table = stored(name)
    ours = matched(fit(model, reml).coefficient_frame(ddf=method), table)
    for column in ("estimate", "se", "df"):
        expected = table[column].to_numpy(float)
        size = np.abs(expected)
        if column == "estimate":  # an effect near zero has no relative accuracy of its own
            size = np.maximum(size, table["se"].to_numpy(float))
        gap = np.max(np.abs(ours[column].to_numpy() - expected) / size)
        assert gap <= limit, f"{column}: {gap:.1e}"


@pytest.mark.parametrize("name", TESTS)
def test_type_three(name):
    program, method, reml, limit = TESTS[name]
    table = pd.read_csv(HERE / "results" / f"{name}.csv")
    kind = "heterogeneous" if "heterogeneous" in name else "homogeneous"
    fitted = fit(f"bioequivalence_{kind}", reml)
    ours = fitted.anova(ddf=method)
    columns = ["Effect", "NumDF", "DenDF", "FValue"]
    if program == "JMP":
        columns = ["Source", "DF", "DFDen", "F Ratio"]
    ours = ours.loc[table[columns[0]]]
    np.testing.assert_allclose(ours["F"], table[columns[3]], rtol=limit)
    np.testing.assert_array_equal(ours["num_df"], table[columns[1]])
    if method == "satterthwaite":
        # Pooled degrees of freedom depend on the rows that span a hypothesis: take SAS's.
        columns_of = {term.label: list(term.columns) for term in fitted.design.spec.fixed_terms}
        rows = np.eye(fitted.n_fixed)
        df = [fitted.f_test(rows[columns_of[label]]).df_denom for label in ours.index]
    else:
        df = ours["den_df"]
    np.testing.assert_allclose(df, table[columns[2]], rtol=limit)


def test_variances_by_formulation():
    table = pd.read_csv(HERE / "results" / "bioequivalence_heterogeneous_sas_covparms.csv")
    expected = table["Estimate"].to_numpy()
    ours = fit("bioequivalence_heterogeneous", True)
    sd = ours.varcorr["subject"].sd
    np.testing.assert_allclose(
        [sd["formulation[R]"], sd["formulation[T]"]], expected[:2], rtol=1e-5
    )
    by_level = ours.scale * np.square([1.0, ours.residual_structure.parameters()["ratio_T"]])
    np.testing.assert_allclose(by_level, expected[3:], rtol=1e-5)


def test_a_maximum_likelihood_fit_is_refitted_for_kenward_roger():
    ml = lf.lmer(MODELS["pastry_dough"][1], frame("pastry_dough"), reml=False)
    with pytest.warns(InferenceWarning, match="refitted by REML"):
        summary = ml.summary(ddf="kenward-roger")
    assert "REML fit" in summary.as_text()
    expected = fit("pastry_dough", reml=True).coefficient_frame(ddf="kenward-roger")
    np.testing.assert_allclose(summary.frame, expected, rtol=1e-6)
