"""What ``parse`` makes of formulas."""

from __future__ import annotations

import pickle
import timeit

import pytest

from lmmformula.covariance import STRUCTURES
from lmmformula.errors import FormulaError, FormulaWarning
from lmmformula.formula import expand_wildcard, parse


def labels(terms):
    return [":".join(atom.label for atom in term) for term in terms]


FIXED = {
    "Days": "1 + Days",
    "1": "1",
    "0 + Machine": "0 + Machine",
    "x^2": "1 + x",
    "I(x^2)": "1 + I(x ** 2)",
    "I(x**2)": "1 + I(x ** 2)",
    "I(-x^2)": "1 + I(-x ** 2)",
    "I((x + z)/2)": "1 + I((x + z) / 2)",
    "I(x/(z + 1)/2)": "1 + I(x / (z + 1) / 2)",
    "I(2^-x)": "1 + I(2 ** (-x))",
    "I(x > 3 & z <= 2)": "1 + I((x > 3) & (z <= 2))",
    "I(x == 'b')": "1 + I(x == 'b')",
    "I(!x)": "1 + I(~x)",
    "I(x | z)": "1 + I(x | z)",
    "I(x %% 2)": "1 + I(x % 2)",
    "I(x %/% 2)": "1 + I(x // 2)",
    "I(x %in% c('a', 'b'))": "1 + I(isin(x, ['a', 'b']))",
    "sin(2*pi*x/365)": "1 + sin(2 * pi * x / 365)",
    "poly(x, 2, raw=TRUE)": "1 + poly(x, 2, raw=True)",
    "poly(x, 2, raw = T)": "1 + poly(x, 2, raw=True)",
    "poly (x, 2)": "1 + poly(x, 2)",
    "ns(x, df=3)": "1 + ns(x, df=3)",
    "bs(x, knots = c(1, 2.5), Boundary.knots = c(0, 10))": (
        "1 + bs(x, knots=[1, 2.5], Boundary_knots=[0, 10])"
    ),
    "ns(x, knots=1:3)": "1 + ns(x, knots=[1, 2, 3])",
    "scale(x, scale = FALSE)": "1 + scale(x, scale=False)",
    "log(x, base = 2)": "1 + log(x, base=2)",
    "log(x + 1e-5)": "1 + log(x + 1e-05)",
    "log(x + .5e-3)": "1 + log(x + 0.0005)",
    "I(x * 2L)": "1 + I(x * 2)",
    "factor(x)": "1 + C(x)",
    "as.factor(x)": "1 + C(x)",
    "factor(factor(x))": "1 + C(x)",
    "factor(x, levels = c('b', 'a'))": "1 + C(x, levels=['b', 'a'])",
    "ordered(x)": "1 + C(x)",
    "relevel(x, ref = 'b')": "1 + C(x, contr.treatment(base='b'))",
    "relevel(factor(x), 'b')": "1 + C(x, contr.treatment(base='b'))",
    "C(x, contr.sum)": "1 + C(x, contr.sum)",
    "C(x, sum)": "1 + C(x, contr.sum)",
    "C(x, 'contr.helmert')": "1 + C(x, contr.helmert)",
    "C(x, contr.treatment(base = 2))": "1 + C(x, contr.treatment(base=2))",
    "C(x, Sum)": "1 + C(x, Sum)",
    "as.numeric(x)": "1 + as_numeric(x)",
    "ifelse(is.na(x), NA, 1)": "1 + ifelse(is_na(x), np.nan, 1)",
    "np.log(x)": "1 + np.log(x)",
    "{x.clip(0, 1) + 1}": "1 + {x.clip(0, 1) + 1}",
    "{x**2}": "1 + {x ** 2}",
    "`a b`*c": "1 + `a b` + c + `a b`:c",
    "`a b`": "1 + `a b`",
    "Worker.Speed": "1 + Worker.Speed",
    ".x": "1 + .x",
    "log(Worker.Speed)": "1 + log(`Worker.Speed`)",
    "log(`a (b`)": "1 + {log(`a (b`)}",
    "cs(x)": "1 + cs(x)",
    "a:b + (a + b)^3": "1 + a + b + a:b",
    "x\n + z": "1 + x + z",
    "x\u00a0+\u00a0z": "1 + x + z",
    "cut(x, 3)": "1 + cut(x, 3)",
    "((x))": "1 + x",
    "Q('a b') + log(Q(\"c d\"))": "1 + `a b` + log(`c d`)",
    "C(x, Treatment('b'))": "1 + C(x, Treatment('b'))",
    "(x + (z | h) + offset(t))": "1 + x",
    "(x + ((z | h) - 1))": "0 + x",
    "+x": "1 + x",
}


@pytest.mark.parametrize("text", list(FIXED))
def test_fixed_part(text):
    assert parse(f"y ~ {text} + (1 | g)").fixed == FIXED[text]


RESPONSES = {
    "y": "y",
    "(y)": "y",
    "1000/rt": "1000 / rt",
    "y1 - y2": "y1 - y2",
    "log(y)": "log(y)",
    "y^2": "y ** 2",
    "I(y^2)": "I(y ** 2)",
    "-y": "-y",
    "`my y`": "my y",
    "`my y`/2": "`my y` / 2",
    "log(y/(1 - y))": "log(y / (1 - y))",
    "sqrt(y) * 1e-3": "sqrt(y) * 0.001",
    "reaction.time": "reaction.time",
    "y * pi": "y * pi",
}


@pytest.mark.parametrize("text", list(RESPONSES))
def test_response_is_arithmetic(text):
    formula = parse(f"{text} ~ x + (1 | g)")
    assert formula.response == RESPONSES[text]
    assert formula.response_atom is not None
    assert formula.response_atom.variables


LABELS = {
    "factor(x)": "x",
    "C(store, contr.sum)": "store",
    "relevel(factor(x), ref = 'b')": "x",
    "factor(round(x))": "round(x)",
    "as.numeric(x)": "as.numeric(x)",
    "log(Worker.Speed)": "log(Worker.Speed)",
    "I(x^2)": "I(x ** 2)",
    "C(`a b`)": "a b",
}


@pytest.mark.parametrize("text", list(LABELS))
def test_labels_name_the_variable(text):
    assert labels(parse(f"y ~ {text} + (1 | g)").terms) == [LABELS[text]]


RANDOM = {
    "(Days | Subject)": [("(Days | Subject)", "1 + Days", ("Subject",))],
    "(Days|Subject)": [("(Days | Subject)", "1 + Days", ("Subject",))],
    "(1 || g)": [("(1 | g)", "1", ("g",))],
    "(1 | a*b)": [
        ("(1 | a:b)", "1", ("a", "b")),
        ("(1 | b)", "1", ("b",)),
        ("(1 | a)", "1", ("a",)),
    ],
    "(1 | a %in% b)": [("(1 | a:b)", "1", ("a", "b"))],
    "(1 | (a:b)/c)": [("(1 | c:(a:b))", "1", ("c", "a", "b")), ("(1 | a:b)", "1", ("a", "b"))],
    "(1 | a:a)": [("(1 | a)", "1", ("a",))],
    "(1 | factor(g))": [("(1 | g)", "1", ("g",))],
    "(1 | cut(x, 3))": [("(1 | cut(x, 3))", "1", ("cut(x, 3)",))],
    "(1 | `my g`)": [("(1 | `my g`)", "1", ("my g",))],
    "(x | `my g`:h)": [("(x | `my g`:h)", "1 + x", ("my g", "h"))],
    "(1 | Worker.Id)": [("(1 | Worker.Id)", "1", ("Worker.Id",))],
    "(0 + f:x | g)": [("(0 + f:x | g)", "0 + f:x", ("g",))],
    "(poly(x,2) || g)": [
        ("(1 | g)", "1", ("g",)),
        ("(0 + poly(x, 2) | g)", "0 + poly(x, 2)", ("g",)),
    ],
    "us(x | g)": [("us(x | g)", "1 + x", ("g",))],
    "us((x | g))": [("us(x | g)", "1 + x", ("g",))],
    "diag(0 + f | a/b)": [
        ("diag(0 + f | b:a)", "0 + f", ("b", "a")),
        ("diag(0 + f | a)", "0 + f", ("a",)),
    ],
}


@pytest.mark.parametrize("text", list(RANDOM))
def test_random_part(text):
    random = parse(f"y ~ x + {text}").random
    assert [(term.text, term.effects, term.grouping) for term in random] == RANDOM[text]


def test_structures_and_double_bars_are_marked():
    random = parse("y ~ (x | g) + diag(x | g) + us(x | g) + (x || h)").random
    assert [term.structure for term in random] == ["us", "diag", "us", "us", "us"]
    assert [term.from_double_bar for term in random] == [False, False, False, True, True]


STRUCTURED = {
    "cs(x | g)": ("cs", "1 + x"),
    "cs(x | g, hom=True)": ("homcs", "1 + x"),
    "cs(x | g, hom=FALSE)": ("cs", "1 + x"),
    "homcs(x | g)": ("homcs", "1 + x"),
    "homcs(x | g, hom=True)": ("homcs", "1 + x"),
    "diag(x | g, hom=T)": ("homdiag", "1 + x"),
    "identity(x | g)": ("homdiag", "1 + x"),
    "ar1(0 + t | g)": ("ar1", "0 + t"),
    "ar1(t - 1 | g)": ("ar1", "0 + t"),
    "ar1(0 + t | g, hom=False)": ("hetar1", "0 + t"),
    "toep(0 + factor(t) | g)": ("toep", "0 + C(t)"),
    "toep(0 + t | g, hom=True)": ("homtoep", "0 + t"),
    "us(x | g, hom=False)": ("us", "1 + x"),
    "ou(t | g)": ("ou", "0 + t"),
    "ou(0 + t | g)": ("ou", "0 + t"),
    "ou(t + 0 | g)": ("ou", "0 + t"),
    "ou(log(t) | a:b)": ("ou", "0 + log(t)"),
    "exp(0 + x + y | g)": ("exp", "0 + x + y"),
    "exp(x + y | g, hom=True)": ("exp", "0 + x + y"),
}


@pytest.mark.parametrize("text", list(STRUCTURED))
def test_structured_terms(text):
    (term,) = parse(f"y ~ {text}").random
    assert (term.structure, term.effects) == STRUCTURED[text]
    assert term.text == text
    assert parse(f"y ~ {term.text}").random == (term,)


def test_every_structure_can_be_written():
    for name, kind in STRUCTURES.items():
        effects = "0 + x" if kind.ordered or kind.over == "positions" else "x"
        assert parse(f"y ~ {name}({effects} | g)").random[0].structure == name


def test_only_a_bar_inside_makes_a_structure():
    formula = parse("y ~ cs(x) + exp(z) + cs(x | g)")
    assert formula.fixed == "1 + cs(x) + exp(z)"
    assert [term.structure for term in formula.random] == ["cs"]


def test_structures_expand_as_other_terms_do():
    formula = parse("y ~ ar1(0 + t | a/b, hom=False)")
    assert [term.text for term in formula.random] == [
        "ar1(0 + t | b:a, hom=False)",
        "ar1(0 + t | a, hom=False)",
    ]


def test_group_label_of_names_with_blanks():
    random = parse("y ~ (1 | `my g`) + (1 | `my g`:h)").random
    assert [term.group for term in random] == ["my g", "`my g`:h"]
    assert [term.group_spelling for term in random] == ["`my g`", "`my g`:h"]


def test_a_slope_without_its_fixed_effect_and_no_intercept_at_all():
    formula = parse("y ~ 0 + (0 + x | g)")
    assert formula.fixed == "0"
    assert not formula.intercept
    assert formula.random[0].effects == "0 + x"


def test_offsets_add_up_and_leave_the_fixed_part():
    formula = parse("y ~ x + offset(log(t)) + (1 | g) + offset(z)")
    assert formula.offsets == ("log(t)", "z")
    assert formula.fixed == "1 + x"
    assert formula.variables == ("y", "x", "t", "z", "g")


def test_variables_are_the_columns_that_the_formula_needs():
    formula = parse("log(y) ~ I(x^2) + sin(pi*`a b`) + Worker.Speed + (ns(z, 3) | g/h)")
    assert formula.variables == ("y", "x", "a b", "Worker.Speed", "z", "h", "g")


def test_a_column_named_like_a_constant_or_function():
    formula = parse("y ~ T + scale + log(scale) + pi + (1 | g)")
    assert formula.variables == ("y", "T", "scale", "pi", "g")


def test_structural_use_of_bars_inside_i():
    assert parse("y ~ I(a | b) + (1 | g)").fixed == "1 + I(a | b)"


ROUND_TRIP = [
    "Reaction ~ Days + (Days | Subject)",
    "  1000/rt~`a b` + I(x^2)  + (1|a/b/c) + (x||g)\n",
    "y ~ . + (1 | g)",
    "y ~ ns(x, knots = 1:3) + diag(f | g) + offset(z)",
]


@pytest.mark.parametrize("text", ROUND_TRIP)
def test_round_trip(text):
    formula = parse(text)
    assert parse(str(formula)) == formula
    assert pickle.loads(pickle.dumps(formula)) == formula
    assert hash(formula) == hash(parse(text))


def test_wildcard_takes_all_columns_but_the_response():
    formula = parse("log(y) ~ . - z + I(x^2) + (1 | g)")
    assert formula.wildcard
    with pytest.warns(FormulaWarning) as caught:
        full = expand_wildcard(formula, ["y", "x", "z", "a b", "g"])
    assert caught[0].message.columns == ("g",)
    assert caught[0].filename == __file__
    assert full.fixed == "1 + x + `a b` + g + I(x ** 2)"
    assert not full.wildcard
    assert parse(str(full)) == full
    assert expand_wildcard(full, ["other"]) is full


def test_wildcard_without_columns():
    with pytest.raises(FormulaError) as caught:
        expand_wildcard(parse("y ~ . + (1 | g)"), ["y"])
    assert caught.value.available == ("y",)


def test_thousands_of_terms():
    names = [f"x{i}" for i in range(3000)]
    formula = parse(f"y ~ {' + '.join(names)} + (1 | g)")
    assert len(formula.terms) == 3000
    assert len(parse(f"y ~ ({' + '.join(names)} | g)").random[0].terms) == 3000


def test_random_part_may_be_optional():
    assert parse("y ~ x", require_random=False).random == ()


def test_parsing_is_quick():
    text = "Reaction ~ Days + (Days | Subject)"
    parse(text)
    assert min(timeit.repeat(lambda: parse(text), number=50, repeat=5)) / 50 < 0.7e-3
