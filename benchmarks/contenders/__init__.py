"""The packages that are compared, one adapter each.

Adapters are imported in the worker process only, where their package is installed.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CONTENDERS", "Contender", "contender_named"]


@dataclass(frozen=True)
class Contender:
    """How a contender is started.

    Attributes
    ----------
    name : str
        Column label.
    adapter : str
        ``module:Class`` of the Python adapter, or the name of the R script.
    environment : str
        Name of the virtual environment that serves it (several contenders may share one).
    requirements : tuple of str
        What to install there.
    language : {"python", "r"}
        Which interpreter runs the worker.
    time_limit : float or None
        Seconds allowed for one call, where it differs from the runner's option.
    """

    name: str
    adapter: str
    environment: str
    requirements: tuple[str, ...] = ()
    language: str = "python"
    time_limit: float | None = None


CONTENDERS: tuple[Contender, ...] = (
    Contender("lmmformula", "benchmarks.contenders.lmmformula:LmmFormula", "lmmformula"),
    Contender("lme4", "lme4.R", "R", language="r", time_limit=1200.0),
    Contender(
        "glmm", "benchmarks.contenders.glmm:Glmm", "glmm", ("glmm==0.6.2", "pandas>=3", "numpy>=2")
    ),
    Contender(
        "glmm-lean",
        "benchmarks.contenders.glmm:GlmmLean",
        "glmm",
        ("glmm==0.6.2", "pandas>=3", "numpy>=2"),
    ),
    Contender(
        "mixedlm",
        "benchmarks.contenders.mixedlm:MixedLm",
        "mixedlm",
        ("mixedlm==1.3.0", "pandas>=3", "numpy>=2"),
    ),
    Contender(
        "lme-python",
        "benchmarks.contenders.lme_python:LmePython",
        "lme-python",
        ("lme-python[pandas]==0.2.7", "pandas>=3", "numpy>=2"),
    ),
    Contender(
        "gpboost",
        "benchmarks.contenders.gpboost:GpBoost",
        "gpboost",
        ("gpboost==1.8.0", "pandas>=3", "numpy>=2", "pyarrow>=15"),
    ),
    Contender(
        "statsmodels",
        "benchmarks.contenders.statsmodels:StatsModels",
        "statsmodels",
        ("statsmodels==0.15.0", "pandas>=3", "numpy>=2"),
    ),
)


def contender_named(name: str) -> Contender:
    """Return the contender called ``name``."""
    for contender in CONTENDERS:
        if contender.name == name:
            return contender
    known = ", ".join(c.name for c in CONTENDERS)
    raise KeyError(f"no contender {name!r}; there are {known}")
