"""Pairwise comparisons of means, and the letters that sum them up.

Means that share a letter are not told apart.

References
----------
Piepho (2004), J. Comput. Graph. Statist. 13, 456-466 (insert and absorb).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lmmformula._arrays import BoolArray, FloatArray, IntArray

__all__ = ["Compared", "compact_letters", "compare_family"]

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """One family of means, every pair compared.

    Attributes
    ----------
    means : ndarray of int, shape (m,)
        Rows of the table of means; those that cannot be estimated are left out.
    critical : ndarray, shape (m, m)
        Half the width of the simultaneous interval of each difference.
    differ : ndarray of bool, shape (m, m)
        Pairs whose adjusted p-value is below alpha.
    """

    means: IntArray
    critical: FloatArray
    differ: BoolArray


def compare_family(
    rows: IntArray, known: BoolArray, contrasts: pd.DataFrame, alpha: float
) -> Compared:
    """Arrange the pairwise contrasts of a family in squares.

    Parameters
    ----------
    rows : ndarray of int, shape (m,)
        Its rows in the table of means.
    known : ndarray of bool, shape (m,)
        Those that can be estimated.
    contrasts : DataFrame
        Its pairwise contrasts: first less second, first less third, ...
    alpha : float
        Level of the tests.
    """
    m = len(rows)
    critical, differ = np.zeros((m, m)), np.zeros((m, m), dtype=bool)
    pair = np.triu_indices(m, 1)
    critical[pair] = 0.5 * (contrasts["upper"] - contrasts["lower"]).to_numpy()
    differ[pair] = (contrasts["pvalue"] < alpha).to_numpy()
    critical, differ = critical + critical.T, differ | differ.T
    both = np.ix_(known, known)
    return Compared(rows[known], critical[both], differ[both])


def compact_letters(differ: BoolArray, order: Sequence[int]) -> list[str]:
    """Give every mean its letters.

    Parameters
    ----------
    differ : ndarray of bool, shape (m, m)
        Symmetric: which pairs are told apart.
    order : sequence of int
        Means in the order in which letters are given.

    Returns
    -------
    list of str
        Two means share a letter exactly if they are not told apart. After the 52nd letter follow
        numbers in brackets.

    Examples
    --------
    >>> import numpy as np
    >>> differ = np.zeros((3, 3), dtype=bool)
    >>> differ[0, 2] = differ[2, 0] = True
    >>> compact_letters(differ, [0, 1, 2])
    ['a', 'ab', 'b']
    """
    m = len(differ)
    groups: list[frozenset[int]] = [frozenset(range(m))] if m else []
    for i in range(m):
        for j in range(i + 1, m):
            if differ[i, j]:
                groups = _separated(groups, i, j)
    rank = {mean: place for place, mean in enumerate(order)}
    groups.sort(key=lambda group: sorted(rank[mean] for mean in group))
    return ["".join(_letter(n) for n, group in enumerate(groups) if i in group) for i in range(m)]


def _separated(groups: list[frozenset[int]], i: int, j: int) -> list[frozenset[int]]:
    """Split the groups that hold both, and drop what others contain."""
    split: list[frozenset[int]] = []
    for group in groups:
        split += [group - {i}, group - {j}] if {i, j} <= group else [group]
    unique = list(dict.fromkeys(split))
    return [group for group in unique if not any(group < other for other in unique)]


def _letter(number: int) -> str:
    return ALPHABET[number] if number < len(ALPHABET) else f"({number + 1})"
