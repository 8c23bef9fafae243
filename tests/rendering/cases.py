"""Results at pinned theta, whose text is stored under ``expected``.

Theta is given, so no optimizer can change the text. After a deliberate change run
``python -m tests.rendering.cases`` and read the difference.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

import lmmformula as lf
from lmmformula.errors import LMMWarning

EXPECTED = Path(__file__).with_name("expected")
ENDINGS = {"text": "txt", "html": "html", "latex": "tex", "markdown": "md"}


def slopes() -> lf.LinearMixedResults:
    """Return a plain REML result."""
    data = lf.load_dataset("sleepstudy")
    return lf.lmm("Reaction ~ Days + (Days | Subject)", data).at([0.9, 0.02, 0.2])


def three_effects() -> lf.LinearMixedResults:
    """Return an ML result with more than one correlation, and one of them -1."""
    data = lf.load_dataset("machines")
    model = lf.lmm("score ~ Machine + (Machine | Worker)", data)
    return model.at([3.0, -1.5, 0.5, 0.0, 2.0, 1.0], reml=False)


def crossed() -> lf.LinearMixedResults:
    """Return a result with two grouping factors and no fixed effect but the intercept."""
    data = lf.load_dataset("penicillin")
    return lf.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", data).at([1.5, 3.5])


def everything() -> lf.LinearMixedResults:
    """Return a singular result with weights, an offset, and rows and columns left out."""
    data = lf.load_dataset("sleepstudy")
    data["twice"] = 2 * data["Days"]
    data["income"] = 1e6 * np.cos(np.arange(180))
    data["w"] = 1 + np.arange(180) % 3
    data["known"] = 0.25
    data.loc[[3, 7], "Reaction"] = np.nan
    formula = "Reaction ~ Days + twice + income + offset(known) + (Days || Subject)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)
        return lf.lmm(formula, data, weights="w").at([1.25, 0.0])


CASES: dict[str, Callable[[], lf.LinearMixedResults]] = {
    "slopes": slopes,
    "three_effects": three_effects,
    "crossed": crossed,
    "everything": everything,
}


def write(result: lf.LinearMixedResults, medium: str) -> str:
    """Return the summary in one medium, with a newline at the end."""
    return getattr(result.summary(), f"as_{medium}")() + "\n"


def path(name: str, medium: str) -> Path:
    """Return where the text of a case is stored."""
    return EXPECTED / f"{name}.{ENDINGS[medium]}"


if __name__ == "__main__":
    for case, make in CASES.items():
        for medium in ENDINGS:
            path(case, medium).write_text(write(make(), medium), encoding="utf-8")
