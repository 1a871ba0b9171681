"""Labels of images or people, from a CSV file, and the files that two public data sets make such a CSV from.

The CSV has a header: `image` or `person`, then one column for each label. An empty cell means that it is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from overt.evaluation.datasets import Dataset, DatasetError, Sample, csv_rows, read_dataset
from overt.governance.listing import subject_of

_UTKFACE_SEX = ("male", "female")
_UTKFACE_ETHNICITY = ("White", "Black", "Asian", "Indian", "other")
_AGE_BANDS = ((0, 9), (10, 17), (18, 29), (30, 44), (45, 59), (60, 200))


@dataclass(frozen=True, slots=True)
class Labels:
    """By image's or person's name: each label's value."""

    by: str
    """`image` or `person`."""
    values: Mapping[str, Mapping[str, str]]

    def of(self, sample: Sample) -> Mapping[str, str]:
        """A sample's labels; none where the file does not name it."""
        return self.values.get(sample.image if self.by == "image" else sample.person, {})


def read_labels(path: Path) -> Labels:
    """Labels of a CSV file. Raises DatasetError naming the line."""
    values: dict[str, Mapping[str, str]] = {}
    by = ""
    for where, row in csv_rows(path):
        by = by or next((name for name in ("image", "person") if name in row), "")
        if not by or len(row) < 2:
            raise DatasetError(f"{path}: line 1: columns `image` or `person`, and one for each label, are expected")
        name = row.pop(by)
        if not name:
            raise DatasetError(f"{where}: no {by}")
        if name in values and values[name] != row:
            raise DatasetError(f"{where}: {by} {name} has other labels than further above; keep one line")
        values[name] = row
    if not values:
        raise DatasetError(f"{path}: no label; a header and a line for each image or person are expected")
    return Labels(by, values)


def group_column(data: Dataset, labels: Labels | None, by: str) -> list[str]:
    """Each sample's group by a label, or by several as `sex+ethnicity`; empty where one of them is not known.

    Raises DatasetError for a label that there is not.
    """
    wanted = by.split("+")
    given = [{**s.labels, **(labels.of(s) if labels else {})} for s in data.samples]
    known = sorted(set().union(*given))
    for name in wanted:
        if not any(row.get(name) for row in given):
            there = ", ".join(known) if known else "none: the file names no image or person of the data"
            raise DatasetError(f"no image has a label {name!r}; labels that there are: {there}")
    parts = [[row.get(name, "") for name in wanted] for row in given]
    return [", ".join(row) if all(row) else "" for row in parts]


def lfw_labels(folder: Path) -> Iterator[Mapping[str, str]]:
    """Rows `person,sex` from lfw_male_names.txt and lfw_female_names.txt (Afifi and Abdelhamed 2017) in LFW's folder.

    They label images; a person gets what most of the images have, and nothing where they tie. Raises DatasetError.
    """
    votes: dict[str, Counter[str]] = {}
    for sex in ("male", "female"):
        path = folder / f"lfw_{sex}_names.txt"
        try:
            names = path.read_text("utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(
                f"{path}: cannot be read; the lists of Afifi and Abdelhamed (2017) are expected"
            ) from error
        for name in names:
            votes.setdefault(subject_of(name.removesuffix(".jpg") + ".jpg"), Counter())[sex] += 1
    for person in sorted({sample.person for sample in read_dataset(folder).samples}):
        most = votes.get(person, Counter()).most_common()
        certain = most and (len(most) == 1 or most[0][1] > most[1][1])
        yield {"person": person, "sex": most[0][0] if certain else ""}


def utkface_labels(folder: Path) -> Iterator[Mapping[str, str]]:
    """Rows `image,sex,age_band,ethnicity` from UTKFace's file names, `<age>_<sex>_<ethnicity>_<date>.jpg`.

    Files with fewer parts, which UTKFace has, get no row. Raises DatasetError where no file is named like that.
    """
    rows = [row for sample in read_dataset(folder).samples if (row := _utkface(sample.image)) is not None]
    if not rows:
        raise DatasetError(f"{folder}: no file is named <age>_<sex>_<ethnicity>_<date>.jpg as UTKFace's are")
    yield from rows


def _utkface(image: str) -> Mapping[str, str] | None:
    parts: Sequence[str] = PurePosixPath(image).name.split("_")
    if len(parts) < 4 or not all(part.isdecimal() for part in parts[:3]):
        return None
    age, sex, ethnicity = (int(part) for part in parts[:3])
    if sex >= len(_UTKFACE_SEX) or ethnicity >= len(_UTKFACE_ETHNICITY):
        return None
    band = next((f"{low}-{high}" if high < 200 else f"{low}+" for low, high in _AGE_BANDS if low <= age <= high), "")
    return {
        "image": image,
        "sex": _UTKFACE_SEX[sex],
        "age_band": band,
        "ethnicity": _UTKFACE_ETHNICITY[ethnicity],
    }
