"""A build's journal: what was done is known again, whatever was cut off, and nobody else can read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from overt.messages import Box
from overt.runtime.keys.deployment_key import create_deployment_key, load_deployment_key
from overt.runtime.keys.keyring import Keyring
from overt.runtime.watchlist.journal import LIFE_US, BuildJournal, JournalTaken
from overt.watchlist.enrol import Template, Unusable
from tests.support.messages import unit

NOW_US = 1_778_770_800_000_000
MODELS = {"detector": "aa", "embedder": "bb"}


class Counting:
    """Makes templates, and remembers what it was shown."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def __call__(self, data: bytes, box: Box | None) -> Template | Unusable:
        self.seen.append(data)
        if data.startswith(b"bad"):
            return Unusable("2 faces found")
        return Template(unit(len(data)), b"a face as a JPEG " + data, 61.5, 0.75, ("somewhat blurred",))


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    folder = tmp_path_factory.mktemp("keys")
    create_deployment_key(folder / "key")
    ring = Keyring(folder / "keyring", load_deployment_key(folder / "key"), "d1", clock=lambda: NOW_US)
    ring.create_file()
    return ring


@pytest.fixture
def journal(tmp_path: Path, keyring: Keyring) -> Callable[..., BuildJournal]:
    return lambda now_us=NOW_US: BuildJournal(tmp_path / "list.unfinished", keyring, lambda: now_us)


IMAGES = [b"one", b"bad one", b"three", b"fourth"]


def shown(
    journal: BuildJournal, images: list[bytes] = IMAGES, models: dict[str, str] = MODELS
) -> tuple[Counting, list[object]]:
    made = Counting()
    templates = journal.remembering(made, models)
    return made, [templates(image, None) for image in images]


def same(one: object, other: object) -> bool:
    if isinstance(one, Template) and isinstance(other, Template):
        rest = [(t.thumbnail, t.eye_distance_px, t.quality, t.warnings) for t in (one, other)]
        return bool(np.array_equal(one.vector, other.vector)) and one.vector.dtype == np.float32 and rest[0] == rest[1]
    return one == other


def test_what_was_done_is_known_again_exactly(journal: Callable[..., BuildJournal]) -> None:
    with journal() as first:
        before, templates = shown(first, IMAGES[:3])
        assert before.seen == IMAGES[:3]
    with journal() as second:
        assert len(second) == 3
        after, again = shown(second)
    assert after.seen == IMAGES[3:]
    assert all(same(one, other) for one, other in zip(templates, again, strict=False))
    assert again[1] == Unusable("2 faces found")


def test_another_model_another_box_or_another_image_is_looked_at_anew(journal: Callable[..., BuildJournal]) -> None:
    with journal() as first:
        shown(first)
    with journal() as second:
        assert shown(second, models={**MODELS, "embedder": "cc"})[0].seen == IMAGES
        made = Counting()
        templates = second.remembering(made, MODELS)
        for box in (None, Box(1, 2, 3, 4), Box(1, 2, 3, 5), Box(1, 2, 3, 4)):
            templates(b"one", box)
        assert len(made.seen) == 2


def test_nothing_of_a_face_is_on_the_disk_in_the_clear(journal: Callable[..., BuildJournal], tmp_path: Path) -> None:
    with journal() as first:
        _, templates = shown(first)
    raw = (tmp_path / "list.unfinished").read_bytes()
    assert len(raw) > 200
    for template in templates:
        if isinstance(template, Template):
            assert template.vector.tobytes() not in raw
            assert template.vector.tobytes()[:8] not in raw
    assert b"a face" not in raw
    assert b"faces found" not in raw
    assert (tmp_path / "list.unfinished").stat().st_mode & 0o777 == 0o600


def test_a_journal_cut_off_anywhere_goes_on_from_its_last_whole_record(
    journal: Callable[..., BuildJournal], tmp_path: Path
) -> None:
    path = tmp_path / "list.unfinished"
    ends = []
    with journal() as first:
        ends.append(path.stat().st_size)
        templates = first.remembering(Counting(), MODELS)
        for image in IMAGES:
            templates(image, None)
            ends.append(path.stat().st_size)
    whole = path.read_bytes()
    for length in range(ends[0], len(whole) + 1, 23):
        path.write_bytes(whole[:length])
        with journal() as second:
            assert len(second) == sum(end <= length for end in ends[1:])
            shown(second)
        with journal() as third:
            assert len(third) == len(IMAGES)


def test_a_changed_record_and_all_behind_it_are_done_again(
    journal: Callable[..., BuildJournal], tmp_path: Path
) -> None:
    with journal() as first:
        templates = shown(first)[1]
    path = tmp_path / "list.unfinished"
    whole = path.read_bytes()
    for at in range(whole.index(b"\n") + 1, len(whole), 41):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with journal() as second:
            assert len(second) < len(IMAGES)
            again = shown(second)[1]
        assert [same(*pair) for pair in zip(templates, again, strict=True)] == [True] * len(IMAGES)


def test_a_finished_journal_leaves_no_file_and_no_key(
    journal: Callable[..., BuildJournal], tmp_path: Path, keyring: Keyring
) -> None:
    with journal() as first:
        shown(first)
        copy = (tmp_path / "list.unfinished").read_bytes()
        first.finished()
    assert not (tmp_path / "list.unfinished").exists()
    (tmp_path / "list.unfinished").write_bytes(copy)  # somebody had copied it
    with journal() as second:
        assert len(second) == 0
        second.finished()
    assert not [
        key.owner for key in keyring.every_key() if key.owner.startswith("build:") and key.owner.encode() in copy
    ]


def test_a_build_that_came_to_nothing_leaves_nothing(
    journal: Callable[..., BuildJournal], tmp_path: Path, keyring: Keyring
) -> None:
    """Its source could not be read: there is nothing to go on with."""
    before = len(keyring)
    with pytest.raises(ValueError, match="no such folder"), journal():
        raise ValueError("no such folder")
    assert not (tmp_path / "list.unfinished").exists()
    assert len(keyring) == before


def test_an_abandoned_journal_can_be_opened_for_a_day_and_no_longer(journal: Callable[..., BuildJournal]) -> None:
    with journal() as first:
        shown(first)
    with journal(NOW_US + LIFE_US - 1) as second:
        assert len(second) == len(IMAGES)
    with journal(NOW_US + LIFE_US) as third:
        assert len(third) == 0


def test_two_builds_do_not_write_one_journal(journal: Callable[..., BuildJournal]) -> None:
    with journal(), pytest.raises(JournalTaken, match="another build is at work"), journal():
        pass
    with journal():
        pass


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 99, b"{}\n", b"[1]\n", b'{"format": "overt build journal 1", "owner": "entry:e1"}\n']
)
def test_what_is_no_journal_is_begun_anew(journal: Callable[..., BuildJournal], tmp_path: Path, data: bytes) -> None:
    (tmp_path / "list.unfinished").write_bytes(data)
    with journal() as first:
        assert len(first) == 0
        shown(first)
    with journal() as second:
        assert len(second) == len(IMAGES)


def test_a_journal_behind_a_link_is_not_written(journal: Callable[..., BuildJournal], tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"kept")
    (tmp_path / "list.unfinished").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"), journal():
        pass
    assert (tmp_path / "victim").read_bytes() == b"kept"
