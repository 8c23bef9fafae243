"""The site's files: pictures, styles and the search index are there, pages open without complaints.

``test_search.py`` uses the site as a reader does.
"""

from __future__ import annotations

import json
import re

import pytest

PAGES = ("", "quickstart/", "gallery/", "learn/covariance-structures/", "reference/fitting/")

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("page", PAGES)
def test_pages_open_without_complaints(address, browser, page):
    browser.open(address + page)
    assert browser.run("document.querySelector('.md-content') !== null")
    assert browser.complaints == []


def test_pictures_and_styles_come_from_the_site(site):
    """Every file that a page shows is there, and no page asks another server for one."""
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue
        text = page.read_text(encoding="utf-8")
        for source in re.findall(r'<(?:img|script)[^>]*\bsrc="([^"]+)"', text):
            if source.startswith("data:"):
                continue
            assert "://" not in source, f"{page.relative_to(site)}: {source}"
            assert (page.parent / source.split("?")[0]).resolve().exists(), f"{page}: {source}"
        for style in re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="([^"]+)"', text):
            assert "://" not in style, f"{page.relative_to(site)}: {style}"


def test_the_search_index_leads_to_pages(site):
    """Every page that the index names has been built."""
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    for word in ("Satterthwaite", "lmer", "ar1", "Huynh"):
        found = [entry["location"] for entry in index["docs"] if word in entry["text"]]
        assert found, word
        for location in found:
            assert (site / location.split("#")[0] / "index.html").exists(), location


def test_bars_in_code_have_no_backslash(site):
    """Tables of Markdown need ``\\|`` for a bar; a reader who copies a formula does not."""
    page = (site / "for-statsmodels-users" / "index.html").read_text(encoding="utf-8")
    assert '<code>lf.lmm("y ~ x + (1 | g)", data)</code>' in page
    for path in site.rglob("*.html"):
        cells = re.findall(r"<td[^>]*>(.*?)</td>", path.read_text(encoding="utf-8"), re.DOTALL)
        for code in re.findall(r"<code>(.*?)</code>", "".join(cells), re.DOTALL):
            assert "\\|" not in code, f"{path.relative_to(site)}: {code}"
