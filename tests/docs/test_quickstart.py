"""The script of the quickstart, which a newcomer copies: from a file to a paper, by itself."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from lmmformula.errors import LMMWarning
from tests.docs.blocks import ROOT, blocks

PAGE = ROOT / "docs" / "quickstart.md"
MOST_LINES = 29


@pytest.fixture(scope="module")
def script() -> str:
    (found,) = [block.text for block in blocks(PAGE) if "read_csv" in block.text]
    return found


def test_script_is_short(script):
    assert len(script.splitlines()) <= MOST_LINES


def test_script_leaves_tables_and_figures(script, tmp_path, monkeypatch, capsys):
    """In an empty folder, without what stands above it on the page."""
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)
        exec(compile(script, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    for part in ("Fixed effects", "Kenward-Roger", "npar", "Tukey", "letters"):
        assert part in printed, part
    for picture in tmp_path.glob("*.pdf"):
        assert picture.read_bytes().startswith(b"%PDF")
    written = {path.name for path in tmp_path.iterdir()}
    assert {"cake.csv", "temperature.pdf", "overview.pdf", "models.tex", "cake.html"} <= written
    assert r"\toprule" in (tmp_path / "models.tex").read_text(encoding="utf-8")


def test_letters_agree_with_the_pairwise_tests(script, tmp_path, monkeypatch, capsys):
    """Means share a letter exactly where Tukey's test does not tell them apart."""
    monkeypatch.chdir(tmp_path)
    up_to_the_means = script[: script.index("means.plot")]
    names: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)
        exec(compile(up_to_the_means, str(PAGE), "exec"), names)
    letters = [set(found) for found in names["means"].letters()["letters"]]
    pairs = np.triu_indices(len(letters), 1)
    share = [bool(letters[i] & letters[j]) for i, j in zip(*pairs, strict=True)]
    pvalues = names["means"].contrasts("pairwise", adjust="tukey").frame["pvalue"]
    assert share == (pvalues >= 0.05).tolist()
    assert 0 < sum(share) < len(share)
