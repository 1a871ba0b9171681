"""Labelled images and labels: what is read, and what is said of files that make no sense."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from overt.evaluation.datasets import Dataset, DatasetError, Sample, read_dataset
from overt.evaluation.labels import group_column, lfw_labels, read_labels, utkface_labels


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def manifest(folder: Path, text: str, name: str = "people.csv") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


# Folders


def test_a_subfolder_is_a_person_and_what_is_no_image_is_left_out(tmp_path: Path) -> None:
    data = read_dataset(
        touch(tmp_path, "ann/1.jpg", "ann/2.PNG", "ann/note.txt", "bob/1.jpeg", "names.txt", "c/.x.jpg")
    )
    assert [(s.image, s.person) for s in data.samples] == [
        ("ann/1.jpg", "ann"),
        ("ann/2.PNG", "ann"),
        ("bob/1.jpeg", "bob"),
    ]
    assert (data.layout, data.identified, data.people) == ("subfolders", True, 2)
    assert data.images_of_a_person() == {1: 1, 2: 1}


def test_a_prefix_is_a_person_where_two_share_one(tmp_path: Path) -> None:
    data = read_dataset(touch(tmp_path, "ann_1.jpg", "ann_2.jpg", "bob.jpg"))
    assert [s.person for s in data.samples] == ["ann", "ann", "bob"]
    assert data.identified


def test_files_of_which_no_two_share_a_prefix_have_no_identities(tmp_path: Path) -> None:
    data = read_dataset(touch(tmp_path, "26_0_1_20170101.jpg", "31_1_2_20170102.jpg"))
    assert not data.identified
    assert data.people == 2


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder, "no image; expected"),
        (
            lambda folder: touch(folder, "a.jpg", "ann/b.jpg"),
            "images lie both in it (a.jpg) and in subfolders (ann/b.jpg)",
        ),
        (lambda folder: folder / "nowhere", "there is no such folder or manifest"),
        (lambda folder: manifest(folder, "x", "people.txt"), "ends in .csv or .json"),
    ],
)
def test_what_is_no_data_set_is_said_with_what_to_do(tmp_path: Path, make: Callable[[Path], Path], said: str) -> None:
    with pytest.raises(DatasetError) as error:
        read_dataset(make(tmp_path))
    assert said in str(error.value)


# Manifests


def test_a_manifest_names_people_boxes_and_labels(tmp_path: Path) -> None:
    touch(tmp_path, "in/1.jpg", "in/2.jpg")
    rows = "image,person,left,top,right,bottom,sex\nin/1.jpg,ann,1,2,30,40,female\nin/2.jpg,ann,,,,,\n"
    one, other = read_dataset(manifest(tmp_path, rows)).samples
    assert one == Sample("in/1.jpg", tmp_path / "in/1.jpg", "ann", (1, 2, 30, 40), {"sex": "female"})
    assert other == Sample("in/2.jpg", tmp_path / "in/2.jpg", "ann")


def test_json_tells_the_same_as_csv(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "2.jpg")
    by_csv = read_dataset(
        manifest(tmp_path, "image,person,age,left,top,right,bottom\n1.jpg,ann,30,1,2,3,4\n2.jpg,bob,,,,,\n")
    )
    objects = [{"image": "1.jpg", "person": "ann", "age": 30, "box": [1, 2, 3, 4]}, {"image": "2.jpg", "person": "bob"}]
    by_json = read_dataset(manifest(tmp_path, json.dumps(objects), "people.json"))
    assert by_json.samples == by_csv.samples


def test_a_manifest_without_people_has_no_identities(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "2.jpg")
    data = read_dataset(manifest(tmp_path, "image,sex\n1.jpg,male\n2.jpg,female\n"))
    assert not data.identified


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("person\nann\n", "line 2: no image"),
        ("image,person\n9.jpg,ann\n", "line 2: image 9.jpg is no file in"),
        ("image,person\n1.jpg,ann\n1.jpg,bob\n", "line 3: image 1.jpg stands in the manifest twice"),
        ("image,person\n1.jpg,ann\n2.jpg,\n", "line 3: no person; name one in every row, or in none"),
        ("image,person\n1.jpg\n", "line 2: 2 fields are expected"),
        ("image,image\n1.jpg,ann\n", "line 1: each column needs a name of its own"),
        ("image,person,left,top,right,bottom\n1.jpg,ann,9,2,3,4\n", "line 2: box: left < right"),
        ("image,person,left,top,right,bottom\n1.jpg,ann,1,2,,\n", "line 2: box: four numbers"),
        ("image,person\n", "names no image"),
        ("", "names no image"),
    ],
)
def test_each_mistake_of_a_manifest_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    touch(tmp_path, "1.jpg", "2.jpg")
    with pytest.raises(DatasetError) as error:
        read_dataset(manifest(tmp_path, text))
    assert said in str(error.value)


@pytest.mark.parametrize("text", ['{"image": "1.jpg"}', "[1]", "not json"])
def test_json_that_is_no_list_of_objects_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DatasetError, match=r"people\.json"):
        read_dataset(manifest(tmp_path, text, "people.json"))


def test_of_many_mistakes_the_first_ten_are_said(tmp_path: Path) -> None:
    rows = "".join(f"{n}.jpg,ann\n" for n in range(30))
    with pytest.raises(DatasetError) as error:
        read_dataset(manifest(tmp_path, "image,person\n" + rows))
    assert str(error.value).count(" is no file in") == 10
    assert "and 20 more" in str(error.value)


# Labels


def people() -> Dataset:
    samples = tuple(Sample(f"{p}/{n}.jpg", Path(f"{p}/{n}.jpg"), p) for p in ("ann", "bob", "cem") for n in (1, 2))
    return Dataset(Path("people"), "subfolders", samples, identified=True)


def test_labels_of_people_hold_for_all_their_images_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    labels = read_labels(manifest(tmp_path, "person,sex,band\nann,female,18-29\nbob,male,\n"))
    assert group_column(people(), labels, "sex") == ["female", "female", "male", "male", "", ""]
    assert group_column(people(), labels, "sex+band") == ["female, 18-29"] * 2 + [""] * 4


def test_labels_of_images_hold_for_them_alone(tmp_path: Path) -> None:
    labels = read_labels(manifest(tmp_path, "image,camera\nann/1.jpg,east\n"))
    assert group_column(people(), labels, "camera") == ["east", "", "", "", "", ""]


def test_a_label_that_there_is_not_is_said_with_those_that_there_are(tmp_path: Path) -> None:
    labels = read_labels(manifest(tmp_path, "person,sex\nann,female\n"))
    with pytest.raises(DatasetError, match=r"no image has a label 'age'; labels that there are: sex"):
        group_column(people(), labels, "age")
    with pytest.raises(DatasetError, match=r"none: the file names no image or person"):
        group_column(people(), read_labels(manifest(tmp_path, "person,sex\nzoe,female\n")), "sex")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,sex\nann,female\n", "columns `image` or `person`"),
        ("person\nann\n", "columns `image` or `person`"),
        ("person,sex\nann,female\nann,male\n", "line 3: person ann has other labels"),
        ("person,sex\n,male\n", "line 2: no person"),
        ("person,sex\n", "no label"),
    ],
)
def test_labels_that_make_no_sense_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DatasetError) as error:
        read_labels(manifest(tmp_path, text))
    assert said in str(error.value)


def test_a_person_of_lfw_has_the_sex_of_most_of_their_images_and_none_in_a_tie(tmp_path: Path) -> None:
    touch(tmp_path, "Ann_A/Ann_A_0001.jpg", "Bo/Bo_0001.jpg", "Cy/Cy_0001.jpg")
    manifest(tmp_path, "Ann_A_0001.jpg\nAnn_A_0002\nBo_0001.jpg\n", "lfw_female_names.txt")
    manifest(tmp_path, "Ann_A_0003.jpg\nBo_0002.jpg\n", "lfw_male_names.txt")
    assert [(row["person"], row["sex"]) for row in lfw_labels(tmp_path)] == [
        ("Ann_A", "female"),
        ("Bo", ""),
        ("Cy", ""),
    ]


def test_utkface_names_tell_sex_age_band_and_ethnicity_where_they_are_whole(tmp_path: Path) -> None:
    touch(tmp_path, "26_1_2_2017.jpg.chip.jpg", "9_0_0_2017.jpg", "61_1_2017.jpg", "30_7_1_2017.jpg")
    assert list(utkface_labels(tmp_path)) == [
        {"image": "26_1_2_2017.jpg.chip.jpg", "sex": "female", "age_band": "18-29", "ethnicity": "Asian"},
        {"image": "9_0_0_2017.jpg", "sex": "male", "age_band": "0-9", "ethnicity": "White"},
    ]


@pytest.mark.parametrize("make", [lfw_labels, utkface_labels])
def test_another_folder_than_the_data_sets_is_said(tmp_path: Path, make: Callable[[Path], object]) -> None:
    touch(tmp_path, "ann.jpg", "bob.jpg")
    with pytest.raises(DatasetError):
        list(make(tmp_path))  # type: ignore[call-overload]  # both give rows
