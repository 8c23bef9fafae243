"""What readers see instead of the names of columns, and which coefficients they see."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmmformula.design.sources import closest_name
from lmmformula.errors import OptionError

if TYPE_CHECKING:
    from lmmformula.covariance import NaturalParameter
    from lmmformula.publish.collect import Entry
    from lmmformula.publish.options import Names
    from lmmformula.report import VarCorrTerm

__all__ = ["Labels"]


@dataclass(frozen=True, slots=True)
class Labels:
    """Names for readers.

    Attributes
    ----------
    names : mapping, callable or None
        Labels of coefficients, effects, grouping factors and covariance parameters.
    keep, drop, order : tuple of str
        Coefficients shown, left out, and shown first; ``*`` stands for any characters.
    """

    names: Names | None = None
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    order: tuple[str, ...] = ()

    def of(self, name: str) -> str:
        """Label of a coefficient, an effect or a grouping factor."""
        return self.given(name, name)

    def given(self, name: str, otherwise: str) -> str:
        """The label that was given for a name, if any."""
        if self.names is None:
            return otherwise
        if callable(self.names):
            label = str(self.names(name))
            return otherwise if label == name else label
        return str(self.names.get(name, otherwise))

    def of_random(self, term: VarCorrTerm, parameter: NaturalParameter, name: str) -> str:
        """``Subject: SD Days``, ``Subject: corr. Intercept, Days``, ``Subject: rho (ar1)``."""
        effects = [self.of(term.effects[i]) for i in sorted(parameter.effects)]
        group = self.of(name.rpartition("|")[2])
        if parameter.kind == "sd":
            return f"{group}: SD {effects[0]}" if effects else f"{group}: SD ({term.structure})"
        if len(effects) == 2:
            return f"{group}: corr. {effects[0]}, {effects[1]}"
        return f"{group}: {parameter.name} ({term.structure})"

    def of_residual(self, name: str) -> str:
        """``corr. b, a``, ``SD ratio b``; other parameters keep their name."""
        kind, _, rest = name.partition("_")
        if kind == "cor" and rest.count(".") == 1:
            later, earlier = rest.split(".")
            return f"corr. {earlier}, {later}"
        return f"SD ratio {rest}" if kind == "ratio" else name

    def arranged(self, entries: Sequence[Entry]) -> list[Entry]:
        """Coefficients that are shown, in their order.

        Raises
        ------
        OptionError
            A name fits no coefficient of any model, or none is left.
        """
        known = [entry.name for entry in entries]
        kept = _matches("keep", self.keep, known) if self.keep else known
        dropped = set(_matches("drop", self.drop, known))
        first = _matches("order", self.order, known)
        chosen = {name for name in kept if name not in dropped}
        if not chosen:
            raise OptionError(
                "`keep` and `drop` leave no coefficient to show.",
                got=f"coefficients {', '.join(f'`{name}`' for name in known)}",
                suggestion="leave one of them out",
                available=tuple(known),
            )
        order = {name: i for i, name in enumerate(dict.fromkeys([*first, *known]))}
        return sorted(
            (entry for entry in entries if entry.name in chosen), key=lambda e: order[e.name]
        )


def _matches(argument: str, patterns: Iterable[str], known: Sequence[str]) -> list[str]:
    """Names that fit any pattern, in the order of the patterns."""
    found: list[str] = []
    for pattern in patterns:
        regex = re.compile(".*".join(re.escape(part) for part in str(pattern).split("*")))
        fits = [name for name in known if regex.fullmatch(name)]
        if not fits:
            nearest = closest_name(str(pattern), known) or known[0]
            raise OptionError(
                f"`{argument}` names no coefficient of these models.",
                got=f"`{pattern}`; closest is `{nearest}`",
                suggestion=f'`{argument}=["{nearest}"]`; `*` stands for any characters',
                argument=argument,
                available=tuple(known),
            )
        found += fits
    return list(dict.fromkeys(found))
