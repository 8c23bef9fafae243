"""The pass that sums rows, on the workers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from lmmformula._arrays import IntArray
from lmmformula.design.rows import Missing
from lmmformula.design.stream.encoder import Encoder
from lmmformula.design.stream.layout import Layout
from lmmformula.design.stream.located import located
from lmmformula.design.stream.sums import RunningSums
from lmmformula.distributed.digests import LooseDigests
from lmmformula.distributed.parts import Reading
from lmmformula.engine.basis import WorkingBasis
from lmmformula.engine.layout import FactorLayout
from lmmformula.engine.partitioned.parts import LocalSums, joined_parts, sums_of_part

__all__ = [
    "SumJob",
    "Summed",
    "joined_notes",
    "levels_together",
    "notes_of",
    "slim_layout",
    "summed",
]


@dataclass(frozen=True, slots=True, eq=False)
class SumJob:
    """How the rows of every partition become sums.

    Attributes
    ----------
    encoder : Encoder
        Its layout without the rows of the first chunk.
    missing : {"drop", "raise"}
    basis : WorkingBasis
    layouts : tuple of FactorLayout
        Over all levels.
    columns : tuple of str
    reading : Reading
    """

    encoder: Encoder
    missing: Missing
    basis: WorkingBasis
    layouts: tuple[FactorLayout, ...]
    columns: tuple[str, ...]
    reading: Reading


@dataclass(frozen=True, slots=True, eq=False)
class Summed:
    """One partition.

    Attributes
    ----------
    notes : RunningSums
        Without its layout, and without what `local` tells of groups.
    local : LocalSums
    """

    notes: RunningSums
    local: LocalSums


def summed(frame: Any, number: int, job: SumJob) -> Summed:
    """Sum the rows of one partition."""
    layout, found = job.encoder.layout, []
    notes = RunningSums(layout, job.missing)
    notes.close()
    notes.digests = cast(Any, LooseDigests())
    for chunk in job.reading.part(frame, number).rows(job.columns):
        for piece in job.encoder.parts(chunk):
            with located(chunk.where):
                encoded = job.encoder.encode(piece)
                notes.add(encoded, chunk.where)
            if encoded.matrices is not None:
                found.append(sums_of_part(encoded.matrices, job.basis, job.layouts))
    notes.layout, notes.groups = cast(Any, None), {}
    if found:
        return Summed(notes, joined_parts(found))
    none: IntArray = np.zeros(0, dtype=np.int64)
    return Summed(notes, LocalSums(None, {part.group: none for part in job.layouts}))


def notes_of(part: Summed, _: None) -> RunningSums:
    """What was noted of one partition."""
    return part.notes


def joined_notes(parts: Sequence[RunningSums]) -> RunningSums:
    """Notes of neighbours together; what workers hold is not changed."""
    total = copy.deepcopy(parts[0])
    for part in parts[1:]:
        total.absorb(copy.deepcopy(part))
    return total


def levels_together(parts: Sequence[dict[str, IntArray]]) -> dict[str, IntArray]:
    """Levels that occur in any of several partitions, by grouping factor."""
    return {group: np.unique(np.concatenate([part[group] for part in parts])) for group in parts[0]}


def slim_layout(layout: Layout) -> Layout:
    """A layout with one row of the first chunk in place of all."""
    inputs, row = layout.inputs, np.zeros(1, dtype=np.int64)
    slim = replace(
        inputs,
        response=inputs.response.take(row),
        values={name: value.take(row) for name, value in inputs.values.items()},
        groups={name: value.take(row) for name, value in inputs.groups.items()},
        offsets={name: values[:1] for name, values in inputs.offsets.items()},
        weights=None if inputs.weights is None else inputs.weights[:1],
    )
    return replace(layout, inputs=slim)
