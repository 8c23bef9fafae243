"""Completion in the shell, help with examples, and colours where a person reads."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from lmmformula.cli import main
from lmmformula.cli.arguments import build_parser
from lmmformula.cli.colour import painted
from lmmformula.cli.completion import complete_coding, complete_method
from lmmformula.inference.effects.df import DF_METHODS


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert painted("DataError", "error", Terminal()) == "\x1b[1;31mDataError\x1b[0m"
    assert painted("DataError", "error", io.StringIO()) == "DataError"
    monkeypatch.setenv("NO_COLOR", "1")
    assert painted("DataError", "error", Terminal()) == "DataError"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert painted("DataError", "error", Terminal()) == "DataError"


def test_errors_and_warnings_are_coloured_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert main(["fit", "y ~ x + (1 | g)", "sleepstud", "--no-progress"]) == 2
    assert sys.stderr.getvalue().startswith("\x1b[1;31mOptionError\x1b[0m: ")
    main(["fit", "Yield ~ 1 + (1 | Batch)", "dyestuff2", "--no-progress"])
    assert "\x1b[1;33mSingularFitWarning\x1b[0m: " in sys.stderr.getvalue()


def test_a_pipe_gets_no_escapes(capsys):
    main(["fit", "Yield ~ 1 + (1 | Batch)", "dyestuff2", "--no-progress"])
    captured = capsys.readouterr()
    assert "SingularFitWarning: " in captured.err
    assert "\x1b" not in captured.out + captured.err


@pytest.mark.parametrize("command", ["fit", "anova", "datasets"])
def test_help_has_examples_that_run(command, capsys):
    with pytest.raises(SystemExit) as done:
        main([command, "--help"])
    assert done.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert f"  lmmformula {command}" in text


def complete(line: str) -> list[str]:
    """Ask as the shell does: the program answers on file descriptor 8."""
    read, write = os.pipe()
    environment = os.environ | {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\v",
        "_ARGCOMPLETE_SHELL": "bash",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    code = (
        f"import os, sys; os.dup2({write}, 8); sys.argv = ['lmmformula'];"
        "from lmmformula.cli import main; main()"
    )
    command = [sys.executable, "-c", code]
    subprocess.run(command, env=environment, pass_fds=[write], check=False, capture_output=True)
    os.close(write)
    with os.fdopen(read) as answer:
        return [word.strip() for word in answer.read().split("\v")]


@pytest.mark.skipif(sys.platform == "win32", reason="file descriptors of a shell")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('lmmformula fit "y ~ x" slee', {"sleepstudy"}),
        pytest.param(
            'lmmformula fit "y ~ x" sleepstudy --ddf sat',
            {"satterthwaite"},
            marks=pytest.mark.slow,  # every line starts a Python
        ),
        pytest.param("lmmformula ", {"fit", "anova", "datasets"}, marks=pytest.mark.slow),
    ],
)
def test_the_shell_completes(line, words):
    pytest.importorskip("argcomplete")
    found = complete(line)
    assert set(found) >= words
    assert len(found) == 1 or line.endswith(" ")


def test_completers():
    assert complete_method() == list(DF_METHODS)
    assert "store=sum" in complete_coding("store=")
    assert complete_coding("sto") == []


def test_completion_is_not_imported_otherwise():
    code = (
        "import sys; from lmmformula.cli import main; main(['datasets']);"
        "sys.exit('argcomplete' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0


def test_program_without_arguments_says_how_it_is_used(capsys):
    with pytest.raises(SystemExit) as done:
        main([])
    assert done.value.code == 2
    assert "usage: lmmformula" in capsys.readouterr().err
    assert "Completion in bash and zsh" in build_parser().format_help()
