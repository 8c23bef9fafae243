"""Random effects of new rows at times or places that were not fitted."""

from __future__ import annotations

from dataclasses import replace

from lmmformula._arrays import FloatArray
from lmmformula.covariance import Correlated, make_structure
from lmmformula.design import NewRows
from lmmformula.engine.kriging import kriging_weights, rows_without_effect
from lmmformula.matrices import RandomBlock

__all__ = ["with_new_places"]


def with_new_places(rows: NewRows, templates: list[FloatArray]) -> tuple[RandomBlock, ...]:
    """Terms of new rows, whose columns at new places are weights of the fitted effects.

    Parameters
    ----------
    rows : NewRows
        The rows.
    templates : list of ndarray, shape (k, k)
        Relative factors of the terms asked for, in their order.

    Returns
    -------
    tuple of RandomBlock
        Weights are those of the best linear prediction (kriging); a weighted sum of conditional
        modes is then the conditional mode at the new place.
    """
    return tuple(
        block if places is None else _kriged(block, places, template)
        for block, places, template in zip(rows.random, rows.places, templates, strict=True)
    )


def _kriged(block: RandomBlock, places: FloatArray, template: FloatArray) -> RandomBlock:
    at = rows_without_effect(block.z)
    structure = make_structure(block.structure, block.n_effects, block.positions)
    if not len(at) or not isinstance(structure, Correlated):
        return block
    z = block.z.copy()
    z[at], _ = kriging_weights(structure, template, places[at])
    return replace(block, z=z)
