"""A study planned from assumptions alone: formula, design, parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.calls import lmm
from lmmformula.covariance import make_structure
from lmmformula.design.sources import open_source
from lmmformula.engine import estimate
from lmmformula.errors import FormulaError, OptionError
from lmmformula.formula import parse
from lmmformula.inference.bootstrap.run import check_count, seed_sequence
from lmmformula.model import LinearMixedModel
from lmmformula.planning.parameters import (
    changed_coefficients,
    changed_covariances,
    changed_residuals,
    check_numbers,
    required_names,
    residual_names,
)
from lmmformula.planning.tables import plan_tables
from lmmformula.planning.truth import Truth, checked_sigma
from lmmformula.postfit.simulate import simulate
from lmmformula.report.printed import Printed
from lmmformula.report.render import Medium, render_all
from lmmformula.report.varcorr import VarCorr, varcorr_table

__all__ = ["Plan", "plan"]

CALL = "plan.simulate(seed=1)"


class Plan(Printed):
    """A model with assumed parameters, on rows that have no response yet.

    Parameters
    ----------
    truth : Truth
        Design and parameters.
    data : DataFrame
        The design that was passed in.
    """

    __slots__ = ("__dict__", "_data", "truth")

    def __init__(self, truth: Truth, data: pd.DataFrame) -> None:
        self.truth, self._data = truth, data

    @property
    def formula(self) -> str:
        """The formula as written."""
        return self.truth.design.spec.formula.text

    @property
    def params(self) -> pd.Series:
        """Assumed fixed effects."""
        return self.truth.params

    @property
    def varcorr(self) -> VarCorr:
        """Assumed variances and correlations."""
        return self.truth.varcorr

    @property
    def sigma(self) -> float:
        """Assumed residual standard deviation."""
        return float(self.truth.estimates.sigma)

    @property
    def residuals(self) -> pd.Series:
        """Assumed parameters of structured residuals; empty where they are independent."""
        names = list(residual_names(self.truth.system))
        values = self.truth.estimates.theta[len(self.truth.estimates.theta) - len(names) :]
        return pd.Series(values.copy(), index=names, name="residuals", dtype=np.float64)

    @property
    def nobs(self) -> int:
        """Rows of the study."""
        return self.truth.matrices.n_obs

    @property
    def ngroups(self) -> dict[str, int]:
        """Levels by grouping factor."""
        return self.truth.ngroups

    @cached_property
    def bse(self) -> pd.Series:
        """Standard errors of the fixed effects, if the variances were known."""
        e = self.truth.estimates
        found = estimate(self.truth.system, e.theta, self.truth.reml)
        se = np.sqrt(np.diagonal(found.vcov_beta)) * (e.sigma / found.sigma)
        return pd.Series(se, index=self.params.index, name="bse")

    def simulate(self, seed: Any, n: int = 1) -> pd.DataFrame:
        """Return the design with artificial responses.

        Parameters
        ----------
        seed : int, SeedSequence or Generator
            Source of randomness.
        n : int, default 1
            Number of responses.

        Returns
        -------
        DataFrame
            The rows of the design that the model uses. One response goes by its name in the
            formula; several are called ``name_1``, ``name_2``, ...
        """
        n, root = check_count(n, CALL), seed_sequence(seed, CALL)
        name = self.truth.design.spec.response_name
        draws = simulate(self.truth.design, self.truth.estimates, n, root)
        draws.columns = [name] if n == 1 else [f"{name}_{i + 1}" for i in range(n)]
        rows = self._data.iloc[self.truth.design.matrices.rows]
        kept = rows.drop(columns=[c for c in draws.columns if c in rows.columns])
        return pd.concat([kept, draws.set_axis(kept.index)], axis=1)

    def fit(self, seed: Any) -> Any:
        """Draw one response and fit the model to it, as a check of what the study would show."""
        root = seed_sequence(seed, "plan.fit(seed=1)")
        y = simulate(self.truth.design, self.truth.estimates, 1, root).to_numpy()[:, 0]
        return LinearMixedModel(self.truth.design).with_response(y).fit(self.truth.reml)

    def _write(self, medium: Medium) -> str:
        return render_all(
            (*plan_tables(self), varcorr_table(self.varcorr, "Assumed random effects")), medium
        )


def plan(
    formula: str,
    design: Any,
    *,
    fixed: Mapping[str, float],
    varcorr: Mapping[str, float],
    sigma: float,
    residuals: Mapping[str, float] | None = None,
    reml: bool = True,
    **options: Any,
) -> Plan:
    """Put the assumptions of a planned study together.

    Parameters
    ----------
    formula : str
        The model, with the response under the name that it will have.
    design : pandas, polars or pyarrow table, or dict of arrays
        The rows of the study without a response, from ``lf.simulate_design`` or of your own. A
        column with the response's name is not used.
    fixed : mapping of str to float
        Fixed effects by name, as in ``results.params``; those not named are zero.
    varcorr : mapping of str to float
        Standard deviation of every random effect, ``{"sd_Intercept|subject": 100}``, and
        correlations, ``{"cor_Days.Intercept|subject": 0.2}``; correlations not named are zero.
        Structured terms have the parameters of their structure, ``{"sd|subject": 2, "rho|subject":
        0.5}``.
    sigma : float
        Residual standard deviation.
    residuals : mapping of str to float, optional
        Every parameter of structured residuals (``residual=``, ``variance=``): ``{"rho": 0.6}``.
    reml : bool, default True
        Criterion by which simulated studies are fitted.
    **options
        Arguments of ``lf.lmm``: ``contrasts``, ``weights``, ``offset``, ``residual``, ...

    Returns
    -------
    Plan
        Prints itself; ``simulate(seed)``, ``fit(seed)``, ``params``, ``bse``, ``varcorr``. Goes
        into ``lf.power`` and ``lf.power_curve`` as a fit does.

    Raises
    ------
    FormulaError
        The response is an expression.
    OptionError
        A name that the model does not have, or a standard deviation that is missing.

    Examples
    --------
    >>> import lmmformula as lf
    >>> design = lf.simulate_design(
    ...     {"subject": 20}, within={"condition": ["a", "b"]}, replicates=10
    ... )
    >>> study = lf.plan(
    ...     "rt ~ condition + (1 | subject)", design,
    ...     fixed={"Intercept": 600, "condition[T.b]": 20},
    ...     varcorr={"sd_Intercept|subject": 80}, sigma=100,
    ... )
    >>> float(study.bse["condition[T.b]"].round(3))
    10.0
    >>> study.simulate(seed=1).shape
    (400, 3)
    """
    table = _as_pandas(design)
    name = _response_name(formula)
    if name in table.columns:
        table = table.drop(columns=[name])
    y = np.random.default_rng(0).standard_normal(len(table))
    model = lmm(formula, table.assign(**{name: y}), **options)
    size = checked_sigma(sigma)
    start = model.at(_one_by_one(model), bool(reml)).estimates
    blank = VarCorr.from_estimates(model.design.matrices.random, start.templates, 1.0)
    _check_complete(blank, check_numbers(varcorr, "varcorr"))
    theta, templates = changed_covariances(blank, varcorr, size)
    theta = np.append(theta, _assumed_residuals(model, start.theta[len(theta) :], residuals))
    beta = changed_coefficients(
        np.zeros(start.p), model.design.matrices.fixed_names, fixed, "fixed"
    )
    assumed = replace(start, theta=theta, templates=templates, beta=beta, sigma=size)
    return Plan(Truth(model.design, assumed, bool(reml)), table)


def _as_pandas(design: Any) -> pd.DataFrame:
    if isinstance(design, pd.DataFrame):
        return design
    open_source(design)
    if isinstance(design, Mapping):
        return pd.DataFrame(dict(design))
    frame: pd.DataFrame = nw.from_native(design, eager_only=True).to_pandas()
    return frame


def _response_name(formula: str) -> str:
    parsed = parse(formula, require_random=False)
    atom = parsed.response_atom
    if atom is None or atom.method == "lookup":
        return parsed.response
    raise FormulaError(
        "a planned response needs a name, not an expression.",
        got=f"`{parsed.response}`",
        suggestion="plan on the scale of the model: a column that holds the expression's values",
        formula=formula,
    )


def _one_by_one(model: LinearMixedModel) -> FloatArray:
    """Theta of uncorrelated effects with the residual's standard deviation."""
    parts = []
    for block in model.design.matrices.random:
        kind = make_structure(block.structure, block.n_effects, block.positions)
        parts.append(kind.theta(np.eye(block.n_effects)))
    residual = model.system.residual
    if residual is not None:
        parts.append(residual.covariance.natural(residual.covariance.start()))
    return np.concatenate([np.zeros(0), *parts])


def _assumed_residuals(
    model: LinearMixedModel, start: FloatArray, given: Mapping[str, float] | None
) -> FloatArray:
    """Parameters of structured residuals; each has to be assumed."""
    found = changed_residuals(model.system, start, given or {})
    missing = [name for name in residual_names(model.system) if name not in (given or {})]
    if missing:
        raise OptionError(
            "`residuals` must have a value for every parameter of the structured residuals.",
            got=f"none for {', '.join(f'`{name}`' for name in missing)}",
            suggestion=f"`residuals={{{missing[0]!r}: 0.5, ...}}`",
            argument="residuals",
            missing=tuple(missing),
        )
    return found


def _check_complete(blank: VarCorr, given: Mapping[str, Any]) -> None:
    """What is not a correlation has to be assumed on purpose."""
    missing = [name for name in required_names(blank) if name not in given]
    if missing:
        raise OptionError(
            "`varcorr` must have a standard deviation for every random effect.",
            got=f"none for {', '.join(f'`{name}`' for name in missing)}",
            suggestion=f"`varcorr={{{missing[0]!r}: 1.0, ...}}`",
            argument="varcorr",
            missing=tuple(missing),
        )
