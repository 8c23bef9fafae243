"""Properties of the formula parser over random formulas and random text."""

from __future__ import annotations

import contextlib

from formulaic import Formula
from formulaic.utils.code import format_expr
from hypothesis import given
from hypothesis import strategies as st

from lmmformula.errors import FormulaError
from lmmformula.formula import formulaic_terms, parse

NAMES = st.sampled_from(["a", "b", "c", "x.y", "`a b`", "I(x^2)", "log(z)", "poly(x, 2)"])


def combine(children):
    return st.one_of(
        st.tuples(children, st.sampled_from(["+", "*", ":", "/", "%in%"]), children).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        children.map(lambda inner: f"({inner})^2"),
    )


SUMS = st.recursive(NAMES, combine, max_leaves=5)
BARS = st.tuples(
    st.one_of(st.just("1"), SUMS.map(lambda text: f"0 + {text}"), SUMS),
    st.sampled_from(["|", "||"]),
    st.sampled_from(["g", "g:h", "g/h", "`g 1`", "a/b/g"]),
).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})")
FORMULAS = st.tuples(SUMS, st.lists(BARS, min_size=1, max_size=3)).map(
    lambda parts: f"y ~ {' + '.join([parts[0], *parts[1]])}"
)


@given(FORMULAS)
def test_parsing_round_trips(text):
    formula = parse(text)
    assert parse(str(formula)) == formula


@given(FORMULAS)
def test_expanded_terms_parse_to_themselves(text):
    formula = parse(text)
    terms = " + ".join(term.text for term in formula.random)
    again = parse(f"y ~ {terms}").random
    assert [(t.effects, t.grouping, t.group, t.text) for t in again] == [
        (t.effects, t.grouping, t.group, t.text) for t in formula.random
    ]


@given(FORMULAS)
def test_formulaic_reads_what_is_handed_on(text):
    formula = parse(text)
    for part in (formula, *formula.random):
        spelled = part.fixed if part is formula else part.effects
        ours = formulaic_terms(part.terms, intercept=part.intercept)
        assert [set(term.factors) for term in Formula(spelled)] == [
            set(term.factors) for term in ours
        ]


@given(FORMULAS)
def test_blanks_do_not_matter(text):
    tight = text if "`" in text or "%in%" in text else text.replace(" ", "")
    wide = text.replace("+", " \n + ")
    assert parse(tight).terms == parse(text).terms == parse(wide).terms
    assert parse(tight).random == parse(text).random == parse(wide).random


@given(st.text(alphabet="yxg ~+-*/:^|()[]{}`'\"%.,=<>!&01e\\$#\u00e9", max_size=25))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(FormulaError):
        parse(text)


@given(st.text(alphabet="yxg +-*/:^|()`'%.,0", max_size=15))
def test_any_text_around_a_good_formula(text):
    for mixed in (f"y ~ {text} + (x | g)", f"y ~ x + ({text} | g)", f"y ~ x + (x | {text})"):
        with contextlib.suppress(FormulaError):
            formula = parse(mixed)
            assert parse(str(formula)) == formula


LEAVES = st.sampled_from(["x", "z", "2", "1.5", "log(x)"])


def arithmetic(children):
    binary = st.tuples(children, st.sampled_from("+-*/^"), children)
    return st.one_of(
        binary.map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"),
        binary.map(lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"),
        children.map(lambda inner: f"-({inner})"),
    )


@given(st.recursive(LEAVES, arithmetic, max_leaves=6))
def test_arithmetic_keeps_its_meaning(text):
    response = parse(f"I(x + {text}) ~ 1", require_random=False).response
    assert response == format_expr(f"I(x + {text.replace('^', '**')})")
