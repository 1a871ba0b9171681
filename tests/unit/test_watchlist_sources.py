"""Folders, manifests and archives as sources: whoever filled them is not trusted, and every refusal says what to do."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from overt.governance.files import FolderFiles, Unreadable, What
from overt.governance.listing import WatchlistError
from overt.governance.watchlists import Category, SubjectsBy
from overt.picture import encode
from overt.watchlist import archive
from overt.watchlist.archive import ArchiveError, ZipFiles
from overt.watchlist.sources import Listing, listing_of
from tests.support import messages as make
from tests.support.manifests import MISSING, WANTED, csv_text, json_text, packed, watchlist

IMAGE = encode(make.pixels(1), "jpeg")


def tree(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(IMAGE)
    return root


def listing(source: Path, *categories: Category, by: SubjectsBy = SubjectsBy.SUBFOLDER) -> Listing:
    with listing_of(watchlist(source, *categories, by=by)) as found:
        for image in found.images:
            assert image.data() == IMAGE
        return found


def subjects(found: Listing) -> list[tuple[str, str, str]]:
    return [(i.category_id, i.subject_id, i.path.name) for i in found.images]


def refused(found: Listing) -> list[tuple[str, str]]:
    return [(r.place, r.why) for r in found.refusals]


def problems(source: Path, *categories: Category) -> list[str]:
    with pytest.raises(WatchlistError) as caught, listing_of(watchlist(source, *categories)):
        pass
    return caught.value.problems


def manifest(root: Path, rows: Sequence[dict[str, str]], name: str = "list.csv") -> Path:
    (root / name).write_text(csv_text(rows), "utf-8")
    return root / name


# The same people from every kind of source

SAME = [("wanted-robbery", "s-1", "a.jpg"), ("wanted-robbery", "s-1", "b.jpg"), ("missing-at-risk", "m-1", "a.jpg")]
FOLDERS = ("wanted/s-1/a.jpg", "wanted/s-1/b.jpg", "missing/m-1/a.jpg")


def test_a_folder_a_manifest_and_an_archive_list_the_same_people(tmp_path: Path) -> None:
    """And in the same order, so that the list is the same however it was handed over."""
    tree(tmp_path, *FOLDERS)
    rows = [
        {"subject_id": "m-1", "image": "missing/m-1/a.jpg", "category": "missing-at-risk"},
        {"subject_id": "s-1", "image": "wanted/s-1/b.jpg", "category": "wanted-robbery"},
        {"subject_id": "s-1", "image": "wanted/s-1/a.jpg", "category": "wanted-robbery"},
    ]
    members = dict.fromkeys(FOLDERS, IMAGE)
    text = csv_text(rows).encode()
    of_json = json_text(
        [{"subject_id": r["subject_id"], "image": r["image"], "category": r["category"]} for r in rows]
    ).encode()
    sources = [
        tmp_path,
        packed(tmp_path.parent / "layout.zip", members),
        packed(tmp_path.parent / "csv.zip", {**members, "manifest.csv": text}),
        packed(tmp_path.parent / "json.ZIP", {**members, "manifest.json": of_json}),
        packed(tmp_path.parent / "mac.zip", {**members, "__MACOSX/wanted/s-1/._a.jpg": b"x", ".DS_Store": b"x"}),
    ]
    assert [subjects(listing(source, WANTED, MISSING)) for source in sources] == [SAME] * len(sources)
    assert subjects(listing(manifest(tmp_path, rows), WANTED, MISSING)) == SAME


def test_subjects_by_prefix_are_read_from_an_archive_too(tmp_path: Path) -> None:
    flat = Category(id="wanted-robbery", kind=WANTED.kind, basis="Warrants issued")
    source = packed(tmp_path / "a.zip", {"s-1_1.jpg": IMAGE, "s-1_2.jpg": IMAGE, "s-2.jpg": IMAGE})
    found = listing(source, flat, by=SubjectsBy.PREFIX)
    assert [i.subject_id for i in found.images] == ["s-1", "s-1", "s-2"]


def test_a_list_of_one_needs_no_category_where_there_is_only_one(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg")
    assert subjects(listing(manifest(tmp_path, [{"subject_id": "s", "image": "a.jpg"}]))) == [
        ("wanted-robbery", "s", "a.jpg")
    ]


@pytest.mark.parametrize(("name", "said"), [("gone", "no such folder or file"), ("list.txt", "is no folder, .csv")])
def test_what_is_no_source_is_said(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "list.txt").write_text("x")
    assert said in problems(tmp_path / name)[0]


def test_an_empty_list_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "wanted").mkdir()
    assert "no image for category" in problems(tmp_path)[0]
    assert "lists nobody" in problems(manifest(tmp_path, [{"subject_id": "", "image": ""}]))[0]
    assert "no such folder" in problems(packed(tmp_path / "a.zip", {}))[0]


# Lines of a manifest


def test_each_bad_line_is_refused_with_its_place_and_the_others_stand(tmp_path: Path) -> None:
    tree(tmp_path, "in/a.jpg", "in/b.jpg", "in/c.jpg", "d.jpg", "other/a.jpg", "notes.txt")
    (tmp_path / "in" / "link.jpg").symlink_to(tmp_path / "d.jpg")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "in")
    os.mkfifo(tmp_path / "pipe.jpg")
    lines = [
        ("s-1", "in/a.jpg", "wanted-robbery", None),
        ("s-2", "in/b.jpg", "other", "category: 'other' is not in the deployment file; its closed list is"),
        ("s-2", "in/b.jpg", "", "category: is missing; its closed list is"),
        ("", "in/c.jpg", "wanted-robbery", "subject_id: is missing"),
        ("s-3", "", "wanted-robbery", "image: is missing"),
        ("s-3", "gone.jpg", "wanted-robbery", "there is no file 'gone.jpg'; its path goes from the manifest's folder"),
        ("s-3", "../out.jpg", "wanted-robbery", "leads outside by .."),
        ("s-3", "in/../../out.jpg", "wanted-robbery", "leads outside by .."),
        ("s-3", "/etc/hostname.jpg", "wanted-robbery", "has an absolute path"),
        ("s-3", "C:/a.jpg", "wanted-robbery", "has an absolute path"),
        ("s-3", "in\\a.jpg", "wanted-robbery", "has a backslash"),
        ("s-3", "in//a.jpg", "wanted-robbery", "has an empty part"),
        ("s-3", "notes.txt", "wanted-robbery", "is no image that is read; it should end in .jpeg, .jpg, .png"),
        ("s-3", "in/link.jpg", "wanted-robbery", "a symbolic link, which is not followed"),
        ("s-3", "elsewhere/a.jpg", "wanted-robbery", "a symbolic link, which is not followed"),
        ("s-3", "pipe.jpg", "wanted-robbery", "is a special file, not a file"),
        ("s-1", "in/c.jpg", "missing-at-risk", "subject s-1 is in category wanted-robbery too"),
        ("s-1", "other/a.jpg", "wanted-robbery", "has an image of this name already (list.csv:2: a.jpg)"),
        ("S-1", "d.jpg", "wanted-robbery", "S-1 differs from s-1 only in how it is written"),
        ("s-\N{FULLWIDTH DIGIT ONE}", "d.jpg", "wanted-robbery", "differs from s-1 only in how it is written"),
        ("x" * 129, "d.jpg", "wanted-robbery", "expected 1 to 128 characters"),
        ("s-4", "d.jpg", "wanted-robbery", None),
    ]  # fmt: skip
    rows = [{"subject_id": s, "image": i, "category": c} for s, i, c, _ in lines]
    found = listing(manifest(tmp_path, rows), WANTED, MISSING)
    assert subjects(found) == [("wanted-robbery", "s-1", "a.jpg"), ("wanted-robbery", "s-4", "d.jpg")]
    said = {place.split(": ")[0]: why for place, why in refused(found)}
    expected = {f"list.csv:{n}": why for n, (*_, why) in enumerate(lines, start=2) if why}
    assert said.keys() == expected.keys()
    assert [place for place, why in expected.items() if why not in said[place]] == []


def test_everything_wrong_with_a_line_is_said_at_once(tmp_path: Path) -> None:
    row = {"subject_id": "s", "image": "../a.jpg", "category": "x", "image_date": "1.2.24", "under_18": "perhaps"}
    (_, why), *_ = refused(listing(manifest(tmp_path, [row])))
    assert [part in why for part in ("category:", "image_date:", "under_18:", "image:")] == [True] * 4


def test_an_id_that_would_move_the_cursor_of_a_terminal_is_refused_and_not_repeated(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg")
    found = listing(manifest(tmp_path, [{"subject_id": "\x1b[2Jx", "image": "a.jpg"}]))
    assert not found.images
    assert not any(
        "\x1b" in part for refusal in found.refusals for part in (refusal.place, refusal.subject_id, refusal.why)
    )


# Folders


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    """A link could show any file of this machine to whoever reads the contact sheet."""
    outside = tree(tmp_path / "outside", "s-9/a.jpg")
    root = tree(tmp_path / "list", "wanted/s-1/a.jpg", "missing/m-1/a.jpg")
    (root / "wanted" / "s-1" / "b.jpg").symlink_to(outside / "s-9" / "a.jpg")
    (root / "wanted" / "s-9").symlink_to(outside / "s-9")
    found = problems(root, WANTED, MISSING)
    assert [p.split(":")[0].rpartition("/")[2] for p in found if "symbolic link, which is not followed" in p] == [
        "b.jpg",
        "s-9",
    ]
    (root / "lost").symlink_to(root / "missing")
    lost = MISSING.model_copy(update={"folder": "lost"})
    assert any("symbolic link" in problem for problem in problems(root, WANTED, lost))


def test_a_list_may_itself_be_reached_through_a_link(tmp_path: Path) -> None:
    root = tree(tmp_path / "list", "wanted/s-1/a.jpg")
    (tmp_path / "current").symlink_to(root)
    assert subjects(listing(tmp_path / "current")) == [("wanted-robbery", "s-1", "a.jpg")]


def test_a_pipe_is_no_image_and_nobody_waits_for_it(tmp_path: Path) -> None:
    tree(tmp_path, "wanted/s-1/a.jpg")
    os.mkfifo(tmp_path / "wanted" / "s-1" / "b.jpg")
    assert "is no image that is read" in problems(tmp_path)[0]
    with pytest.raises(Unreadable, match="no plain file"):
        FolderFiles(tmp_path).read("wanted/s-1/b.jpg", 10)


def test_a_manifest_in_a_folder_that_is_named_instead_is_pointed_at(tmp_path: Path) -> None:
    root = tree(tmp_path, "wanted/s-1/a.jpg")
    (root / "wanted" / "s-1" / "list.csv").touch()
    assert "if it is the manifest, name it as the source" in problems(root)[0]


def test_a_name_with_a_zero_byte_is_no_file(tmp_path: Path) -> None:
    assert FolderFiles(tmp_path).what("a\0.jpg") is None
    assert FolderFiles(tmp_path).what("") is What.FOLDER


# Archives


def wrong(path: Path) -> str:
    with pytest.raises(ArchiveError) as caught:
        ZipFiles(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../a.jpg", "leads outside by .."),
        ("wanted/../../a.jpg", "leads outside by .."),
        ("/etc/a.jpg", "has an absolute path"),
        ("C:/a.jpg", "has an absolute path"),
        ("wanted\\s-1\\a.jpg", "has a backslash"),
        ("wanted//a.jpg", "has an empty part"),
        ("./a.jpg", "has an empty part"),
        ("a\x07.jpg", "has a control character"),
        ("wanted/s-1/more.zip", "is an archive inside the archive"),
        ("wanted/s-1/more.tar.gz", "is an archive inside the archive"),
    ],
)
def test_one_hostile_name_condemns_the_archive(tmp_path: Path, name: str, said: str) -> None:
    said_of = wrong(packed(tmp_path / "a.zip", {"wanted/s-1/a.jpg": IMAGE, name: IMAGE}))
    assert said in said_of
    assert "\x07" not in said_of


def test_a_name_that_ends_at_a_zero_byte_for_some_readers_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"wanted/s-1/aXexe.jpg": IMAGE})
    path.write_bytes(path.read_bytes().replace(b"aXexe", b"a\0exe"))
    assert "has a control character" in wrong(path)


def test_links_in_an_archive_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"wanted/s-1/a.jpg": IMAGE}, links={"wanted/s-1/b.jpg": "/etc/passwd"})
    assert "'wanted/s-1/b.jpg': is a symbolic link" in wrong(path)


@pytest.mark.parametrize("names", [("a/x.jpg", "a/X.JPG"), ("a/é.jpg", "a/e\u0301.jpg"), ("a/x.jpg", "a/x.jpg/y.jpg")])
def test_names_that_are_one_on_some_machines_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    said = wrong(packed(tmp_path / "a.zip", dict.fromkeys(names, IMAGE)))
    assert "is there twice" in said or "lies inside another file" in said


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("wanted/s-1/a.jpg", IMAGE)
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("wanted/s-1/a.jpg", b"another")
    assert "is there twice" in wrong(tmp_path / "a.zip")


def test_a_zip_bomb_is_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    """42 MB of zeros in 42 KB; and an archive whose members are many and small in the file."""
    assert "times its size, as a zip bomb does" in wrong(packed(tmp_path / "a.zip", {"a.jpg": bytes(42_000_000)}))


def test_many_members_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.zip", {f"{n}.jpg": IMAGE for n in range(5)})
    with monkeypatch.context() as patched:
        patched.setattr(archive, "MOST_BYTES", 4 * len(IMAGE))
        assert "at most are read; split it" in wrong(path)
    monkeypatch.setattr(archive, "MOST_MEMBERS", 4)
    assert "holds 5 files, 4 at most" in wrong(path)


def test_a_member_that_unpacks_to_more_than_it_declares_is_damage(tmp_path: Path) -> None:
    """The directory lies: `zipfile` stops at the declared size, and the checksum is another."""
    data = zlib.compress(bytes(3_000_000))[2:-4]
    path = packed(tmp_path / "a.zip", {"wanted/s-1/a.jpg": bytes(3_000_000)})
    raw = bytearray(path.read_bytes())
    assert data[:10] in raw
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", raw, raw.find(mark) + offset, 1000)
    path.write_bytes(raw)
    with pytest.raises(Unreadable, match="damaged"):
        ZipFiles(path).read("wanted/s-1/a.jpg", 10**9)


def test_a_member_larger_than_an_image_is_not_unpacked(tmp_path: Path) -> None:
    files = ZipFiles(packed(tmp_path / "a.zip", {"a.jpg": os.urandom(5000)}))
    with pytest.raises(Unreadable, match="larger than 0 MB"):
        files.read("a.jpg", 4999)
    with pytest.raises(Unreadable, match="does not hold it"):
        files.read("b.jpg", 4999)


def test_a_directory_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.jpg": IMAGE})
    raw = bytearray(path.read_bytes())
    struct.pack_into("<I", raw, raw.rfind(b"PK\x05\x06") + 12, 0xFFFFFFF0)
    path.write_bytes(raw)
    assert "its directory alone has 4294 MB" in wrong(path)
    struct.pack_into("<I", raw, raw.rfind(b"PK\x05\x06") + 12, 0xFFFFFFFF)
    path.write_bytes(raw)
    assert "no 64-bit end of central directory" in wrong(path)


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"wanted/s-1/a.jpg": IMAGE})
    raw = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.find(mark) + offset] |= 1
    path.write_bytes(raw)
    assert "is encrypted; decrypt the archive first" in wrong(path)


def test_a_method_that_costs_the_memory_of_its_own_choice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as file:
        file.writestr("a.jpg", IMAGE)
    assert "another method than deflate" in wrong(tmp_path / "a.zip")


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x05\x06", b"not an archive" * 100, b"PK\x05\x06" + bytes(17)])
def test_what_is_no_archive_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    assert "is no whole ZIP archive" in wrong(tmp_path / "a.zip")


def test_an_archive_cut_short_anywhere_is_an_error_or_reads_as_it_was(tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.zip", {f"wanted/s-{n}/a.jpg": IMAGE for n in range(3)}).read_bytes()
    for length in range(0, len(whole), 29):
        (tmp_path / "b.zip").write_bytes(whole[:length])
        assert "is no whole ZIP archive" in wrong(tmp_path / "b.zip")


def test_an_archive_with_a_flipped_byte_is_an_error_or_says_which_image_is_damaged(tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.zip", {f"wanted/s-{n}/a.jpg": IMAGE for n in range(3)}).read_bytes()
    for at in range(0, len(whole), 7):
        (tmp_path / "b.zip").write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        said: list[str] = []
        try:
            with listing_of(watchlist(tmp_path / "b.zip")) as found:
                said = [damage_of(image.data) for image in found.images]
        except WatchlistError as error:
            said = error.problems
        assert said
        assert all(what in ("", "damaged", "larger") or "b.zip" in what for what in said)


def damage_of(read: Callable[[], bytes]) -> str:
    """Which kind of damage an image is said to have; empty when it reads as it was."""
    try:
        return "" if read() == IMAGE else "another image"
    except Unreadable as error:
        return next((word for word in ("damaged", "larger") if word in str(error)), str(error))


def test_an_archive_holds_one_manifest(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"manifest.csv": b"x", "manifest.json": b"x"})
    assert "holds manifest.csv and manifest.json; keep one" in problems(path)[0]


def test_twenty_problems_are_enough(tmp_path: Path) -> None:
    said = wrong(packed(tmp_path / "a.zip", {f"../{n}.jpg": IMAGE for n in range(50)})).splitlines()
    assert len(said) == 21
    assert said[-1].endswith("and 30 more")
