"""The report in a real browser, at the widths of a desk and of a telephone."""

from __future__ import annotations

import html
import json
import re
import struct
import subprocess

import pytest

from tests.docs.browser import CHROMIUM

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]

PROBE = """<script>
addEventListener("load", () => parent.postMessage(JSON.stringify({
  pictures: [...document.images].map(image => image.naturalWidth),
  overflow: document.documentElement.scrollWidth - innerWidth,
  width: innerWidth,
  headings: [...document.querySelectorAll("h2")].map(h => h.textContent),
  clipped: [...document.querySelectorAll("h1, p, li, dd")]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1).length,
  dead: [...document.querySelectorAll("nav a")]
    .filter(a => !document.querySelector(a.getAttribute("href"))).length,
}), "*"));
</script>"""
OUTER = """<!DOCTYPE html><pre id="found"></pre>
<script>
addEventListener("message", e => {{ document.getElementById("found").textContent = e.data; }});
</script>
<iframe src="{name}" width="{width}" height="900"></iframe>"""


def run(*arguments):
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
    command = [CHROMIUM, *flags, "--enable-logging=stderr", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.fixture(scope="module")
def page(two, tmp_path_factory):
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    return two[1].report(tmp_path_factory.mktemp("report") / "fit.html")


@pytest.mark.parametrize("width", [1200, 390])
def test_layout(page, width):
    # A window has a least width; a frame has not.
    probed = page.with_name("probed.html")
    probed.write_text(page.read_text("utf-8").replace("</body>", f"{PROBE}</body>"), "utf-8")
    outer = page.with_name(f"outer_{width}.html")
    outer.write_text(OUTER.format(name=probed.name, width=width), "utf-8")
    done = run("--dump-dom", "--virtual-time-budget=5000", outer.as_uri())
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout)[1]))
    assert found["width"] == width
    assert found["overflow"] <= 0
    assert found["clipped"] == found["dead"] == 0
    assert found["pictures"]
    assert all(size > 500 for size in found["pictures"])
    assert found["headings"][0] == "What to know first"
    assert "CONSOLE" not in done.stderr


def test_screenshot_is_not_blank(page, tmp_path):
    picture = tmp_path / "report.png"
    run(f"--screenshot={picture}", "--window-size=1200,1600", page.as_uri())
    data = picture.read_bytes()
    assert struct.unpack(">II", data[16:24]) == (1200, 1600)
    assert len(data) > 50_000  # a page of one colour compresses to a few thousand bytes
