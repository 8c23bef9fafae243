"""R's calls: build a model, build and fit it, read a saved one."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any, Literal

from numpy.typing import ArrayLike

from lmmformula.design import materialize
from lmmformula.design.sources import closest_name
from lmmformula.design.stream.open import open_stream
from lmmformula.design.stream.stream import Stream
from lmmformula.errors import DataError, OptionError
from lmmformula.formula import parse, parse_residual
from lmmformula.model import LinearMixedModel
from lmmformula.postfit.persist import read
from lmmformula.postfit.progress import FitProgress, Progress
from lmmformula.results import LinearMixedResults
from lmmformula.streaming import streamed_model

__all__ = ["lmer", "lmm", "load"]

R_ARGUMENTS = {"control": "optimizer", "verbose": "progress", "na_action": "missing"}


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
    progress: Progress = None,
) -> LinearMixedModel:
    """Build a linear mixed model from a formula and data.

    Parameters
    ----------
    formula : str
        As for R's ``lmer``: ``"Reaction ~ Days + (Days | Subject)"``.
    data : table, or data in pieces
        One row per observation; not modified. A pandas, polars or pyarrow table or a dict of
        arrays; or what ``lf.stream`` reads piece by piece, in bounded memory: a Parquet file or
        folder, a pyarrow dataset or reader, a polars LazyFrame, a DuckDB relation, a Dask
        DataFrame, an iterator of frames.
    weights : str or array_like, optional
        Prior weights: the residual variance of a row is sigma^2 / weight. A column, an expression
        of columns (``"1 / se^2"``) or an array; no arrays where the data come in pieces.
    offset : str or array_like, optional
        Known part of the linear predictor, given as the weights are.
    contrasts : mapping, optional
        Coding by factor: "treatment", "sum", "poly", "helmert", "diff" or formulaic contrasts.
    subset : optional
        Rows to use: a condition (``"year > 2010"``), a boolean column or an array.
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
    progress : bool or callable, optional
        For data in pieces: a bar, or a function of the rows done and to do. By default a bar once
        two seconds have passed, in a terminal or notebook.

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
    parsed = parse(formula, require_random=structured is None)
    options: dict[str, Any] = {
        "weights": weights,
        "offset": offset,
        "contrasts": contrasts,
        "subset": subset,
        "missing": missing,
        "checks": checks,
        "relationship": relationship,
    }
    stream = open_stream(data)
    if stream is None:
        return LinearMixedModel(materialize(parsed, data, residual=structured, **options))
    if structured is not None:
        raise _needs_whole_groups(stream, "residual" if residual is not None else "variance")
    return streamed_model(parsed, stream, progress=progress, **options)


def lmer(
    formula: str,
    data: Any,
    reml: bool = True,
    *,
    start: ArrayLike | None = None,
    optimizer: Any = None,
    progress: FitProgress = None,
    keep_data: bool = True,
    method: str | None = None,
    precision: float = 0.01,
    seed: int = 0,
    **options: Any,
) -> LinearMixedResults:
    """Build and fit a linear mixed model in one call, as in R.

    Parameters
    ----------
    formula, data
        As for ``lmm``.
    reml, start, optimizer, progress, keep_data, method, precision, seed
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
    watched = progress if progress is None or isinstance(progress, bool) else None
    return lmm(formula, data, progress=watched, **options).fit(
        reml,
        start=start,
        optimizer=optimizer,
        progress=progress,
        keep_data=keep_data,
        method=method,
        precision=precision,
        seed=seed,
    )


def _needs_whole_groups(stream: Stream, option: str) -> OptionError:
    return OptionError(
        "structured residuals need all rows of the data at once, and these come in pieces.",
        got=f"`{option}=` with {stream.description}",
        suggestion="read the columns of the model into a table first, or leave the structure out",
        option=option,
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
