"""Profile likelihood of every parameter of a fit: curves and intervals.

The likelihood is the full one, also for REML fits (which are refitted by ML first), as in lme4.
Random effects are described by standard deviations and correlations. See
docs/how-to/profile-intervals.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lmmformula._arrays import FloatArray
from lmmformula.design.notify import notify
from lmmformula.engine import BlockedSystem
from lmmformula.engine.held import Held
from lmmformula.inference.effects.wald import check_alpha, critical_value
from lmmformula.inference.profile.curve import Curve, End
from lmmformula.inference.profile.fit import fit_by_ml, parameters_of, selected, unproved_fit
from lmmformula.inference.profile.points import Fit
from lmmformula.inference.profile.remarks import trouble
from lmmformula.optimize import Optimum
from lmmformula.postfit.progress import Progress, watched
from lmmformula.postfit.records import ModelLike
from lmmformula.postfit.requirements import require_exact_engine
from lmmformula.postfit.statistics import FitStatistics
from lmmformula.report.drawn import Drawn

__all__ = ["Profile", "ProfileAccessors"]


class Profile(Drawn):
    """Profile deviances of the parameters of a fit.

    Points of the curves are computed when something asks for them, and kept.

    Parameters
    ----------
    system : BlockedSystem
        Cross-products of the model.
    fit : Fit
        Its maximum likelihood fit.
    parameters : mapping of str to Held
        All parameters of the model, in the order of the tables.
    names : sequence of str
        Those to be profiled.
    progress : bool, callable or None
        Whether to show progress while curves are computed.
    """

    _picture = "zeta"

    def __init__(
        self,
        system: BlockedSystem,
        fit: Fit,
        parameters: Mapping[str, Held],
        names: Sequence[str],
        progress: Progress = None,
    ) -> None:
        self._system, self._fit = system, fit
        self._parameters, self._names = dict(parameters), tuple(names)
        self._curves: dict[str, Curve] = {}
        self._progress = progress

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters that are profiled."""
        return self._names

    @cached_property
    def estimates(self) -> pd.Series:
        """Maximum likelihood estimates, at which every curve is zero."""
        values = self._values(self._fit)
        return pd.Series([values[name] for name in self.names], index=list(self.names))

    @property
    def n_evaluations(self) -> int:
        """Number of times the deviance was computed so far."""
        return sum(curve.n_evaluations for curve in self._curves.values())

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Profile likelihood intervals.

        Parameters
        ----------
        alpha : float, default 0.05
            One less the level.

        Returns
        -------
        DataFrame
            Columns ``lower, upper``, a row per parameter. A standard deviation that zero does not
            contradict has 0 as its lower end, and a correlation may have -1 or 1.

        Warns
        -----
        ConvergenceWarning
            An end could not be certified, or a better fit was found on the way.
        InferenceWarning
            A profile is not monotone, or a correlation is not defined.

        Notes
        -----
        Ends are roots of the profile itself, not of a curve drawn through some of its points: zeta
        there is the normal quantile to 1e-6.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
        >>> print(fit.profile().conf_int().round(3).to_string())
                                      lower    upper
        sd_Intercept|Subject         14.381   37.716
        cor_Days.Intercept|Subject   -0.481    0.685
        sd_Days|Subject               3.801    8.753
        sigma                        22.898   28.858
        Intercept                   237.681  265.130
        Days                          7.359   13.576
        """
        return self.limits(alpha)[["lower", "upper"]]

    def limits(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return the intervals with what is known about their ends.

        Parameters
        ----------
        alpha : float, default 0.05
            One less the level.

        Returns
        -------
        DataFrame
            Columns ``lower, upper``; ``zeta_lower, zeta_upper``, the curve there; ``open_lower,
            open_upper``, whether the parameter's range ends first.
        """
        q = _quantile(alpha)
        ends = {name: self._ends(name, q) for name in self._watched()}
        self._notify(ends)
        columns = {
            "lower": [lower.value for lower, _ in ends.values()],
            "upper": [upper.value for _, upper in ends.values()],
            "zeta_lower": [lower.zeta for lower, _ in ends.values()],
            "zeta_upper": [upper.zeta for _, upper in ends.values()],
            "open_lower": [lower.is_open for lower, _ in ends.values()],
            "open_upper": [upper.is_open for _, upper in ends.values()],
        }
        return pd.DataFrame(columns, index=pd.Index(list(self.names)))

    def to_frame(
        self, alpha: float = 0.01, points: int = 8, nuisance: bool = False
    ) -> pd.DataFrame:
        """Return the curves, long, for plots.

        Parameters
        ----------
        alpha : float, default 0.01
            The curves reach the ends of intervals of this level.
        points : int, default 8
            About as many points on each side of the estimate.
        nuisance : bool, default False
            Add a column for every parameter of the model, with its value at the constrained
            maximum.

        Returns
        -------
        DataFrame
            Columns ``parameter, value, zeta``: the signed root of the profile deviance's excess.
            Nearly straight lines are nearly quadratic likelihoods.
        """
        q = _quantile(alpha)
        step = q / max(int(points), 1)
        rows: list[dict[str, Any]] = []
        for name in self._watched():
            curve = self._curve(name)
            for side in (-1.0, 1.0):
                for position in range(1, max(int(points), 1)):
                    curve.end(side * step * position, tolerance=0.1 * step)
            self._ends(name, q)
            for node in curve.within(q):
                row = {"parameter": name, "value": curve.user(node.c), "zeta": node.zeta}
                others = self._values(node.fit) | {name: row["value"]} if nuisance else {}
                rows.append(row | others)
        self._notify({})
        return pd.DataFrame(rows)

    def zeta(self, parameter: str, values: ArrayLike) -> FloatArray:
        """Return the signed root of the excess deviance at given values of a parameter.

        Parameters
        ----------
        parameter : str
            One of ``names``.
        values : array_like
            In the parameter's unit.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
        >>> fit.profile("Days").zeta("Days", [0.0, 10.0]).round(3).tolist()
        [-4.851, -0.311]
        """
        chosen = selected(parameter, {name: self._parameters[name] for name in self.names})
        curve = self._curve(chosen[0])
        where = np.atleast_1d(np.asarray(values, dtype=np.float64))
        zeta = np.array([curve.at(value).zeta for value in where])
        self._notify({})
        return zeta

    # -- inside ----------------------------------------------------------------------------------

    def _watched(self) -> Iterator[str]:
        return watched(self.names, self._progress, "profile", "parameters")

    def _curve(self, name: str) -> Curve:
        if name not in self._curves:
            self._curves[name] = Curve(self._system, self._parameters[name], self._fit)
        return self._curves[name]

    def _ends(self, name: str, q: float) -> tuple[End, End]:
        curve = self._curve(name)
        return curve.end(-q), curve.end(q)

    def _notify(self, ends: Mapping[str, tuple[End, End]]) -> None:
        for warning in trouble(self._curves, ends):
            notify(warning)

    def _values(self, fit: Fit) -> dict[str, float]:
        """Every parameter of the model at one point."""
        system, values = self._system, {}
        for name, held in self._parameters.items():
            origin, size = held.units(system)
            values[name] = origin + size * fit.value_of(held, system)
        return values

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Profile({', '.join(self.names)})"


class ProfileAccessors(FitStatistics):
    """Profile likelihood of a result."""

    _model: ModelLike
    _optimum: Optimum

    def profile(
        self, which: str | Sequence[str] | None = None, *, progress: Progress = None
    ) -> Profile:
        """Profile likelihood of fixed effects, standard deviations, correlations and sigma.

        Parameters
        ----------
        which : str or sequence of str, optional
            Names of parameters (``"Days"``, ``"sd_Days|Subject"``, ``"sigma"``), or "random"
            (all that describe random effects, and sigma), "residual" (structured residuals, and
            sigma) or "fixed". Default: all.
        progress : bool or callable, optional
            As for ``bootstrap``; the curves are computed when something asks for them.

        Returns
        -------
        Profile
            With ``conf_int(alpha)``, ``to_frame()`` (the curves), ``zeta(parameter, values)``.

        Notes
        -----
        The profile is that of the full likelihood; a REML fit is refitted by ML first. Rows of the
        data are not needed. Structured terms and residuals have their natural parameters
        (``"rho|Subject"``, ``"rho"``, ``"power"``).

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff"))
        >>> print(fit.profile("random").conf_int(alpha=0.1).round(2).to_string())
                            lower  upper
        sd_Intercept|Batch  16.77  72.87
        sigma               39.73  64.07
        """
        require_exact_engine(
            self._model.any_system, "`profile`", "`covariance_parameters()` for Wald intervals"
        )
        system = self._model.system
        parameters = parameters_of(system, self.fixed_names)
        names = list(parameters) if which is None else selected(which, parameters)
        fit, optimum = fit_by_ml(system, self.estimates, self._optimum)
        warning = unproved_fit(optimum)
        if warning is not None:
            notify(warning)
        return Profile(system, fit, parameters, names, progress)


def _quantile(alpha: float) -> float:
    """Two-sided quantile of the normal."""
    return float(critical_value(check_alpha(alpha), np.array([np.inf]))[0])
