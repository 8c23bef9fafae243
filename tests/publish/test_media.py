"""One table in every medium: text, HTML, LaTeX, Markdown, great-tables, Word."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser

import pytest

import lmmformula as lf
from lmmformula.errors import OptionError
from lmmformula.report import Column, Table, render
from lmmformula.report.align import centered, split
from lmmformula.report.render_latex import escape_latex


@pytest.fixture(scope="module")
def tables(two):
    shown = {"stars": True, "names": ["Intercepts", "Slopes"], "title": "Sleep & time"}
    return (
        lf.etable(*two, **shown),
        lf.etable(*two, statistic=["se", "ci", "p"], layout="beside", style="apa", **shown),
    )


def test_decimal_points_stand_under_each_other():
    cells = ["251.405***", "(6.825)", "-0.1", "180", "[1.0, 2.0]", ""]
    padded = centered(cells, "Model")
    assert len({len(cell) for cell in padded}) == 1
    points = {cell.index(".") for cell, text in zip(padded, cells, strict=True) if split(text)}
    assert len(points) == 1
    assert [cell.strip() for cell in padded] == cells


def test_text_is_aligned(tables):
    for table in tables:
        lines = table.as_text().splitlines()
        days = next(line for line in lines if line.startswith("  Days "))
        intercept = next(line for line in lines if line.startswith("  Intercept "))
        assert intercept.index("251.405") == days.index("10.467") - 1


def test_latex_rows_have_as_many_cells_as_the_alignment(tables):
    for table in tables:
        text = table.as_latex(label="tab:sleep")
        columns = len(re.search(r"\\begin\{tabular\}\{([lcr]+)\}", text)[1])
        body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
        for line in body.splitlines():
            if line.endswith(r"\\"):
                spanned = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
                assert len(re.findall(r"(?<!\\)&", line)) + 1 + spanned == columns, line
        assert text.count("{") == text.count("}")
        assert r"\caption{Sleep \& time}\label{tab:sleep}" in text


def test_latex_numbers_hang():
    table = Table("", (Column(""), Column("m", "decimal")), (("a", "10.5**"), ("b", "(-2.25)")))
    lines = render(table, "latex").splitlines()
    assert r"a & \phantom{($-$}10.5\rlap{$^{**}$}\phantom{0}\phantom{$^{**}$} \\" in lines
    assert r"b & \phantom{($-$}\phantom{0}\llap{($-$}2.25\rlap{)}\phantom{$^{**}$} \\" in lines


def test_latex_writes_what_tex_cannot_read():
    assert escape_latex("Δ AIC, β_1, σ²") == (
        r"$\Delta$ AIC, $\beta$\_1, $\sigma$\textsuperscript{2}"
    )
    assert escape_latex("Ε λ ο ς") == r"E $\lambda$ o $\varsigma$"
    table = Table("", (Column("[x]"), Column("p", "estimate")), (("[a]", 3.2e-7), ("b", 1.0)))
    text = render(table, "latex")
    assert "{[}a] & " in text
    assert r"$3.2\times10^{-7}$" in text


class Cells(HTMLParser):
    """Counts the cells of every row, and takes note of tags that do not match."""

    def __init__(self):
        super().__init__()
        self.rows, self.open = [], []

    def handle_starttag(self, tag, attrs):
        if tag == "br":
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += int(dict(attrs).get("colspan", 1))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_a_rectangle(tables):
    for table in tables:
        parser = Cells()
        parser.feed(table.as_html())
        assert not parser.open
        assert set(parser.rows) == {len(table.table.columns)}
        assert "Sleep &amp; time" in table._repr_html_()


def test_markdown_is_a_rectangle(tables):
    for table in tables:
        lines = [line for line in table.as_markdown().splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert "Slopes: Estimate" in tables[1].as_markdown()


@pytest.mark.parametrize("ending", ["tex", "html", "md", "txt"])
def test_saved_files(tables, tmp_path, ending):
    path = tables[0].save(tmp_path / f"table.{ending}")
    assert "251.405" in path.read_text(encoding="utf-8")


def test_unknown_endings_are_refused(tables, tmp_path):
    with pytest.raises(OptionError) as caught:
        tables[0].save(tmp_path / "table.xlsx")
    assert ".docx" in caught.value.available
    assert not list(tmp_path.iterdir())


def test_great_tables(tables):
    pytest.importorskip("great_tables", reason="the extra `tables` is not installed")
    for table in tables:
        made = table.gt().as_raw_html()
        for text in ("251.405***", "Random effects", "Intercepts", "Sleep &amp; time"):
            assert text in made
        assert table.table.notes[-1].replace("<", "&lt;") in made or table.table.notes[-1] in made


def test_word(tables, tmp_path):
    docx = pytest.importorskip("docx", reason="the extra `word` is not installed")
    for number, table in enumerate(tables):
        document = docx.Document(str(table.save(tmp_path / f"{number}.docx")))
        (grid,) = document.tables
        found = [[cell.text for cell in line.cells] for line in grid.rows]
        head = 2 if table.table.spans else 1
        assert found[head - 1] == list(table.table.heading)
        shown = [line for line in table.table.cells() if line[0] == "Days"]
        assert list(shown[0]) in found
        assert document.paragraphs[0].text == "Sleep & time"
        assert document.paragraphs[-1].text == table.table.notes[-1].replace("`", "")


@pytest.mark.parametrize(
    ("module", "extra", "ask"),
    [
        ("great_tables", "tables", lambda table, folder: table.gt()),
        ("docx", "word", lambda table, folder: table.save(folder / "table.docx")),
    ],
)
def test_missing_packages_are_named_with_their_extra(
    tables, tmp_path, monkeypatch, module, extra, ask
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(OptionError) as caught:
        ask(tables[0], tmp_path)
    assert caught.value.extra == extra
    assert f"lmmformula[{extra}]" in str(caught.value)
