"""The fitted rows with what the model says about each, as broom.mixed lays them out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmformula.design import Design
from lmmformula.engine import BlockedSystem, Estimates
from lmmformula.errors import DimensionError
from lmmformula.postfit.errors_of_rows import cooks_distance, hat_values
from lmmformula.postfit.predict import linear_predictor
from lmmformula.postfit.residual_structure import ResidualStructure

__all__ = ["augment", "augmented", "used_rows"]


def augment(
    design: Design,
    estimates: Estimates,
    system: BlockedSystem | None,
    data: Any = None,
    structure: ResidualStructure | None = None,
) -> pd.DataFrame:
    """Join fitted values, residuals and diagnostics to the data.

    Parameters
    ----------
    design : Design
        The fitted rows.
    estimates : Estimates
        Fixed effects and conditional modes.
    system : BlockedSystem or None
        Cross-products of the design.
    data : frame or dict, optional
        The data that were passed in; its used rows come first. Without it the response, the
        columns of the fixed effects and the grouping factors do.
    structure : ResidualStructure, optional
        Covariance of the residuals, where they are not independent with equal variances.

    Returns
    -------
    DataFrame
        Then ``.fitted, .resid, .hat, .cooksd, .fixed, .mu, .offset, .weights, .sqrtXwt, .sqrtrwt,
        .wtres``. Variance functions count as weights, sigma^2 over the row's residual variance;
        correlated residuals have ``.normalized`` instead of ``.hat`` and ``.cooksd``.
    """
    before = _model_columns(design) if data is None else used_rows(design, data)
    return augmented(design, estimates, system, before, structure)


def augmented(
    design: Design,
    estimates: Estimates,
    system: BlockedSystem | None,
    before: pd.DataFrame,
    structure: ResidualStructure | None = None,
) -> pd.DataFrame:
    """Join what the model says of its rows to a frame of them.

    Parameters
    ----------
    design, estimates, structure
        As for ``augment``.
    system : BlockedSystem or None
        Without one there is neither ``.hat`` nor ``.cooksd``.
    before : DataFrame
        One row per row of the design. Columns of the names that are added give way.
    """
    m = design.matrices
    fixed = linear_predictor(design, estimates, ())
    fitted = linear_predictor(design, estimates, {block.group for block in m.random})
    weights = np.ones(m.n_obs) if m.weights is None else m.weights
    if structure is not None:
        weights = (estimates.sigma / structure.sd) ** 2
    root = np.sqrt(weights)
    pearson = root * (m.y - fitted)
    added = {".fitted": fitted, ".resid": m.y - fitted}
    if structure is not None and m.residual is not None and m.residual.correlation is not None:
        added[".normalized"] = structure.normalized(m.y - fitted)
    elif system is not None:
        hat = hat_values(design, estimates, system, structure)
        added[".hat"] = hat
        added[".cooksd"] = cooks_distance(pearson, hat, estimates.sigma, m.p)
    added |= {
        ".fixed": fixed,
        ".mu": fitted,
        ".offset": np.zeros(m.n_obs) if m.offset is None else m.offset,
        ".weights": weights,
        ".sqrtXwt": root,
        ".sqrtrwt": root,
        ".wtres": pearson,
    }
    kept = before[[name for name in before if name not in added]]
    return pd.concat([kept, pd.DataFrame(added, index=before.index)], axis=1)


def _model_columns(design: Design) -> pd.DataFrame:
    m = design.matrices
    columns: dict[str, Any] = {design.spec.response_name: np.array(m.y)}
    for j, name in enumerate(m.fixed_names):
        if name != "Intercept":
            columns[name] = m.X[:, j]
    for block in m.random:
        columns.setdefault(block.group, np.asarray(block.levels, dtype=object)[block.codes])
    return pd.DataFrame(columns, index=design.spec.index)


def used_rows(design: Design, data: Any) -> pd.DataFrame:
    """Return the used rows of the data that were passed in."""
    if isinstance(data, pd.DataFrame):
        frame = data
    elif isinstance(data, dict):
        frame = pd.DataFrame(data)
    else:
        import narwhals as nw

        frame = nw.from_native(data, eager_only=True).to_pandas()
    if len(frame) != design.spec.n_rows_data:
        raise DimensionError(
            "`augment` needs the data that the model was fitted to.",
            got=f"{len(frame)} rows; the model was given {design.spec.n_rows_data}",
            suggestion="`augment()` without data, or pass the original table",
        )
    return frame.iloc[design.matrices.rows]
