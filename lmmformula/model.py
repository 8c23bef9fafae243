"""From a formula and data to results: parse, materialize, assemble, minimize, estimate."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from lmmformula._arrays import FloatArray
from lmmformula.design import Design, materialize
from lmmformula.design.notify import notify
from lmmformula.design.sources import closest_name
from lmmformula.engine import BlockedSystem, assemble, estimate, replace_response
from lmmformula.errors import DataError, DimensionError, OptionError
from lmmformula.formula import parse, parse_residual
from lmmformula.optimize import Optimum, OptimumStatus, minimize
from lmmformula.postfit.fingerprint import Fingerprint
from lmmformula.postfit.persist import missing_rows, read, without_rows
from lmmformula.postfit.progress import FitProgress, progress_callback
from lmmformula.postfit.remarks import convergence_warning
from lmmformula.postfit.requirements import residual_text
from lmmformula.postfit.response import new_response
from lmmformula.postfit.singular import singular_warning
from lmmformula.postfit.theta import check_ranges
from lmmformula.results import LinearMixedResults

__all__ = ["LinearMixedModel", "lmer", "lmm", "load"]

R_ARGUMENTS = {"control": "optimizer", "verbose": "progress", "na_action": "missing"}


class LinearMixedModel:
    """A linear mixed model for given data; nothing is fitted yet.

    Fitting leaves the model as it is, so REML and maximum likelihood fits, or fits by different
    optimizers, can be had from one model and never touch each other.

    Parameters
    ----------
    design : Design
        Matrices and encodings, from ``lmm``.

    Attributes
    ----------
    design : Design
        What the formula made of the data.
    """

    def __init__(
        self,
        design: Design,
        *,
        system: BlockedSystem | None = None,
        fingerprint: Fingerprint | None = None,
    ) -> None:
        self.design = design
        given = {"system": system, "fingerprint": fingerprint}
        self.__dict__.update({name: part for name, part in given.items() if part is not None})

    @cached_property
    def system(self) -> BlockedSystem:
        """Cross-products of the design, built on first use and shared by all fits."""
        self.require_rows("the model")
        return assemble([self.design.matrices])

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Digests of rows, response and weights."""
        return Fingerprint.of(self.design)

    @property
    def formula(self) -> str:
        """The formula as written."""
        return self.design.spec.formula.text

    @property
    def endog_names(self) -> str:
        """Left side of the formula, under the name that statsmodels' tables ask for."""
        return self.design.spec.response_name

    @property
    def exog_names(self) -> list[str]:
        """Names of the fixed effects, under the name that statsmodels' tables ask for."""
        return list(self.design.matrices.fixed_names)

    @property
    def has_rows(self) -> bool:
        """Whether the rows of the data are still held."""
        return self.design.matrices.n_obs > 0

    def require_rows(self, what: str) -> None:
        """Raise, naming ``what`` needs them, if the rows are gone."""
        if not self.has_rows:
            raise missing_rows(what)

    def fit(
        self,
        reml: bool = True,
        *,
        start: ArrayLike | None = None,
        optimizer: Any = None,
        progress: FitProgress = None,
        keep_data: bool = True,
    ) -> LinearMixedResults:
        """Fit by restricted or full maximum likelihood.

        Parameters
        ----------
        reml : bool, default True
            Maximize the restricted likelihood.
        start : array_like, shape (n_theta,), or float, optional
            Where to start, in lme4's ``theta``; a number is that multiple of the identity, in
            units of the columns' root mean squares.
        optimizer : str or settings, optional
            Another optimizer than the default, by name or as its settings object.
        progress : bool or callable, optional
            Show progress on stderr, or call ``progress(record)`` at each evaluation. Default: a
            bar in a terminal or notebook once two seconds have passed.
        keep_data : bool, default True
            Keep the rows in the result; without them residuals and fitted values are gone.

        Returns
        -------
        LinearMixedResults

        Warns
        -----
        ConvergenceWarning
            No local minimum was proved.
        SingularFitWarning
            A variance is zero or a correlation is one in size; the message names it.
        """
        reml = _flag(reml)
        first = None if start is None else self._start(start)
        with progress_callback(progress) as callback:
            optimum, estimates = minimize(
                self.system, reml, start=first, optimizer=optimizer, callback=callback
            )
        results = LinearMixedResults(self if keep_data else self.without_rows(), estimates, optimum)
        if not results.converged:
            notify(convergence_warning(optimum))
        if results.is_singular:
            notify(singular_warning(results.singularities))
        return results

    def at(self, theta: ArrayLike, reml: bool = True) -> LinearMixedResults:
        """Results at a given ``theta``; nothing is optimized.

        Parameters
        ----------
        theta : array_like, shape (n_theta,)
            Relative covariance parameters in lme4's order: lower triangles by columns.
        reml : bool, default True
            Criterion to report.
        """
        estimates = estimate(self.system, self._theta(theta, "theta"), reml=_flag(reml))
        nan = float("nan")
        optimum = Optimum(
            estimates.theta, estimates.objective, OptimumStatus.FIXED, 1, nan, nan, trace=()
        )
        return LinearMixedResults(self, estimates, optimum)

    def with_response(self, y: ArrayLike) -> LinearMixedModel:
        """Return the same model with another response; only products with it are recomputed.

        Parameters
        ----------
        y : array_like
            One value per row used, or per row of the data that were passed in.
        """
        self.require_rows("a new response")
        design, response = new_response(self.design, y)
        system = replace_response(self.system, self.design.matrices, response)
        return LinearMixedModel(design, system=system)

    def without_rows(self) -> LinearMixedModel:
        """Return the same model without arrays as long as the data; it can still be fitted."""
        if not self.has_rows:
            return self
        return LinearMixedModel(
            without_rows(self.design),
            system=self.system,
            fingerprint=self.fingerprint,
        )

    def _start(self, start: ArrayLike) -> FloatArray | float:
        if np.ndim(start) > 0:
            return self._theta(start, "start")
        size = float(np.asarray(start, dtype=np.float64))
        if not 0.0 < size < np.inf:
            raise OptionError(
                "`start` must be positive where it is one number.",
                got=f"`start={start!r}`",
                suggestion="`start=1.0`, or one value per covariance parameter",
            )
        return size

    def _theta(self, values: ArrayLike, name: str) -> FloatArray:
        theta = np.array(values, dtype=np.float64)
        count = self.system.n_theta
        if theta.shape != (count,):
            raise DimensionError(
                f"`{name}` must have one value per covariance parameter.",
                got=f"shape {theta.shape}; the model has {count}",
                suggestion=f"`{name}=np.zeros({count})`, or `results.theta` of a similar fit",
                n_theta=count,
            )
        if not np.isfinite(theta).all():
            raise OptionError(
                f"`{name}` holds values that are not finite.",
                got=f"{theta.tolist()}",
                suggestion="finite values; 0 for a variance of zero",
            )
        check_ranges(self.system, theta, name)
        return theta

    def __getstate__(self) -> dict[str, Any]:
        if self.has_rows:
            return {"design": self.design}
        return dict(self.__dict__)

    def __repr__(self) -> str:
        residual = self.design.matrices.residual
        options = "" if residual is None else f", {residual_text(residual).replace('`', '')}"
        return f"LinearMixedModel({self.formula!r}{options})"


def lmm(
    formula: str,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    subset: Any = None,
    missing: Literal["drop", "raise"] = "drop",
    checks: Literal["raise", "warn", "ignore"] = "raise",
    residual: Any = None,
    variance: Any = None,
    relationship: Any = None,
) -> LinearMixedModel:
    """Build a linear mixed model from a formula and data.

    Parameters
    ----------
    formula : str
        As for R's ``lmer``: ``"Reaction ~ Days + (Days | Subject)"``.
    data : pandas, polars or pyarrow table, or dict of arrays
        One row per observation; not modified.
    weights : str or array_like, optional
        Prior weights, a column or an array: the residual variance of a row is sigma^2 / weight.
    offset : str or array_like, optional
        Known part of the linear predictor, a column or an array.
    contrasts : mapping, optional
        Coding by factor: "treatment", "sum", "poly", "helmert", "diff" or formulaic contrasts.
    subset : optional
        Rows to use, as a boolean column or array.
    missing : {"drop", "raise"}
        What to do with rows in which a variable of the model is missing.
    checks : {"raise", "warn", "ignore"}
        What to do with designs that cannot identify the model.
    residual : str, optional
        Correlation of the residuals within groups, ``"ar1(visit | Subject)"``: ``cs``, ``ar1``,
        ``arma``, ``toep``, ``us`` over visits, ``car1`` over any times.
    variance : str or list of str, optional
        How the residual standard deviation depends on columns: ``"ident(Sex)"``,
        ``"power(age)"``, ``"exp(age)"``, or a product, ``"ident(Sex) + power(age)"``. With
        ``residual`` or ``variance`` a formula needs no random-effects term.
    relationship : mapping of str to matrix, optional
        Known relationship K between the levels of a grouping factor, Var(b) = sigma^2 K (x) Sigma:
        ``{"animal": K}`` with a DataFrame that has the levels as rows and columns, a tuple
        ``(matrix, labels)``, or a dense or sparse matrix in the order of the levels. K may have
        more members than the data; these can be predicted.

    Returns
    -------
    LinearMixedModel

    Examples
    --------
    >>> import lmmformula as lf
    >>> model = lf.lmm("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff"))
    >>> round(model.fit(reml=False).objective, 6)
    327.32706
    """
    structured = parse_residual(residual, variance)
    design = materialize(
        parse(formula, require_random=structured is None),
        data,
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        subset=subset,
        missing=missing,
        checks=checks,
        residual=structured,
        relationship=relationship,
    )
    return LinearMixedModel(design)


def lmer(
    formula: str,
    data: Any,
    reml: bool = True,
    *,
    start: ArrayLike | None = None,
    optimizer: Any = None,
    progress: FitProgress = None,
    keep_data: bool = True,
    **options: Any,
) -> LinearMixedResults:
    """Build and fit a linear mixed model in one call, as in R.

    Parameters
    ----------
    formula, data
        As for ``lmm``.
    reml, start, optimizer, progress, keep_data
        As for ``LinearMixedModel.fit``.
    **options
        The other arguments of ``lmm``.

    Returns
    -------
    LinearMixedResults

    Examples
    --------
    >>> import lmmformula as lf
    >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    >>> round(fit.objective, 4)
    1743.6283
    """
    _refuse_unknown(options)
    return lmm(formula, data, **options).fit(
        reml, start=start, optimizer=optimizer, progress=progress, keep_data=keep_data
    )


def _flag(reml: Any) -> bool:
    """Return ``reml`` as true or false; text such as "no" would count as true."""
    if isinstance(reml, bool | int | np.bool_) and reml in (0, 1):
        return bool(reml)
    raise OptionError(
        "`reml` must be true or false.",
        got=f"`reml={reml!r}`",
        suggestion="`reml=True`, or `reml=False` for maximum likelihood",
        option="reml",
    )


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    """Name the argument that was meant where one is misspelt, or spelt as in R."""
    available = tuple({**inspect.signature(lmm).parameters, **inspect.signature(lmer).parameters})
    available = tuple(name for name in available if name != "options")
    for name in options:
        if name not in available:
            closest = R_ARGUMENTS.get(name) or closest_name(name, available)
            raise OptionError(
                f"`lmer` has no argument `{name}`.",
                got=f"`{name}={options[name]!r:.60}`; arguments: {', '.join(available)}",
                suggestion=f"`{closest}=`" if closest else "leave it out",
                option=name,
                available=available,
            )


def load(path: str | os.PathLike[str]) -> LinearMixedResults:
    """Read a result that ``results.save`` wrote.

    Parameters
    ----------
    path : str or path
        The file. It is a pickle: read only files that you trust.
    """
    results = read(path)
    if not isinstance(results, LinearMixedResults):
        raise DataError(
            "the file does not hold results of a linear mixed model.",
            got=f"an object of type `{type(results).__name__}`",
            suggestion="`results.save(path)` writes one",
        )
    return results
