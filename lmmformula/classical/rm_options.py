"""Arguments of ``rm_anova``, checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from lmmformula.classical.rm_data import Roles
from lmmformula.design.sources import closest_name
from lmmformula.errors import OptionError

__all__ = ["HF", "Options", "SumType", "checked_options", "checked_roles"]

SumType: TypeAlias = Literal["III", "II"]
HF: TypeAlias = Literal["lecoutre", "huynh-feldt"]


@dataclass(frozen=True, slots=True)
class Options:
    """How a design is analysed; meanings as in ``rm_anova``."""

    type: str
    hf: str
    observed: tuple[str, ...]
    aggregate: str | None
    missing: str


def checked_roles(response: Any, subject: Any, within: Any, between: Any) -> Roles:
    """Return the names of the columns as a record."""
    return Roles(
        _one_name("response", response),
        _one_name("subject", subject),
        _names("within", within),
        _names("between", between),
    )


def checked_options(
    roles: Roles, kind: Any, hf: Any, observed: Any, aggregate: Any, missing: Any
) -> Options:
    """Return the other arguments as a record."""
    kind = {2: "II", 3: "III", "2": "II", "3": "III"}.get(kind, kind) if _is_plain(kind) else kind
    _choose("type", kind, get_args(SumType))
    _choose("hf", hf, get_args(HF))
    if aggregate is not None:
        _choose("aggregate", aggregate, ("mean",))
    _choose("missing", missing, ("raise", "drop"))
    factors = _names("observed", observed)
    for name in factors:
        if name not in roles.factors:
            closest = closest_name(name, roles.factors) or roles.factors[0]
            raise OptionError(
                "`observed` names a factor that is not in the design.",
                got=f"`{name}` (factors: {', '.join(roles.factors)})",
                suggestion=f"`observed={[closest]!r}`",
                option="observed",
                available=roles.factors,
            )
    return Options(kind, hf, factors, aggregate, missing)


def _is_plain(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _choose(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if isinstance(value, str) and value in allowed:
        return
    raise OptionError(
        f"`{name}` must be {' or '.join(map(repr, allowed))}.",
        got=repr(value),
        suggestion=f"`{name}={allowed[0]!r}`",
        option=name,
        available=allowed,
    )


def _one_name(role: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise OptionError(
        f"`{role}` must be the name of one column.",
        got=f"{value!r:.80}",
        suggestion=f'`{role}="{role}"`; columns of a table in wide form must be stacked first '
        "(`data.melt`)",
        option=role,
    )


def _names(role: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    names = tuple(value) if isinstance(value, Iterable) else (value,)
    if all(isinstance(name, str) for name in names):
        return names
    raise OptionError(
        f"`{role}` must be names of columns.",
        got=f"{value!r:.80}",
        suggestion=f'`{role}=["a", "b"]`',
        option=role,
    )
