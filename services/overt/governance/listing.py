"""Which image of a watchlist's folder shows which subject of which category."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from overt.governance.files import Files, FolderFiles, Item, Unreadable, What, read_file
from overt.governance.watchlists import Category, SubjectsBy, Watchlist
from overt.messages import Box

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png"))
"""Forms that are read as reference images."""
LARGEST_IMAGE_BYTES = 50_000_000

_NUMBERED = re.compile(r"^(.+)_\d+$")


class WatchlistError(ValueError):
    """A watchlist's source that cannot be read as its deployment says. `problems` lists all that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Particulars:
    """What a manifest says of an image beside whom it shows; None and empty: it does not say."""

    basis: str | None = None
    image_source: str = ""
    image_date: date | None = None
    reviewer: str = ""
    valid_from_us: int | None = None
    valid_until_us: int | None = None
    under_18: bool | None = None
    decision_id: str | None = None
    notes: str = field(default="", repr=False)
    box: Box | None = None
    """Where the subject's face is, in pixels of the upright image; needed where there are several."""


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One reference image."""

    path: Path
    """For people; inside an archive the archive's own path comes first."""
    subject_id: str
    category_id: str
    particulars: Particulars = Particulars()
    line: str = ""
    """The manifest and the line that lists it; empty for an image that lies in a folder."""
    read: Callable[[], bytes] | None = field(default=None, repr=False, compare=False)

    @property
    def place(self) -> str:
        """Where to look when something is wrong with it."""
        return f"{self.line}: {self.path.name}" if self.line else str(self.path)

    def data(self) -> bytes:
        """The file's content. Raises overt.governance.files.Unreadable."""
        return read_file(self.path, LARGEST_IMAGE_BYTES) if self.read is None else self.read()


def reader(files: Files, name: str) -> Callable[[], bytes]:
    """How an image is read when its turn has come."""
    return lambda: files.read(name, LARGEST_IMAGE_BYTES)


def listed_images(watchlist: Watchlist, files: Files | None = None) -> list[ListedImage]:
    """All reference images of a folder, ordered by category, subject and file name; no picture is opened.

    files: where they lie; without it, the folder that the watchlist names. Raises WatchlistError for a folder that is
    not there or holds no image, images that belong to no subject, a subject that is in two categories, and links.
    """
    images: list[ListedImage] = []
    problems: list[str] = []
    layout = _Layout(files or FolderFiles(Path(watchlist.source)), watchlist.subjects, problems)
    for category in watchlist.categories:
        folder = layout.files.root / (category.folder or "")
        if category.folder is None and len(watchlist.categories) > 1:
            problems.append(f"{folder}: category {category.category_id} names no folder in the deployment file; add it")
            continue
        try:
            found = layout.of(category)
        except Unreadable as error:
            problems.append(f"{folder}: {error}")
            continue
        if found is None:
            problems.append(f"{folder}: there is no such folder; it should hold category {category.category_id}")
            continue
        if not found:
            problems.append(f"{folder}: no image for category {category.category_id}; {_expected(watchlist.subjects)}")
        images += sorted(found, key=lambda i: (i.subject_id, i.path.name))
    category_of: dict[str, str] = {}
    problems += [
        f"{image.path}: subject {image.subject_id} is in category {category_of[image.subject_id]} too; keep it in one"
        for image in images
        if category_of.setdefault(image.subject_id, image.category_id) != image.category_id
    ]
    if problems:
        raise WatchlistError(problems)
    return images


def subject_of(file_name: str) -> str:
    """The subject's id in the name of a file that lies beside others: `s-17_2.jpg` and `s-17.jpg` show `s-17`."""
    stem = Path(file_name).stem
    numbered = _NUMBERED.match(stem)
    return numbered[1] if numbered else stem


def layout_of(folder: Path) -> SubjectsBy:
    """How a folder tells its subjects apart, as far as one can see: by prefix when images lie in it directly. What is
    no folder (a manifest, an archive) is read as one with subfolders."""
    if not folder.is_dir():
        return SubjectsBy.SUBFOLDER
    direct = any(path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())
    return SubjectsBy.PREFIX if direct else SubjectsBy.SUBFOLDER


@dataclass(frozen=True, slots=True)
class _Layout:
    files: Files
    by: SubjectsBy
    problems: list[str]

    def of(self, category: Category) -> list[ListedImage] | None:
        """A category's images; None when its folder is not there. Raises Unreadable."""
        if category.folder and self.files.what(category.folder) is What.LINK:
            raise Unreadable("is a symbolic link, which is not followed; put the folder itself here")
        items = self.files.inside(category.folder or "")
        return None if items is None else list(self._in(items, category))

    def _in(self, items: Sequence[Item], category: Category) -> Iterator[ListedImage]:
        for item in _shown(items):
            if self.by is SubjectsBy.PREFIX and self._is_image(item):
                yield self._listed(item, subject_of(item.last), category)
            elif self.by is SubjectsBy.SUBFOLDER and item.what is What.FOLDER:
                inner = [i for i in _shown(self.files.inside(item.name) or ()) if self._is_image(i)]
                if not inner:
                    self._wrong(item, f"no image of subject {item.last}; add one, or remove the folder")
                yield from (self._listed(i, item.last, category) for i in inner)
            elif self.by is SubjectsBy.SUBFOLDER and item.what is What.LINK:
                self._wrong(item, "is a symbolic link, which is not followed; put the folder itself here")
            elif self.by is SubjectsBy.SUBFOLDER:
                self._wrong(item, f"lies outside any subject's folder; {_expected(self.by)}")

    def _listed(self, item: Item, subject_id: str, category: Category) -> ListedImage:
        path = self.files.root / item.name
        return ListedImage(path, subject_id, category.category_id, read=reader(self.files, item.name))

    def _is_image(self, item: Item) -> bool:
        if item.what is What.LINK:
            self._wrong(item, "is a symbolic link, which is not followed; put the file itself here")
            return False
        if item.what is What.FILE and Path(item.last).suffix.lower() in IMAGE_SUFFIXES:
            return True
        manifest = item.what is What.FILE and Path(item.last).suffix.lower() in (".csv", ".json")
        instead = "; if it is the manifest, name it as the source instead of its folder" if manifest else ""
        kept = ", ".join(sorted(IMAGE_SUFFIXES))
        self._wrong(item, f"is no image that is read; keep only {kept} files here{instead}")
        return False

    def _wrong(self, item: Item, what: str) -> None:
        self.problems.append(f"{self.files.root / item.name}: {what}")


def _shown(items: Sequence[Item]) -> list[Item]:
    """Without hidden files."""
    return [item for item in items if not item.last.startswith(".")]


def _expected(by: SubjectsBy) -> str:
    if by is SubjectsBy.SUBFOLDER:
        return "expected one folder for each subject with its images; or set watchlist.subjects to prefix"
    return "expected images named <subject>.jpg or <subject>_<number>.jpg; or set watchlist.subjects to subfolder"
