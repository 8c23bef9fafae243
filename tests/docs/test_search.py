"""The site as a reader uses it: search finds, formulas are set, nothing is wider than a telephone.

``test_site.py`` looks at the files; this drives a browser.
"""

from __future__ import annotations

import pytest

PAGES = (
    "",
    "quickstart/",
    "gallery/",
    "learn/covariance-structures/",
    "explanation/speed/",
    "how-to/marginal-means/",
    "notebooks/sleepstudy/",
    "reference/results/",
)
DESK, PHONE = 1280, 390
SEARCH = "document.querySelector('.md-search__input')"
FOUND = "[...document.querySelectorAll('.md-search-result__link')].map(a => a.href)"

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_pages_fit_and_are_complete(address, browser, width):
    """Every picture is there, nothing complains or is too wide, and no other server is asked."""
    for page in PAGES:
        browser.open(address + page, width)
        browser.run("[...document.images].forEach(image => { image.loading = 'eager'; })")
        browser.until("[...document.images].every(image => image.complete)")
        sizes = browser.run("[...document.images].map(image => image.naturalWidth)")
        assert all(size > 0 for size in sizes), page
        assert browser.run("document.documentElement.scrollWidth") == width, page
        assert browser.complaints == [], page
    asked = {url for url in browser.requested if "://" in url and not url.startswith("data:")}
    assert asked
    assert all(url.startswith((address, "blob:" + address)) for url in asked)


def test_mathematics_is_set(address, browser):
    browser.open(address + "explanation/structured-covariances/")
    written = browser.run("document.querySelectorAll('.arithmatex').length")
    assert written > 10
    assert browser.run("document.querySelectorAll('.arithmatex .katex').length") == written
    assert browser.run("document.fonts.ready.then(() => document.fonts.check('12px KaTeX_Math'))")
    assert browser.complaints == []


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("Satterthwaite", "how-to/degrees-of-freedom/"),
        ("marginal_means", "reference/results-marginal/"),
        ("pedigree", "how-to/relationship/"),
    ],
)
def test_search_finds(address, browser, words, place, width):
    """Typed into the field as a reader does; a result leads to the page that tells more."""
    browser.open(address, width)
    if width == PHONE:
        browser.run("document.querySelector('label.md-header__button[for=__search]').click()")
    browser.until(f"{SEARCH}.offsetParent !== null")
    browser.run(f"{SEARCH}.focus()")
    browser.call("Input.insertText", text=words)
    browser.until(f"{FOUND}.length > 0")
    links = browser.run(FOUND)
    hits = [link for link in links if link.startswith(address + place)]
    assert hits, links
    browser.open(hits[0], width)
    assert browser.run("location.pathname") == f"/{place}"
    assert words in browser.run("document.querySelector('.md-content').innerText")
    assert browser.complaints == []


def test_search_says_that_nothing_was_found(address, browser):
    browser.open(address)
    browser.run(f"{SEARCH}.focus()")
    browser.call("Input.insertText", text="qwertzuiop")
    browser.until(
        "document.querySelector('.md-search-result__meta').innerText.includes('No matching')"
    )
    assert browser.run(FOUND) == []
