"""R's coefficient names in our spelling (formulaic's, reduced to the variable)."""

from __future__ import annotations

import re
from typing import Any

POLYNOMIAL = (".L", ".Q", ".C", "^4", "^5", "^6", "^7", "^8", "^9")


def _as_level(
    piece: str, factors: dict[str, dict[str, Any]], contrasts: dict[str, str], full: set[str]
) -> str | None:
    for name in sorted(factors, key=len, reverse=True):
        if not piece.startswith(name) or piece == name:
            continue
        rest, levels = piece[len(name) :], factors[name]["levels"]
        if contrasts.get(name) == "contr.sum" and rest.isdigit():
            return f"{name}[S.{levels[int(rest) - 1]}]"
        if factors[name]["ordered"] and rest in POLYNOMIAL:
            return f"{name}[{rest}]"
        if rest in levels:
            return f"{name}[{rest}]" if name in full else f"{name}[T.{rest}]"
    return None


def _as_call(piece: str) -> str:
    """Number the columns of a basis, and spell powers as Python does."""
    piece = re.sub(r"^(poly\(.*\))(\d+)$", r"\1[\2]", piece)
    return piece.replace("^", " ** ")


def _baselines(r_names: list[str], factors: dict[str, dict[str, Any]]) -> set[str]:
    """Return factors whose first level has a column of its own: they are coded in full."""
    pieces = {piece for name in r_names for piece in name.split(":")}
    return {name for name, column in factors.items() if name + column["levels"][0] in pieces}


def translate(
    r_names: list[str], factors: dict[str, dict[str, Any]], contrasts: dict[str, str] | None
) -> list[str]:
    """Return our names of the columns that R calls ``r_names``."""
    full = _baselines(r_names, factors)
    out = []
    for name in r_names:
        if name == "(Intercept)":
            out.append("Intercept")
            continue
        pieces = [
            _as_level(p, factors, contrasts or {}, full) or _as_call(p) for p in name.split(":")
        ]
        out.append(":".join(pieces))
    return out
