"""Golden numbers: each model, fed as its card says, gives what it gave when it was measured to work.

A wrong colour order, a normalisation done twice or another template raise no error anywhere; they only make worse
vectors. So each is tried here too and must miss the golden numbers by far more than the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from overt.models import golden
from overt.models.card import Card, DetectorCard, EmbedderCard, Golden
from overt.models.errors import BadSession
from overt.models.preprocess import Floats, to_input
from overt.models.session import Session, open_session
from tests.support.models import model_registry, real_model

MISSED_BY = 10 * golden.TOLERANCE

CARDS = [c.name for c in model_registry().cards() if c.golden is not None]
EMBEDDERS = [name for name in CARDS if isinstance(model_registry().card(name), EmbedderCard)]
DETECTORS = [name for name in CARDS if isinstance(model_registry().card(name), DetectorCard)]


def opened(name: str) -> tuple[Card, Session, Golden]:
    card = model_registry().card(name)
    assert card.golden is not None
    return card, open_session(card, real_model(name)), card.golden


def test_every_model_that_was_ever_run_here_has_golden_numbers() -> None:
    assert [c.name for c in model_registry().cards() if c.golden is None] == ["sface"]


@pytest.mark.parametrize("name", CARDS)
def test_a_model_gives_its_golden_numbers(name: str) -> None:
    card, session, expected = opened(name)
    golden.check(card, session)
    assert golden.distance(expected, golden.measure(card, session)) < golden.TOLERANCE / 10


MISTAKES: dict[str, Callable[[Card, golden.Pixels], Floats]] = {
    "colours swapped": lambda card, image: to_input(card, image[..., ::-1]),
    "mean and scale applied twice": lambda card, image: (to_input(card, image) - np.float32(127.5)) / np.float32(127.5),
    "scaled to 0..1 before": lambda card, image: to_input(card, image) / np.float32(255),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("name", CARDS)
def test_golden_numbers_are_missed_with_a_mistake_in_the_input(name: str, mistake: str) -> None:
    card, session, expected = opened(name)
    found = golden.measure(card, session, MISTAKES[mistake](card, golden.picture(card)))
    assert golden.distance(expected, found) > MISSED_BY


def altered(card: Card) -> dict[str, Card]:
    """The card with one field wrong, each field that the golden numbers guard."""
    spec = card.input
    other = "BGR" if spec.colour == "RGB" else "RGB"
    mean = (0.0, 0.0, 0.0) if any(spec.mean) else (127.5, 127.5, 127.5)
    inputs = {"colour": other, "mean": mean, "scale": 1.0 if spec.scale != 1 else 127.5}
    cards = {k: card.model_copy(update={"input": spec.model_copy(update={k: v})}) for k, v in inputs.items()}
    if isinstance(card, EmbedderCard):
        points = tuple((x + 4, y) for x, y in card.alignment.points_xy)
        cards["template"] = card.model_copy(
            update={"alignment": card.alignment.model_copy(update={"points_xy": points})}
        )
    return cards


@pytest.mark.parametrize("name", CARDS)
def test_a_card_with_another_colour_order_mean_scale_or_template_is_refused(name: str) -> None:
    card, session, expected = opened(name)
    for field, wrong in altered(card).items():
        assert golden.distance(expected, golden.measure(wrong, session)) > MISSED_BY, field
        with pytest.raises(BadSession, match="golden"):
            golden.check(wrong, session)


@pytest.mark.parametrize("name", EMBEDDERS)
def test_golden_numbers_are_missed_with_the_template_of_another_model(name: str) -> None:
    card, session, expected = opened(name)
    side = card.input.chip_px or 0
    other = next(model_registry().embedder(e) for e in EMBEDDERS if e != name).alignment
    scaled = [(x * side / other.chip_px, y * side / other.chip_px) for x, y in other.points_xy]
    found = golden.measure(card, session, to_input(card, golden.pattern(side, scaled)))
    assert golden.distance(expected, found) > MISSED_BY


def test_numbers_that_are_no_numbers_are_refused() -> None:
    card, session, expected = opened("yunet-s")
    broken = expected.model_copy(update={"numbers": (float("nan"),) * 8})
    with pytest.raises(BadSession, match="apart by nan"):
        golden.check(card.model_copy(update={"golden": broken}), session)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_model_has_all_outputs_that_its_card_names(name: str) -> None:
    card, session, _ = opened(name)
    outputs = session.run(to_input(card, golden.picture(card)))
    assert list(outputs) == list(card.outputs)
    assert all(o.dtype == np.float32 and np.isfinite(o).all() for o in outputs.values())
