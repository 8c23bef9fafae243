"""Comparison with lme4: what is handed over, what is refused, and, with R, that numbers agree."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.interop.lme4_files import export_data, export_matrices

RSCRIPT = shutil.which("Rscript")


@pytest.fixture
def fit(sleepstudy):
    return lf.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where temporary directories are made; it must be empty afterwards."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    assert not list(place.iterdir())


def program(tmp_path: Path, text: str) -> str:
    """Write a stand-in for Rscript."""
    path = tmp_path / "Rscript"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_without_r(fit, folder):
    with pytest.raises(lf.OptionError) as caught:
        lf.compare_with_lme4(fit, rscript="no-such-program")
    assert caught.value.program == "no-such-program"


def test_without_lme4(fit, folder, tmp_path):
    with pytest.raises(lf.OptionError) as caught:
        lf.compare_with_lme4(fit, rscript=program(tmp_path, "exit 3"))
    assert caught.value.package == "lme4"


def test_error_of_r_is_shown(fit, folder, tmp_path):
    with pytest.raises(lf.NumericalError) as caught:
        lf.compare_with_lme4(fit, rscript=program(tmp_path, "echo Error: downdated >&2; exit 1"))
    assert "downdated" in caught.value.got


@pytest.mark.parametrize(
    ("formula", "options", "fact"),
    [
        ("Reaction ~ Days + cs(Days | Subject)", {}, "term"),
        ("Reaction ~ Days", {"residual": "ar1(Days | Subject)"}, "needs"),
        ("Reaction ~ Days + (1 | Subject)", {"variance": "power(Days + 1)"}, "term"),
        ("Reaction ~ Days + (1 | Subject)", {"relationship": {"Subject": np.eye(18)}}, "group"),
    ],
)
def test_models_that_lme4_does_not_have(sleepstudy, formula, options, fact):
    with pytest.raises(lf.OptionError) as caught:
        lf.compare_with_lme4(lf.lmm(formula, sleepstudy, **options).fit())
    assert fact in caught.value.facts


def test_rows_are_needed(fit):
    with pytest.raises(lf.DataError):
        lf.compare_with_lme4(fit.without_data())


def test_other_data_are_refused(fit, sleepstudy, tmp_path):
    with pytest.raises(lf.DataError):
        lf.compare_with_lme4(fit, sleepstudy.head(20), rscript=program(tmp_path, "exit 1"))
    diagonal = lf.lmer("Reaction ~ Days + diag(Days | Subject)", sleepstudy)
    with pytest.raises(lf.OptionError):
        lf.compare_with_lme4(diagonal, sleepstudy, rscript=program(tmp_path, "exit 1"))


def test_matrices_are_written_to_the_last_bit(sleepstudy, tmp_path):
    w = np.linspace(1, 3, 180)
    fit = lf.lmer("log(Reaction) ~ poly(Days, 2) + diag(Days | Subject)", sleepstudy, weights=w)
    export_matrices(fit, tmp_path)
    frame = pd.read_csv(tmp_path / "data.csv", dtype=str)
    frame = frame.drop(columns="G1").map(float)
    matrices = fit.design.matrices
    np.testing.assert_array_equal(frame[["X1", "X2", "X3"]], matrices.X)
    np.testing.assert_array_equal(frame["y"], matrices.y)
    np.testing.assert_array_equal(frame[["Z1_1", "Z1_2"]], matrices.random[0].z)
    rows = pd.read_csv(tmp_path / "rows.csv", dtype=str)
    np.testing.assert_array_equal(rows["weights"].map(float), w)
    formula = (tmp_path / "settings.txt").read_text(encoding="utf-8").splitlines()
    assert formula == ["y ~ 0 + X1 + X2 + X3 + (0 + Z1_1 | G1) + (0 + Z1_2 | G1)", "REML"]


def test_data_are_written_with_levels_and_codings(tmp_path):
    cake = lf.load_dataset("cake")
    fit = lf.lmer(
        "angle ~ recipe * temperature + (1 | recipe:replicate)",
        cake,
        contrasts={"recipe": "sum"},
        subset=cake["recipe"] != "B",
    )
    export_data(fit, cake, tmp_path)
    levels = pd.read_csv(tmp_path / "levels.csv", dtype=str).groupby("column", sort=False)["level"]
    assert levels.get_group("recipe").tolist() == ["A", "C"]
    codings = [pd.read_csv(path) for path in sorted(tmp_path.glob("coding_*.csv"))]
    by_factor = {frame.columns[0]: frame for frame in codings}
    assert by_factor["recipe"].iloc[:, 1].tolist() == [1, -1]
    assert len(pd.read_csv(tmp_path / "data.csv")) == fit.nobs


MODELS = [
    ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {}),
    ("log(Reaction) ~ poly(Days, 3) + (Days || Subject)", "sleepstudy", {"reml": False}),
    (
        "angle ~ recipe * temperature + (1 | recipe:replicate)",
        "cake",
        {"contrasts": {"temperature": "poly"}},
    ),
    ("score ~ Machine + (1 | Worker/Machine)", "machines", {}),
    ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin", {}),
    (
        "Reaction ~ Days + offset(Days) + (1 | Subject)",
        "sleepstudy",
        {"weights": np.linspace(1, 2, 180)},
    ),
]
CLOSE = {"estimate": 1e-6, "se": 1e-5, "sd": 1e-5, "cor": 1e-5, "sigma": 1e-5, "objective": 1e-8}
"""Relative; what lme4's derivative-free optimizer leaves of its digits near a flat optimum."""


@pytest.mark.slow
@pytest.mark.r
@pytest.mark.skipif(RSCRIPT is None, reason="Rscript is not installed")
@pytest.mark.parametrize("with_data", [False, True])
@pytest.mark.parametrize(("formula", "name", "options"), MODELS)
def test_lme4_agrees(folder, formula, name, options, with_data):
    data = lf.load_dataset(name)
    fit = lf.lmer(formula, data, **options)
    table = lf.compare_with_lme4(fit, data if with_data else None)
    assert set(table.attrs["versions"]) == {"R", "lme4"}
    assert table.attrs["compared"] == ("formula and data" if with_data else "model matrices")
    assert len(table) == 2 * fit.n_fixed + len(fit.varcorr.to_frame()) + 1
    for row in table.itertuples():
        size = max(abs(row.lme4), 1e-3)
        assert abs(row.difference) <= CLOSE[row.kind] * size, row


@pytest.mark.slow
@pytest.mark.r
@pytest.mark.skipif(RSCRIPT is None, reason="Rscript is not installed")
def test_a_formula_that_r_cannot_read(folder, sleepstudy):
    fit = lf.lmer("Reaction ~ np.sqrt(Days) + (1 | Subject)", sleepstudy)
    assert lf.compare_with_lme4(fit)["difference"].abs().max() < 1e-4
    with pytest.raises(lf.NumericalError):
        lf.compare_with_lme4(fit, sleepstudy)
