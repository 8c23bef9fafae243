"""A fit as files that R reads: the model matrices, or the data and the formula."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.design import Design, DesignSpec
from lmmformula.design.columns import Categories
from lmmformula.design.contrasts import coding
from lmmformula.design.sources import open_source
from lmmformula.errors import DataError, OptionError

__all__ = ["Exported", "export_data", "export_matrices"]


@dataclass(frozen=True, slots=True)
class Exported:
    """How R's numbers are matched with ours.

    Attributes
    ----------
    by_term : bool
        R's terms are ours, in order; otherwise effects have names that occur once.
    effects : tuple of list of str
        By term, the names of its effects in R; empty where R chooses them.
    compared : str
        What was handed over, in words.
    """

    by_term: bool
    effects: tuple[list[str], ...]
    compared: str


def export_matrices(result: Any, folder: Path) -> Exported:
    """Write X, Z and the response; R's formula is about their columns."""
    m = result.design.matrices
    columns: dict[str, Any] = {"y": m.y}
    levels: dict[str, list[str]] = {}
    columns |= {f"X{j + 1}": m.X[:, j] for j in range(m.p)}
    terms = ["0", *(f"X{j + 1}" for j in range(m.p))]
    groups: dict[str, str] = {}
    effects = []
    for i, block in enumerate(m.random):
        group = groups.setdefault(block.group, f"G{len(groups) + 1}")
        levels[group] = [f"L{code}" for code in range(block.n_levels)]
        columns[group] = [f"L{code}" for code in block.codes]
        names = [f"Z{i + 1}_{j + 1}" for j in range(block.n_effects)]
        columns |= {name: block.z[:, j] for j, name in enumerate(names)}
        joined = [" + ".join(names)] if block.structure == "us" else names
        terms += [f"(0 + {part} | {group})" for part in joined]
        effects.append(names)
    _write(folder, columns, levels, f"y ~ {' + '.join(terms)}", result.criterion)
    _write_rows(folder, m.weights, m.offset)
    return Exported(by_term=False, effects=tuple(effects), compared="model matrices")


def export_data(result: Any, data: Any, folder: Path) -> Exported:
    """Write the columns of the formula, with the codings of factors."""
    design: Design = result.design
    spec, m, source = design.spec, design.matrices, open_source(data)
    if source.n_rows != spec.n_rows_data:
        raise DataError(
            "these are not the data that the model was fitted to.",
            got=f"{source.n_rows} rows; the fit had {spec.n_rows_data}",
            suggestion="the frame that was given to `lmer`",
            n_rows=source.n_rows,
            expected=spec.n_rows_data,
        )
    _refuse_what_r_reads_otherwise(result)
    columns: dict[str, Any] = {}
    levels: dict[str, list[str]] = {}
    for name in spec.formula.variables:
        value = source.column(name).take(m.rows)
        if isinstance(value, Categories):
            labels = [str(level) for level in value.levels]
            used = np.unique(value.codes)
            levels[name] = [labels[code] for code in used]
            columns[name] = [labels[code] for code in value.codes]
        else:
            columns[name] = value.values
    _write(folder, columns, levels, result.formula, result.criterion)
    _write_codings(folder, spec, levels)
    _write_rows(folder, m.weights, None if spec.formula.offsets else m.offset)
    return Exported(by_term=True, effects=tuple([] for _ in m.random), compared="formula and data")


def _refuse_what_r_reads_otherwise(result: Any) -> None:
    spec: DesignSpec = result.design.spec
    has_argument = spec.offset_name is not None or spec.has_array_offset
    diagonal = [b.text for b in result.design.matrices.random if b.structure != "us"]
    reason = None
    if spec.formula.offsets and has_argument:
        reason = "an offset in the formula and one as an argument"
    elif diagonal:
        reason = f"`{diagonal[0]}`, which not every version of lme4 reads"
    if reason is not None:
        raise OptionError(
            "this model is compared by its matrices only.",
            got=reason,
            suggestion="`compare_with_lme4(result)` without data",
            formula=result.formula,
        )


def _write(
    folder: Path,
    columns: dict[str, Any],
    levels: dict[str, list[str]],
    formula: str,
    criterion: str,
) -> None:
    pd.DataFrame(columns).to_csv(folder / "data.csv", index=False)
    rows = [(name, level) for name, labels in levels.items() for level in labels]
    pd.DataFrame(rows, columns=["column", "level"]).to_csv(folder / "levels.csv", index=False)
    text = " ".join(formula.split())
    (folder / "settings.txt").write_text(f"{text}\n{criterion}\n", encoding="utf-8")


def _write_rows(folder: Path, weights: FloatArray | None, offset: FloatArray | None) -> None:
    given = {"weights": weights, "offset": offset}
    own = {name: values for name, values in given.items() if values is not None}
    if own:
        pd.DataFrame(own).to_csv(folder / "rows.csv", index=False)


def _write_codings(folder: Path, spec: DesignSpec, levels: dict[str, list[str]]) -> None:
    """Codings as matrices: R's default for ordered factors is another than ours."""
    for number, (name, own) in enumerate(spec.variables.items()):
        if own is None or name not in levels or len(own.labels) < 2:
            continue
        made = coding(own.contrasts, own.labels, full=False, variable=name)
        codes = np.arange(len(own.labels))
        matrix = np.column_stack([made.column(j, codes) for j in range(len(made.fields))])
        frame = pd.DataFrame(matrix, columns=list(made.fields))
        frame.insert(0, name, list(own.labels))
        frame.to_csv(folder / f"coding_{number}.csv", index=False)
