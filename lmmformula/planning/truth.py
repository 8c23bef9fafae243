"""The model that a study is simulated from: a design with assumed parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.design import Design
from lmmformula.design.checks import check_design
from lmmformula.engine import BlockedSystem, Estimates, assemble
from lmmformula.errors import DesignError, OptionError
from lmmformula.inference.bootstrap.fits import ModelFitter
from lmmformula.inference.bootstrap.result import fitter_of
from lmmformula.matrices import ModelMatrices
from lmmformula.planning.parameters import (
    changed_coefficients,
    changed_covariances,
    changed_residuals,
)
from lmmformula.postfit.simulate import simulate
from lmmformula.report.varcorr import VarCorr

__all__ = ["Truth"]

DEFICIENT = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class _Assumed:
    """What the bootstrap asks of a fit."""

    design: Design
    system: BlockedSystem
    estimates: Estimates

    @property
    def any_system(self) -> BlockedSystem:
        """The same: plans are exact."""
        return self.system


class Truth:
    """A design, with rows, and the parameters that responses are drawn from.

    Parameters
    ----------
    design : Design
        Its response is replaced by a draw.
    estimates : Estimates
        Holds the parameters ``beta``, ``templates``, ``theta`` and ``sigma``.
    reml : bool
        Criterion by which replicates are fitted.
    """

    def __init__(self, design: Design, estimates: Estimates, reml: bool) -> None:
        y = simulate(design, estimates, 1, 0).to_numpy()[:, 0]
        self.design = replace(design, matrices=replace(design.matrices, y=y))
        self.estimates, self.reml = estimates, reml

    @property
    def matrices(self) -> ModelMatrices:
        """The design as arrays."""
        return self.design.matrices

    @cached_property
    def system(self) -> BlockedSystem:
        """Cross-products of the design."""
        return assemble([self.matrices])

    @property
    def params(self) -> pd.Series:
        """Assumed fixed effects."""
        index = list(self.matrices.fixed_names)
        return pd.Series(self.estimates.beta.copy(), index=index, name="params")

    @property
    def varcorr(self) -> VarCorr:
        """Assumed variances and correlations."""
        e = self.estimates
        return VarCorr.from_estimates(self.matrices.random, e.templates, e.sigma)

    @property
    def ngroups(self) -> dict[str, int]:
        """Levels by grouping factor."""
        return {block.group: block.n_levels for block in self.matrices.random}

    def fitter(self, reml: bool) -> ModelFitter:
        """What fits replicates by a criterion."""
        estimates = replace(self.estimates, criterion="REML" if reml else "ML")
        return fitter_of(_Assumed(self.design, self.system, estimates))  # type: ignore[arg-type]

    def with_parameters(
        self,
        effect: Mapping[str, Any] | None,
        varcorr: Mapping[str, Any] | None,
        sigma: Any,
        residuals: Mapping[str, Any] | None = None,
    ) -> Truth:
        """Return the same design with some parameters changed.

        Parameters
        ----------
        effect : mapping of str to float
            Fixed effects by name.
        varcorr : mapping of str to float
            Standard deviations and correlations by name, as in ``varcorr.parameters()``.
        sigma : float or None
            Residual standard deviation; the other standard deviations stay what they are.
        residuals : mapping of str to float
            Parameters of structured residuals by name.
        """
        if not effect and not varcorr and not residuals and sigma is None:
            return self
        e = self.estimates
        beta = changed_coefficients(e.beta, self.matrices.fixed_names, effect or {}, "effect")
        size = e.sigma if sigma is None else checked_sigma(sigma)
        theta, templates = changed_covariances(self.varcorr, varcorr or {}, size)
        tail = changed_residuals(self.system, e.theta[len(theta) :], residuals or {})
        theta = np.concatenate([theta, tail])
        changed = replace(e, beta=beta, theta=theta, templates=templates, sigma=size)
        return Truth(self.design, changed, self.reml)

    def with_matrices(self, matrices: ModelMatrices) -> Truth:
        """Return the same parameters on other rows; they must still identify the model."""
        n = matrices.n_obs
        _check_rank(matrices)
        check_design(
            np.arange(float(n)), matrices.p, matrices.random, self.design.spec.response_name,
            "raise", 0,
        )  # fmt: skip
        spec = replace(self.design.spec, index=pd.RangeIndex(n), n_rows_data=n)
        return Truth(replace(self.design, matrices=matrices, spec=spec), self.estimates, self.reml)


def checked_sigma(sigma: Any) -> float:
    """Return a positive finite standard deviation."""
    is_number = isinstance(sigma, int | float | np.number) and not isinstance(sigma, bool)
    if is_number and 0.0 < sigma < np.inf:
        return float(sigma)
    raise OptionError(
        "`sigma` must be a positive number, the residual standard deviation.",
        got=f"`sigma={sigma!r}`",
        suggestion="`sigma=25.0`",
        argument="sigma",
    )


def _check_rank(matrices: ModelMatrices) -> None:
    """Refuse rows that do not identify every fixed effect."""
    X: FloatArray = matrices.X
    size = np.sqrt(np.einsum("ij,ij->j", X, X))
    lost = [name for name, s in zip(matrices.fixed_names, size, strict=True) if s == 0.0]
    if not lost and matrices.p:
        _, values, right = np.linalg.svd(X / size, full_matrices=False)
        if values[-1] > DEFICIENT * values[0] and len(X) >= matrices.p:
            return
        worst = np.abs(right[-1]) > 0.1
        lost = [name for name, is_in in zip(matrices.fixed_names, worst, strict=True) if is_in]
    if lost:
        raise DesignError(
            "the planned rows do not identify every fixed effect.",
            got=f"{matrices.n_obs} rows; not told apart: {', '.join(f'`{n}`' for n in lost)}",
            suggestion="more levels in `levels=`, so that every condition occurs",
            columns=tuple(lost),
        )
