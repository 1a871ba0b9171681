"""Lists made of lists: what differs, what they are together, and what one is after a while."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from overt.cli.errors import UserError
from overt.cli.watchlist_edit import diff, merge, reseal
from overt.cli.watchlist_end import destroy
from overt.governance.loading import load_deployment
from overt.messages import WatchlistEntry
from overt.runtime.keys.keyring import Keyring, create_deployment_key, entry_owner, load_deployment_key
from overt.runtime.watchlist.file import WatchlistFile, WatchlistFileError
from overt.watchlist.editing import differences, merged, renewed
from tests.support.messages import entry, picture, unit
from tests.support.typed import DEPLOYMENT

SPACE, EMBEDDER = "dlib-resnet-v1/1", "dlib-resnet-v1"
HOUR_US = 3_600_000_000
START_US, END_US = 1_778_749_200_000_000, 1_778_770_800_000_000
"""The window of the deployment file."""


def person(number: int, **changes: object) -> WatchlistEntry:
    made = entry(
        entry_id=f"e{number}",
        subject_id=f"s-{number}",
        deployment_id="d1",
        category="suspects",
        vector=unit(number, 128),
        notes="",
        reference_image=picture(number),
        space_id=SPACE,
        valid_from_us=START_US,
        valid_until_us=END_US,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # any field


def plain(e: WatchlistEntry) -> dict[str, object]:
    return {"entry_id": e.entry_id, "subject_id": e.subject_id, "notes": e.notes, "revision": e.revision}


# What differs, what is joined


def test_who_came_who_went_and_which_fields_changed() -> None:
    before = [plain(person(n)) for n in (1, 2, 3)]
    after = [plain(person(2, revision=9)), plain(person(3, notes="scar")), plain(person(4))]
    found = [(d.what, d.subject_id, d.fields) for d in differences(before, after)]
    assert found == [("gone", "s-1", ()), ("changed", "s-3", ("notes",)), ("come", "s-4", ())]
    assert differences(before, before) == []


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=6), max_size=4))
def test_joining_is_a_dictionary_in_which_the_latest_wins(lists: list[list[tuple[int, int]]]) -> None:
    wanted: dict[str, int] = {}
    for number, revision in (one for those in lists for one in those):
        wanted[f"e{number}"] = max(revision, wanted.get(f"e{number}", 0))
    found = merged([person(number, revision=revision) for number, revision in those] for those in lists)
    assert {e.entry_id: e.revision for e in found.entries} == wanted
    assert list(found.problems) == []


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (person(2, subject_id="s-1", category="missing"), "in category missing and in suspects"),
        (person(2, subject_id="S-1"), "differs from .* only in how it is written"),
    ],
)
def test_lists_at_odds_are_not_joined(other: WatchlistEntry, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        assert merged([[person(1)], [other]]).problems == ()


# What a list is after a while


def test_who_was_listed_as_long_as_the_list_is_listed_to_the_windows_end_and_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "deployment.yaml").write_text(DEPLOYMENT)
    deployment = load_deployment(tmp_path / "deployment.yaml")
    was_us = END_US - 2 * HOUR_US
    entries = [
        person(1, valid_until_us=was_us),
        person(2, valid_until_us=was_us - 1),
        person(3, valid_until_us=START_US + 1),
        person(4, category="of-last-year"),
    ]
    found = renewed(entries, deployment, ended_us=was_us, now_us=START_US + HOUR_US, reviewer="Sgt 114")
    assert [(e.entry_id, e.valid_until_us, e.reviewer) for e in found.entries] == [
        ("e1", END_US, "Sgt 114"),
        ("e2", was_us - 1, "Sgt 114"),
    ]
    assert [sentence.split(": ", 1)[1] for sentence in found.left_out] == [
        "its validity is over",
        "category of-last-year is not in the deployment",
    ]


def test_a_category_for_some_hours_is_not_renewed_beyond_them(tmp_path: Path) -> None:
    limited = DEPLOYMENT.replace("basis: A trial}]", "basis: A trial, valid_hours: 2}]")
    (tmp_path / "deployment.yaml").write_text(limited)
    deployment = load_deployment(tmp_path / "deployment.yaml")
    found = renewed([person(1)], deployment, ended_us=END_US, now_us=START_US, reviewer=None)
    assert [e.valid_until_us for e in found.entries] == [START_US + 2 * HOUR_US]


# Commands


class Office:
    """A deployment with a keyring, in the middle of its window."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        create_deployment_key(folder / "key")
        (folder / "deployment.yaml").write_text(DEPLOYMENT)
        self.keyring = Keyring(folder / "ring", load_deployment_key(folder / "key"), "d1", clock=self.now_us)
        self.keyring.create_file()

    def now_us(self) -> int:
        return START_US + HOUR_US

    def written(self, name: str, *entries: WatchlistEntry, ends_us: int = END_US) -> Path:
        self.file(self.folder / name).write(entries, space_id=SPACE, embedder=EMBEDDER, expires_at_us=ends_us)
        return self.folder / name

    def file(self, path: Path) -> WatchlistFile:
        return WatchlistFile(path, "d1", self.keyring, self.now_us)

    def read(self, path: Path) -> list[WatchlistEntry]:
        return list(self.file(path).read(SPACE))


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    made = Office(tmp_path)
    for module in ("watchlist_edit", "watchlist_end", "watchlist_file"):
        monkeypatch.setattr(f"overt.cli.{module}.now_us", made.now_us)
    settings = {"KEYRING_FILE": "ring", "DEPLOYMENT_KEY_FILE": "key", "DEPLOYMENT": "deployment.yaml"}
    for name, file in settings.items():
        monkeypatch.setenv(f"OVERT_{name}", str(tmp_path / file))
    monkeypatch.setattr("overt.runtime.keys.deployment_keyring.Keyring", _told(made.now_us))
    return made


def _told(clock: Callable[[], int]) -> Callable[..., Keyring]:
    """Keyrings that the commands open keep the time of the test."""
    return lambda *arguments: Keyring(*arguments, clock=clock)


def test_diff_tells_and_opens_nothing(office: Office) -> None:
    before = office.written("before.watchlist", person(1), person(2))
    after = office.written("after.watchlist", person(2, notes="scar"), person(3))
    office.keyring.destroy(entry_owner("e1"))
    told = CliRunner().invoke(diff, [str(before), str(after), "--json"])
    found = [(d["what"], d["subject_id"]) for d in map(json.loads, told.stdout.splitlines())]
    assert found == [("gone", "s-1"), ("changed", "s-2"), ("come", "s-3")]
    assert "the same people" in CliRunner().invoke(diff, [str(after), str(after)]).stdout


def test_merge_joins_names_look_alikes_and_ends_what_it_joined(office: Office) -> None:
    one = office.written("one.watchlist", person(1), person(2))
    other = office.written(
        "other.watchlist", person(2, notes="scar", enrolled_at_us=9_999), person(3, vector=unit(1, 128))
    )
    copy = office.folder / "copy.watchlist"
    copy.write_bytes(one.read_bytes())
    out = office.folder / "both.watchlist"
    done = CliRunner().invoke(merge, [str(one), str(other), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "s-1 (e1) and s-3 (e3): similarity 1.000" in done.stdout
    assert [(e.entry_id, e.notes) for e in office.read(out)] == [("e1", ""), ("e2", "scar"), ("e3", "")]
    assert not one.exists()
    with pytest.raises(WatchlistFileError, match="does not hold the list's key"):
        office.read(copy)

    refused = CliRunner().invoke(destroy, [str(copy), "--reason", "tidy", "--yes"])
    assert isinstance(refused.exception, UserError)
    assert "another list has taken its place" in str(refused.exception)
    assert len(office.read(out)) == 3


def test_reseal_leaves_out_who_has_left_and_lives_to_the_windows_new_end(office: Office) -> None:
    """Entries that were removed stay removed, others open when the old list would have ended, no old copy does."""
    ends_us = START_US + 2 * HOUR_US
    entries = [person(n, valid_until_us=ends_us) for n in (1, 2)]
    file = office.written("list.watchlist", *entries, person(3, valid_until_us=START_US + 1), ends_us=ends_us)
    copy = office.folder / "copy.watchlist"
    copy.write_bytes(file.read_bytes())
    office.keyring.destroy(entry_owner("e2"))
    done = CliRunner().invoke(reseal, [str(file), "--reviewer", "Sgt 114"])
    assert done.exit_code == 0, done.output
    assert "1 entries of 1 subjects, 1 left out" in done.stdout
    office.keyring.sweep(ends_us + 1)
    [kept] = office.read(file)
    assert (kept.entry_id, kept.valid_until_us, kept.reviewer) == ("e1", END_US, "Sgt 114")
    with pytest.raises(WatchlistFileError):
        office.read(copy)


def test_a_list_of_which_nobody_is_left_is_not_written_and_stays_as_it_was(office: Office) -> None:
    file = office.written("list.watchlist", person(1, valid_until_us=START_US + 1))
    before = file.read_bytes()
    refused = CliRunner().invoke(reseal, [str(file)])
    assert "an empty list" in str(refused.exception)
    assert file.read_bytes() == before
    assert office.file(file).manifest().entries == 1
