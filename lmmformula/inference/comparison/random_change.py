"""What the random part of a larger model adds to that of a smaller one, by names of effects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from lmmformula.matrices import RandomBlock

__all__ = ["RandomChange", "random_change"]

Address = tuple[int, int]
"""An effect: position of its term and position in the term."""


@dataclass(frozen=True, slots=True)
class RandomChange:
    """Parameters that the larger model adds.

    Attributes
    ----------
    n_free : int
        Covariances, which may take either sign.
    variances : tuple of (int, int)
        New effects in the larger model's terms, whose variances are zero in the smaller one.
    matched : dict of (int, int) to (int, int)
        Effects of the larger model that the smaller one has, and where.
    n_variances : int
        Number of new variances; they have no address where effects were matched by their span.
    reason : str
        Why the change is none of the kinds for which a mixture is known; empty if it is.
    """

    n_free: int = 0
    variances: tuple[Address, ...] = ()
    matched: Mapping[Address, Address] = field(default_factory=dict)
    n_variances: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Factor:
    """All terms of one grouping factor: its effects and the pairs that may correlate."""

    label: str
    addresses: dict[str, Address]
    pairs: frozenset[frozenset[str]]
    is_one_matrix: bool
    problem: str = ""


def random_change(
    small: Sequence[RandomBlock], large: Sequence[RandomBlock], *, is_nested: bool = False
) -> RandomChange:
    """Compare random parts.

    Parameters
    ----------
    small, large : sequence of RandomBlock
        Their terms; rows are not needed.
    is_nested : bool
        It is known that the larger model contains the smaller one: unstructured terms may then
        differ in how their effects are coded.
    """
    before, after = _factors(small), _factors(large)
    for factor in (*before.values(), *after.values()):
        if factor.problem:
            return RandomChange(reason=factor.problem)
    gone = [factor.label for key, factor in before.items() if key not in after]
    if gone:
        return RandomChange(reason=f"the larger model has no random effects of `{gone[0]}`")
    nothing = _Factor("", {}, frozenset(), True)
    changes = [
        _factor_change(before.get(key, nothing), factor, is_nested=is_nested)
        for key, factor in after.items()
    ]
    problem = next((change.reason for change in changes if change.reason), "")
    if problem:
        return RandomChange(reason=problem)
    return RandomChange(
        sum(change.n_free for change in changes),
        tuple(address for change in changes for address in change.variances),
        {ours: theirs for change in changes for ours, theirs in change.matched.items()},
        sum(change.n_variances for change in changes),
    )


def _factor_change(before: _Factor, after: _Factor, *, is_nested: bool) -> RandomChange:
    known, effects = before.addresses, after.addresses
    if not set(known) <= set(effects):
        return _spanned(before, after, is_nested=is_nested)
    if not before.pairs <= after.pairs:
        return RandomChange(
            reason=f"the smaller model has a correlation of `{after.label}` that the larger lacks"
        )
    new = [name for name in effects if name not in known]
    added = after.pairs - before.pairs
    if any(frozenset(pair) in added for pair in combinations(new, 2)):
        return _several(after.label)
    return RandomChange(
        len(added),
        tuple(effects[name] for name in new),
        {effects[name]: address for name, address in known.items()},
        len(new),
    )


def _spanned(before: _Factor, after: _Factor, *, is_nested: bool) -> RandomChange:
    """Effects have other names; one covariance matrix each may still be matched by its size."""
    if not (is_nested and before.is_one_matrix and after.is_one_matrix):
        return RandomChange(
            reason=f"the effects of `{after.label}` in the two models cannot be matched"
        )
    k, more = len(before.addresses), len(after.addresses) - len(before.addresses)
    if more > 1:
        return _several(after.label)
    return RandomChange(k * more, n_variances=more)


def _several(group: str) -> RandomChange:
    return RandomChange(
        reason=f"several correlated effects of `{group}` are added at once, for which the mixture "
        "has no closed form"
    )


def _factors(blocks: Sequence[RandomBlock]) -> dict[frozenset[str], _Factor]:
    by_group: dict[frozenset[str], list[int]] = {}
    for i, block in enumerate(blocks):
        parts = frozenset(filter(None, re.split(r"[:()]", block.group)))
        by_group.setdefault(parts, []).append(i)
    return {key: _factor(blocks, positions) for key, positions in by_group.items()}


def _factor(blocks: Sequence[RandomBlock], positions: Sequence[int]) -> _Factor:
    addresses: dict[str, Address] = {}
    pairs: set[frozenset[str]] = set()
    problem = ""
    for i in positions:
        block = blocks[i]
        if block.structure not in ("us", "diag"):
            problem = f"no mixture is known for the covariance structure of `{block.text}`"
        for j, name in enumerate(block.effect_names):
            if name in addresses:
                problem = f"`{name}` varies with `{block.group}` in two terms"
            addresses[name] = (i, j)
        if block.structure == "us":
            pairs |= _pairs(block.effect_names)
    block = blocks[positions[0]]
    is_one = len(positions) == 1 and block.structure == "us"
    return _Factor(block.group, addresses, frozenset(pairs), is_one, problem)


def _pairs(names: Iterable[str]) -> set[frozenset[str]]:
    return {frozenset(pair) for pair in combinations(names, 2)}
