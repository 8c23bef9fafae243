"""Bytes per row and per level of a design, as `docs/explanation/memory.md` states them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lmmformula.design import materialize
from lmmformula.formula import parse
from tests.memory.measure import Bytes, grouped, growth

SMALL, LARGE = 20_000, 40_000
ROWS = LARGE - SMALL
SLACK = 0.5  # bytes a row: allocators round up
FORMULA = parse("y ~ x1 + x2 + (x1 | g)")
Y, X, CODES, POSITION = 8, 3 * 8, 4, 4
HELD = Y + X + CODES + POSITION


def per_row(**options) -> Bytes:
    return growth(
        lambda frame: materialize(FORMULA, frame),
        grouped(SMALL, **options),
        grouped(LARGE, **options),
        ROWS,
    )


@pytest.mark.parametrize("keys", ["category", "int32"])
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_nothing_is_held_twice(kind: str, keys: str) -> None:
    """Narrow floats and integer keys are widened where they are written, not in copies."""
    found = per_row(kind=kind, keys=keys)
    assert abs(found.held - HELD) < SLACK
    assert found.peak < HELD + SLACK


def test_effects_that_are_columns_of_x_cost_nothing() -> None:
    frames = grouped(SMALL), grouped(LARGE)
    own = parse("y ~ x2 + (x1 | g)")
    found = growth(lambda frame: materialize(own, frame), *frames, ROWS)
    assert abs(found.held - (Y + 2 * 8 + 2 * 8 + CODES + POSITION)) < SLACK


def test_a_second_factor_costs_its_codes() -> None:
    frames = [frame.assign(h=frame["g"]) for frame in (grouped(SMALL), grouped(LARGE))]
    both = parse("y ~ x1 + x2 + (x1 | g) + (1 | h)")
    found = growth(lambda frame: materialize(both, frame), *frames, ROWS)
    assert abs(found.held - (HELD + CODES)) < SLACK


def test_weights_and_offset_are_a_column_each() -> None:
    frames = [frame.assign(w=1.0 + frame["x2"] ** 2) for frame in (grouped(SMALL), grouped(LARGE))]
    found = growth(
        lambda frame: materialize(FORMULA, frame, weights="w", offset="x1"), *frames, ROWS
    )
    assert abs(found.held - (HELD + 2 * 8)) < SLACK


@pytest.mark.filterwarnings("ignore::lmmformula.LMMWarning")
def test_rows_left_out_cost_their_labels_and_copies_while_they_are_chosen() -> None:
    frames = [
        frame.assign(x2=frame["x2"].mask(frame.index == 3))
        for frame in (grouped(SMALL), grouped(LARGE))
    ]
    found = growth(lambda frame: materialize(FORMULA, frame), *frames, ROWS)
    labels, positions, chosen = 8, 8, (2 + 1) * 8  # x1 and x2, and one again for its summary
    assert abs(found.held - (HELD + labels)) < SLACK
    assert found.peak < HELD + labels + positions + chosen + SLACK


def test_a_transform_costs_its_columns_while_the_design_is_made() -> None:
    made = parse("y ~ np.sqrt(x1 ** 2) + x2 + (1 | g)")
    found = growth(lambda frame: materialize(made, frame), grouped(SMALL), grouped(LARGE), ROWS)
    assert abs(found.held - HELD) < SLACK
    assert found.peak < HELD + 4 * 8 + SLACK


def test_levels_cost_their_labels() -> None:
    n = 60_000
    labelled = growth(
        lambda frame: materialize(FORMULA, frame, checks="ignore"),
        grouped(n, 10_000, keys="int32"),
        grouped(n, 20_000, keys="int32"),
        10_000,
    )
    text = 54  # of a label such as "12345", as Python holds it
    pointers = 2 * 8
    assert labelled.held < text + pointers + 8


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_codes_and_positions_are_of_32_bits(kind: str) -> None:
    frame = grouped(200, kind=kind)
    for keys in (frame["g"], frame["g"].astype(str), np.arange(200) // 4 + 2**40):
        matrices = materialize(FORMULA, frame.assign(g=keys)).matrices
        assert matrices.random[0].codes.dtype == np.int32
        assert matrices.rows.dtype == np.int32
    assert matrices.X.dtype == matrices.y.dtype == np.float64


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_the_data_share_no_memory_with_the_design(kind: str) -> None:
    """What the caller does to the frame afterwards does not reach the model."""
    frame = grouped(200, kind=kind, keys="int32")
    design = materialize(FORMULA, frame)
    for name in frame.columns:
        given = frame[name].to_numpy()
        for array in (design.matrices.y, design.matrices.X, design.matrices.random[0].codes):
            assert not np.shares_memory(given, array)


def test_narrow_floats_make_the_same_design_as_wide_ones() -> None:
    narrow = grouped(300, kind="float32")
    wide = narrow.astype({name: "float64" for name in ("y", "x1", "x2")})
    for text in (
        "y ~ x1 * x2 + (x1 | g)",
        "y ~ np.exp(x1) + poly(x2, 2) + (1 | g)",
        "y ~ x1 + exp(x2 | g)",
    ):
        one, other = (
            materialize(parse(text), frame, checks="ignore").matrices for frame in (narrow, wide)
        )
        assert np.array_equal(one.X, other.X)
        assert np.array_equal(one.y, other.y)
        assert all(np.array_equal(a.z, b.z) for a, b in zip(one.random, other.random, strict=True))
        assert all(a.z.dtype == np.float64 for a in one.random)


@pytest.mark.parametrize(
    "keys",
    [
        np.array([5, 3, 5, -(2**40) + 3]),
        np.array([250, 3, 4, 3], dtype=np.uint8),
        np.array([-120, 120, 0, 0], dtype=np.int8),
        np.array([2**32 - 1, 7, 2**31, 7], dtype=np.uint32),
        np.array([-(2**63), 2**63 - 1, 0, 0]),
    ],
    ids=str,
)
def test_integer_keys_of_any_width_keep_their_values(keys: np.ndarray) -> None:
    frame = pd.DataFrame({"y": np.arange(4.0), "g": keys})
    design = materialize(parse("y ~ 1 + (1 | g)"), frame, checks="ignore")
    (block,) = design.matrices.random
    assert [int(label) for label in block.levels[block.codes]] == keys.tolist()
