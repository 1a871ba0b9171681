"""What a quality is worth: fitted curves find what spoils faces, and degradations do what they say."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.cli.evaluate_quality import quality as command
from overt.evaluation.degrade import Degradation, degraded, drawn
from overt.evaluation.quality import WHOLE, measured
from overt.evaluation.quality_fit import fitted
from overt.evaluation.quality_trials import Trials
from overt.evaluation.quality_words import quality_tables
from overt.evaluation.unmeasurable import CannotMeasure
from tests.support import messages as make


def trials(n: int = 600, people: int = 40) -> Trials:
    """Faces whose vector drifts from their person's the less sharp they are; yaw tells nothing."""
    rng = np.random.default_rng(5)
    references = rng.normal(size=(people, 32))
    references /= np.linalg.norm(references, axis=1, keepdims=True)
    person, sharpness, yaw = rng.integers(0, people, n), rng.uniform(0, 0.3, n), rng.uniform(0, 0.5, n)
    probes = references[person] + rng.normal(size=(n, 32)) * (0.02 + np.clip(0.2 - sharpness, 0, 1) * 2)[:, None]
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    return Trials(
        {"sharpness": sharpness, "yaw": yaw},
        person,
        {"m": probes.astype(np.float32)},
        {"m": references.astype(np.float32)},
        3,
    )


def test_what_spoils_faces_is_found_and_what_does_not_earns_no_place() -> None:
    result = measured(trials(), seed=0)
    gains = {judged.quality: judged.gain for judged in result.judged}
    assert isinstance(gains["sharpness"], float)
    assert gains["sharpness"] > 0.5
    assert isinstance(gains["yaw"], float)
    assert gains["yaw"] < 0.3
    assert gains[WHOLE] == pytest.approx(gains["sharpness"], abs=0.1)
    without = result.without["sharpness"]["m"]
    assert isinstance(without, float)
    assert without < 0.3
    penalties = result.calibration.penalties
    assert max(cost for _, cost in penalties["sharpness"]) > 4 * max(cost for _, cost in penalties["yaw"])
    said = "\n".join(table.text() for table in quality_tables(result))
    assert "600 degraded faces of 40 people" in said
    assert "3 more were not found" in said


def test_a_fit_is_calibrated() -> None:
    """Of the faces that it gives a probability of p, p match."""
    rng = np.random.default_rng(3)
    sharpness = rng.uniform(0, 0.3, 4000)
    wanted = 1 / (1 + np.exp(-(sharpness - 0.12) * 40))
    fit = fitted({"sharpness": sharpness}, rng.random(4000) < wanted)
    best = 1 / (1 + np.exp(-fit.best))
    told = np.array([fit.quality({"sharpness": float(s)}) * best for s in sharpness])
    assert np.abs(told - wanted).mean() < 0.04


def test_where_every_comparison_ends_the_same_way_nothing_is_fitted() -> None:
    with pytest.raises(ValueError, match="same way"):
        fitted({"sharpness": np.linspace(0, 1, 9)}, np.ones(9, np.bool_))


def test_one_person_has_nobody_to_be_taken_for() -> None:
    with pytest.raises(CannotMeasure, match="one person"):
        measured(trials(people=1), seed=0)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_a_degraded_image_repeats_with_its_seed_and_is_smaller_as_drawn(seed: int) -> None:
    image = make.pixels(1, 90, 120)
    how = drawn(np.random.default_rng(seed), 40.0)
    one, other = (degraded(image, how, np.random.default_rng(seed)) for _ in range(2))
    assert one.tobytes() == other.tobytes()
    assert one.shape == (round(90 * how.scale), round(120 * how.scale), 3)
    assert 6 <= 40 * how.scale <= 40.001


def test_a_degradation_that_does_nothing_changes_nothing() -> None:
    image = make.pixels(1, 30, 40)
    assert degraded(image, Degradation(), np.random.default_rng(0)).tobytes() == image.tobytes()


def test_the_command_says_how_it_is_used() -> None:
    said = CliRunner().invoke(command, ["--help"]).output
    assert "Examples:" in said
    assert "calibration" in said
