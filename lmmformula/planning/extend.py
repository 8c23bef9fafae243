"""Other sizes of a design: more or fewer levels of a grouping factor, more or fewer replicates.

New levels copy the rows of existing ones in rotation. What is nested in the factor is copied with
it, under new labels; what crosses it stays: forty subjects see the same items as twenty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lmmformula._arrays import BoolArray, CodeArray, FloatArray, IntArray, LabelArray
from lmmformula.covariance import semidefinite_cholesky
from lmmformula.design import Design
from lmmformula.errors import OptionError
from lmmformula.inference.bootstrap.kinds import is_nested
from lmmformula.matrices import ModelMatrices, RandomBlock, ResidualRows
from lmmformula.planning.parameters import check_names

__all__ = ["resized"]

LARGEST = 10**7
"""Rows of a planned study that are surely a mistake."""


def resized(
    design: Design, levels: Mapping[str, Any] | None, within: Mapping[str, Any] | None
) -> ModelMatrices:
    """Rows of a design of another size.

    Parameters
    ----------
    design : Design
        The design at hand, with rows.
    levels : mapping of str to int
        Number of levels by grouping factor.
    within : mapping of str to int
        Number of rows in every level of a grouping factor, or in every combination of levels and
        of values of variables (``"Subject:condition"``).

    Raises
    ------
    OptionError
        An unknown factor, a number that is no count, or a structure that cannot be extended.
    """
    matrices = design.matrices
    for group, count in _counts(levels, "levels").items():
        matrices = _with_levels(matrices, group, count)
    for cell, count in _counts(within, "within").items():
        codes = _cells(replace(design, matrices=matrices), cell)
        matrices = _with_replicates(matrices, codes, count, cell)
    return matrices


def _counts(given: Mapping[str, Any] | None, argument: str) -> dict[str, int]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise OptionError(
            f"`{argument}` must be a mapping of grouping factors to numbers.",
            got=f"`{argument}={given!r}`",
            suggestion=f"`{argument}={{'Subject': 40}}`",
            argument=argument,
        )
    for name, count in given.items():
        is_whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
        if not is_whole or count < 1:
            raise OptionError(
                f"`{argument}` must give a whole number for `{name}`, at least 1.",
                got=f"{count!r}",
                suggestion=f"`{argument}={{{name!r}: 40}}`",
                argument=argument,
                name=name,
            )
    return {name: int(count) for name, count in given.items()}


def _with_levels(m: ModelMatrices, group: str, count: int) -> ModelMatrices:
    """Give a grouping factor another number of levels."""
    blocks = {block.group: block for block in m.random}
    check_names([group], tuple(blocks), "levels", "grouping factor")
    block = blocks[group]
    J = block.n_levels
    _check_size(m.n_obs * (count // J), "levels", group, count)
    pieces, copies = [], []
    for number in range(-(-count // J)):
        pieces.append(np.flatnonzero(block.codes < count - number * J))
        copies.append(np.full(len(pieces[-1]), number))
    rows, copy = np.concatenate(pieces), np.concatenate(copies)
    moves = {b.group: is_nested(b, block) for b in m.random}
    if count > J:
        _check_extensible(m, block, moves)
    return _taken(m, rows, copy, moves, _moves_residual(m, block))


def _check_extensible(m: ModelMatrices, block: RandomBlock, moves: Mapping[str, bool]) -> None:
    """Refuse levels whose relationship to others is not known, and times that would repeat."""
    related = [b for b in m.random if b.relationship is not None and moves[b.group]]
    if related:
        raise OptionError(
            f"`{related[0].group}` has a known relationship matrix, which says nothing of new "
            "levels.",
            got=f"{related[0].n_levels} levels",
            suggestion="plan from a model with a relationship matrix of the size wanted",
            argument="levels",
            name=block.group,
        )
    residual = m.residual
    if residual is not None and residual.correlation and not _moves_residual(m, block):
        raise OptionError(
            f"rows of `{residual.text}` would occur twice at the same position.",
            got=f"`{block.group}` crosses `{residual.group}`",
            suggestion=f"`levels={{{residual.group!r}: ...}}`",
            argument="levels",
            name=block.group,
        )


def _moves_residual(m: ModelMatrices, block: RandomBlock) -> bool:
    """Whether the groups of correlated residuals lie within levels of a factor."""
    residual = m.residual
    if residual is None or not residual.correlation:
        return False
    pairs = residual.codes.astype(np.int64) * block.n_levels + block.codes
    return len(np.unique(pairs)) == len(np.unique(residual.codes))


def _with_replicates(m: ModelMatrices, cells: IntArray, count: int, name: str) -> ModelMatrices:
    """Give every cell the same number of rows, its own ones in rotation."""
    order = np.argsort(cells, kind="stable")
    sizes = np.bincount(cells)
    sizes = sizes[sizes > 0]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    _check_size(count * len(sizes), "within", name, count)
    if count > sizes.min() and m.residual is not None and m.residual.correlation:
        raise OptionError(
            f"rows of `{m.residual.text}` would occur twice at the same position.",
            got=f"{count} rows for each of `{name}`, {int(sizes.min())} at hand",
            suggestion="plan from a design that has the times wanted",
            argument="within",
            name=name,
        )
    step = np.arange(count)
    rows = np.sort(order[starts[:, None] + step % sizes[:, None]].ravel(), kind="stable")
    nothing = {block.group: False for block in m.random}
    return _taken(m, rows, np.zeros(len(rows), dtype=np.int64), nothing, False)


def _check_size(n: int, argument: str, name: str, count: int) -> None:
    if n > LARGEST:
        raise OptionError(
            f"`{argument}` asks for more rows than can be simulated.",
            got=f"{n} rows for `{name}`: {count}",
            suggestion=f"a smaller number for `{name}`",
            argument=argument,
            name=name,
        )


def _taken(
    m: ModelMatrices, rows: IntArray, copy: IntArray, moves: Mapping[str, bool], residual: bool
) -> ModelMatrices:
    """Rows of the design, some of them again under new levels of the factors that move."""
    no_copy = np.zeros_like(copy)

    def of(values: FloatArray | None) -> FloatArray | None:
        return None if values is None else np.asfortranarray(values[rows])

    return replace(
        m,
        y=m.y[rows],
        X=np.asfortranarray(m.X[rows]),
        random=tuple(_block(b, rows, copy if moves[b.group] else no_copy) for b in m.random),
        weights=of(m.weights),
        offset=of(m.offset),
        rows=np.arange(len(rows)),
        residual=None
        if m.residual is None
        else _residual(m.residual, rows, copy if residual else no_copy),
    )


def _renumbered(
    codes: IntArray, copy: IntArray, labels: LabelArray
) -> tuple[CodeArray, LabelArray, IntArray]:
    """Codes of (copy, level) pairs, their labels, and the level that each comes from."""
    n = len(labels)
    found, new = np.unique(copy * n + codes, return_inverse=True)
    texts = np.empty(len(found), dtype=object)
    texts[:] = [
        f"{labels[key % n]}" if key < n else f"{labels[key % n]} ({key // n + 1})" for key in found
    ]
    return new.astype(np.int32), texts, found % n


def _block(block: RandomBlock, rows: IntArray, copy: IntArray) -> RandomBlock:
    codes, levels, origin = _renumbered(block.codes[rows].astype(np.int64), copy, block.levels)
    relationship = block.relationship
    if relationship is not None and len(levels) < block.n_levels:
        known = relationship @ relationship.T
        relationship = semidefinite_cholesky(known[np.ix_(origin, origin)])
    return replace(
        block,
        z=np.asfortranarray(block.z[rows]),
        codes=codes,
        levels=levels,
        relationship=relationship,
    )


def _residual(residual: ResidualRows, rows: IntArray, copy: IntArray) -> ResidualRows:
    codes, levels, _ = _renumbered(residual.codes[rows].astype(np.int64), copy, residual.levels)
    return replace(residual.taken(rows), codes=codes, levels=levels)


def _cells(design: Design, cell: str) -> IntArray:
    """Code of every row's combination of grouping factors and variables."""
    blocks = {block.group: block for block in design.matrices.random}
    parts = (
        [cell] if cell in blocks else [part.strip() for part in cell.replace("|", ":").split(":")]
    )
    codes: IntArray = np.zeros(design.matrices.n_obs, dtype=np.int64)
    for part in parts:
        own = blocks[part].codes if part in blocks else _variable_codes(design, part)
        pair = codes * (int(own.max()) + 1) + own
        codes = np.unique(pair, return_inverse=True)[1]
    return codes


def _variable_codes(design: Design, name: str) -> IntArray:
    """Code of a variable's value in every row, from the columns that hold nothing else."""
    found = _main_columns(design)
    blocks = tuple(block.group for block in design.matrices.random)
    check_names([name], (*blocks, *found), "within", "grouping factor or variable")
    return np.asarray(np.unique(found[name], axis=0, return_inverse=True)[1].ravel())


def _main_columns(design: Design) -> dict[str, FloatArray]:
    """Columns of every variable that occurs by itself, by its label."""
    spec, m = design.spec, design.matrices
    sources = [(spec.part, spec.encoding.keys, m.X)]
    sources += [
        (item.part, item.encoding.keys, block.z)
        for item, block in zip(spec.random, m.random, strict=True)
    ]
    out: dict[str, FloatArray] = {}
    for part, keys, columns in sources:
        names = [{piece.name for piece in pieces} for _, pieces in keys]
        for name in {next(iter(n)) for n in names if len(n) == 1}:
            own: BoolArray = np.array([n == {name} for n in names])
            if columns.shape[1] == len(own):
                out.setdefault(part.labels.get(name, name), columns[:, own])
    return out
