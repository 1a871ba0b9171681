"""Labels of a recording: who passes when, and whose face a detection is by them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from overt.evaluation.datasets import DatasetError
from overt.evaluation.video.labels import LabelledTruth, read_labels

BOX = "left,top,right,bottom"


def _csv(folder: Path, *rows: str, header: str = "person,from,until") -> Path:
    path = folder / "who.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_rows_that_follow_each_other_within_two_seconds_are_one_pass(tmp_path: Path) -> None:
    passes = read_labels(_csv(tmp_path, "ann,1,3", "ann,0:04.5,6", "ann,0:01:10,1:12", "bob,20,21.5"))
    assert [(each.person, each.from_s, each.until_s) for each in passes] == [
        ("ann", 1, 6),
        ("bob", 20, 21.5),
        ("ann", 70, 72),
    ]


def test_json_says_the_same_as_csv(tmp_path: Path) -> None:
    path = tmp_path / "who.json"
    path.write_text(json.dumps([{"person": "ann", "from": 1, "until": "0:03"}]))
    assert [(p.person, p.from_s, p.until_s) for p in read_labels(path)] == [("ann", 1, 3)]
    assert read_labels(_csv(tmp_path, "ann,1,3"))[0].until_s == 3


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (",1,3", "no person"),
        ("ann,3,1", "is no time"),
        ("ann,soon,3", "seconds or h:mm:ss are expected, not soon"),
        ("ann,1,3,5,5,4,9", "left < right"),
        ("ann,1,3,5,,,", "four numbers, or none"),
    ],
)
def test_a_wrong_row_is_named_with_what_was_expected(tmp_path: Path, row: str, wrong: str) -> None:
    header = f"person,from,until,{BOX}" if row.count(",") > 2 else "person,from,until"
    with pytest.raises(DatasetError, match=wrong) as error:
        read_labels(_csv(tmp_path, row, header=header))
    assert "who.csv: line 2" in str(error.value)


def test_people_who_pass_together_need_boxes(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"bob passes while ann does .*give both a box"):
        read_labels(_csv(tmp_path, "ann,1,3", "bob,2,5"))


def test_a_detection_is_whose_region_holds_its_middle_at_that_time(tmp_path: Path) -> None:
    rows = ("ann,1,3,0,0,50,100", "bob,2,5,50,0,100,100", "carl,9,10,,,,")
    passes = read_labels(_csv(tmp_path, *rows, header=f"person,from,until,{BOX}"))
    truth = LabelledTruth(passes, 1_000_000)
    left, right, outside = (10.0, 10.0, 30.0, 30.0), (60.0, 10.0, 80.0, 30.0), (200.0, 0.0, 220.0, 20.0)

    def at(second: float) -> tuple[list[int], list[int | None]]:
        faces = truth.faces_at(0, round(1e6 + second * 1e6))
        return [face.passer for face in faces], truth.owners(faces, [left, right, outside])

    assert at(0.5) == ([], [None, None, None])
    assert at(1.0) == ([0], [0, None, None])
    assert at(2.5) == ([0, 1], [0, 1, None])
    assert at(3.0) == ([1], [None, 1, None])
    assert at(9.5) == ([2], [2, 2, 2])  # without a region everything is theirs
