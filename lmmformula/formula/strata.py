"""Formulas with error strata, ``y ~ a * b + Error(block/a)``, as R's ``aov`` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lmmformula.errors import FormulaError
from lmmformula.formula.algebra import Sum
from lmmformula.formula.deparse import deparse
from lmmformula.formula.lexer import Token, tokens_of
from lmmformula.formula.parse import parse
from lmmformula.formula.source import Source
from lmmformula.formula.terms import MixedFormula, RandomTerm, TermAtoms
from lmmformula.formula.tree import Call, read

__all__ = ["parse_strata"]

Kind = Token.Kind
EXAMPLE = "`y ~ a * b + Error(subject/a)`"


def parse_strata(text: str) -> MixedFormula:
    """Read a formula with at most one ``Error()`` term.

    Parameters
    ----------
    text : str
        Formula in the grammar of R's ``aov``, ``"price ~ store + Error(item/store)"``.

    Returns
    -------
    MixedFormula
        Response and terms; ``random`` holds one grouping term per stratum that ``Error()``
        names, in R's order, none without ``Error()``.

    Raises
    ------
    FormulaError
        The text is not such a formula.

    Examples
    --------
    >>> formula = parse_strata("yield ~ N * V + Error(block/V)")
    >>> formula.fixed, [stratum.group for stratum in formula.random]
    ('1 + N + V + N:V', ['block', 'block:V'])
    """
    if not isinstance(text, str) or "Error" not in text:
        return _without_bars(parse(text, require_random=False))
    source = Source("".join(" " if char.isspace() else char for char in text))
    tokens = tokens_of(source)
    found = _error_call(source, tokens)
    if found is None:
        return _without_bars(parse(text, require_random=False))
    first, last = found
    call = read(source, tokens[first : last + 1], len(text))
    assert isinstance(call, Call)
    model = _without_bars(parse(_blanked(source, tokens, first, last), require_random=False))
    strata = _strata(source, call)
    names = [name for stratum in strata for atom in stratum.group_atoms for name in atom.variables]
    variables = tuple(dict.fromkeys((*model.variables, *names)))
    return replace(model, text=text.strip(), random=strata, variables=variables)


def _error_call(source: Source, tokens: Sequence[Token]) -> tuple[int, int] | None:
    """First and last token of ``Error(...)``, which must be a summand of its own."""
    calls = [i for i in range(len(tokens) - 1) if _opens(tokens, i)]
    if not calls:
        return None
    first = calls[0]
    if len(calls) > 1:
        raise source.error(
            "a formula has one `Error()` term only.",
            _start(tokens[calls[1]]),
            suggestion="one term with all strata, such as `Error(block + subject)`",
        )
    last, depth = first + 1, 1
    while depth:
        last += 1
        depth += _depth(tokens[last])
    before = tokens[first - 1].token if first else ""
    after = tokens[last + 1].token if last + 1 < len(tokens) else "+"
    outside = sum(map(_depth, tokens[:first])) == 0
    if not (outside and before in ("~", "+") and after in ("+", "-")):
        raise source.error(
            "`Error()` can only be added, as a term of its own on the right of `~`.",
            _start(tokens[first]),
            _stop(tokens[last]),
            suggestion=EXAMPLE,
        )
    return first, last


def _opens(tokens: Sequence[Token], position: int) -> bool:
    name, following = tokens[position], tokens[position + 1]
    return name.kind is Kind.NAME and name.token == "Error" and following.token == "("


def _depth(token: Token) -> int:
    if token.kind is not Kind.CONTEXT:
        return 0
    return 1 if token.token in "([" else -1


def _blanked(source: Source, tokens: Sequence[Token], first: int, last: int) -> str:
    """Return the text without the ``Error()`` term; every other character keeps its place."""
    start, stop = _start(tokens[first]), _stop(tokens[last])
    if tokens[first - 1].token == "+":
        start = _start(tokens[first - 1])
    elif last + 1 < len(tokens) and tokens[last + 1].token == "+":
        stop = _stop(tokens[last + 1])
    else:
        rest = source.text[stop:]
        return f"{source.text[:start]}{'1'.ljust(stop - start)}{rest}"
    return source.text[:start] + " " * (stop - start) + source.text[stop:]


def _strata(source: Source, call: Call) -> tuple[RandomTerm, ...]:
    """Read the strata inside ``Error(...)``."""
    if len(call.arguments) != 1 or call.arguments[0].name is not None:
        raise source.error(
            "`Error()` takes one expression.", call.start, call.stop, suggestion=EXAMPLE
        )
    terms = Sum(source)
    terms.add(call.arguments[0].value)
    ordered = terms.ordered()
    if terms.wildcard or not ordered:
        raise source.error(
            "`Error()` names no grouping factor.",
            call.start,
            call.stop,
            suggestion="the factor whose levels were measured repeatedly, as `Error(subject)`",
        )
    text = deparse(call)
    return tuple(_stratum(text, atoms) for atoms in ordered)


def _stratum(text: str, atoms: TermAtoms) -> RandomTerm:
    names = tuple(atom.expr for atom in atoms)
    label = ":".join(atom.label for atom in atoms)
    return RandomTerm(
        text=text,
        effects="1",
        grouping=names,
        label=label if label != ":".join(names) else "",
        group_atoms=atoms,
    )


def _without_bars(formula: MixedFormula) -> MixedFormula:
    """Refuse what belongs to mixed models."""
    if not formula.random:
        return formula
    term = formula.random[0]
    raise FormulaError(
        f"`{term.text}` is a random-effects term; `aov` has error strata instead.",
        got=formula.text,
        suggestion=f"`Error({term.group})` in its place, or `lf.lmer({formula.text!r}, data)`",
        term=term.text,
    )


def _start(token: Token) -> int:
    return int(token.source_start or 0)


def _stop(token: Token) -> int:
    return int(token.source_end or 0) + 1
