"""What is said of the memory that is left, whoever knows it."""

from __future__ import annotations

import builtins
import os
from pathlib import Path

import pytest

from lmmformula import _memory
from lmmformula._memory import available_memory


def test_this_machine_has_some():
    known = available_memory()
    assert known is not None
    assert known > 1e6


def test_the_limit_of_a_container_counts(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    monkeypatch.setattr(_memory, "GROUP", tmp_path)
    assert available_memory() == 2000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory() > 1e6
    (tmp_path / "memory.max").write_text("500\n")
    assert available_memory() == 0


def test_other_sources(monkeypatch):
    def unreadable(self, *args, **kwargs):
        raise OSError

    monkeypatch.setattr(Path, "read_text", unreadable)
    assert available_memory() > 1e6
    monkeypatch.setattr(_memory, "import_module", _missing)
    assert available_memory() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    monkeypatch.setattr(os, "sysconf", _unknown)
    assert available_memory() is None


def _missing(name):
    raise builtins.ImportError(name)


def _unknown(name):
    raise ValueError(name)


@pytest.mark.parametrize("available", [100, None])
def test_sums_are_refused_before_they_are_begun(monkeypatch, available):
    import lmmformula as lf
    from lmmformula.engine import summation

    monkeypatch.setattr(summation, "SMALL", 0.0)
    monkeypatch.setattr(summation, "available_memory", lambda: available)
    model = lf.lmm("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    if available is None:
        assert model.fit().converged
        return
    with pytest.raises(lf.DesignError, match="would not fit in memory") as caught:
        model.fit()
    assert caught.value.needed > caught.value.available == 100
    assert "Subject: 18 levels of 2 effects" in caught.value.got
