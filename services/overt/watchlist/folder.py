"""Which images a watchlist's folder holds, and of whom: one subfolder for each subject, or a file-name prefix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference image of one subject, not yet looked at."""

    subject_id: str
    category: str
    path: Path


class BadFolder(ValueError):
    """The watchlist's folder cannot be used. The text says what was expected."""


def references(folder: Path, category: str, *, by_prefix: bool) -> list[Reference]:
    """The images below a folder, by subject, in the order of their names.

    by_prefix: the file name up to its last underscore is the subject's id; else each subfolder is a subject. Hidden
    files and symbolic links that lead elsewhere are passed over. Raises BadFolder when there is no image.
    """
    if not folder.is_dir():
        raise BadFolder(f"{folder} is not a folder; it should hold the reference images of category {category}")
    found = list(_by_prefix(folder, category) if by_prefix else _by_subfolder(folder, category))
    if not found:
        layout = "files named SUBJECT_1.jpg" if by_prefix else "a subfolder for each subject with its images"
        raise BadFolder(f"{folder} holds no images of category {category}; expected {layout} (JPEG or PNG)")
    return found


def _by_prefix(folder: Path, category: str) -> Iterator[Reference]:
    for path in _images(folder):
        subject, underscore, _ = path.stem.rpartition("_")
        yield Reference(subject if underscore else path.stem, category, path)


def _by_subfolder(folder: Path, category: str) -> Iterator[Reference]:
    for subject in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for path in _images(subject):
            yield Reference(subject.name, category, path)


def _images(folder: Path) -> list[Path]:
    root = folder.resolve()
    return sorted(
        p
        for p in folder.iterdir()
        if p.suffix.lower() in IMAGE_SUFFIXES
        and not p.name.startswith(".")
        and p.is_file()
        and p.resolve().is_relative_to(root)
    )
