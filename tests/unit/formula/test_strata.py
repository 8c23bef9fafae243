"""Formulas with error strata."""

from __future__ import annotations

import pytest

from lmmformula.errors import FormulaError
from lmmformula.formula import parse
from lmmformula.formula.strata import parse_strata

READ = {
    "y ~ a + Error(s)": ("1 + a", ["s"]),
    "y ~ a*b + Error(s/(a*b))": ("1 + a + b + a:b", ["s", "s:a", "s:b", "s:a:b"]),
    "y ~ Error(r*c) + t": ("1 + t", ["r", "c", "r:c"]),
    "y ~ Error(s)": ("1", ["s"]),
    "y ~ Error(s) - 1": ("0", ["s"]),
    "y ~ a + Error(b + s) + x": ("1 + a + x", ["b", "s"]),
    "y ~ a + Error(factor(s)/`the site`)": ("1 + a", ["s", "s:the site"]),
    "y ~ a + Error(b %in% s)": ("1 + a", ["b:s"]),
    "y ~ a + b": ("1 + a + b", []),
    "Error ~ a": ("1 + a", []),
}


@pytest.mark.parametrize("text", READ)
def test_strata(text):
    formula = parse_strata(text)
    assert (formula.fixed, [stratum.group for stratum in formula.random]) == READ[text]
    assert formula.text == text


def test_variables_are_listed():
    assert parse_strata("log(y) ~ a + Error(s/a)").variables == ("y", "a", "s")


def test_errors_point_at_the_place_in_the_text_as_written():
    with pytest.raises(FormulaError) as error:
        parse_strata("y ~ Error(s/a) + b + + ")
    assert error.value.position >= len("y ~ Error(s/a) + b")
    with pytest.raises(FormulaError) as error:
        parse_strata("y ~ a + Error(s) + Error(t)")
    assert error.value.position == len("y ~ a + Error(s) + ")


@pytest.mark.parametrize("text", ["y ~ Error(s)", "y ~ a * Error(s)", "y ~ a + (b + Error(s / a))"])
def test_mixed_models_do_not_know_strata(text):
    with pytest.raises(FormulaError) as error:
        parse(text, require_random=False)
    assert "lf.aov" in error.value.message
    assert error.value.position == text.index("Error")
