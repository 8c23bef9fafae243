"""What is printed, character by character, at a pinned theta."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.rendering.cases import CASES, ENDINGS, path, write


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return request.param, CASES[request.param]()


@pytest.mark.parametrize("medium", ENDINGS)
def test_text_is_as_stored(case, medium):
    name, result = case
    assert write(result, medium) == path(name, medium).read_text(encoding="utf-8")


def test_every_way_to_print_is_the_same_text(case):
    _, result = case
    text = result.summary().as_text()
    assert str(result) == str(result.summary()) == repr(result.summary()) == text
    assert result._repr_html_() == result.summary()._repr_html_() == result.summary().as_html()
    assert result.summary()._repr_latex_() == result.summary().as_latex()


def test_lines_fit_a_wide_terminal(case):
    _, result = case
    lines = [line for line in str(result).splitlines() if "~" not in line and ":" not in line]
    assert max(map(len, lines)) <= 100


def test_text_does_not_depend_on_the_process():
    code = "from tests.rendering.cases import *; print(write(CASES['everything'](), 'html'))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize("alpha", [0.1, 0.001])
def test_limits_are_labelled_by_their_level(case, alpha):
    _, result = case
    heading = result.summary(alpha=alpha).tables["fixed_effects"].heading
    assert heading[-2:] == (f"{50 * alpha:g} %", f"{100 - 50 * alpha:g} %")
