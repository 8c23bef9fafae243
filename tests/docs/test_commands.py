"""README's two commands are the ones that the automatic run uses, and they still parse."""

from __future__ import annotations

import re

from tests.docs.blocks import ROOT


def test_readme_has_the_test_command_in_one_line():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [line for line in readme.splitlines() if re.search(r"venv \.venv.*pytest", line)]
    assert len(lines) == 1
    assert "--group test" in lines[0]


def test_readme_has_the_fit_command_in_one_line():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    line = next(line for line in readme.splitlines() if "lmmformula fit" in line and "venv" in line)
    assert "lmmformula anova" in line
    assert "sleepstudy" in line


def test_automatic_run_takes_the_test_command_from_the_readme():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "README.md" in script
