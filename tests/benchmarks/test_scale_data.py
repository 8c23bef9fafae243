"""The data of the scale benchmark: the same draws always, and the parameters that they claim."""

from __future__ import annotations

import doctest
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.scale import files, simulations
from benchmarks.scale.files import NoRoomError, stored
from benchmarks.scale.problems import (
    CLUSTERED,
    CORRELATED,
    CROSSED,
    MOVIELENS,
    RATINGS,
    SMALL_RATINGS,
)
from benchmarks.scale.simulations import Factor, Simulation

PROBLEMS = (CLUSTERED, CORRELATED, CROSSED, MOVIELENS, RATINGS, SMALL_RATINGS)
FIVE_ERRORS = 5.0  # of a statistic of fixed draws: chance has no say once it has passed


def drawn(data: Simulation) -> dict[str, np.ndarray]:
    pieces = list(data.pieces())
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in data.columns}


@pytest.fixture
def small() -> Simulation:
    return replace(CORRELATED.scaled(2_000), piece_rows=300)


def test_the_module_s_example_runs() -> None:
    assert doctest.testmod(simulations).failed == 0


def test_equal_calls_draw_equal_rows(small: Simulation) -> None:
    first, again = small.piece(3), replace(small).piece(3)
    assert all(np.array_equal(first[name], again[name]) for name in small.columns)


def test_a_piece_does_not_depend_on_those_before_it(small: Simulation) -> None:
    alone = replace(small).piece(6)
    *_, last = small.pieces()
    assert len(last["y"]) == 2_000 - 6 * 300
    assert all(np.array_equal(alone[name], last[name]) for name in small.columns)


def test_pieces_and_seeds_draw_different_rows(small: Simulation) -> None:
    first, second = small.piece(0), small.piece(1)
    assert not np.any(first["x"] == second["x"])
    assert not np.any(first["x"] == small.reseeded(small.seed + 1).piece(0)["x"])


@pytest.mark.parametrize("data", PROBLEMS, ids=lambda data: data.name)
def test_every_level_has_rows(data: Simulation) -> None:
    frame = drawn(replace(data.scaled(5_000), piece_rows=1_700))
    for factor in data.scaled(5_000).factors:
        found = np.unique(frame[factor.name])
        assert np.array_equal(found, np.arange(factor.n_levels))
        assert frame[factor.name].dtype == np.int32


@pytest.mark.parametrize("n_levels", [1, 7, 999, 1_000])
def test_every_level_has_rows_whatever_the_popularity(n_levels: int) -> None:
    factor = Factor("g", n_levels, (1.0,), exponent=3.0, offset=0.0)
    data = Simulation("d", "y ~ 1 + (1 | g)", 1_000, (("Intercept", 0.0),), (factor,), 1.0, 1, 64)
    assert len(np.unique(drawn(data)["g"])) == n_levels


def test_more_levels_than_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="g has more levels"):
        Simulation("d", "", 3, (("Intercept", 0.0),), (Factor("g", 4, (1.0,)),), 1.0, 1)


@pytest.mark.parametrize("data", PROBLEMS, ids=lambda data: data.name)
def test_rows_have_the_parameters_that_made_them(data: Simulation) -> None:
    """Response less all effects is noise of the stated size; effects have their covariance."""
    data = data.scaled(40_000)
    frame = drawn(data)
    residual = frame["y"].copy()
    for name, value in data.beta:
        residual -= value * frame.get(name, 1.0)
    for factor, effects in zip(data.factors, data.effects, strict=True):
        columns = [np.ones(len(residual)), *(frame[name] for name in factor.slopes)]
        residual -= np.sum(effects[frame[factor.name]] * np.column_stack(columns), axis=1)
    assert abs(residual.mean()) < FIVE_ERRORS * data.sigma / np.sqrt(40_000)
    assert abs(residual.std() / data.sigma - 1) < FIVE_ERRORS / np.sqrt(2 * 40_000)
    x = [frame[name] for name in data.covariates]
    assert all(abs(np.corrcoef(column, residual)[0, 1]) < 0.025 for column in x)


@pytest.mark.parametrize("factor", CORRELATED.factors, ids=lambda factor: factor.name)
def test_effects_have_their_covariance(factor: Factor) -> None:
    data = replace(CORRELATED, factors=(replace(factor, n_levels=20_000),))
    (effects,) = data.effects
    error = np.sqrt(2 / 20_000) * np.outer(factor.sds, factor.sds)
    found = np.cov(effects.T).reshape(factor.covariance.shape)
    assert np.all(np.abs(found - factor.covariance) < FIVE_ERRORS * error)


def test_popular_levels_follow_the_power_law() -> None:
    data = RATINGS.scaled(200_000)
    frame = drawn(data)
    for factor in data.factors:
        counts = np.sort(np.bincount(frame[factor.name]))[::-1]
        ranks = np.arange(1, factor.n_levels + 1)
        share = (ranks + factor.offset * factor.n_levels) ** -factor.exponent
        top = 20
        expected = 200_000 * share[:top].sum() / share.sum()
        assert abs(counts[:top].sum() / expected - 1) < 0.05
        assert counts[0] > 20 * np.median(counts)


def test_popularity_cannot_be_read_off_the_labels() -> None:
    counts = np.bincount(drawn(RATINGS.scaled(100_000))["item"])
    assert abs(np.corrcoef(counts, np.arange(len(counts)))[0, 1]) < 0.2


def test_scaling_keeps_rows_per_level() -> None:
    smaller = CLUSTERED.scaled(1_000_000)
    assert smaller.factors[0].n_levels == 1_000
    assert CLUSTERED.scaled(None) is CLUSTERED
    assert smaller.truth() == CLUSTERED.truth()


def test_one_file_and_many_hold_the_same_rows(small: Simulation, tmp_path) -> None:
    one, many = stored(small, tmp_path), stored(small, tmp_path, parts=3)
    assert len(list(many.iterdir())) == 3
    whole = pq.read_table(one)
    assert whole.equals(pq.read_table(many))
    expected = drawn(small)
    assert all(np.array_equal(whole[name].to_numpy(), expected[name]) for name in small.columns)
    assert pq.ParquetFile(one).metadata.num_row_groups == small.n_pieces


def test_files_are_drawn_once(small: Simulation, tmp_path, monkeypatch) -> None:
    path = stored(small, tmp_path)
    monkeypatch.setattr(Simulation, "piece", lambda *_: pytest.fail("drawn again"))
    assert stored(small, tmp_path) == path


@pytest.mark.parametrize("change", [{"seed": 9}, {"sigma": 2.0}, {"piece_rows": 299}])
def test_other_contents_are_other_files(small: Simulation, tmp_path, change) -> None:
    assert stored(small, tmp_path) != stored(replace(small, **change), tmp_path)


def test_a_full_disk_is_refused_before_anything_is_drawn(
    small: Simulation, tmp_path, monkeypatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=2**31)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(NoRoomError, match=r"needs 2\.0 GiB of disk .* has 2\.0 free"):
        stored(small, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("parts", [1, 3])
def test_an_interrupted_draw_leaves_nothing(
    small: Simulation, tmp_path, monkeypatch, parts: int
) -> None:
    whole = Simulation.piece

    def interrupted(self: Simulation, i: int) -> dict[str, np.ndarray]:
        if i == 4:
            raise KeyboardInterrupt
        return whole(self, i)

    monkeypatch.setattr(Simulation, "piece", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stored(small, tmp_path, parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", PROBLEMS, ids=lambda data: data.name)
def test_the_estimate_of_disk_is_above_the_size(data: Simulation, tmp_path) -> None:
    smaller = data.scaled(30_000)
    size = stored(smaller, tmp_path).stat().st_size
    assert 0.5 * size < size < files.expected_bytes(smaller) < 2 * size


def test_full_sizes_are_those_of_the_page() -> None:
    sizes = {data.name: (data.n_rows, *(f.n_levels for f in data.factors)) for data in PROBLEMS}
    assert sizes["clustered"] == (100_000_000, 100_000)
    assert sizes["ratings"] == (10_000_000, 200_000, 60_000)
    assert sizes["movielens"] == (32_000_000, 330_000, 85_000)
    assert sizes["crossed"][0] == sizes["correlated"][0] == 1_000_000
    assert all(a != b for a, b in pairwise(sorted(data.seed for data in PROBLEMS)))
