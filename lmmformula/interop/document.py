"""A fit as one JSON document: what it says, and in which fields.

The fields are those of ``docs/how-to/other-libraries.md``; ``VERSION`` counts changes of their
meaning.
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy

from lmmformula._arrays import FloatArray
from lmmformula.engine import Estimates
from lmmformula.errors import DataError
from lmmformula.interop.codec import Unwritable, encode
from lmmformula.matrices import ModelMatrices, RandomBlock
from lmmformula.optimize import Optimum, OptimumStatus
from lmmformula.postfit.fingerprint import Fingerprint
from lmmformula.postfit.persist import without_rows

__all__ = ["FORMAT", "VERSION", "document_of", "read_document", "write"]

FORMAT = "lmmformula fit"
VERSION = 1


def write(results: Any, path: str | os.PathLike[str] | None = None) -> str | None:
    """Write a fit as JSON; see ``LinearMixedResults.to_json``."""
    return dump(document_of(results), path)


def dump(document: Mapping[str, Any], path: str | os.PathLike[str] | None) -> str | None:
    """Return the document as text, or write it to a file."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    if path is None:
        return text
    Path(path).write_text(text + "\n", encoding="utf-8")
    return None


def document_of(results: Any) -> dict[str, Any]:
    """Collect the fields.

    Parameters
    ----------
    results : LinearMixedResults
        The fit; its rows are not written.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "written_by": {
            # by name: the package's own module lists the layers above this one
            "lmmformula": import_module("lmmformula").__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
        "model": _model(results),
        "fit": _fit(results),
        "counts": {
            "rows": results.nobs,
            "rows_of_data": results.fingerprint.n_rows_data,
            "fixed_effects": results.df_model,
            "covariance_parameters": int(results.estimates.n_theta),
            "parameters": results.npar,
            "residual_df": results.df_resid,
            "levels": dict(results.ngroups),
        },
        "convergence": _convergence(results),
        "fixed_effects": {
            "names": list(results.fixed_names),
            "estimates": results.estimates.beta.tolist(),
            "standard_errors": results.bse.tolist(),
            "covariance": np.asarray(results.estimates.vcov_beta).tolist(),
        },
        "covariance_parameters": _covariance_parameters(results),
        "random_effects": _random_effects(results),
        "left_out": {
            "columns": list(results.dropped.columns),
            "rows": np.asarray(results.dropped.rows).tolist(),
        },
        "data": asdict(results.fingerprint),
        "encoding": _encoding(results),
    }


def _model(results: Any) -> dict[str, Any]:
    spec, residual = results.design.spec, results.design.matrices.residual
    variances = () if residual is None else residual.variances
    has_correlation = residual is not None and residual.correlation is not None
    return {
        "formula": results.formula,
        "response": results.response_name,
        "residual": residual.text if has_correlation else None,
        "variance": " + ".join(part.text for part in variances) or None,
        "weights": spec.weights_name,
        "offset": spec.offset_name,
        "has_array_offset": spec.has_array_offset,
    }


def _fit(results: Any) -> dict[str, Any]:
    e = results.estimates
    return {
        "criterion": results.criterion,
        "objective": float(e.objective),
        "log_likelihood": results.llf,
        "aic": results.aic,
        "bic": results.bic,
        "sigma": float(e.sigma),
        "pwrss": float(e.pwrss),
        "logdet_L": float(e.logdet_L),
        "logdet_RX": float(e.logdet_RX),
    }


def _convergence(results: Any) -> dict[str, Any]:
    optimum = results.optimum
    return {
        "converged": results.converged,
        "is_singular": results.is_singular,
        "status": str(optimum.status),
        "evaluations": int(optimum.n_evaluations),
        "gradient_norm": _or_null(optimum.gradient_norm),
        "min_eigenvalue": _or_null(optimum.min_eigenvalue),
    }


def _or_null(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _covariance_parameters(results: Any) -> dict[str, Any]:
    table = results.varcorr.to_frame().astype(object)
    structure = results.residual_structure
    own = None if structure is None else structure.parameters()
    return {
        "theta": results.theta.tolist(),
        "table": [
            {name: None if pd.isna(value) else value for name, value in row.items()}
            for row in table.to_dict("records")
        ],
        "residual": None if own is None else {str(k): float(v) for k, v in own.items()},
    }


def _random_effects(results: Any) -> list[dict[str, Any]]:
    e = results.estimates
    blocks = results.design.matrices.random
    return [
        {
            "term": block.text,
            "group": block.group,
            "structure": block.structure,
            "effects": list(block.effect_names),
            "positions": None if block.positions is None else block.positions.tolist(),
            "related_levels": block.relationship is not None,
            "relative_factor": np.asarray(template).tolist(),
            "levels": [str(level) for level in block.levels],
            "modes": np.asarray(modes).tolist(),
        }
        for block, template, modes in zip(blocks, e.templates, e.random, strict=True)
    ]


def _encoding(results: Any) -> dict[str, Any]:
    """What encodes new rows as the fitted ones were, or why it could not be written."""
    spec = without_rows(results.design).spec
    try:
        # the positions of rows left out are under `left_out`
        return {"spec": encode(replace(spec, dropped_rows=spec.dropped_rows[:0]))}
    except Unwritable as reason:
        return {"spec": None, "reason": str(reason)}


def read_document(source: Any) -> dict[str, Any]:
    """Read a document from a path, from text, or from what ``json.load`` gave.

    Raises
    ------
    DataError
        It is not a fit, or one of a later version.
    """
    document = source if isinstance(source, Mapping) else _parsed(source)
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise DataError(
            "this JSON is not a fit of this package.",
            got=f"{str(document)[:60]!r}",
            suggestion="`results.to_json(path)` writes one",
        )
    version = document.get("version")
    if version != VERSION:
        raise DataError(
            "this fit was written in another version of the format.",
            got=f"version {version!r}, by lmmformula "
            f"{dict(document.get('written_by', {})).get('lmmformula', '?')}; this one reads "
            f"version {VERSION}",
            suggestion="`pip install --upgrade lmmformula`, or fit again",
            version=version,
        )
    return dict(document)


def _parsed(source: Any) -> Any:
    is_text = isinstance(source, str) and source.lstrip().startswith("{")
    try:
        return json.loads(source if is_text else Path(source).read_text(encoding="utf-8"))
    except (ValueError, TypeError) as error:
        raise DataError(
            "the file does not hold JSON." if not is_text else "the text is not JSON.",
            got=str(error),
            suggestion="`results.to_json(path)` writes a file that `lf.from_json(path)` reads",
        ) from error


def matrices_of(document: Mapping[str, Any]) -> ModelMatrices:
    """Names, levels and structures of the model, without rows."""
    none = np.empty(0)
    blocks = tuple(
        RandomBlock(
            z=np.empty((0, len(item["effects"]))),
            codes=np.empty(0, dtype=np.int32),
            levels=np.array(item["levels"], dtype=object),
            effect_names=tuple(item["effects"]),
            group=item["group"],
            structure=item["structure"],
            text=item["term"],
            positions=None if item["positions"] is None else np.array(item["positions"]),
            relationship=np.empty((0, 0)) if item["related_levels"] else None,
        )
        for item in document["random_effects"]
    )
    names = tuple(document["fixed_effects"]["names"])
    rows = np.empty(0, dtype=np.int64)
    return ModelMatrices(none, np.empty((0, len(names))), names, blocks, None, None, rows)


def estimates_of(document: Mapping[str, Any]) -> Estimates:
    """Estimates, to the last bit."""
    fit, counts, fixed = document["fit"], document["counts"], document["fixed_effects"]
    terms = document["random_effects"]
    p = len(fixed["names"])
    return Estimates(
        theta=_array(document["covariance_parameters"]["theta"]),
        templates=tuple(_matrix(term["relative_factor"], len(term["effects"])) for term in terms),
        beta=_array(fixed["estimates"]),
        vcov_beta=_matrix(fixed["covariance"], p),
        sigma=fit["sigma"],
        random=tuple(_matrix(term["modes"], len(term["effects"])) for term in terms),
        objective=fit["objective"],
        criterion=fit["criterion"],
        pwrss=fit["pwrss"],
        logdet_L=fit["logdet_L"],
        logdet_RX=fit["logdet_RX"],
        n_obs=counts["rows"],
        p=p,
        n_theta=counts["covariance_parameters"],
    )


def optimum_of(document: Mapping[str, Any]) -> Optimum:
    """What the optimizer found; its trace and settings are not kept."""
    said = document["convergence"]
    nan = float("nan")
    return Optimum(
        _array(document["covariance_parameters"]["theta"]),
        document["fit"]["objective"],
        OptimumStatus(said["status"]),
        said["evaluations"],
        nan if said["gradient_norm"] is None else said["gradient_norm"],
        nan if said["min_eigenvalue"] is None else said["min_eigenvalue"],
        trace=(),
    )


def fingerprint_of(document: Mapping[str, Any]) -> Fingerprint:
    """What identifies the data."""
    return Fingerprint(**document["data"])


def _array(values: Any) -> FloatArray:
    return np.array(values, dtype=np.float64)


def _matrix(values: Any, n_columns: int) -> FloatArray:
    return _array(values).reshape(-1, n_columns)
