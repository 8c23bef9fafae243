"""Variance functions of the residuals, as ``variance=`` writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from lmmformula.errors import FormulaError
from lmmformula.formula.argument import read_argument
from lmmformula.formula.deparse import deparse
from lmmformula.formula.expressions import atom_of, strip_groups
from lmmformula.formula.grouping import Grouping, groupings
from lmmformula.formula.source import Source
from lmmformula.formula.structures import is_bar
from lmmformula.formula.terms import Atom, TermAtoms
from lmmformula.formula.tree import Binary, Call, Node, Number
from lmmformula.residual_covariance import CORRELATIONS, VARIANCES

__all__ = ["VarianceTerm", "variance_terms"]

VARIANCE_WORDS = {
    "varident": "ident",
    "diag": "ident",
    "vc": "ident",
    "varpower": "power",
    "pow": "power",
    "varexp": "exp",
}


@dataclass(frozen=True, slots=True)
class VarianceTerm:
    """A variance function of the residuals, as written.

    Attributes
    ----------
    text : str
        As results print it, ``power(age | Sex)``.
    function : str
        A key of ``residual_covariance.VARIANCES``.
    covariate : Atom or None
        What the standard deviation depends on; None for ``ident``.
    strata : tuple of Atom
        Variables whose interaction has parameters of its own for each level; perhaps none.
    """

    text: str
    function: str
    covariate: Atom | None
    strata: TermAtoms


def variance_terms(variance: Any) -> tuple[VarianceTerm, ...]:
    """Read ``variance=``: one text or several, each a sum of variance functions.

    Parameters
    ----------
    variance : str or sequence of str
        ``"power(age)"``, ``"ident(Sex) + power(age)"``, ``["ident(Sex)", "power(age)"]``.
    """
    if isinstance(variance, Sequence) and not isinstance(variance, str) and variance:
        terms = [term for text in variance for term in _variance_sum(text)]
    else:
        terms = _variance_sum(variance)
    texts = [term.text for term in terms]
    twice = next((text for text in texts if texts.count(text) > 1), None)
    if twice is not None:
        raise FormulaError(
            f"`{twice}` is among the variance functions twice.",
            got=", ".join(texts),
            suggestion=f"`variance={list(dict.fromkeys(texts))!r}`",
            argument="variance",
        )
    return tuple(terms)


def _variance_sum(text: Any) -> list[VarianceTerm]:
    """Standard deviations multiply, so that ``+`` and ``*`` between them mean the same."""
    source, node = read_argument(text, "variance", "power(age)", VARIANCE_WORDS)
    parts: list[Node] = []
    node = strip_groups(node)
    while isinstance(node, Binary) and node.symbol in ("+", "*"):
        parts.insert(0, strip_groups(node.right))
        node = strip_groups(node.left)
    return [_variance(source, part) for part in (node, *parts)]


def _variance(source: Source, node: Node) -> VarianceTerm:
    if not isinstance(node, Call) or node.function not in VARIANCES:
        raise _unknown(source, node)
    name = node.function
    if len(node.arguments) != 1 or node.arguments[0].name is not None:
        raise source.error(
            f"`{name}()` takes one argument.",
            node.start,
            node.stop,
            suggestion="`ident(g)`" if name == "ident" else f"`{name}(x)` or `{name}(x | g)`",
            argument="variance",
        )
    inner = strip_groups(node.arguments[0].value)
    left, right = inner, None
    if isinstance(inner, Binary) and is_bar(inner):
        left, right = inner.left, inner.right
    if name == "ident":
        return _ident(source, left, right)
    strata = None if right is None else _strata(source, name, right)
    shown = "" if strata is None else f" | {strata.spelling}"
    return VarianceTerm(
        f"{name}({deparse(left)}{shown})",
        name,
        _covariate(source, name, left),
        () if strata is None else strata.atoms,
    )


def _ident(source: Source, left: Node, right: Node | None) -> VarianceTerm:
    """``ident(g)``, or as nlme writes it ``ident(1 | g)``."""
    if right is not None and not isinstance(left, Number):
        raise source.error(
            "`ident()` has a standard deviation for each level, and no covariate.",
            left.start,
            left.stop,
            suggestion=f"`ident({deparse(right)})`, or `power({deparse(left)} | {deparse(right)})`",
            argument="variance",
        )
    strata = _strata(source, "ident", left if right is None else right)
    return VarianceTerm(f"ident({strata.spelling})", "ident", None, strata.atoms)


def _strata(source: Source, name: str, node: Node) -> Grouping:
    """Read the factor whose levels differ."""
    inner = strip_groups(node)
    if isinstance(inner, Binary) and inner.symbol in ("+", "*", "/"):
        pair = f"{deparse(inner.left)}:{deparse(inner.right)}"
        raise source.error(
            f"the levels of `{name}()` are those of one factor, or of an interaction.",
            inner.start,
            inner.stop,
            suggestion=f"`{name}({pair})`" if name == "ident" else f"`{name}(x | {pair})`",
            argument="variance",
        )
    return groupings(source, node)[0]


def _covariate(source: Source, name: str, node: Node) -> Atom:
    inner = strip_groups(node)
    if isinstance(inner, Call) and inner.function == "fitted":
        raise source.error(
            f"`{name}()` takes a column of the data; the fitted values are none.",
            inner.start,
            inner.stop,
            suggestion="`data['level'] = results.fittedvalues` of a fit without `variance`, then "
            f"`{name}(level)`",
            argument="variance",
        )
    return atom_of(source, node)


def _unknown(source: Source, node: Node) -> FormulaError:
    known = tuple(VARIANCES)
    name = node.function if isinstance(node, Call) else deparse(node)
    inside = ", ".join(deparse(a.value) for a in node.arguments) if isinstance(node, Call) else ""
    plain = name.lower()
    close = get_close_matches(plain, known, n=1)
    nearest = VARIANCE_WORDS.get(plain, close[0] if close else None)
    advice = f"`{nearest or 'power'}({inside or 'x'})`"
    if name in CORRELATIONS:
        advice = f'`residual="{deparse(node)}"`, which takes correlations'
    elif plain == "varfixed":
        advice = "`weights=` with the reciprocal of the column"
    elif plain == "varcomb":
        advice = '`variance="ident(g) + power(x)"`: standard deviations multiply'
    return source.error(
        f"`{name}` is not a variance function. Available are "
        f"{', '.join(f'`{function}`' for function in known)}.",
        node.start,
        node.stop,
        suggestion=advice,
        argument="variance",
        function=name,
        available=known,
        nearest=nearest,
    )
