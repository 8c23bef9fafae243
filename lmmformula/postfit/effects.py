"""Conditional modes of the random effects, and the coefficients of every level, as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.matrices import RandomBlock

__all__ = ["level_coefficients", "random_effects", "ranef_frame"]


def random_effects(
    blocks: Sequence[RandomBlock], modes: Sequence[FloatArray]
) -> dict[str, pd.DataFrame]:
    """Conditional modes by grouping factor; terms on the same factor side by side.

    Parameters
    ----------
    blocks : sequence of RandomBlock
        The terms.
    modes : sequence of ndarray, shape (J, k)
        Their conditional modes, in the unit of the response.

    Returns
    -------
    dict of str to DataFrame
        Levels in rows, effects in columns.
    """
    parts: dict[str, list[pd.DataFrame]] = {}
    for block, b in zip(blocks, modes, strict=True):
        frame = pd.DataFrame(
            np.array(b), index=_level_index(block), columns=list(block.effect_names)
        )
        parts.setdefault(block.group, []).append(frame)
    return {
        group: frames[0] if len(frames) == 1 else pd.concat(frames, axis=1)
        for group, frames in parts.items()
    }


def _level_index(block: RandomBlock) -> pd.Index:
    return pd.Index(block.levels, name=block.group, dtype=object)


def ranef_frame(
    blocks: Sequence[RandomBlock],
    modes: Sequence[FloatArray],
    covariances: Sequence[FloatArray] | None = None,
) -> pd.DataFrame:
    """Conditional modes in long form, one row per level and effect.

    Parameters
    ----------
    blocks : sequence of RandomBlock
        The terms.
    modes : sequence of ndarray, shape (J, k)
        Their conditional modes.
    covariances : sequence of ndarray, shape (J, k, k), optional
        Their conditional covariances; adds the column ``sd``.

    Returns
    -------
    DataFrame
        Columns ``grp, level, effect, value`` and, if asked for, ``sd``; effect by effect within
        a grouping factor.
    """
    groups = list(dict.fromkeys(block.group for block in blocks))
    order = [i for group in groups for i, block in enumerate(blocks) if block.group == group]
    grp: list[str] = []
    effect: list[str] = []
    level: list[FloatArray] = []
    value: list[FloatArray] = []
    sd: list[FloatArray] = []
    for i in order:
        block = blocks[i]
        for j, name in enumerate(block.effect_names):
            grp += [block.group] * block.n_levels
            effect += [name] * block.n_levels
            level.append(np.asarray(block.levels, dtype=object))
            value.append(modes[i][:, j])
            if covariances is not None:
                sd.append(np.sqrt(np.maximum(covariances[i][:, j, j], 0.0)))
    frame = pd.DataFrame(
        {
            "grp": grp,
            "level": np.concatenate([*level, np.empty(0, dtype=object)]),
            "effect": effect,
            "value": np.concatenate([*value, np.empty(0)]),
        }
    )
    if covariances is not None:
        frame["sd"] = np.concatenate([*sd, np.empty(0)])
    return frame


def level_coefficients(
    params: pd.Series, random: dict[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Add fixed effect and conditional mode of every level, as R's ``coef``.

    Parameters
    ----------
    params : Series
        Fixed effects.
    random : dict of str to DataFrame
        As ``random_effects`` returns it.

    Returns
    -------
    dict of str to DataFrame
        Levels in rows. Effects without a fixed counterpart come first, with a fixed part of
        zero, in the table of every grouping factor.
    """
    effects = dict.fromkeys(name for frame in random.values() for name in frame.columns)
    extra = [name for name in effects if name not in params.index]
    fixed = pd.concat([pd.Series(0.0, index=extra), params]) if extra else params
    out = {}
    for group, frame in random.items():
        table = np.tile(fixed.to_numpy(dtype=np.float64), (len(frame), 1))
        for position, name in enumerate(frame.columns):
            table[:, fixed.index.get_loc(name)] += frame.iloc[:, position].to_numpy()
        out[group] = pd.DataFrame(table, index=frame.index, columns=fixed.index)
    return out
