"""The sealed watchlist file: who may read it, until when, and that nothing can once its keys are gone."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import fastavro
import pytest
from click.testing import CliRunner
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.cli.errors import UserError
from overt.cli.watchlist_end import destroy
from overt.cli.watchlist_file import show, verify
from overt.cli.watchlist_pseudonyms import was_listed
from overt.messages import WatchlistEntry
from overt.ports import KeyGone
from overt.runtime.keys.keyring import Keyring, create_deployment_key, load_deployment_key
from overt.runtime.vault import MAGIC
from overt.runtime.watchlist.changes import PUBLISHED
from overt.runtime.watchlist.file import WatchlistFile, WatchlistFileError
from overt.watchlist.sealed import Destruction, Manifest, Pseudonyms, hidden
from tests.support.messages import SPACE, entry, picture, unit
from tests.support.typed import DEPLOYMENT

HOUR_US = 3_600_000_000
NOW_US = 1_800_000_000_000_000


class Desk:
    """A folder with a deployment key and a keyring, at a time that tests move."""

    def __init__(self, folder: Path) -> None:
        self.now_us = NOW_US
        self.folder = folder
        self.key_file = folder / "key"
        create_deployment_key(self.key_file)
        self.keyring = self.keyring_of("d1")

    def keyring_of(self, deployment_id: str) -> Keyring:
        made = Keyring(
            self.folder / f"keyring-{deployment_id}",
            load_deployment_key(self.key_file),
            deployment_id,
            clock=lambda: self.now_us,
        )
        made.create_file()
        return made

    def file(self, deployment_id: str = "d1", keyring: Keyring | None = None) -> WatchlistFile:
        return WatchlistFile(
            self.folder / "list.watchlist",
            deployment_id,
            self.keyring if keyring is None else keyring,
            lambda: self.now_us,
        )

    def written(self, entries: list[WatchlistEntry], hours: float = 6) -> Manifest:
        return self.file().write(
            entries, space_id=SPACE, embedder="plain", expires_at_us=self.now_us + round(hours * HOUR_US)
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def people(count: int = 3) -> list[WatchlistEntry]:
    return [
        entry(
            entry_id=f"e{n}",
            subject_id=f"s-{n // 2}",
            deployment_id="d1",
            vector=unit(n),
            reference_image=picture(n),
        )
        for n in range(count)
    ]


def test_what_is_read_is_what_was_written(desk: Desk) -> None:
    entries = people()
    manifest = desk.written(entries)
    read = list(desk.file().read(SPACE))
    assert [e.entry_id for e in read] == ["e0", "e1", "e2"]
    assert all((a.vector == b.vector).all() for a, b in zip(read, entries, strict=True))
    assert (manifest.entries, manifest.subjects, manifest.space_id) == (3, 2, SPACE)
    assert desk.file().manifest() == manifest
    assert desk.file().verify(SPACE) == []


def test_the_file_is_an_avro_container_of_sealed_payloads_and_is_its_owners_only(desk: Desk) -> None:
    entries = people()
    desk.written(entries)
    path = desk.folder / "list.watchlist"
    with path.open("rb") as file:
        rows = cast("list[dict[str, Any]]", list(fastavro.reader(file)))
    assert [row["subject_id"] for row in rows] == ["s-0", "s-0", "s-1"]
    assert all(row[name].startswith(MAGIC) for row in rows for name in ("vector", "reference_image"))
    content = path.read_bytes()
    assert not any(e.vector.tobytes() in content for e in entries)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(p.name for p in desk.folder.iterdir()) == [
        "key",
        "keyring-d1",
        "keyring-d1.entries",
        "keyring-d1.lock",
        "list.watchlist",
    ]


def test_after_its_end_it_is_refused_and_its_keys_are_swept(desk: Desk) -> None:
    desk.written(people(), hours=1)
    desk.now_us += HOUR_US
    with pytest.raises(WatchlistFileError, match="it ended at"):
        list(desk.file().read(SPACE))
    assert desk.keyring.sweep(desk.now_us) == 4
    desk.now_us -= HOUR_US  # a clock that is set back opens nothing
    with pytest.raises(WatchlistFileError, match="does not hold the list's key"):
        list(desk.file().read(SPACE))


def test_another_deployment_is_refused_by_name(desk: Desk) -> None:
    desk.written(people())
    with pytest.raises(WatchlistFileError, match="made for deployment d1, this is d2"):
        list(desk.file("d2", desk.keyring_of("d2")).read(SPACE))


def test_another_model_space_is_refused_with_the_command_that_enrols_again(desk: Desk) -> None:
    desk.written(people())
    with pytest.raises(WatchlistFileError, match=r"model space plain/1 .*other/1: enrol .*overt watchlist build"):
        list(desk.file().read("other/1"))


def test_without_its_keyring_nothing_is_read(desk: Desk, tmp_path: Path) -> None:
    desk.written(people())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(WatchlistFileError, match="another keyring"):
        list(desk.file(keyring=Desk(elsewhere).keyring).read(SPACE))


@settings(max_examples=25, deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_changed_bit_goes_unseen(tmp_path_factory: pytest.TempPathFactory, at: float, bit: int) -> None:
    """Neither in the manifest, nor in a field in the clear, nor in a sealed payload."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.written(people(2))
    path = desk.folder / "list.watchlist"
    content = bytearray(path.read_bytes())
    begin = content.index(b"overt.manifest")  # before it stands the schema, whose docs mean nothing
    content[begin + int(at * (len(content) - begin))] ^= 1 << bit
    path.write_bytes(content)
    try:
        read = list(desk.file().read(SPACE))
    except WatchlistFileError:
        return
    assert [e.entry_id for e in read] == ["e0", "e1"]
    assert all((a.vector == b.vector).all() and a.kind is b.kind for a, b in zip(read, people(2), strict=True))


@pytest.mark.parametrize("kept", [0, 3, 40, 0.5, 0.99])
def test_a_file_that_is_cut_short_is_refused(desk: Desk, kept: float) -> None:
    desk.written(people())
    path = desk.folder / "list.watchlist"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    with pytest.raises(WatchlistFileError, match=r"list\.watchlist"):
        list(desk.file().read(SPACE))


def test_a_removed_entry_does_not_come_back_from_the_file(desk: Desk) -> None:
    desk.written(people())
    desk.keyring.destroy_entry_key("e1")
    assert [e.entry_id for e in desk.file().read(SPACE)] == ["e0", "e2"]
    assert [finding.entry_id for finding in desk.file().verify(SPACE)] == ["e1"]
    with pytest.raises(KeyGone):
        desk.written(people())


@pytest.mark.parametrize(("entries", "says"), [([], "empty"), ([people()[0], people()[0]], "twice")])
def test_a_list_that_makes_no_sense_is_not_written(desk: Desk, entries: list[WatchlistEntry], says: str) -> None:
    with pytest.raises(WatchlistFileError, match=says):
        desk.written(entries)
    assert not (desk.folder / "list.watchlist").exists()


def test_pseudonyms_answer_who_was_listed_and_differ_from_list_to_list() -> None:
    key = b"k" * 32
    kept = [
        Pseudonyms(
            list_id=list_id,
            deployment_id="d1",
            content_sha256=None,
            written_at_us=0,
            subjects=hidden(["s-0", "s-1", "s-1"], list_id, key),
        )
        for list_id in ("l1", "l2")
    ]
    assert kept[0].includes("s-0", key)
    assert not kept[0].includes("s-2", key)
    assert not kept[0].includes("s-0", b"x" * 32)
    assert len(kept[0].subjects) == 2
    assert set(kept[0].subjects).isdisjoint(kept[1].subjects)


# Commands


@pytest.fixture
def office(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The desk with a deployment file and the settings in the environment; the list does not end soon."""
    monkeypatch.setattr("overt.cli.watchlist_file.now_us", lambda: desk.now_us)
    monkeypatch.setenv("OVERT_KEYRING_FILE", str(desk.folder / "keyring-d1"))
    monkeypatch.setenv("OVERT_DEPLOYMENT_KEY_FILE", str(desk.key_file))
    monkeypatch.setenv("OVERT_DEPLOYMENT", str(desk.folder / "deployment.yaml"))
    (desk.folder / "deployment.yaml").write_text(DEPLOYMENT)
    entries = [replace(e, space_id="dlib-resnet-v1/1") for e in people()]
    desk.now_us = 4_000_000_000_000_000
    desk.file().write(
        entries, space_id="dlib-resnet-v1/1", embedder="dlib-resnet-v1", expires_at_us=desk.now_us + HOUR_US
    )
    return desk.folder / "list.watchlist"


def test_show_tells_what_is_in_it_and_nothing_biometric(office: Path) -> None:
    done = CliRunner().invoke(show, [str(office), "--json"])
    told = json.loads(done.stdout)
    assert told["manifest"]["entries"] == 3
    assert [row["subject_id"] for row in told["entries"]] == ["s-0", "s-0", "s-1"]
    assert not {"vector", "reference_image"} & set(told["entries"][0])
    assert "3 entries of 2 subjects" in CliRunner().invoke(show, [str(office)]).stdout


def test_verify_says_that_every_entry_opens(office: Path) -> None:
    done = CliRunner().invoke(verify, [str(office)])
    assert (done.exit_code, done.stdout.strip()) == (0, f"{office}: every entry opens")


def test_destroying_makes_copies_unreadable_and_writes_a_certificate_that_can_be_checked(
    office: Path, desk: Desk
) -> None:
    copy = office.with_name("copy.watchlist")
    copy.write_bytes(office.read_bytes())
    who = office.with_name("who.json")
    done = CliRunner().invoke(
        destroy, [str(office), "--reason", "over", "--by", "Records", "--pseudonyms", str(who), "--yes"]
    )
    assert done.exit_code == 0, done.output
    assert not office.exists()
    reader = WatchlistFile(copy, "d1", desk.keyring, lambda: desk.now_us)
    with pytest.raises(WatchlistFileError, match="does not hold the list's key"):
        list(reader.read("dlib-resnet-v1/1"))
    assert len(desk.keyring) == 0

    written = json.loads(office.with_name("list.watchlist.destroyed.json").read_text())
    certificate = Destruction.model_validate(written["certificate"])
    assert (certificate.keys_destroyed, certificate.keys_left, certificate.destroyed_by) == (3, 0, "Records")
    assert (certificate.published, certificate.matchers_missing) == ("never", 0)
    assert "matchers" not in certificate.statement
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(written["public_key"]))
    public.verify(bytes.fromhex(written["signature"]), certificate.canonical())
    with pytest.raises(InvalidSignature):
        public.verify(bytes.fromhex(written["signature"]), certificate.model_copy(update={"entries": 4}).canonical())

    assert "s-1" not in who.read_text()
    assert Pseudonyms.model_validate_json(who.read_text()).content_sha256 == certificate.content_sha256
    assert CliRunner().invoke(was_listed, ["s-1", "--pseudonyms", str(who)]).stdout == "yes\n"
    absent = CliRunner().invoke(was_listed, ["s-9", "--pseudonyms", str(who)])
    assert (absent.exit_code, absent.stdout) == (7, "no\n")


def test_a_list_that_was_published_is_not_destroyed_in_its_file_alone_unless_that_is_said(
    office: Path, desk: Desk
) -> None:
    desk.keyring.create(PUBLISHED)
    asked = [str(office), "--reason", "over", "--yes"]
    refused = CliRunner().invoke(destroy, asked)
    assert isinstance(refused.exception, UserError)
    assert "--published" in str(refused.exception)
    assert office.exists()
    assert CliRunner().invoke(verify, [str(office)]).exit_code == 0, "nothing of it was destroyed"

    assert CliRunner().invoke(destroy, [*asked, "--file-only"]).exit_code == 0
    certificate = json.loads(office.with_name("list.watchlist.destroyed.json").read_text())["certificate"]
    assert (certificate["published"], certificate["keys_left"]) == ("left", 0)
    assert "hold in their memory until they end" in certificate["statement"]


def test_without_a_file_and_without_kafka_there_is_nothing_to_destroy(office: Path) -> None:
    del office
    refused = CliRunner().invoke(destroy, ["--reason", "over", "--yes"])
    assert "name the FILE" in str(refused.exception)


def test_a_list_that_is_written_again_with_a_later_end_prolongs_its_entries(desk: Desk) -> None:
    desk.written(people(), hours=1)
    desk.written(people(), hours=3)
    desk.now_us += 2 * HOUR_US
    desk.keyring.sweep(desk.now_us)
    assert [e.entry_id for e in desk.file().read(SPACE)] == ["e0", "e1", "e2"]
