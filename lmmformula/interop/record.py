"""What comes back from JSON: a fit without its data, to be read, to predict, to be re-created."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lmmformula.calls import lmm
from lmmformula.design import Design, DesignSpec
from lmmformula.design.stream.open import open_stream
from lmmformula.engine import Estimates
from lmmformula.errors import DataError, OptionError
from lmmformula.interop import document as fields
from lmmformula.interop.codec import decode
from lmmformula.model import LinearMixedModel
from lmmformula.postfit.effects import random_effects
from lmmformula.postfit.fingerprint import Fingerprint
from lmmformula.postfit.predict import check_new_levels, predict, resolve_groups
from lmmformula.postfit.remarks import status_text
from lmmformula.postfit.statistics import FitStatistics
from lmmformula.postfit.streamed_rows import predict_in_pieces, refuse_target
from lmmformula.report import VarCorr
from lmmformula.results import LinearMixedResults

__all__ = ["FitRecord", "from_json"]

SAME = 1e-7
"""Difference, relative to the value and its unit, that rounding on another machine may make."""


def from_json(source: str | os.PathLike[str] | Mapping[str, Any]) -> FitRecord:
    """Read a fit that ``results.to_json`` wrote.

    Parameters
    ----------
    source : str, path or mapping
        A file, the JSON itself, or what ``json.load`` made of it. Nothing in it is executed while
        it is read; predicting evaluates its formula, so predict only from files that you trust.

    Returns
    -------
    FitRecord

    Raises
    ------
    DataError
        The file is not a fit, or was written in another version of the format.

    Examples
    --------
    >>> import lmmformula as lf
    >>> data = lf.load_dataset("sleepstudy")
    >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", data)
    >>> record = lf.from_json(fit.to_json())
    >>> bool((record.params == fit.params).all())
    True
    >>> record.predict({"Days": [10], "Subject": ["308"]}).round(2).tolist()
    [450.33]
    >>> again = record.results(data)
    >>> again.conf_int().loc["Days"].round(3).tolist()
    [7.438, 13.497]
    """
    return FitRecord(fields.read_document(source))


class FitRecord(FitStatistics):
    """A fit as its JSON document tells it: estimates and encoding, no data.

    It has the numbers of a result under the same names (``params``, ``bse``, ``cov_params()``,
    ``theta``, ``sigma``, ``llf``, ``aic``, ``varcorr``, ``random_effects``, ...). Tests, intervals
    and diagnostics need the data: ``results(data)`` gives them back.

    Parameters
    ----------
    document : mapping
        What ``to_json`` wrote.

    Attributes
    ----------
    document : dict
        The fields.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = dict(document)
        try:
            self._matrices = fields.matrices_of(self.document)
            self._estimates = fields.estimates_of(self.document)
            self._optimum = fields.optimum_of(self.document)
            self._said = dict(self.document["model"])
            self.fingerprint: Fingerprint = fields.fingerprint_of(self.document)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "the fit in this JSON is not complete.",
                got=f"{type(error).__name__}: {error}",
                suggestion="write it again: `results.to_json(path)`",
            ) from error

    @property
    def estimates(self) -> Estimates:
        """Estimates as arrays."""
        return self._estimates

    @cached_property
    def design(self) -> Design:
        """Names and encodings; no rows."""
        found = self.document.get("encoding") or {}
        if found.get("spec") is None:
            raise DataError(
                "this fit was written without the encoding of its columns.",
                got=found.get("reason", "no field `encoding`"),
                suggestion="`record.results(data)`, which can do everything",
            )
        spec = decode(found["spec"])
        if not isinstance(spec, DesignSpec):
            raise DataError(
                "the encoding in this file cannot be read.",
                got=f"a record of type {type(spec).__name__}",
                suggestion="`record.results(data)`",
            )
        return Design(self._matrices, spec)

    @property
    def formula(self) -> str:
        """The formula as written."""
        return str(self._said["formula"])

    @property
    def response_name(self) -> str:
        """Left side of the formula."""
        return str(self._said["response"])

    @property
    def fixed_names(self) -> tuple[str, ...]:
        """Names of the fixed effects."""
        return self._matrices.fixed_names

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels by grouping factor."""
        return {block.group: block.n_levels for block in self._matrices.random}

    @property
    def converged(self) -> bool:
        """Whether the fit proved a local minimum."""
        return self._optimum.converged

    @property
    def is_singular(self) -> bool:
        """Whether the covariance of the random effects was on the boundary."""
        return bool(self.document["convergence"]["is_singular"])

    @property
    def versions(self) -> dict[str, str]:
        """Versions of what wrote the fit."""
        return dict(self.document["written_by"])

    @property
    def varcorr(self) -> VarCorr:
        """Variances and correlations of the random effects."""
        return VarCorr.from_estimates(self._matrices.random, self._estimates.templates, self.sigma)

    @property
    def random_effects(self) -> dict[str, pd.DataFrame]:
        """Conditional modes by grouping factor, level by effect."""
        return random_effects(self._matrices.random, self._estimates.random)

    def predict(
        self,
        newdata: Any,
        random: Any = "all",
        new_levels: str = "raise",
        *,
        to: str | os.PathLike[str] | None = None,
    ) -> Any:
        """Predict rows, as ``LinearMixedResults.predict`` does; no data are needed.

        Parameters
        ----------
        newdata : frame, dict, or data in pieces
            Rows to predict.
        random : {"all", "none"} or list of str
            Grouping factors whose random effects are added.
        new_levels : {"raise", "zero"}
            What a level that was not fitted does.
        to : str or path, optional
            For rows in pieces: a Parquet file to write.

        Returns
        -------
        Series; for rows in pieces an iterator of DataFrames, or the path that was written
        """
        check_new_levels(new_levels)
        groups = resolve_groups(random, tuple(self.ngroups))

        def predicted(rows: Any) -> pd.Series:
            return predict(self.design, self._estimates, rows, groups, new_levels=new_levels)

        stream = open_stream(newdata)
        if stream is not None:
            return predict_in_pieces(self.design, stream, predicted, to)
        refuse_target(to)
        return predicted(newdata)

    def results(self, data: Any, **options: Any) -> LinearMixedResults:
        """Re-create the result from the data, at the recorded theta; nothing is optimized.

        Parameters
        ----------
        data : frame, dict or LinearMixedModel
            The data that were fitted, or a model of them.
        **options
            Arguments of ``lmm`` that the record does not know: arrays (``weights``, ``offset``,
            ``subset``) and ``relationship``. Columns, conditions, codings and structures are
            recorded.

        Raises
        ------
        DataError
            These are not the data, or not the model, that were fitted.
        """
        if isinstance(data, LinearMixedModel):
            model = data
            if options:
                raise OptionError(
                    "a model has its options already.",
                    got=", ".join(f"`{name}=`" for name in options),
                    suggestion="give them to `lf.lmm(...)`",
                    available=(),
                )
        else:
            model = lmm(self.formula, data, **(self._options() | options))
        self._check_model(model)
        found = model.at(self.theta, self.criterion == "REML")
        self._check_estimates(found.estimates)
        return LinearMixedResults(model, found.estimates, self._optimum)

    def _options(self) -> dict[str, Any]:
        """Arguments of ``lmm`` that are recorded."""
        names = ("weights", "offset", "residual", "variance")
        known = {name: self._said[name] for name in names if self._said.get(name) is not None}
        if (self.document.get("encoding") or {}).get("spec") is not None:
            spec = self.design.spec
            if spec.subset is not None:
                known["subset"] = spec.subset
            codings = {
                name: levels.contrasts
                for name, levels in spec.variables.items()
                if levels is not None and levels.contrasts is not None
            }
            known["contrasts"] = {
                name: coding for name, coding in codings.items() if name in spec.formula.variables
            } or None
        return known

    def _check_model(self, model: LinearMixedModel) -> None:
        own, other = self.fingerprint, model.fingerprint
        if own.n_obs != other.n_obs or not own.has_same_rows(other):
            raise _other_data(
                f"{other.n_obs} rows used of {other.n_rows_data}; they were {own.n_obs} of "
                f"{own.n_rows_data}"
            )
        if (own.weights is None) != (other.weights is None):
            raise _other_data("other prior weights", "`weights=` as they were in the fit")
        found = model.design.matrices
        if found.fixed_names != self.fixed_names or len(found.random) != len(self._matrices.random):
            raise _other_data(
                f"fixed effects {', '.join(found.fixed_names)}; they were "
                f"{', '.join(self.fixed_names)}"
            )

    def _check_estimates(self, found: Estimates) -> None:
        """Compare numbers, not digests: another machine may round the response differently."""
        own = self._estimates
        pairs = [
            ("criterion", found.objective, own.objective, 1.0 + abs(own.objective)),
            ("sigma", found.sigma, own.sigma, own.sigma),
            *zip(self.fixed_names, found.beta, own.beta, self._se, strict=True),
        ]
        for block, new, old in zip(self._matrices.random, found.random, own.random, strict=True):
            worst = np.unravel_index(np.argmax(np.abs(new - old)), old.shape)
            pairs.append((f"an effect of {block.text}", new[worst], old[worst], own.sigma))
        for name, new, old, unit in pairs:
            if not abs(new - old) <= SAME * (unit + abs(old)):
                raise _other_data(f"{name} {new:.8g} at the recorded theta; it was {old:.8g}")

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """Return the document as text, or write it to a file."""
        return fields.dump(self.document, path)

    def __repr__(self) -> str:
        status = status_text(self._optimum.status, self.is_singular)
        return (
            f"FitRecord({self.formula!r}, criterion={self.criterion!r}, "
            f"objective={self.objective:.6g}, status={status!r})"
        )


def _other_data(got: str, first: str = "the data of the fit") -> DataError:
    return DataError(
        "these are not the data and the model that were fitted.",
        got=got,
        suggestion=f"{first}; `subset=`, `weights=`, `offset=` and `relationship=` as they were",
    )
