"""Identities come from causes: the same always gives the same, and each part of a cause counts."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from overt.identity import NAMESPACE, alert_id, entry_id, track_id
from overt.messages import Box

BOX = Box(10.0, 20.0, 60.5, 90.25)
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
PARTS = st.one_of(TEXT, st.text(alphabet="ab\x1e\x1f01", max_size=6))


def test_ids_are_the_same_on_every_machine_and_in_every_version() -> None:
    """Written down once: a change here makes replays invent, and old alerts come again."""
    assert track_id("c1", 3, 7, BOX) == str(
        uuid.uuid5(uuid.UUID("7d4f2f0c-5a53-5c3b-9a53-3f6c0d7b1c9e"), "track\x1fc1\x1f3\x1f7\x1f80,160,484,722")
    )
    assert track_id("c1", 3, 7, BOX) == "b2b66a6b-433f-509a-b4c4-9a216c3077f6"
    assert alert_id("d1", "c1", "A", track_id("c1", 3, 7, BOX)) == "8477eefe-7a77-51cb-be9a-36e9d0f2cfe6"
    assert entry_id("d1", "A", "A_1.jpg") == "50184134-9f9a-5469-b726-65e2089c427b"


def test_ids_are_name_based_uuids() -> None:
    for made in (track_id("c", 1, 2, BOX), alert_id("d", "c", "s", "t"), entry_id("d", "s", "f")):
        parsed = uuid.UUID(made)
        assert (parsed.version, parsed.variant) == (5, uuid.RFC_4122)
        assert made == str(parsed)
    assert NAMESPACE.version == 5


@pytest.mark.parametrize(
    "other",
    [
        lambda: track_id("c2", 3, 7, BOX),
        lambda: track_id("c1", 4, 7, BOX),
        lambda: track_id("c1", 3, 8, BOX),
        *(
            lambda corner=corner: track_id("c1", 3, 7, dataclasses.replace(BOX, **{corner: 5.0}))
            for corner in ("x1", "y1", "x2", "y2")
        ),
    ],
)
def test_every_part_of_a_tracks_cause_counts(other: Callable[[], str]) -> None:
    assert other() != track_id("c1", 3, 7, BOX)


def test_a_tracks_box_counts_to_an_eighth_of_a_pixel_whatever_type_holds_it() -> None:
    """Another batch shape changes the last bits of a box, and must not make another person of it."""
    nudged = Box(BOX.x1 + 1e-4, BOX.y1 - 1e-4, BOX.x2 + 1e-4, BOX.y2 - 1e-4)
    single = Box(*(np.float32(v) for v in dataclasses.astuple(BOX)))  # type: ignore[arg-type]  # as a model gives it
    assert track_id("c", 1, 2, nudged) == track_id("c", 1, 2, BOX) == track_id("c", 1, 2, single)
    assert track_id("c", 1, 2, Box(-0.0, 0.0, 1, 1)) == track_id("c", 1, 2, Box(0.0, -0.0, 1, 1))
    assert track_id("c", 1, 2, dataclasses.replace(BOX, x1=BOX.x1 + 0.125)) != track_id("c", 1, 2, BOX)


@given(st.lists(PARTS, min_size=3, max_size=4), st.lists(PARTS, min_size=3, max_size=4))
@settings(max_examples=400)
@example(["a\x1fb", "c", "d"], ["a", "b\x1fc", "d"])
@example(["a\x1e1b", "c", "d"], ["a\x1fb", "c", "d"])
@example(["a", "bc", "d", ""], ["ab", "c", "d", ""])
def test_different_parts_never_give_one_id(one: list[str], other: list[str]) -> None:
    """Neither by moving a letter to the next part, nor with the separator inside a name."""

    def made(parts: list[str]) -> str:
        return entry_id(*parts) if len(parts) == 3 else alert_id(*parts)

    assert (made(one) == made(other)) == (one == other)


def test_kinds_of_identity_never_meet() -> None:
    assert alert_id("d", "s", "f", "") != entry_id("d", "s", "f")
    assert entry_id("alert", "a", "b") != alert_id("a", "b", "", "")
