"""Letters and arrows say of every pair what its test says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lmmformula as lf
from lmmformula.errors import InferenceWarning
from lmmformula.inference.marginal.letters import compact_letters
from lmmformula.plot.comparison import arrows
from tests.plots.gallery import cake


@given(st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_letters_are_shared_exactly_by_means_that_do_not_differ(m, seed):
    drawn = np.random.default_rng(seed).random((m, m)) < 0.4
    differ = np.triu(drawn, 1) | np.triu(drawn, 1).T
    letters = compact_letters(differ, list(range(m)))
    for i in range(m):
        assert letters[i]
        for j in range(i):
            assert bool(set(letters[i]) & set(letters[j])) == (not differ[i, j])


def test_letters_start_with_the_smallest():
    differ = np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]], dtype=bool)
    assert compact_letters(differ, [2, 1, 0]) == ["b", "a", "a"]


@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_arrows_overlap_exactly_where_means_do_not_differ(m, seed):
    rng = np.random.default_rng(seed)
    estimate = rng.normal(size=m)
    critical = np.full((m, m), rng.uniform(0.2, 3.0))  # equal standard errors: always possible
    differ = np.abs(estimate[:, None] - estimate) > critical
    found = arrows(estimate, critical, differ)
    assert found is not None
    left, right = found
    assert (left >= 0.0).all()
    assert (right >= 0.0).all()
    for low in range(m):
        for high in range(m):
            if estimate[low] < estimate[high]:
                gap = (estimate[high] - left[high]) - (estimate[low] + right[low])
                assert (gap > 0.0) == bool(differ[low, high])


def test_arrows_of_equal_errors_are_half_the_critical_difference():
    estimate = np.array([0.0, 1.0, 2.0])
    left, right = arrows(estimate, np.full((3, 3), 1.5), np.abs(estimate[:, None] - estimate) > 1.5)
    np.testing.assert_allclose(left, [0.0, 0.75, 0.75])
    np.testing.assert_allclose(right, [0.75, 0.75, 0.0])


def test_impossible_arrows_are_none():
    # 0 and 2 are not told apart although 0 and 1, and 1 and 2, are, with 1 between them and wide.
    estimate = np.array([0.0, 1.0, 2.0, 3.0])
    differ = np.zeros((4, 4), dtype=bool)
    for i, j in ((0, 1), (2, 3)):
        differ[i, j] = differ[j, i] = True
    critical = np.where(differ, 0.5, 3.5)
    assert arrows(estimate, critical, differ) is None


@pytest.mark.parametrize("by", [None, "recipe"])
def test_letters_agree_with_the_contrasts(by):
    means = cake().marginal_means("temperature", by=by)
    letters = means.letters().set_index(["temperature", *([by] if by else [])])["letters"]
    for row in means.contrasts().to_frame().itertuples():
        first, second = (
            text.strip("()").removeprefix("temperature") for text in row.contrast.split(" - ")
        )
        tail = (getattr(row, by),) if by else ()
        one, other = (letters[(name, *tail) if tail else name] for name in (first, second))
        assert bool(set(one) & set(other)) == (row.pvalue >= 0.05)


def test_arrows_in_the_table_agree_with_the_contrasts():
    means = cake().marginal_means("temperature")
    frame = lf.plot.data("marginal_means", means)
    table = means.contrasts().to_frame()
    place = 0
    for i in range(len(frame)):
        for j in range(i + 1, len(frame)):
            low, high = sorted((i, j), key=lambda k: frame["mean"].iloc[k])
            overlap = frame["arrow_upper"].iloc[low] >= frame["arrow_lower"].iloc[high]
            assert overlap == (table["pvalue"].iloc[place] >= 0.05)
            place += 1


def test_letters_where_arrows_are_impossible(monkeypatch):
    monkeypatch.setattr("lmmformula.plot.means.arrows", lambda *_: None)
    with pytest.warns(InferenceWarning):
        frame = lf.plot.data("marginal_means", cake(), "temperature")
    assert "letters" in frame


def test_one_mean_has_nothing_to_compare():
    frame = lf.plot.data("marginal_means", cake().marginal_means())
    assert len(frame) == 1
    assert cake().marginal_means().letters()["letters"].tolist() == ["a"]
