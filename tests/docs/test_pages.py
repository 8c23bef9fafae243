"""Every page runs: ``python`` blocks are executed, ``pycon`` and ``console`` output is compared.

A ``text`` block right after a ``python`` block is what that block prints.

The blocks of one page share a namespace, in order. In ``console`` blocks the lines that start
with ``$ lmmformula`` run through the command line; the lines below must be what it prints.
"""

from __future__ import annotations

import doctest
import os
import shlex
import warnings
from pathlib import Path
from typing import Any

import pytest

from lmmformula.cli import main
from lmmformula.errors import LMMWarning
from tests.docs.blocks import PAGES, Block, blocks, links, page_id

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def run_python(block: Block, page: Path, namespace: dict[str, Any]) -> None:
    code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
    exec(code, namespace)


def run_session(block: Block, page: Path, namespace: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(
        block.text, namespace, page_id(page), str(page), block.line - 1
    )
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=FLAGS)
    runner.run(test, out=report.append, clear_globs=False)
    namespace.update(test.globs)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def run_console(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    commands = [part for part in ("\n" + block.text).split("\n$ ") if part.strip()]
    for command in commands:
        command = command.replace("\\\n", " ")
        line, _, expected = command.partition("\n")
        words = shlex.split(line)
        if words[0] != "lmmformula":
            continue
        main(words[1:])
        printed = capsys.readouterr().out
        if expected.strip():
            assert doctest.OutputChecker().check_output(expected, printed, FLAGS), printed


SLOW = ("docs/how-to/power.md", "docs/learn/covariance-structures.md")
RUN = [
    pytest.param(page, marks=[pytest.mark.slow] if page_id(page) in SLOW else []) for page in PAGES
]


@pytest.mark.parametrize("page", RUN, ids=page_id)
def test_page_runs(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__page__"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)  # pages show singular fits on purpose
        printed = ""
        for block in blocks(page):
            if block.language == "text" and printed:
                assert doctest.OutputChecker().check_output(block.text, printed, FLAGS), printed
            printed = ""
            if block.language == "python":
                run_python(block, page, namespace)
                printed = capsys.readouterr().out
            elif block.language == "pycon":
                run_session(block, page, namespace)
            elif block.language == "console":
                run_console(block, capsys)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    missing = [target for target in links(page) if not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_pages_can_be_reached(page):
    root = PAGES[-1].parent / "docs"
    if (page.parent == root and page.name == "index.md") or page.name == "README.md":
        return
    linked = {os.path.normpath(other.parent / target) for other in PAGES for target in links(other)}
    assert str(page) in linked, "no page links here"
