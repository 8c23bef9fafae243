"""`help(lf)` is a tour, and completion shows public names only."""

from __future__ import annotations

import pydoc
import re

import pytest

import lmmformula as lf


def test_names_are_public():
    assert not [name for name in dir(lf) if name.startswith("_") and name != "__version__"]


def test_help_is_a_tour():
    text = pydoc.render_doc(lf, renderer=pydoc.plaintext)
    for part in ("A tour", "lf.lmer(", "marginal_means", "lf.anova", "LinearMixedRegressor"):
        assert part in text


def test_tour_names_what_exists():
    for name in re.findall(r"\blf\.([A-Za-z_]\w*)", lf.__doc__):
        assert name in lf.__all__, name
    for name in re.findall(r"\bfit\.([a-z_]\w*)", lf.__doc__):
        assert hasattr(lf.LinearMixedResults, name), name


def test_nearest_name_is_suggested():
    with pytest.raises(AttributeError) as caught:
        _ = lf.lmerr
    assert caught.value.name == "lmerr"
    assert caught.value.obj is lf
