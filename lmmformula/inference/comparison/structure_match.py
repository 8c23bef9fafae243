"""Which term of a larger model holds every random-effects term of a smaller one.

Covariance structures are not linear, so nesting is not a matter of spans. But a structure can say
which of its members comes nearest to a covariance; if a few random members of the smaller model's
structure are reproduced, it is a special case.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance import Structure, make_structure, semidefinite_cholesky
from lmmformula.matrices import RandomBlock

__all__ = ["StructureMatch", "has_structures", "match_terms", "random_covariances"]

TOLERANCE = 1e-7
AT_LIMIT = 1e-5
N_DRAWS = 8
MOST = 5000


@dataclass(frozen=True, slots=True)
class StructureMatch:
    """Where the terms of the smaller model are in the larger one.

    Attributes
    ----------
    place : tuple of int
        Term of the larger model, for every term of the smaller one.
    at_end : tuple of int
        Terms of the larger model that the smaller one holds at the end of a parameter's range.
    new : tuple of int
        Terms that only the larger model has.
    """

    place: tuple[int, ...]
    at_end: tuple[int, ...]
    new: tuple[int, ...]


def has_structures(blocks: Sequence[RandomBlock]) -> bool:
    """Whether a term is neither unstructured nor diagonal."""
    return any(block.structure not in ("us", "diag") for block in blocks)


def match_terms(
    small: Sequence[RandomBlock], large: Sequence[RandomBlock]
) -> StructureMatch | None:
    """Put every term of the smaller model into one of the larger, or None where that cannot be.

    Parameters
    ----------
    small, large : sequence of RandomBlock
        Rows may be gone; effects are then matched by their names.
    """
    maps = [[_embedding(one, other) for other in large] for one in small]
    choices = [[j for j, way in enumerate(row) if way is not None] for row in maps]
    rng = np.random.default_rng(0)
    draws = [random_covariances(_structure(block), rng) for block in small]
    for place in itertools.islice(itertools.product(*choices), MOST):
        at_end = []
        for j in sorted(set(place)):
            own = [i for i, chosen in enumerate(place) if chosen == j]
            moved = [(maps[i][j], draws[i]) for i in own]
            sums = [
                sum(way @ found[d] @ way.T for way, found in moved if way is not None)
                for d in range(N_DRAWS)
            ]
            inside = [_membership(_structure(large[j]), np.asarray(total)) for total in sums]
            if None in inside:
                break
            if not all(inside):
                at_end.append(j)
        else:
            new = tuple(j for j in range(len(large)) if j not in place)
            return StructureMatch(tuple(place), tuple(at_end), new)
    return None


def random_covariances(structure: Structure, rng: np.random.Generator) -> list[FloatArray]:
    """Covariances that a structure allows."""
    found = []
    for _ in range(N_DRAWS):
        phi = structure.start() + 0.6 * rng.uniform(-1.0, 1.0, structure.n_phi)
        factor = structure.factor(phi)
        found.append(factor @ factor.T)
    return found


def _structure(block: RandomBlock) -> Structure:
    return make_structure(block.structure, block.n_effects, block.positions)


def _membership(structure: Structure, sigma: FloatArray) -> bool | None:
    """Whether a covariance is inside the structure's range (False: at its end); None if outside."""
    template = semidefinite_cholesky(sigma)
    member = structure.template(structure.theta(template))
    if np.abs(member @ member.T - sigma).max() > TOLERANCE * np.abs(sigma).max():
        return None
    names = tuple(str(i) for i in range(structure.k))
    values = structure.natural(template)
    scale = float(np.sqrt(np.diag(sigma).max()))
    for parameter, value in zip(structure.natural_parameters(names), values.tolist(), strict=True):
        low, high = parameter.limits
        unit = scale if np.isinf(high) else high - low
        if not (value - low > AT_LIMIT * unit and high - value > AT_LIMIT * unit):
            return False
    return True


def _embedding(small: RandomBlock, large: RandomBlock) -> FloatArray | None:
    """Matrix that takes effects of one term to those of another, (k_large, k_small)."""
    if not (_same_levels(small, large) and _same_relationship(small, large)):
        return None
    names = list(large.effect_names)
    if set(small.effect_names) <= set(names):
        where = [names.index(name) for name in small.effect_names]
        return np.eye(len(names))[:, where]
    if not len(small.z):
        return None
    way, *_ = np.linalg.lstsq(large.z, small.z, rcond=1e-10)
    gap = np.linalg.norm(large.z @ way - small.z, axis=0)
    inside = gap <= TOLERANCE * np.maximum(np.linalg.norm(small.z, axis=0), 1e-300)
    return np.asarray(way) if inside.all() else None


def _same_levels(one: RandomBlock, other: RandomBlock) -> bool:
    if not len(one.codes):
        return one.group == other.group
    if one.n_levels != other.n_levels:
        return False
    pairs = np.unique(np.stack([one.codes, other.codes]), axis=1)
    return bool(pairs.shape[1] == one.n_levels)


def _same_relationship(one: RandomBlock, other: RandomBlock) -> bool:
    first, second = one.relationship, other.relationship
    if first is None or second is None:
        return first is second
    return first.shape == second.shape and bool(np.allclose(first @ first.T, second @ second.T))
