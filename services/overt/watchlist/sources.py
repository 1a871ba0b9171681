"""From a source (folder, manifest, archive) to the images that are listed, and the lines that list none."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overt.governance.files import Files, FolderFiles, Unreadable, What
from overt.governance.listing import IMAGE_SUFFIXES, ListedImage, WatchlistError, listed_images, reader
from overt.governance.watchlists import Watchlist
from overt.watchlist.archive import ArchiveError, ZipFiles, why_unsafe
from overt.watchlist.fields import LONGEST_ID, BadField, hidden_letter, particulars_of, text
from overt.watchlist.manifest import LARGEST_BYTES, Row, read_manifest
from overt.watchlist.results import Refusal

MANIFESTS = ("manifest.csv", "manifest.json")
"""The file at the root of an archive that says who is in it; without one its folders do, as in a folder."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source lists: each image once, ordered by category, subject and file name."""

    images: Sequence[ListedImage]
    refusals: Sequence[Refusal] = field(default_factory=tuple)


@contextmanager
def listing_of(watchlist: Watchlist) -> Iterator[Listing]:
    """The watchlist's source, open for as long as its images are read. Raises WatchlistError."""
    source = Path(watchlist.source)
    if source.is_dir():
        yield checked(watchlist, listed_images(watchlist), [])
    elif source.suffix.lower() == ".zip":
        with _opened(source) as files:
            yield _of_archive(watchlist, files)
    elif source.suffix.lower() in (".csv", ".json"):
        yield _of_manifest(watchlist, FolderFiles(source.parent), source.name)
    elif source.exists():
        raise WatchlistError([f"{source}: is no folder, .csv, .json or .zip; name one of these"])
    else:
        raise WatchlistError([f"{source}: there is no such folder or file; check the path"])


@contextmanager
def _opened(source: Path) -> Iterator[ZipFiles]:
    try:
        files = ZipFiles(source)
    except ArchiveError as error:
        raise WatchlistError(error.problems) from None
    try:
        yield files
    finally:
        files.close()


def _of_archive(watchlist: Watchlist, files: Files) -> Listing:
    there = [name for name in MANIFESTS if files.what(name) is What.FILE]
    if len(there) > 1:
        raise WatchlistError([f"{files.root}: holds {' and '.join(there)}; keep one of the two"])
    if there:
        return _of_manifest(watchlist, files, there[0])
    return checked(watchlist, listed_images(watchlist, files), [])


def _of_manifest(watchlist: Watchlist, files: Files, name: str) -> Listing:
    try:
        data = files.read(name, LARGEST_BYTES)
    except Unreadable as error:
        raise WatchlistError([f"{files.root / name}: {error}"]) from None
    images, refusals = [], []
    for row in read_manifest(name, data):
        wrong: list[str] = [] if row.wrong is None else [row.wrong]
        image = None if wrong else _listed(row, watchlist, files, wrong)
        if image is None:
            subject = row.fields.get("subject_id")
            shown = subject if isinstance(subject, str) and not _why_no_id(subject) else ""
            refusals.append(Refusal(row.where, shown, "; ".join(wrong)))
        else:
            images.append(image)
    return checked(watchlist, images, refusals)


def _listed(row: Row, watchlist: Watchlist, files: Files, wrong: list[str]) -> ListedImage | None:
    subject_id = _text_of(row.fields, "subject_id", wrong)
    name = _text_of(row.fields, "image", wrong)
    category_id = _category(row.fields, watchlist, wrong)
    particulars = particulars_of(row.fields, wrong)
    if name and (said := _why_no_image(name, files)):
        wrong.append(f"image: {said}")
    if wrong:
        return None
    return ListedImage(files.root / name, subject_id, category_id, particulars, row.where, reader(files, name))


def _text_of(fields: Mapping[str, Any], name: str, wrong: list[str]) -> str:
    try:
        said = text(1000)(fields.get(name) or "")
    except BadField as error:
        wrong.append(f"{name}: {error}")
        return ""
    if not said:
        wrong.append(f"{name}: is missing")
    return said


def _category(fields: Mapping[str, Any], watchlist: Watchlist, wrong: list[str]) -> str:
    known = [category.category_id for category in watchlist.categories]
    said = fields.get("category")
    if (said is None or said == "") and len(known) == 1:
        return known[0]
    category_id = str(said or "").strip()
    if category_id not in known:
        what = "is missing" if not category_id else f"{category_id[:80]!a} is not in the deployment file"
        wrong.append(f"category: {what}; its closed list is {', '.join(known)}")
    return category_id


def _why_no_image(name: str, files: Files) -> str | None:
    if unsafe := why_unsafe(name):
        return f"{name[:200]!a} {unsafe}"
    if Path(name).suffix.lower() not in IMAGE_SUFFIXES:
        return f"{name[:200]!a} is no image that is read; it should end in {', '.join(sorted(IMAGE_SUFFIXES))}"
    what = files.what(name)
    if what is None:
        return f"there is no file {name[:200]!a}; its path goes from the manifest's folder"
    if what is What.LINK:
        return f"{name[:200]!a} is, or lies behind, a symbolic link, which is not followed"
    return None if what is What.FILE else f"{name[:200]!a} is a {what}, not a file"


def checked(watchlist: Watchlist, images: Sequence[ListedImage], refusals: Sequence[Refusal]) -> Listing:
    """What holds between the lines of any source: an id is one person in one category, an image is there once."""
    order = {category.category_id: number for number, category in enumerate(watchlist.categories)}
    rules = _Rules({}, {}, {})
    kept, refused = [], list(refusals)
    for image in images:
        why = rules.why_not(image)
        if why is None:
            kept.append(image)
        else:
            refused.append(Refusal(image.place, image.subject_id if not _why_no_id(image.subject_id) else "", why))
    kept.sort(key=lambda i: (order[i.category_id], i.subject_id, i.path.name))
    return Listing(kept, refused)


@dataclass(frozen=True, slots=True)
class _Rules:
    spelling: dict[str, str]
    category: dict[str, str]
    images: dict[tuple[str, str], str]

    def why_not(self, image: ListedImage) -> str | None:
        """Why an image cannot stand beside those before it."""
        subject = image.subject_id
        if wrong := _why_no_id(subject):
            return wrong
        alike = self.spelling.setdefault(_folded(subject), subject)
        if alike != subject:
            return f"subject_id: {subject} differs from {alike} only in how it is written; give each person one id"
        category = self.category.setdefault(subject, image.category_id)
        if category != image.category_id:
            return f"subject {subject} is in category {category} too; keep it in one"
        first = self.images.setdefault((subject, image.path.name), image.place)
        if first != image.place:
            return f"subject {subject} has an image of this name already ({first}); give each image its own name"
        return None


def _folded(subject_id: str) -> str:
    return unicodedata.normalize("NFKC", subject_id).casefold()


def _why_no_id(subject_id: str) -> str | None:
    """Why text is no subject's id: ids stand in logs, file names and on screens."""
    if hidden := hidden_letter(subject_id):
        # A file system may hold bytes that are no text: Python shows them as halves of code points.
        if 0xD800 <= int(hidden[2:], 16) <= 0xDFFF:
            return "its name or its subject's is not UTF-8 text: rename it"
        return f"subject_id: has the invisible character {hidden}; an id is plain text"
    if not subject_id.strip() or len(subject_id) > LONGEST_ID:
        return f"subject_id: expected 1 to {LONGEST_ID} characters"
    return None
