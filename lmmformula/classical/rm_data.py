"""Long data of a repeated-measures design as a table of subjects by cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula._arrays import CodeArray, FloatArray
from lmmformula.design.checks import check_finite, check_scale
from lmmformula.design.columns import Categories, Numbers, Value
from lmmformula.design.grouping import labelled_codes
from lmmformula.design.inputs import no_such_column
from lmmformula.design.rows import positions
from lmmformula.design.sources import listed, open_source
from lmmformula.errors import DataError, DesignError, OptionError
from lmmformula.formula.deparse import quoted

__all__ = ["Column", "LongData", "Roles", "read_long"]


@dataclass(frozen=True, slots=True)
class Roles:
    """Names of the columns by their part in the design.

    Attributes
    ----------
    response, subject : str
        What was measured, and on whom.
    within, between : tuple of str
        Factors that vary within subjects, and between them.
    """

    response: str
    subject: str
    within: tuple[str, ...]
    between: tuple[str, ...]

    @property
    def factors(self) -> tuple[str, ...]:
        """Between factors, then within factors."""
        return self.between + self.within


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A factor, or the subjects.

    Attributes
    ----------
    name : str
        Its column.
    codes : ndarray of int, shape (n,)
        Positions in ``labels``.
    labels : tuple of str
        Its levels, only those that occur.
    is_numeric : bool
        Whether the data hold numbers, which a formula reads as a covariate.
    is_whole : bool
        Whether these are whole numbers, which can group rows as they are.
    """

    name: str
    codes: CodeArray
    labels: tuple[str, ...]
    is_numeric: bool = False
    is_whole: bool = True

    @property
    def term(self) -> str:
        """Its spelling among fixed effects."""
        return f"C({quoted(self.name)})" if self.is_numeric else quoted(self.name)

    @property
    def group(self) -> str:
        """Its spelling in a grouping factor."""
        return quoted(self.name) if self.is_whole else self.term


@dataclass(frozen=True, slots=True, eq=False)
class LongData:
    """A row per measurement.

    Attributes
    ----------
    roles : Roles
        What the columns are.
    y : ndarray, shape (n,)
        The response; NaN is missing.
    subject : Column
        The subjects.
    within, between : tuple of Column
        The factors.
    """

    roles: Roles
    y: FloatArray
    subject: Column
    within: tuple[Column, ...]
    between: tuple[Column, ...]

    def mixed_formula(self) -> str:
        """Return the formula of the mixed model with the same strata."""
        fixed = " * ".join(column.term for column in (*self.between, *self.within))
        groups = [
            ":".join([self.subject.group, *(column.group for column in chosen)])
            for chosen in _proper_subsets(self.within)
        ]
        random = " + ".join(f"(1 | {group})" for group in groups)
        return f"{quoted(self.roles.response)} ~ {fixed} + {random}"

    def mixed_call(self) -> str:
        """Return the call that fits it, ready to be pasted."""
        codings = {name: "sum" for name in self.roles.factors}
        return f"lf.lmer({self.mixed_formula()!r}, data, contrasts={codings!r})"


def _proper_subsets(columns: Sequence[Column]) -> list[tuple[Column, ...]]:
    """All subsets but the whole, by size."""
    masks = sorted(range(2 ** len(columns) - 1), key=lambda mask: (mask.bit_count(), mask))
    return [tuple(c for i, c in enumerate(columns) if mask >> i & 1) for mask in masks]


def read_long(data: Any, roles: Roles) -> LongData:
    """Read the columns of a design.

    Raises
    ------
    DataError, DesignError, OptionError
        A column is unknown, used twice, of the wrong kind, or has one level only.
    """
    _check_roles(roles)
    source = open_source(data)
    for role in ("response", "subject", "within", "between"):
        names = getattr(roles, role)
        for name in (names,) if isinstance(names, str) else names:
            if name not in source:
                raise no_such_column(name, role, source, "add the column to the data first")
    if not source.n_rows:
        raise DataError(
            "the data have no rows.",
            got=f"columns {listed(source.names)}",
            suggestion="check how the data were read or filtered",
        )
    return LongData(
        roles,
        _response(source.column(roles.response)),
        _column(source.column(roles.subject), "subject"),
        tuple(_factor(source.column(name), "within") for name in roles.within),
        tuple(_factor(source.column(name), "between") for name in roles.between),
    )


def _check_roles(roles: Roles) -> None:
    if not roles.within:
        raise OptionError(
            "a repeated-measures analysis needs a factor that varies within subjects.",
            got="`within=[]`",
            suggestion=f"`lf.aov({_between_formula(roles)!r}, data)` where all factors vary "
            "between subjects",
            option="within",
        )
    names = (roles.response, roles.subject, *roles.factors)
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise OptionError(
            f"`{twice[0]}` is named for two parts of the design.",
            got=f"response={roles.response!r}, subject={roles.subject!r}, "
            f"within={list(roles.within)!r}, between={list(roles.between)!r}",
            suggestion="name every column once",
            column=twice[0],
        )


def _between_formula(roles: Roles) -> str:
    return f"{quoted(roles.response)} ~ {' * '.join(map(quoted, roles.between)) or '1'}"


def _response(value: Value) -> FloatArray:
    if not isinstance(value, Numbers) or value.is_time:
        example = f", such as {value.levels[0]!r}" if isinstance(value, Categories) else ""
        kind = "categories" if isinstance(value, Categories) else "datetimes or durations"
        raise DataError(
            f"the response `{value.name}` is not numeric.",
            got=f"{kind}{example}",
            suggestion="a response with one number per row",
            column=value.name,
        )
    y = np.array(value.floats())
    known = y[~np.isnan(y)]
    if not known.size:
        raise DataError(
            f"the response `{value.name}` is missing in every row.",
            got=f"{len(y)} rows",
            suggestion="check the column",
            column=value.name,
        )
    check_finite(value.name, known, np.flatnonzero(~np.isnan(y)), "response")
    check_scale(value.name, float(known.min()), float(known.max()))
    return y


def _column(value: Value, role: str) -> Column:
    """Read labels; numbers are labels too."""
    _check_complete(value, role)
    name = value.name
    if isinstance(value, Numbers) and value.values.dtype.kind == "f" and not _is_whole(value):
        levels, codes = np.unique(value.values, return_inverse=True)
        check_finite(name, levels, None, f"{role} factor")
        labels = tuple(f"{level:.15g}" for level in levels.tolist())
        return Column(name, codes.astype(np.int32), labels, is_numeric=True, is_whole=False)
    is_numeric = isinstance(value, Numbers) and not value.is_logical
    return Column(name, *labelled_codes(value, name), is_numeric=is_numeric)


def _is_whole(value: Numbers) -> bool:
    return bool(np.array_equal(value.values, np.rint(value.values)))


def _check_complete(value: Value, role: str) -> None:
    missing = value.missing_rows()
    if missing is None:
        return
    rows: NDArray[Any] = np.flatnonzero(missing)
    raise DataError(
        f"`{value.name}`, a {role} column, is missing in {len(rows)} "
        f"row{'s' if len(rows) > 1 else ''}, which then belong nowhere.",
        got=f"row positions {positions(rows)}",
        suggestion=f"fill them, or leave the rows out: `data[data[{value.name!r}].notna()]`",
        column=value.name,
        rows=rows,
        role=role,
    )


def _factor(value: Value, role: str) -> Column:
    column = _column(value, role)
    if len(column.labels) > 1:
        return column
    raise DesignError(
        f"the {role} factor `{column.name}` has only one level, so it has no effect to test.",
        got=f"level {column.labels[0]!r} in all {len(column.codes)} rows",
        suggestion=f"leave `{column.name}` out of `{role}`, or look at how the data were filtered",
        column=column.name,
        levels=column.labels,
    )
