"""The right-hand columns of the translation tables are code that runs."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import LMMWarning
from tests.docs.blocks import ROOT

CODE = re.compile(r"`([^`]+)`")


def right_column(page: str, first_table_only: bool = True) -> list[str]:
    """Return the code in the last column of a page's first table."""
    rows = []
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            rows.append(re.split(r"(?<!\\)\|", line.strip("|"))[-1].replace(r"\|", "|"))
        elif rows:
            break
    return [code for row in rows[2:] for code in CODE.findall(row)]


def r_user() -> dict:
    data = lf.load_dataset("sleepstudy")
    data["w"], data["o"] = 1.0, 0.0
    m = lf.lmer("Reaction ~ Days + (Days | Subject)", data)
    small = lf.lmer("Reaction ~ Days + (1 | Subject)", data)
    subjects = list(data["Subject"].cat.categories)
    return {
        "lf": lf,
        "data": data,
        "m": m,
        "m1": small,
        "m2": m,
        "new": data.head(3),
        "y": data["Reaction"] + 1.0,
        "K": pd.DataFrame(0.2 + 0.8 * np.eye(18), index=subjects, columns=subjects),
        "label": ["a", "b", "c"],
        "sire": [None, None, "a"],
        "dam": [None, None, "b"],
    }


@pytest.mark.parametrize("code", right_column("for-lme4-users.md"))
def test_lme4_table(code):
    names = r_user()
    if "..." in code:
        if "contrasts" in code:
            names["data"] = lf.load_dataset("grocery")
            code = code.replace("...", '"price ~ store + (1 | item)", data')
        else:
            code = code.replace("...", '"Reaction ~ Days + (1 | Subject)", data')
    names["theta"] = [1.0]
    assert eval(code, names) is not None


@pytest.mark.parametrize(
    "code", [code for code in right_column("for-statsmodels-users.md") if code.startswith("lf.")]
)
def test_statsmodels_table(code):
    rng = np.random.default_rng(1)
    g, h = rng.integers(0, 8, 200), rng.integers(0, 5, 200)
    x = rng.normal(size=200)
    data = {"x": x, "g": g, "h": h, "y": x + g + rng.normal(size=200) + h}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)  # random data may give a singular fit
        assert eval(code, {"lf": lf, "data": data}).fit().converged
