"""The report of a fit: whole, self-contained, and with the numbers of the fit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.errors import LMMWarning, OptionError
from tests.publish.test_media import Cells

ROOT = Path(__file__).parents[2]


def written(fit, tmp_path, **options):
    return fit.report(tmp_path / "fit.html", **options).read_text(encoding="utf-8")


def section(text, anchor):
    return re.search(rf'<section id="{anchor}">(.*?)</section>', text, re.DOTALL)[1]


@pytest.fixture(scope="module")
def dropped():
    data = lf.load_dataset("sleepstudy")
    data.loc[[3, 7], "Reaction"] = np.nan
    with pytest.warns(LMMWarning):
        return lf.lmer("Reaction ~ Days + (Days | Subject)", data)


def test_it_needs_no_other_file(dropped, tmp_path):
    text = written(dropped, tmp_path, figures=False)
    assert not re.search(r'(?:src|href)="(?!#|data:)', text)
    assert "@import" not in text
    assert "url(" not in text
    assert "<script" not in text
    assert "$" not in re.sub(r"<style>.*</style>", "", text, flags=re.DOTALL)


class Page(Cells):
    """Void elements of a page do not close."""

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "br"):
            super().handle_starttag(tag, attrs)


def test_tags_match(dropped, tmp_path):
    parser = Page()
    parser.feed(written(dropped, tmp_path, figures=False))
    assert not parser.open


def test_numbers_of_the_fit(dropped, tmp_path):
    text = written(dropped, tmp_path, figures=False, ddf="kenward-roger")
    data = section(text, "data")
    for label, count in (
        ("Rows of the data", 180),
        ("Left out for missing values", 2),
        ("Used", 178),
    ):
        assert re.search(rf"{label}</td><td[^>]*>{count}</td>", data)
    assert re.search(r"Subject</td><td[^>]*>18</td><td[^>]*>8</td><td[^>]*>10</td>", data)
    frame = dropped.summary("kenward-roger").frame
    fixed = section(text, "fixed")
    assert f"{frame.loc['Days', 'estimate']:.3f}" in fixed
    assert "Kenward-Roger" in fixed
    assert f"{dropped.anova(ddf='kenward-roger').loc['Days', 'F']:.3f}" in fixed
    assert "sd_Days|Subject" in section(text, "random")
    assert f"{dropped.aic:.3f}" in section(text, "fit")
    assert f"{dropped.r2().conditional:.3f}" in section(text, "fit")
    again = section(text, "again")
    assert dropped.fingerprint.response in again
    assert repr(float(dropped.theta[0])) in again
    assert np.__version__ in again


def test_sentences_of_the_checkup(dropped, tmp_path):
    found = section(written(dropped, tmp_path, figures=False), "check")
    assert found.count("<li") == len(dropped.check())


def test_factors_among_the_predictors(tmp_path):
    fit = lf.lmer("score ~ Machine + (1 | Worker)", lf.load_dataset("machines"))
    assert "A: 18, B: 18, C: 18" in section(written(fit, tmp_path, figures=False), "data")


def test_names_are_escaped(tmp_path):
    data = lf.load_dataset("sleepstudy").rename(columns={"Days": "<b>days</b>"})
    fit = lf.lmer("Reaction ~ `<b>days</b>` + (1 | Subject)", data)
    text = written(fit, tmp_path, figures=False, title="<i>Sleep</i>")
    assert "<b>" not in text
    assert "<h1>&lt;i&gt;Sleep&lt;/i&gt;</h1>" in text


def test_fits_without_random_effects_or_rows(tmp_path, two):
    gls = lf.lmer("Reaction ~ Days", lf.load_dataset("sleepstudy"), residual="cs(1 | Subject)")
    text = written(gls, tmp_path, figures=False)
    assert "Generalised least squares" in text
    assert "rho" in section(text, "random")
    bare = written(two[1].without_data(), tmp_path)
    assert "keep_data=True" in section(bare, "diagnostics")


def test_singular_fits_say_so_at_the_top(tmp_path):
    model = lf.lmm("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    text = written(model.at([0.9, 0.2, 0.0]), tmp_path, figures=False)
    assert "Singular fit" in text.split("<main>")[0]
    assert "There are no intervals" in section(text, "random")


def test_warnings_of_tests_become_notes(tmp_path):
    data = lf.load_dataset("machines")
    data = data[~((data["Machine"] == "C") & (data["Worker"] == data["Worker"].iloc[0]))]
    data["half"] = np.where(np.arange(len(data)) % 2, "a", "b")
    data = data[~((data["Machine"] == "C") & (data["half"] == "b"))]
    with pytest.warns(LMMWarning):
        fit = lf.lmer("score ~ Machine * half + (1 | Worker)", data)
    assert "lmmformula-note" in section(written(fit, tmp_path, figures=False), "fixed")


def test_pictures_are_inside(tmp_path, two):
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    found = section(written(two[1], tmp_path, figures=["caterpillar"]), "diagnostics")
    assert found.count('<img alt="Random effects with their intervals') == 1
    assert "data:image/png;base64,iVBOR" in found


def test_missing_matplotlib_is_named(tmp_path, two, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = section(written(two[1], tmp_path), "diagnostics")
    assert "lmmformula[plot]" in found
    assert "<img" not in found


@pytest.mark.parametrize(
    ("options", "attribute"),
    [({"anova": "IV"}, "argument"), ({"figures": ["pie"]}, "argument"), ({"ddf": "x"}, None)],
)
def test_bad_options_write_nothing(two, tmp_path, options, attribute):
    with pytest.raises(OptionError) as caught:
        two[0].report(tmp_path / "fit.html", **options)
    if attribute:
        assert getattr(caught.value, attribute) == next(iter(options))
    assert not list(tmp_path.iterdir())


def test_results_do_not_import_what_reports_need():
    code = "import sys, lmmformula.results; sys.exit('lmmformula.publish' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_missing_folders_are_named(two, tmp_path):
    with pytest.raises(OptionError, match="no folder"):
        two[0].report(tmp_path / "nowhere" / "fit.html")
