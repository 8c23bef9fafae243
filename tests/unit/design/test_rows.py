"""One mask for response, effects, groups, weights and offset."""

import numpy as np
import pandas as pd
import pytest

from lmmformula.errors import DataWarning, DroppedRowsWarning
from tests.unit.design.frames import FULL, N, design, frame


def holes(**where):
    """Return a frame in which the columns named are missing in the rows given."""
    data = frame(w=1.0 + np.arange(N), off=np.arange(N) / 10)
    for name, row in where.items():
        data[name] = data[name].where(data.index != row)
    return data


def test_one_mask_for_everything():
    data = holes(y=1, x=2, g=3, off=4, z=5)
    with pytest.warns(DroppedRowsWarning) as caught:
        made = design("y ~ x + (z | g)", data, weights="w", offset="off", checks="ignore")
    message = caught[0].message
    assert message.n_dropped == 5
    assert message.rows.tolist() == [1, 2, 3, 4, 5]
    assert message.counts == {"y": 1, "x": 1, "z": 1, "g": 1, "offset=off": 1}
    kept = [0, *range(6, N)]
    matrices = made.matrices
    assert matrices.rows.tolist() == kept
    assert matrices.y.tolist() == data["y"][kept].tolist()
    assert matrices.X[:, 1].tolist() == data["x"][kept].tolist()
    assert matrices.random[0].z[:, 1].tolist() == data["z"][kept].tolist()
    assert matrices.weights.tolist() == data["w"][kept].tolist()
    assert matrices.offset.tolist() == data["off"][kept].tolist()
    assert made.spec.index.tolist() == kept
    assert made.spec.n_rows_data == N
    assert len(caught) == 1


def test_warning_points_at_the_caller():
    with pytest.warns(DroppedRowsWarning) as caught:
        design("y ~ x + (1 | g)", holes(x=2))
    assert caught[0].filename.endswith("frames.py")


def test_other_columns_may_be_missing():
    assert design("y ~ x + (1 | g)", holes(z=1, w=2)).matrices.n_obs == N


def test_subset_first_then_complete_cases():
    data = holes(x=2, y=20)
    with pytest.warns(DroppedRowsWarning) as caught:
        made = design("y ~ x + (1 | g)", data, subset=np.arange(N) < 12)
    assert caught[0].message.rows.tolist() == [2]
    assert made.matrices.rows.tolist() == [i for i in range(12) if i != 2]
    assert made.spec.dropped_rows.tolist() == [2]
    assert made.matrices.random[0].levels.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    "subset",
    [
        "x > 0",
        "early",
        lambda d: d["x"] > 0,
        lambda d: (d["x"] > 0).tolist(),
        lambda d: (d["x"] > 0).astype("boolean").where(d["x"] > 0),
        lambda d: (d["x"] > 0).to_numpy(),
    ],
)
def test_forms_of_subset(subset):
    data = frame(early=lambda d: d["x"] > 0)
    given = subset if isinstance(subset, str) else subset(data)
    made = design("y ~ x + (1 | g)", data, subset=given)
    assert made.matrices.rows.tolist() == np.flatnonzero(data["x"] > 0).tolist()


def test_subset_is_read_as_r_reads_it():
    made = design("y ~ x + (1 | h)", subset="x > -1 & g != 'a' | h == 'b' & !(z > 100)")
    data = frame()
    wanted = ((data.x > -1) & (data.g != "a")) | (data.h == "b")
    assert made.matrices.rows.tolist() == np.flatnonzero(wanted).tolist()


def test_values_lost_in_a_transform():
    data = frame(k=np.arange(N) - 3.0)
    with pytest.warns(DroppedRowsWarning) as caught:
        made = design("y ~ sqrt(k) + (1 | g)", data)
    assert caught[0].message.columns == ("sqrt(k)",)
    assert "3 not computable" in caught[0].message.got
    assert made.matrices.n_obs == N - 3


def test_comparisons_keep_missing_values():
    """In R ``NA > 0`` is NA; in NumPy it is False."""
    with pytest.warns(DroppedRowsWarning) as caught:
        design("y ~ I(x > 0) + I(h == 'a') + (1 | g)", holes(x=2, h=4))
    assert caught[0].message.rows.tolist() == [2, 4]


def test_functions_that_answer_for_missing_values():
    made = design("y ~ I(is.na(x)) + (1 | g)", holes(x=2))
    assert made.matrices.fixed_names == ("Intercept", "I(is.na(x))[T.True]")
    assert made.matrices.n_obs == N


def test_transforms_see_all_rows_as_in_r():
    data = holes(y=0)
    with pytest.warns(DroppedRowsWarning):
        made = design("y ~ scale(x) + (1 | g)", data)
    scaled = (data["x"] - data["x"].mean()) / data["x"].std()
    np.testing.assert_allclose(made.matrices.X[:, 1], scaled[1:], rtol=1e-12)


def test_offsets_add_up():
    data = frame(a=1.0, b=2.0)
    made = design("y ~ x + offset(a) + offset(log(b)) + (1 | g)", data, offset=np.arange(N))
    np.testing.assert_allclose(made.matrices.offset, 1.0 + np.log(2.0) + np.arange(N))
    by_name = design("y ~ x + offset(a) + (1 | g)", data, offset="a")
    np.testing.assert_allclose(by_name.matrices.offset, 2.0)
    assert by_name.spec.offset_name == "a"
    assert made.spec.has_array_offset
    assert design().matrices.offset is None


def test_weights_by_name_array_and_expression():
    data = frame(w=1.0 + np.arange(N))
    for weights in ("w", data["w"], data["w"].tolist(), data["w"].astype(int), "2 * w / 2"):
        made = design(FULL, data, weights=weights)
        assert made.matrices.weights.tolist() == data["w"].tolist()
    assert design(FULL, data, weights="w").spec.weights_name == "w"
    assert design(FULL, data, weights=data["w"]).spec.weights_name is None
    shuffled = pd.Series(data["w"].to_numpy(), index=np.arange(N)[::-1])
    with pytest.warns(DataWarning, match="another order"):
        made = design(FULL, data, weights=shuffled)
    assert made.matrices.weights.tolist() == data["w"].tolist()


def test_unused_categories_go_after_rows_have_gone():
    data = holes(x=0)
    data["f"] = pd.Categorical(["only"] + ["p", "q", "r"] * 7 + ["p", "q"], [*"pqrs", "only"])
    with pytest.warns(DroppedRowsWarning):
        made = design("y ~ x + f + (1 | f)", data)
    assert made.spec.factors == {"f": ("p", "q", "r")}
    assert made.matrices.random[0].levels.tolist() == ["p", "q", "r"]
