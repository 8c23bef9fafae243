"""One table, four media."""

from __future__ import annotations

import html.parser

import pytest

from lmmformula.errors import OptionError
from lmmformula.report import RENDERERS, Column, Table, render, render_all

TABLE = Table(
    "Awkward <names> & signs",
    (Column(""), Column("Estimate", "estimate"), Column("P>|z|", "p_value")),
    (("a_b|c", 1.5, 0.00001), ("Machine[T.B]", -12.25, None)),
    ("100 % of it, see `x*y`.",),
    "y ~ x_1 + (1 | g)",
)


def test_text():
    assert render(TABLE).splitlines() == [
        "Awkward <names> & signs",
        "y ~ x_1 + (1 | g)",
        "------------------------------",
        "              Estimate   P>|z|",
        "------------------------------",
        "a_b|c            1.500  <0.001",
        "Machine[T.B]   -12.250",
        "------------------------------",
        "100 % of it, see `x*y`.",
    ]


def test_html_is_well_formed_and_escaped():
    class Checker(html.parser.HTMLParser):
        def __init__(self):
            super().__init__()
            self.open, self.text = [], []

        def handle_starttag(self, tag, attrs):
            if tag != "br":
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

        def handle_data(self, data):
            self.text.append(data)

    checker = Checker()
    checker.feed(render(TABLE, "html"))
    assert not checker.open
    assert {"Awkward <names> & signs", "P>|z|", "<0.001"} <= set(checker.text)


def test_latex():
    lines = render(TABLE, "latex").splitlines()
    assert lines == [
        r"\begin{table}",
        r"\centering",
        r"\caption{Awkward \textless{}names\textgreater{} \& signs: "
        r"\texttt{y \textasciitilde{} x\_1 + (1 \textbar{} g)}}",
        r"\smallskip",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r" & Estimate & P\textgreater{}\textbar{}z\textbar{} \\",
        r"\midrule",
        r"a\_b\textbar{}c & 1.500 & \textless{}0.001 \\",
        r"Machine[T.B] & $-$12.250 &  \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\smallskip",
        r"{\footnotesize 100 \% of it, see \texttt{x*y}.\par}",
        r"\end{table}",
    ]


def test_markdown_escapes_its_own_signs():
    lines = render(TABLE, "markdown").splitlines()
    assert lines[0] == r"**Awkward \<names\> & signs**"
    assert lines[2] == "`y ~ x_1 + (1 | g)`"
    assert lines[4] == r"|  | Estimate | P\>\|z\| |"
    assert lines[5] == "| :-- | --: | --: |"
    assert lines[-1] == "100 % of it, see `x*y`."
    assert lines[6] == r"| a\_b\|c | 1.500 | \<0.001 |"


@pytest.mark.parametrize("medium", RENDERERS)
def test_an_empty_table_renders(medium):
    assert isinstance(render(Table("", (Column("a"),), ()), medium), str)


def test_tables_are_separated_by_an_empty_line():
    small = Table("", (Column("a"),), (("x",),))
    assert render_all([small, small]) == "-\na\n-\nx\n-\n\n-\na\n-\nx\n-"


def test_unknown_medium():
    with pytest.raises(OptionError) as caught:
        render(TABLE, "rtf")
    assert caught.value.available == tuple(RENDERERS)
