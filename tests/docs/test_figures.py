"""The pictures of the covariance structures show all of them, and matrices that are possible."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from lmmformula.covariance import STRUCTURES
from lmmformula.residual_covariance import CORRELATIONS
from tests.docs.blocks import ROOT, links

FOLDER = ROOT / "docs" / "learn" / "figures"
PAGE = ROOT / "docs" / "learn" / "covariance-structures.md"


def script():
    spec = importlib.util.spec_from_file_location("draw_structures", FOLDER / "draw_structures.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["draw_structures"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows():
    return [row for family in script().FIGURES.values() for row in family]


def test_every_structure_is_drawn(rows):
    assert {row.word for row in rows} == {*STRUCTURES, *CORRELATIONS}


def test_every_structure_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    assert [word for word in (*STRUCTURES, *CORRELATIONS) if f"`{word}`" not in text] == []


def test_matrices_are_covariances_with_the_parameters_drawn(rows):
    for row in rows:
        assert np.linalg.eigvalsh(row.covariance)[0] > 0.0, row.word
        np.testing.assert_allclose(np.sqrt(np.diag(row.covariance)), row.sd, err_msg=row.word)


def test_autoregression_by_hand(rows):
    drawn = next(row for row in rows if row.word == "ar1")
    (rho,) = drawn.correlations
    np.testing.assert_allclose(drawn.covariance[0], rho ** np.arange(5.0))


def test_every_picture_is_on_the_page():
    shown = {target for target in links(PAGE) if target.endswith(".png")}
    assert shown == {f"figures/{path.name}" for path in FOLDER.glob("*.png")}
    assert len(shown) == len(script().FIGURES) + 1
