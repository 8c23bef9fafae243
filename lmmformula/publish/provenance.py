"""What is needed to get the same numbers again."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from lmmformula.report.table import Column, Table

__all__ = ["provenance_table"]

PACKAGES = ("numpy", "scipy", "pandas", "formulaic", "statsmodels")


def provenance_table(fit: Any) -> Table:
    """Call, optimum, digests of the data, and versions."""
    optimum, mark = fit.optimum, fit.fingerprint
    settings = "theta was given" if optimum.settings is None else repr(optimum.settings)
    rows = [
        ("Formula", fit.formula),
        *_residuals(fit),
        ("Criterion", fit.criterion),
        ("Optimum", f"{optimum.status.message} ({optimum.n_evaluations} evaluations)"),
        ("Optimizer", settings),
        ("Gradient norm", f"{optimum.gradient_norm:.1e}"),
        ("Smallest eigenvalue", f"{optimum.min_eigenvalue:.1e}"),
        ("theta", ", ".join(repr(float(value)) for value in fit.theta)),
        ("Objective", repr(float(fit.objective))),
        ("Digest of the response", mark.response),
        ("Digest of the rows", mark.rows),
        *([("Digest of the weights", mark.weights)] if mark.weights else []),
        ("lmmformula", _version("lmmformula")),
        ("Python", f"{platform.python_version()} ({platform.system()} {platform.machine()})"),
        *((name, _version(name)) for name in PACKAGES),
    ]
    return Table("", (Column(""), Column("")), tuple(rows), has_heading=False)


def _residuals(fit: Any) -> list[tuple[str, str]]:
    structure = fit.residual_structure
    return [] if structure is None else [("Residuals", structure.text)]


def _version(package: str) -> str:
    from lmmformula import __version__

    if package == "lmmformula":
        return __version__
    try:
        return version(package)
    except PackageNotFoundError:  # a vendored copy without metadata
        return "version unknown"
