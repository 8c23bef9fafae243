"""Eigenvalues beside the declared directions: steps, predictions, proofs."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.optimize.spectrum import Spectrum
from tests.unit.optimize.objectives import Toy, quadratic


def spectrum(*curvatures, at=1.0, **options):
    toy = Toy(lambda phi: quadratic(phi, *curvatures), **options)
    return Spectrum(toy.evaluate(np.full(len(curvatures), at)), exact=True, flat=1e-8)


def test_an_unconstrained_step_is_newtons():
    ours = spectrum(1.0, 4.0)
    np.testing.assert_allclose(ours.step(10.0), [-1.0, -1.0])
    assert ours.predicted(ours.step(10.0)) == pytest.approx(2.5)
    assert ours.decrement == pytest.approx(2.5)


@pytest.mark.parametrize("radius", [1e-6, 0.01, 0.5, 1.0])
def test_a_long_step_is_shortened_to_the_radius(radius):
    ours = spectrum(1.0, 100.0, -3.0)
    step = ours.step(radius)
    assert np.linalg.norm(step) == pytest.approx(radius, rel=2e-3)
    assert ours.predicted(step) > 0.0


def test_a_negative_curvature_is_descended():
    step = spectrum(1.0, -2.0).step(10.0)
    np.testing.assert_allclose(step, [-1.0, 1.0])


@pytest.mark.parametrize(
    ("curvatures", "minimum", "flat"),
    [
        ((1.0, 2.0), True, False),
        ((1.0, 0.0), True, True),
        ((1.0, -1.0), False, False),
        ((0.0, 0.0), True, True),
        ((1e8, 1e3), True, False),
    ],
)
def test_judgement(curvatures, minimum, flat):
    ours = spectrum(*curvatures)
    assert (ours.is_minimum, ours.is_flat) == (minimum, flat)
    assert ours.smallest == min(curvatures)


def test_doubt_about_small_curvatures():
    assert spectrum(1.0, 1e-5).has_small_curvature
    assert not spectrum(1.0, 1e-3).has_small_curvature


def test_directions_left_out():
    ours = spectrum(1.0, -5.0, effective=np.array([[1.0], [0.0]]))
    assert ours.is_minimum
    np.testing.assert_allclose(ours.step(10.0), [-1.0, 0.0])
