"""The site, built strictly and opened in a browser: pictures load, nothing complains.

Skips where mkdocs (group ``docs``) or Chromium is absent.
"""

from __future__ import annotations

import functools
import http.server
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
PAGES = ("", "quickstart/", "gallery/", "learn/covariance-structures/", "reference/fitting/")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("material", "mkdocstrings")),
        reason="mkdocs-material or mkdocstrings is not installed (group `docs`)",
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            """Say nothing."""

    handler = functools.partial(Silent, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def opened(url: str, profile: Path, width: int = 1280) -> tuple[str, str]:
    """Return the page after its scripts have run, and what the console said."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--virtual-time-budget=8000",
        f"--user-data-dir={profile}",
        f"--window-size={width},900",
        "--dump-dom",
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.parametrize("page", PAGES)
def test_pages_open_without_complaints(address, tmp_path, page):
    dom, console = opened(address + page, tmp_path)
    assert "md-content" in dom
    assert console == ""


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
    """What the search knows is there; ``test_search`` types into it."""
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    for word in ("Satterthwaite", "lmer", "ar1", "Huynh"):
        found = [entry["location"] for entry in index["docs"] if word in entry["text"]]
        assert found, word
        for location in found:
            assert (site / location.split("#")[0] / "index.html").exists(), location
