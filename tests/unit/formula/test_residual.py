"""The arguments ``residual`` and ``variance``: what they mean, and what they refuse."""

from __future__ import annotations

import pickle

import pytest

from lmmformula.errors import FormulaError
from lmmformula.formula import parse_residual
from lmmformula.residual_covariance import CORRELATIONS, VARIANCES
from tests.refusals import refused_at

# text: (structure, position, group, its variables)
READ = {
    "ar1(visit | Subject)": ("ar1", "visit", "Subject", ["Subject"]),
    "ar1( visit|Subject )": ("ar1", "visit", "Subject", ["Subject"]),
    "ar1(0 + visit | Subject)": ("ar1", "visit", "Subject", ["Subject"]),
    "(ar1(visit + 0 | Subject))": ("ar1", "visit", "Subject", ["Subject"]),
    "ar1(visit | Subject, hom=False)": ("hetar1", "visit", "Subject", ["Subject"]),
    "arma(1 | Subject)": ("arma", None, "Subject", ["Subject"]),
    "cs(1 | Subject)": ("homcs", None, "Subject", ["Subject"]),
    "cs(visit | Subject)": ("cs", "visit", "Subject", ["Subject"]),
    "cs(visit | Subject, hom=TRUE)": ("homcs", "visit", "Subject", ["Subject"]),
    "us(factor(visit) | a:b)": ("us", "C(visit)", "a:b", ["a", "b"]),
    "us(1 | Subject)": ("us", None, "Subject", ["Subject"]),
    "toep(visit | `my id`)": ("toep", "visit", "my id", ["my id"]),
    "car1(log(time) | a %in% b)": ("car1", "log(time)", "a:b", ["a", "b"]),
}


@pytest.mark.parametrize("text", list(READ))
def test_correlation(text):
    structure, position, group, variables = READ[text]
    formula = parse_residual(text)
    term = formula.correlation
    assert formula.variances == ()
    assert term.structure == structure
    assert (None if term.position is None else term.position.expr) == position
    assert term.group == group
    assert [atom.expr for atom in term.group_atoms] == variables
    assert pickle.loads(pickle.dumps(formula)) == formula


@pytest.mark.parametrize("text", list(READ))
def test_printed_text_means_the_same(text):
    formula = parse_residual(text)
    assert parse_residual(formula.correlation.text) == formula


@pytest.mark.parametrize("name", list(CORRELATIONS))
def test_every_structure_can_be_written(name):
    assert parse_residual(f"{name}(time | g)").correlation.structure == name


@pytest.mark.parametrize("name", list(VARIANCES))
def test_every_variance_function_can_be_written(name):
    (term,) = parse_residual(variance=f"{name}(x)").variances
    assert (term.function, term.text) == (name, f"{name}(x)")


def test_nothing_asked():
    assert parse_residual() is None
    assert parse_residual(None, None) is None


# text: (function, covariate, strata)
VARIANCE_READ = {
    "ident(Sex)": [("ident", None, ["Sex"])],
    "ident(1 | Sex)": [("ident", None, ["Sex"])],
    "ident(a:b)": [("ident", None, ["a", "b"])],
    "power(age)": [("power", "age", [])],
    "power(age | Sex)": [("power", "age", ["Sex"])],
    "power(I(age - 8))": [("power", "I(age - 8)", [])],
    "exp(age/10)": [("exp", "age / 10", [])],
    "ident(Sex) + power(age)": [("ident", None, ["Sex"]), ("power", "age", [])],
    "ident(Sex) * power(age) + exp(z | a:b)": [
        ("ident", None, ["Sex"]),
        ("power", "age", []),
        ("exp", "z", ["a", "b"]),
    ],
}


@pytest.mark.parametrize("text", list(VARIANCE_READ))
def test_variance(text):
    found = [
        (
            term.function,
            None if term.covariate is None else term.covariate.expr,
            [atom.expr for atom in term.strata],
        )
        for term in parse_residual(variance=text).variances
    ]
    assert found == VARIANCE_READ[text]


def test_a_list_of_variance_functions_is_their_sum():
    both = parse_residual(variance=["ident(g)", "power(x) + exp(z)"])
    assert both == parse_residual(variance="ident(g) + power(x) + exp(z)")
    assert [term.text for term in both.variances] == ["ident(g)", "power(x)", "exp(z)"]


@pytest.mark.parametrize("name", ["cs", "toep", "us"])
def test_with_variance_a_structure_is_a_correlation(name):
    assert parse_residual(f"{name}(v | g)").correlation.structure == name
    formula = parse_residual(f"{name}(v | g)", "power(x)")
    assert formula.correlation.structure == f"hom{name}"
    assert formula.correlation.text == f"{name}(v | g)"


@pytest.mark.parametrize("text", ["us(v | g, hom=False)", "hetar1(v | g)", "ar1(v | g, hom=F)"])
def test_variances_cannot_be_said_twice(text):
    with pytest.raises(FormulaError, match="both say") as caught:
        parse_residual(text, "power(x)")
    assert "hom" in caught.value.suggestion or "ar1" in caught.value.suggestion


# text: (characters at the position shown, a word of the message, a part of the suggestion)
RESIDUAL_ERRORS = {
    "ar1(visit)": ("ar1", "bar", '"ar1(visit | Subject)"'),
    "ar1": ("ar1", "bar", '"ar1(visit | Subject)"'),
    "(1 | g)": ("1", "bar", '"ar1(visit | Subject)"'),
    "ar1(v | g) + cs(1 | g)": ("ar1", "one structure", '"ar1(visit | Subject)"'),
    "corAR1(form = ~ visit | Subject)": ("~", "not a formula", '"ar1(visit | Subject)"'),
    "corSymm(~ 1 | g)": ("~", "not a formula", '"homus(1 | g)"'),
    "~ visit | Subject": ("~", "not a formula", '"ar1(visit | Subject)"'),
    "corCAR1(t | g)": ("corCAR1", "called `car1`", "car1(t | g)"),
    "csh(v | g)": ("csh", "called `cs`", "cs(v | g)"),
    "exp(t | g)": ("exp", "called `car1`", "car1(t | g)"),
    "ar2(v | g)": ("ar2", "not a structure", "ar1(v | g)"),
    "diag(v | g)": ("diag", "not a structure", 'variance="ident(v)"'),
    "ident(v | g)": ("ident", "not a structure", 'variance="ident(v)"'),
    "ar1(v || g)": ("ar1", "correlations", "ar1(v | g)"),
    "ar1(v | g, 2)": ("ar1", "nothing else", "ar1(v | g)"),
    "ar1(v | g, hom=maybe)": ("maybe", "True", "hom=True"),
    "car1(t | g, hom=False)": ("car1", "does not have", '`car1(t | g)` with `variance="ident'),
    "homus(v | g, hom=False)": ("homus", "contradict", "us(v | g)"),
    "ar1(v | a/b)": ("a/b", "one grouping factor", "ar1(v | b:a)"),
    "ar1(v | a*b)": ("a*b", "one grouping factor", "ar1(v | a:b)"),
    "ar1(v | a + b)": ("a + b", "one grouping factor", "ar1(v | a:b)"),
    "ar1(v | 1)": ("1)", "not a grouping factor", "column"),
    "ar1(a + b | g)": ("a + b", "one column of times", "ar1(visit | g)"),
    "ar1(a:b | g)": ("a:b", "one column of times", "ar1(visit | g)"),
    "ar1(0 | g)": ("0", "one column of times", "ar1(visit | g)"),
    "ar1(. | g)": (".", "one column of times", "ar1(visit | g)"),
    "cs(1 | g, hom=False)": ("1", "cannot know", "cs(time | g)"),
    "car1(1 | g)": ("1", "cannot know", "car1(time | g)"),
    "ar1(foo(t) | g)": ("foo", "not known", "column"),
    "ar1(v | g": ("(", "never closed", ")"),
}


@pytest.mark.parametrize("text", list(RESIDUAL_ERRORS))
def test_residual_errors(text):
    with refused_at(text, *RESIDUAL_ERRORS[text]):
        parse_residual(text)


VARIANCE_ERRORS = {
    "powr(x)": ("powr", "not a variance function", "`power(x)`"),
    "varIdent(g)": ("varIdent", "not a variance function", "`ident(g)`"),
    "varExp(form = ~ x)": ("~", "not a formula", '"exp(x)"'),
    "varIdent(form = ~ 1 | g)": ("~", "not a formula", '"ident(g)"'),
    "varFixed(x)": ("varFixed", "not a variance function", "weights"),
    "varComb(x)": ("varComb", "not a variance function", "ident(g) + power(x)"),
    "ar1(v | g)": ("ar1", "not a variance function", 'residual="ar1(v | g)"'),
    "x": ("x", "not a variance function", "power"),
    "power()": ("power", "one argument", "power(x | g)"),
    "power(x, z)": ("power", "one argument", "power(x | g)"),
    "ident(a, b)": ("ident", "one argument", "`ident(g)`"),
    "ident(a + b)": ("a + b", "one factor", "ident(a:b)"),
    "power(x | a + b)": ("a + b", "one factor", "power(x | a:b)"),
    "ident(x | g)": ("x", "no covariate", "power(x | g)"),
    "power(fitted(.))": ("fitted", "fitted values", "fittedvalues"),
    "power(2)": ("2", "no column", "column"),
}


@pytest.mark.parametrize("text", list(VARIANCE_ERRORS))
def test_variance_errors(text):
    with refused_at(text, *VARIANCE_ERRORS[text]):
        parse_residual(variance=text)


@pytest.mark.parametrize("value", ["", "  ", 3, b"ar1(v | g)", {"a": 1}])
def test_arguments_are_texts(value):
    for argument in ("residual", "variance"):
        with pytest.raises(FormulaError) as caught:
            parse_residual(**{argument: value})
        assert caught.value.argument == argument


@pytest.mark.parametrize("value", [[], ["power(x)", 3], [["power(x)"]]])
def test_lists_of_texts(value):
    with pytest.raises(FormulaError, match="is a text"):
        parse_residual(variance=value)


def test_a_function_twice():
    with pytest.raises(FormulaError, match="twice") as caught:
        parse_residual(variance="power(x) + ident(g) + power(x)")
    assert caught.value.suggestion == "`variance=['power(x)', 'ident(g)']`"
