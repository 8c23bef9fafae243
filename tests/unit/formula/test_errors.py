"""Nonsense formulas: a message in three parts, the place shown, never a traceback of formulaic."""

from __future__ import annotations

import pytest

from lmmformula.covariance import STRUCTURES
from lmmformula.errors import FormulaError
from lmmformula.formula import parse
from tests.refusals import refused_at

# formula: (characters at the position shown, a word of the message, a part of the suggestion)
ERRORS = {
    "y ~ x + (1 | g": ("(", "never closed", ")"),
    "y ~ x + 1 | g)": (")", "closes nothing", "("),
    "y ~ x + (1 | g]": ("(", "closed by", ")"),
    "y ~ `x + (1 | g)": ("`", "never closed", "`"),
    "y ~ x == 'a + (1 | g)": ("'", "never closed", "'"),
    "y ~ `` + (1 | g)": ("``", "no name", "`"),
    "y x + (1 | g)": ("y x", "no `~`", "~"),
    "y ~ x ~ (1 | g)": ("~ (", "one `~`", "+"),
    "~ x + (1 | g)": ("~", "no response", "~"),
    "y ~": ("~", "no terms", "~"),
    "y ~ x": ("x", "no random-effects term", "statsmodels"),
    "y ~ 1": ("1", "no random-effects term", "(1 | g)"),
    "y ~ x + (1 | )": (")", "no grouping factor", "(1 | g)"),
    "y ~ ( | g)": ("|", "no effects", "(1 | g)"),
    "y ~ x + 1 | g": ("|", "parentheses", "`y ~ x + (1 | g)`"),
    "y ~ 1 | g": ("|", "parentheses", "`y ~ (1 | g)`"),
    "y ~ x || g": ("||", "parentheses", "`y ~ (x || g)`"),
    "y ~ (x | y | g)": ("|", "another", "one term"),
    "y ~ (x | (y | g))": ("| g", "another", "one term"),
    "y ~ (x ||| g)": ("| g", "two bars", "||"),
    "y ~ (x | | | g)": ("| | g", "two bars", "||"),
    "y ~ x*(1 | g)": ("1 | g", "only be added", "+ (1 | g)"),
    "y ~ x - (1 | g)": ("1 | g", "only be added", "+ (1 | g)"),
    "y ~ x:us(1 | g)": ("1 | g", "only be added", "+ (1 | g)"),
    "y ~ (0 | g)": ("0", "no effects", "(1 | g)"),
    "y ~ (. | g)": (".", "random effects", "columns"),
    "y ~ (1 | 1)": ("1)", "not a grouping factor", "column"),
    "y ~ (1 | a + b)": ("a + b", "does not join", "(1 | a) + (1 | b)"),
    "y ~ (1 | (a + b)/c)": ("a + b", "does not join", "(1 | a) + (1 | b)"),
    "y ~ (1 | a/(b/c))": ("b/c", "can be expanded", "a/b/c"),
    "y ~ (1 | a - b)": ("a - b", "can be expanded", "a:b"),
    "y ~ (1 | .)": (".", "can be expanded", "a:b"),
    "y ~ (1 | -a)": ("-a", "can be expanded", "a:b"),
    "y ~ foo(x | g)": ("foo", "not a covariance structure", "(x | g)"),
    "y ~ gau(0 + t | g)": ("gau", "not available", "(0 + t | g)"),
    "y ~ un(x | g)": ("un", "called `us`", "us(x | g)"),
    "y ~ corAR1(0 + t | g)": ("corAR1", "called `ar1`", "ar1(0 + t | g)"),
    "y ~ x + cs(x | g, hom = 3)": ("3", "True", "hom=True"),
    "y ~ us(x | g, hom = TRUE)": ("us", "does not have", "us(x | g)"),
    "y ~ exp(t | g, hom=False)": ("exp", "does not have", "exp(t | g)"),
    "y ~ homcs(x | g, hom=False)": ("homcs", "contradict", "cs(x | g)"),
    "y ~ hetar1(0 + t | g, hom=True)": ("hetar1", "contradict", "ar1(0 + t | g)"),
    "y ~ cs(x | g, hom=True, hom=True)": ("cs", "nothing else", "cs(x | g)"),
    "y ~ cs(x || g, hom=True)": ("cs(x || g", "correlations", "cs(x | g, hom=True)"),
    "y ~ ar1(t | g)": ("t |", "intercept", "`ar1(0 + t | g)`"),
    "y ~ toep(factor(t) | g)": ("factor(t)", "intercept", "`toep(0 + factor(t) | g)`"),
    "y ~ ar1(1 | g)": ("1 |", "levels of one factor", "`ar1(0 + time | g)`"),
    "y ~ ar1(0 + a:b | g)": ("0 + a:b", "levels of one factor", "`ar1(0 + a | g)`"),
    "y ~ hetar1(0 + a + b | g)": ("0 + a + b", "levels of one factor", "`hetar1(0 + a | g)`"),
    "y ~ ou(1 | g)": ("1 |", "times or the places", "`ou(0 + time | g)`"),
    "y ~ ou(a + b | g)": ("a + b", "one time", "`exp(0 + a + b | g)`"),
    "y ~ exp(a:b | g)": ("a:b", "products", "`exp(0 + a | g)`"),
    "y ~ x:cs(1 | g)": ("1 | g", "only be added", "+ (1 | g)"),
    "y ~ us(x || g)": ("us(x || g)", "correlations", "us(x | g)"),
    "y ~ us(x | g, 2)": ("us", "nothing else", "us(x | g)"),
    "y ~ diag(x) + (1 | g)": ("diag(x)", "bar", "diag(x | g)"),
    "y ~ lgo(x) + (1 | g)": ("lgo", "not known", "log()"),
    "y ~ interaction(a, b) + (1 | g)": ("interaction", "not known", "a:b"),
    "y ~ x.mean() + (1 | g)": ("x.mean", "not known", "mean()"),
    "y ~ np.nothing(x) + (1 | g)": ("np.nothing", "not known", "column"),
    "y ~ factor(x, labels = c('a')) + (1 | g)": ("c('a')", "no argument", "levels"),
    "y ~ C(x, nonsense) + (1 | g)": ("nonsense", "coding", "contr.sum"),
    "y ~ factor() + (1 | g)": ("factor()", "needs a column", "factor(x)"),
    "y ~ log(.) + (1 | g)": (".", "other columns", "column"),
    "y ~ log(2) + (1 | g)": ("log(2)", "no column", "column"),
    "y ~ ns(x, knots = a:b) + (1 | g)": (":b", "counts", "c(1, 2, 3)"),
    "y ~ bs(x, knots = c(a = 1)) + (1 | g)": ("c(a", "names", "values"),
    "y ~ log(lambda) + (1 | g)": ("lambda", "reserved", "another name"),
    "y ~ {x +} + (1 | g)": ("{x +}", "Python", "expression"),
    "y ~ {1} + (1 | g)": ("{1}", "no column", "column"),
    "y ~ TRUE + (1 | g)": ("TRUE", "no column", "column"),
    "y ~ 2*x + (1 | g)": ("2", "not a term", "I(2 * x)"),
    "y ~ 1:x + (1 | g)": ("1:x", "both sides", "a:b"),
    "y ~ x^z + (1 | g)": ("z", "degree", "I(x^z)"),
    "y ~ x^0 + (1 | g)": ("0", "degree", "I(x^0)"),
    "y ~ x > 3 + (1 | g)": (">", "arithmetic", "I("),
    "y ~ !x + (1 | g)": ("!", "arithmetic", "I("),
    "y ~ x %foo% z + (1 | g)": ("%foo%", "cannot stand", "parentheses"),
    "y ~ 'x' + (1 | g)": ("'x'", "string", "bare name"),
    "y ~ x$z + (1 | g)": ("$", "not an operator", "column"),
    "y ~ x; z + (1 | g)": (";", "not an operator", "one formula"),
    "y ~ x \u2212 z + (1 | g)": ("\u2212", "not an operator", "+ - *"),
    "y ~ x z + (1 | g)": ("z", "operator is missing", "`+`"),
    "y ~ x (1 | g)": ("x (", "operator is missing", "`x + (1 | g)`"),
    "y ~ x + (1 | g) z": ("z", "operator is missing", "`+`"),
    "y ~ x + * z + (1 | g)": ("*", "missing", "term"),
    "y ~ x + (1 | g) +": ("", "missing after `+`", "term"),
    "y ~ () + (1 | g)": (")", "missing", "term"),
    "y ~ [x] + (1 | g)": ("[", "square", "parentheses"),
    "y ~ x[1] + (1 | g)": ("[", "indexed", "column"),
    "y ~ x, z + (1 | g)": (",", "comma", "+"),
    "y = x + (1 | g) ~ z": ("=", "`=`", "~"),
    "y ~ 2x + (1 | g)": ("2x", "neither", "backticks"),
    "y ~ log(x + (1 | g)": ("(", "never closed", ")"),
    "y ~ log(`a b` = x) + (1 | g)": ("`a b`", "not the name", "=="),
    "y ~ log(x, True = 2) + (1 | g)": ("log(", "cannot be computed", "computed beforehand"),
    "y ~ I(x == 'a'2) + (1 | g)": ("2", "operator is missing", "operator"),
    "y ~ log(x,) + (1 | g)": (")", "missing", "term"),
    "y ~ offset(x, z) + (1 | g)": ("offset", "one expression", "offset(x)"),
    "y ~ x*offset(z) + (1 | g)": ("offset", "added", "+ offset(z)"),
    "y ~ x - offset(z) + (1 | g)": ("offset", "added", "+ offset(z)"),
    "y ~ (offset(z) | g)": ("offset", "added", "+ offset(z)"),
    "cbind(a, b) ~ x + (1 | g)": ("cbind", "one response", "one model"),
    "1 ~ x + (1 | g)": ("1", "no column", "column"),
    "'y' ~ x + (1 | g)": ("'y'", "no column", "column"),
    "1 + 2 ~ x + (1 | g)": ("1 + 2", "no column", "column"),
    "y | z ~ x + (1 | g)": ("|", "no meaning", "right"),
    "a:b ~ x + (1 | g)": (":", "counts", "c("),
    "y ~ y + x + (1 | g)": ("y", "explain", "without"),
}


@pytest.mark.parametrize("text", list(ERRORS))
def test_nonsense_is_refused_with_its_place(text):
    with refused_at(text, *ERRORS[text]) as caught:
        parse(text)
    error = caught.value
    assert error.message
    formula, caret = str(error).splitlines()[1:3]
    assert formula == f"Got: {text}"
    assert caret.index("^") == len("Got: ") + error.position
    assert "Traceback" not in str(error)


@pytest.mark.parametrize("value", ["", "   ", "\n"])
def test_empty(value):
    with pytest.raises(FormulaError, match="empty"):
        parse(value)


@pytest.mark.parametrize("value", [None, 3, b"y ~ x", ["y ~ x"]])
def test_not_a_string(value):
    with pytest.raises(FormulaError) as caught:
        parse(value)
    assert caught.value.got == type(value).__name__


def test_structures_are_listed_and_the_nearest_offered():
    with pytest.raises(FormulaError) as caught:
        parse("y ~ dig(x | g)")
    assert caught.value.available == tuple(STRUCTURES)
    assert caught.value.nearest == "diag"
    assert caught.value.suggestion == "`diag(x | g)`"
    assert caught.value.structure == "dig"


WORDS = {
    "csh": "cs",
    "un": "us",
    "VC": "diag",
    "id": "homdiag",
    "toeph": "toep",
    "arh1": "hetar1",
    "corCompSymm": "homcs",
    "pdDiag": "diag",
    "car1": "ou",
    "corExp": "exp",
}


@pytest.mark.parametrize("word", list(WORDS))
def test_words_of_other_packages_are_translated(word):
    with pytest.raises(FormulaError) as caught:
        parse(f"y ~ {word}(0 + t | g)")
    assert caught.value.nearest == WORDS[word]
    assert caught.value.suggestion == f"`{WORDS[word]}(0 + t | g)`"


def test_functions_are_listed_and_the_nearest_offered():
    with pytest.raises(FormulaError) as caught:
        parse("y ~ sclae(x) + (1 | g)")
    assert caught.value.nearest == "scale"
    assert caught.value.function == "sclae"
    assert {"poly", "ns", "bs", "log", "factor"} <= set(caught.value.available)


def test_long_formulas_are_shown_around_the_place():
    names = " + ".join(f"variable_{i}" for i in range(40))
    with pytest.raises(FormulaError) as caught:
        parse(f"y ~ {names} + 7 + {names} + (1 | g)")
    shown, caret = str(caught.value).splitlines()[1:3]
    assert len(shown) < 120
    assert shown[caret.index("^")] == "7"


@pytest.mark.parametrize("text", ["(" * 3000 + "x" + ")" * 3000, "-" * 5000 + "x"])
def test_deep_nesting(text):
    with pytest.raises(FormulaError, match="deeply"):
        parse(f"y ~ {text} + (1 | g)")
