"""Which image of a watchlist's folder shows which subject of which category."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from overt.governance.watchlists import Category, SubjectsBy, Watchlist

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png"))
"""Forms that are read as reference images."""

_NUMBERED = re.compile(r"^(.+)_\d+$")


class WatchlistError(ValueError):
    """A watchlist's folder that cannot be read as its deployment says. `problems` lists all that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One reference image."""

    path: Path
    subject_id: str
    category_id: str


def listed_images(watchlist: Watchlist) -> list[ListedImage]:
    """All reference images, ordered by category, subject and file name; the pictures themselves are not opened.

    Raises WatchlistError for a folder that is not there or holds no image, images that belong to no subject, and a
    subject that is in two categories.
    """
    images: list[ListedImage] = []
    problems: list[str] = []
    for category in watchlist.categories:
        folder = Path(watchlist.source, category.folder or "")
        if not folder.is_dir():
            problems.append(f"{folder}: there is no such folder; it should hold category {category.category_id}")
            continue
        found = sorted(_in(folder, watchlist.subjects, category, problems), key=lambda i: (i.subject_id, i.path.name))
        if not found:
            problems.append(f"{folder}: no image for category {category.category_id}; {_expected(watchlist.subjects)}")
        images += found
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
    """How a folder tells its subjects apart, as far as one can see: by prefix when images lie in it directly."""
    direct = any(path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())
    return SubjectsBy.PREFIX if direct else SubjectsBy.SUBFOLDER


def _in(folder: Path, by: SubjectsBy, category: Category, problems: list[str]) -> Iterator[ListedImage]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if by is SubjectsBy.PREFIX and _is_image(path, problems):
            yield ListedImage(path, subject_of(path.name), category.category_id)
        elif by is SubjectsBy.SUBFOLDER and path.is_dir():
            inner = [p for p in sorted(path.iterdir()) if not p.name.startswith(".") and _is_image(p, problems)]
            if not inner:
                problems.append(f"{path}: no image of subject {path.name}; add one, or remove the folder")
            yield from (ListedImage(p, path.name, category.category_id) for p in inner)
        elif by is SubjectsBy.SUBFOLDER:
            problems.append(f"{path}: lies outside any subject's folder; {_expected(by)}")


def _is_image(path: Path, problems: list[str]) -> bool:
    if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    problems.append(f"{path}: is no image that is read; keep only {', '.join(sorted(IMAGE_SUFFIXES))} files here")
    return False


def _expected(by: SubjectsBy) -> str:
    if by is SubjectsBy.SUBFOLDER:
        return "expected one folder for each subject with its images; or set watchlist.subjects to prefix"
    return "expected images named <subject>.jpg or <subject>_<number>.jpg; or set watchlist.subjects to subfolder"
