"""A model: what the formula made of the data, and the engine that will fit it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lmmformula._arrays import FloatArray
from lmmformula.design import Design
from lmmformula.design.notify import notify
from lmmformula.design.stream.stream import Stream
from lmmformula.engine import (
    AlternativeSystem,
    AnySystem,
    BlockedSystem,
    DataSums,
    assemble,
    estimate,
    replace_response,
    sum_products,
)
from lmmformula.engine.choice import build, check_method, needed_plan
from lmmformula.engine.method import plan
from lmmformula.errors import DimensionError, OptionError
from lmmformula.optimize import Optimum, OptimumStatus, minimize
from lmmformula.postfit.fingerprint import Fingerprint
from lmmformula.postfit.persist import missing_rows, without_rows
from lmmformula.postfit.progress import FitProgress, progress_callback
from lmmformula.postfit.remarks import convergence_warning, engine_warning
from lmmformula.postfit.requirements import exact_system, require_plain_residuals, residual_text
from lmmformula.postfit.response import new_response
from lmmformula.postfit.singular import singular_warning
from lmmformula.postfit.theta import check_ranges
from lmmformula.report.explanation import Explanation
from lmmformula.results import LinearMixedResults

__all__ = ["LinearMixedModel"]


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
        system: AnySystem | None = None,
        fingerprint: Fingerprint | None = None,
        sums: DataSums | None = None,
        method: str | None = None,
        stream: Stream | None = None,
    ) -> None:
        self.design, self.method, self.stream = design, method, stream
        given = {"any_system": system, "fingerprint": fingerprint, "sums": sums}
        self.__dict__.update({name: part for name, part in given.items() if part is not None})

    @property
    def system(self) -> BlockedSystem:
        """Cross-products arranged for exact elimination.

        Raises
        ------
        OptionError
            Another engine fits the model.
        """
        return exact_system(self.any_system)

    @cached_property
    def any_system(self) -> AnySystem:
        """The data in the engine that fits the model, built on first use, shared by all fits."""
        if self.design.matrices.residual is not None:
            self.require_rows("the model")
            return assemble([self.design.matrices])
        sums = self._sums()
        found = needed_plan(sums) if self.method is None else None
        if found is not None and found.method == "krylov":
            notify(engine_warning(found))
        return build(sums, self.method, found)

    def explain(self) -> Explanation:
        """Say how the model would be fitted, before anything heavy runs.

        Returns
        -------
        Explanation
            Blocks, their sizes, what each way would take, and the one that is chosen; prints
            itself.

        Examples
        --------
        >>> import lmmformula as lf
        >>> model = lf.lmm("y ~ service + (1 | s) + (1 | d)", lf.load_dataset("insteval"))
        >>> model.explain().method
        'dense'
        """
        matrices = self.design.matrices
        require_plain_residuals(matrices.residual, "`explain()`", "`fit()`, which is exact")
        sums = self._sums()
        return Explanation(self.formula, sums.total.n_obs, matrices.p, plan(sums))

    def _sums(self) -> DataSums:
        """Sums over the rows; kept only where the rows are gone."""
        kept = self.__dict__.get("sums")
        if isinstance(kept, DataSums):
            return kept
        self.require_rows("the model")
        return sum_products([self.design.matrices])

    def using(self, method: str | None) -> LinearMixedModel:
        """Return the same model for another engine.

        Parameters
        ----------
        method : str or None
            As for ``fit``.
        """
        check_method(method)
        if method not in (None, "exact"):
            instead = "leave `method` out"
            require_plain_residuals(self.design.matrices.residual, f'`method="{method}"`', instead)
        if method == self.method:
            return self
        if method not in self._others:
            self._others[method] = self._like(method)
        return self._others[method]

    def _like(self, method: str | None) -> LinearMixedModel:
        """The same model for another engine, not built yet."""
        sums = self.__dict__.get("sums")
        return LinearMixedModel(self.design, sums=sums, method=method, stream=self.stream)

    @cached_property
    def _others(self) -> dict[str | None, LinearMixedModel]:
        """The same model in other engines."""
        return {}

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
    def is_streamed(self) -> bool:
        """Whether the data came in pieces, so that there never were rows to keep."""
        return not self.has_rows and "sums" in self.__dict__

    @property
    def has_rows(self) -> bool:
        """Whether the rows of the data are still held."""
        return self.design.matrices.n_obs > 0

    def require_rows(self, what: str) -> None:
        """Raise, naming ``what`` needs them, if the rows are gone."""
        if not self.has_rows:
            raise missing_rows(what, streamed=self.is_streamed)

    def fit(
        self,
        reml: bool = True,
        *,
        start: ArrayLike | None = None,
        optimizer: Any = None,
        progress: FitProgress = None,
        keep_data: bool = True,
        method: str | None = None,
        precision: float = 0.01,
        seed: int = 0,
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
        method : {"exact", "blocks", "dense", "sparse", "krylov", "partitioned"}, optional
            The engine. By default the exact one, with the storage that ``explain`` shows, and
            "krylov" with a message where its blocks would not fit in memory.
        precision : float, default 0.01
            For "krylov": largest Monte Carlo error of a covariance parameter, in standard errors.
        seed : int, default 0
            For "krylov": source of the random probes.

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
        if method is not None and method != self.method:
            options = {"start": start, "optimizer": optimizer, "progress": progress}
            probes: dict[str, Any] = {"precision": precision, "seed": seed}
            return self.using(method).fit(reml, **options, **probes, keep_data=keep_data)
        reml = _flag(reml)
        first = None if start is None else self._start(start)
        with progress_callback(progress) as callback:
            optimum, estimates = minimize(
                self.any_system,
                reml,
                start=first,
                optimizer=optimizer,
                callback=callback,
                precision=precision,
                seed=seed,
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
        estimates = estimate(self.any_system, self._theta(theta, "theta"), reml=_flag(reml))
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
        if isinstance(self.any_system, AlternativeSystem):
            return LinearMixedModel(design, method=self.any_system.method)
        system = replace_response(self.system, self.design.matrices, response)
        return LinearMixedModel(design, system=system)

    def without_rows(self) -> LinearMixedModel:
        """Return the same model without arrays as long as the data; it can still be fitted."""
        if not self.has_rows:
            return self
        return LinearMixedModel(
            without_rows(self.design),
            system=self.any_system,
            fingerprint=self.fingerprint,
            sums=self.__dict__.get("sums"),
            method=self.method,
            stream=self.stream,
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
        count = self.any_system.n_theta
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
        check_ranges(self.any_system, theta, name)
        return theta

    def __getstate__(self) -> dict[str, Any]:
        if self.has_rows:
            return {"design": self.design, "method": self.method, "stream": None}
        return {**self.__dict__, "stream": None, "_others": {}}

    def __repr__(self) -> str:
        residual = self.design.matrices.residual
        options = "" if residual is None else f", {residual_text(residual).replace('`', '')}"
        return f"LinearMixedModel({self.formula!r}{options})"


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
