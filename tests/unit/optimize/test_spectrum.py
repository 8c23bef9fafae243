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
    step, length, promised = ours.step(10.0)
    np.testing.assert_allclose(step, [-1.0, -1.0])
    assert length == pytest.approx(np.sqrt(2.0))
    assert promised == pytest.approx(2.5)
    assert ours.decrement == pytest.approx(2.5)


@pytest.mark.parametrize("radius", [1e-6, 0.01, 0.5, 1.0])
def test_a_long_step_is_shortened_to_the_radius(radius):
    ours = spectrum(1.0, 100.0, -3.0)
    step, length, promised = ours.step(radius)
    assert length == pytest.approx(radius, rel=2e-3)
    assert np.linalg.norm(step) == pytest.approx(length)
    assert promised > 0.0


def test_steps_are_judged_relative_to_the_size_of_what_they_change():
    near, far = spectrum(1.0, 4.0, at=1.0), spectrum(1e-6, 4e-6, at=1e3)
    np.testing.assert_allclose(far.values, near.values)
    np.testing.assert_allclose(far.step(10.0)[0], 1e3 * near.step(10.0)[0])


def test_a_negative_curvature_is_descended():
    step, _, _ = spectrum(1.0, -2.0).step(10.0)
    np.testing.assert_allclose(step, [-1.0, 1.0])


@pytest.mark.parametrize(
    ("curvatures", "minimum", "flat"),
    [
        ((1.0, 2.0), True, False),
        ((1.0, 0.0), True, True),
        ((1.0, -1.0), False, False),
        ((0.0, 0.0), True, True),
        ((1e8, 1e3), True, False),
        ((1.0, -1e-6), False, False),
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
    np.testing.assert_allclose(ours.step(10.0)[0], [-1.0, 0.0])
