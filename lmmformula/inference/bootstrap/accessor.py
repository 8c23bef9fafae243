"""Bootstrap of a fitted model."""

from __future__ import annotations

from typing import Any, Literal

from lmmformula.design.notify import notify
from lmmformula.errors import NumericalError, OptionError
from lmmformula.inference.bootstrap.fits import Fits, failure_warning
from lmmformula.inference.bootstrap.kinds import (
    CaseBlocks,
    ParametricBlocks,
    ResidualBlocks,
    top_level_factor,
)
from lmmformula.inference.bootstrap.result import Bootstrap, Fitted, fitter_of
from lmmformula.inference.bootstrap.run import Blocks, check_count, run_blocks, seed_sequence
from lmmformula.postfit.progress import Progress
from lmmformula.postfit.requirements import require_unrelated_levels

__all__ = ["Bootstrap", "BootstrapAccessors", "bootstrap"]

KINDS = ("parametric", "residual", "case")
CALL = "results.bootstrap(1000, seed=1)"


class BootstrapAccessors:
    """The bootstrap as a method of a result."""

    def bootstrap(
        self: Any,
        n: int,
        seed: Any,
        kind: Literal["parametric", "residual", "case"] = "parametric",
        *,
        cluster: str | None = None,
        progress: Progress = None,
        n_jobs: int = 1,
        executor: Any = None,
    ) -> Bootstrap:
        """Fit the model to many resampled data sets.

        Parameters
        ----------
        n : int
            Number of replicates.
        seed : int, SeedSequence or Generator
            Source of randomness. The replicates depend on nothing else, not on where they run,
            and the first ones not on ``n``.
        kind : {"parametric", "residual", "case"}
            Draw random effects and errors from the fitted model; resample centred and reflated
            conditional modes and residuals; or resample clusters with all their rows.
        cluster : str, optional
            Grouping factor whose levels ``kind="case"`` resamples; default: the one that contains
            all others.
        progress : bool or callable, optional
            Show a bar on stderr, or call ``progress(done, n)``. Default: a bar in a terminal or
            notebook once two seconds have passed.
        n_jobs : int, default 1
            Processes (needs joblib); -1 for one per processor.
        executor : optional
            Where replicates run: a number of processes as for ``n_jobs``, a ``joblib.Parallel``,
            any ``concurrent.futures.Executor``, a ``distributed.Client``, or "dask" for the
            client that is active. Default: this process.

        Returns
        -------
        Bootstrap
            With ``to_frame()``, ``conf_int()``, ``summary()``, ``n_failed`` and ``failures``.

        Warns
        -----
        ConvergenceWarning
            Some replicates could not be fitted.
        """
        where = {"n_jobs": n_jobs, "executor": executor}
        return bootstrap(self, n, seed, kind, cluster=cluster, progress=progress, **where)


def bootstrap(
    results: Fitted,
    n: int,
    seed: Any,
    kind: str = "parametric",
    *,
    cluster: str | None = None,
    progress: Progress = None,
    n_jobs: int = 1,
    executor: Any = None,
) -> Bootstrap:
    """Bootstrap a result; see ``LinearMixedResults.bootstrap``."""
    n, root = check_count(n, CALL), seed_sequence(seed, CALL)
    _check_kind(kind, cluster)
    if kind != "parametric":
        what, instead = f"the {kind} bootstrap", '`kind="parametric"`, which draws related levels'
        require_unrelated_levels(results.design.matrices, what, instead)
    results.model.require_rows("`bootstrap`")
    if kind == "case":
        cluster = top_level_factor(results.design.matrices, cluster, what="the case bootstrap")
    blocks = _blocks(results, kind, cluster)
    parts = run_blocks(blocks, n, root, progress=progress, n_jobs=n_jobs, executor=executor)
    fits = Fits.joined(parts)
    if len(fits.failures) == n:
        raise NumericalError(
            f"none of the {n} bootstrap replicates could be fitted.",
            got=fits.failures[0].reason,
            suggestion="a simpler model, or another `kind`",
            n_failed=n,
        )
    if fits.failures:
        notify(failure_warning(fits.failures, n))
    return Bootstrap(results, kind, n, fits, cluster)


def _check_kind(kind: str, cluster: str | None) -> None:
    if kind not in KINDS:
        raise OptionError(
            f"`kind={kind!r}` is not a kind of bootstrap.",
            got=f"available: {', '.join(KINDS)}",
            suggestion='`kind="parametric"`',
            argument="kind",
            available=KINDS,
        )
    if cluster is not None and kind != "case":
        raise OptionError(
            '`cluster` is for `kind="case"` only.',
            got=f"`kind={kind!r}, cluster={cluster!r}`",
            suggestion=f'`kind="case", cluster="{cluster}"`',
            argument="cluster",
        )


def _blocks(results: Fitted, kind: str, cluster: str | None) -> Blocks:
    fitter = fitter_of(results)
    if cluster is not None:
        return CaseBlocks(fitter, cluster)
    make = {"parametric": ParametricBlocks, "residual": ResidualBlocks}[kind]
    return make(fitter, results.design, results.estimates)
