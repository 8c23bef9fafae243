"""The same model by R's lme4, number by number, where R is installed."""

from __future__ import annotations

import shutil
import subprocess
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from lmmformula.errors import NumericalError, OptionError
from lmmformula.interop.lme4_files import Exported, export_data, export_matrices
from lmmformula.matrices import ModelMatrices
from lmmformula.postfit.requirements import (
    require_plain_residuals,
    require_random_effects,
    require_unrelated_levels,
)

__all__ = ["compare_with_lme4"]

SCRIPT = "compare_with_lme4.R"
WITHOUT_LME4 = 3
"""Exit status of the script where R has no lme4."""
KNOWN = ("us", "diag")
"""Structures that every version of lme4 has."""


def compare_with_lme4(result: Any, data: Any = None, *, rscript: str = "Rscript") -> pd.DataFrame:
    """Fit the same model by R's lme4 and put the numbers side by side.

    Parameters
    ----------
    result : LinearMixedResults
        The fit.
    data : frame or dict, optional
        The data that were fitted. With them R reads the formula as it was written, so that names,
        codings and transformations are compared as well. Without them R gets the model matrices:
        the comparison is of the fit alone, and works for formulas that R could not read.
    rscript : str, default "Rscript"
        The program, by name or path. Its optimizer is asked for twelve digits.

    Returns
    -------
    DataFrame
        Columns ``kind, name, lmmformula, lme4, difference``; kinds are ``estimate`` and ``se`` of
        the fixed effects, ``sd`` and ``cor`` of the random effects, ``sigma`` and ``objective``
        (minus twice the log-likelihood, restricted for REML). ``attrs`` has the ``versions`` of R
        and lme4, what lme4 ``said`` (its warnings and messages) and what was ``compared``.

    Raises
    ------
    OptionError
        R or lme4 is not installed, or lme4 has no such model (structured residuals, variance
        functions, relationships between levels, other structures than unstructured and diagonal).
    NumericalError
        lme4 stopped with an error.

    Examples
    --------
    >>> import lmmformula as lf
    >>> fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff"))
    >>> table = lf.compare_with_lme4(fit)  # doctest: +SKIP
    >>> table["difference"].abs().max() < 1e-5  # doctest: +SKIP
    True
    """
    result.model.require_rows("`compare_with_lme4`")
    _require_equivalent(result.design.matrices)
    program = shutil.which(rscript)
    if program is None:
        raise OptionError(
            "comparing with lme4 needs R, and the program `Rscript` was not found.",
            got=f"`rscript={rscript!r}`",
            suggestion="install R (https://www.r-project.org), or give the path: "
            '`rscript="/usr/local/bin/Rscript"`',
            program=rscript,
        )
    with TemporaryDirectory(prefix="lmmformula-") as name:
        folder = Path(name)
        if data is None:
            exported = export_matrices(result, folder)
        else:
            exported = export_data(result, data, folder)
        _run(program, folder, with_data=data is not None)
        lines = (folder / "result.tsv").read_text(encoding="utf-8").split("\n")
    return _table(result, exported, [line.split("\t") for line in lines if line])


def _require_equivalent(matrices: ModelMatrices) -> None:
    instead = "compare without this part of the model; R's nlme has residual structures"
    require_random_effects(matrices, "lme4", "R's `lm` or `nlme::gls`")
    require_plain_residuals(matrices.residual, "lme4's model", instead)
    require_unrelated_levels(matrices, "lme4's model", "compare without `relationship=`")
    for block in matrices.random:
        if block.structure not in KNOWN:
            raise OptionError(
                f"lme4 has no term like `{block.text}`.",
                got=f"structure `{block.structure}`; compared are {', '.join(KNOWN)}",
                suggestion="compare a model with an unstructured or diagonal term",
                term=block.text,
                structure=block.structure,
            )


def _run(program: str, folder: Path, *, with_data: bool) -> None:
    with as_file(files("lmmformula.interop") / SCRIPT) as script:
        done = subprocess.run(
            [program, "--no-save", "--no-restore", str(script), str(folder)],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    if done.returncode == WITHOUT_LME4:
        raise OptionError(
            "R is installed, but its package lme4 is not.",
            got=program,
            suggestion='`install.packages("lme4")` in R',
            program=program,
            package="lme4",
        )
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[-400:] or f"exit status {done.returncode}"
        raise NumericalError(
            "lme4 stopped with an error.",
            got=said,
            suggestion="`compare_with_lme4(result)` without data, where R need not read the formula"
            if with_data
            else "fit the model in R to see what lme4 makes of it",
            program=program,
        )


def _table(result: Any, exported: Exported, lines: list[list[str]]) -> pd.DataFrame:
    """Match R's numbers with ours."""
    found: dict[str, list[tuple[str, float]]] = {}
    for kind, name, value in lines:
        if kind not in ("said", "version"):
            found.setdefault(kind, []).append((name, float(value)))
    rows = [
        *_fixed(result, found),
        *_random(result, exported, found),
        ("sigma", "Residual", result.sigma, found["sigma"][0][1]),
        ("objective", result.criterion, result.objective, found["objective"][0][1]),
    ]
    table = pd.DataFrame(rows, columns=["kind", "name", "lmmformula", "lme4"])
    table["difference"] = table["lmmformula"] - table["lme4"]
    table.attrs = {
        "versions": {name: value for kind, name, value in lines if kind == "version"},
        "said": [name for kind, name, _ in lines if kind == "said"],
        "compared": exported.compared,
    }
    return table


def _fixed(result: Any, found: dict[str, list[tuple[str, float]]]) -> list[tuple[Any, ...]]:
    """Fixed effects stand in the same order in R."""
    names, rows = result.fixed_names, []
    for kind, ours in (("estimate", result.params), ("se", result.bse)):
        theirs = found.get(kind, [])
        if len(theirs) != len(names):
            raise NumericalError(
                "lme4 made other columns of the fixed effects than this package.",
                got=f"{', '.join(name for name, _ in theirs)} for {', '.join(names)}",
                suggestion="`compare_with_lme4(result)` without data",
            )
        rows += [
            (kind, name, value, theirs[j][1])
            for j, (name, value) in enumerate(zip(names, ours, strict=True))
        ]
    return rows


def _random(
    result: Any, exported: Exported, found: dict[str, list[tuple[str, float]]]
) -> list[tuple[Any, ...]]:
    """Standard deviations and correlations, looked up by the names that the effects have in R."""
    sds = _looked_up(found, "sd", exported.by_term)
    correlations = _looked_up(found, "cor", exported.by_term)
    rows: list[tuple[Any, ...]] = []
    for i, term in enumerate(result.varcorr):
        names = exported.effects[i] or [name for place, name in sds if place == i]
        key = i if exported.by_term else None
        for j, effect in enumerate(term.effects):
            rows.append(("sd", f"{effect}|{term.label}", term.sd_values[j], sds[key, names[j]]))
        if not term.has_correlations:
            continue
        for j, effect in enumerate(term.effects):
            for k in range(j):
                name = f"{effect}.{term.effects[k]}|{term.label}"
                value = correlations[key, f"{names[j]}\x1f{names[k]}"]
                rows.append(("cor", name, term.corr_values[j, k], value))
    return rows


def _looked_up(
    found: dict[str, list[tuple[str, float]]], kind: str, by_term: bool
) -> dict[tuple[int | None, str], float]:
    """Values by term (where names of effects repeat) and name."""
    out: dict[tuple[int | None, str], float] = {}
    for key, pairs in found.items():
        word, _, number = key.partition(" ")
        if word == kind:
            place = int(number) - 1 if by_term else None
            out |= {(place, name): value for name, value in pairs}
    return out
