"""What a fit must say: rows left out, columns dropped, singular components."""

from __future__ import annotations

import warnings

import pytest

import lmmformula as lf
from lmmformula.errors import DroppedRowsWarning, LMMWarning, RankWarning, SingularFitWarning
from tests.reference.reader import MODEL_IDS, model_arguments, reference


@pytest.mark.parametrize("name", [n for n in MODEL_IDS if reference(n).dataset != "insteval"])
def test_exactly_the_warnings_that_apply(name):
    ref = reference(name)
    expected = set()
    if ref.dropped_rows:
        expected.add(DroppedRowsWarning)
    if ref.dropped_columns:
        expected.add(RankWarning)
    if ref.isSingular:
        expected.add(SingularFitWarning)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lf.lmm(**model_arguments(name)).fit(reml=ref.reml)
    assert {w.category for w in caught} == expected
    assert all(issubclass(w.category, LMMWarning) for w in caught)
