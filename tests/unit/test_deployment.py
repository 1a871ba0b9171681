"""A deployment file that is right: what it takes, what it means, and what its parts know."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from overt.governance import Deployment, SourceKind, SubjectsBy, WindowState, load_deployment, window_state
from overt.governance.cameras import kind_of, redacted
from overt.governance.fields import microseconds
from overt.governance.listing import WatchlistError, layout_of, listed_images, subject_of
from overt.governance.schema import as_text, json_schema
from overt.governance.watchlists import Category, Watchlist, is_vague
from overt.governance.zones import area, fault_of
from overt.messages import Authority, Kind
from tests.support.json_schema import complaints, objects, resolved

REPO = Path(__file__).resolve().parents[2]
EXAMPLE = REPO / "infra" / "examples" / "deployment.yaml"

MINIMAL = """\
deployment: high-street
purpose: Find two people wanted for robbery
site:
  id: high-street
  place: High Street, by the station
  reason: Both robberies happened here
authority:
  officer: Superintendent A. Example
  reason: Decision 2026/041
window:
  start: 2026-05-14T10:00:00+01:00
  end: 2026-05-14T16:00:00+01:00
cameras:
  - id: north
    source: videos/north.mp4
    partition: 0
    zone:
      polygon: [[0.1, 0.2], [0.9, 0.2], [0.9, 1], [0.1, 1]]
watchlist:
  source: watchlist
  categories:
    - id: wanted-robbery
      kind: wanted
      basis: Warrants issued by the court
"""


@pytest.fixture
def minimal(tmp_path: Path) -> Deployment:
    (tmp_path / "deployment.yaml").write_text(MINIMAL)
    return load_deployment(tmp_path / "deployment.yaml")


def test_a_minimal_file_is_about_25_lines_and_the_rest_has_defaults(minimal: Deployment) -> None:
    assert len(MINIMAL.splitlines()) <= 25
    assert minimal.models.detector == "centerface"
    assert minimal.models.embedder == "dlib-resnet-v1"
    assert minimal.retention.alerts_hours == 24
    (category,) = minimal.watchlist.categories
    assert category.kind is Kind.WANTED
    assert category.threshold is None
    assert category.strong_threshold is None
    assert minimal.signature is Authority.UNSIGNED


def test_paths_start_at_the_file_and_not_where_the_command_was_given(minimal: Deployment, tmp_path: Path) -> None:
    assert minimal.camera("north").source == str(tmp_path / "videos" / "north.mp4")
    assert minimal.watchlist.source == str(tmp_path / "watchlist")


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "deployment.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load_deployment(path).deployment_id == "high-street"


def test_the_example_loads_and_points_editors_at_the_schema() -> None:
    deployment = load_deployment(EXAMPLE)
    assert [camera.partition for camera in deployment.cameras] == [0, 1]
    first_line = EXAMPLE.read_text().splitlines()[0]
    assert first_line.startswith("# yaml-language-server: $schema=")
    assert (EXAMPLE.parent / first_line.partition("=")[2]).resolve() == REPO / "schemas" / "deployment.schema.json"


def test_the_defaults_that_the_example_shows_are_the_defaults(minimal: Deployment) -> None:
    shown = load_deployment(EXAMPLE)
    assert (shown.models, shown.recognition, shown.retention) == (
        minimal.models,
        minimal.recognition,
        minimal.retention,
    )


def test_a_deployment_is_frozen(minimal: Deployment) -> None:
    with pytest.raises(ValidationError):
        minimal.purpose = "something else"


def test_a_deployment_made_in_code_is_held_to_the_same_rules(minimal: Deployment) -> None:
    contents: dict[str, Any] = minimal.model_dump(by_alias=True)
    assert Deployment.model_validate(contents) == minimal
    contents["cameras"] = [*contents["cameras"], contents["cameras"][0]]
    with pytest.raises(ValidationError, match="already the id of"):
        Deployment.model_validate(contents)


@pytest.mark.parametrize(
    ("offset_us", "state"),
    [
        (-1, WindowState.BEFORE),
        (0, WindowState.OPEN),
        (6 * 3600 * 1_000_000 - 1, WindowState.OPEN),
        (6 * 3600 * 1_000_000, WindowState.AFTER),
    ],
)
def test_the_start_belongs_to_the_window_and_the_end_does_not(
    minimal: Deployment, offset_us: int, state: WindowState
) -> None:
    start_us = int(datetime(2026, 5, 14, 9, tzinfo=UTC).timestamp()) * 1_000_000
    assert window_state(minimal, start_us + offset_us) is state


@given(st.datetimes(timezones=st.just(UTC)), st.integers(-14 * 60, 14 * 60))
def test_microseconds_are_exact_whatever_the_offset(when: datetime, offset_min: int) -> None:
    us = microseconds(when)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us) == when
    if datetime(2, 1, 1, tzinfo=UTC) < when < datetime(9998, 1, 1, tzinfo=UTC):
        assert microseconds(when.astimezone(timezone(timedelta(minutes=offset_min)))) == us


def test_a_file_starts_at_its_own_time_or_with_the_window(tmp_path: Path, minimal: Deployment) -> None:
    assert minimal.started_at_us("north") == minimal.window.start_us
    path = tmp_path / "dated.yaml"
    path.write_text(MINIMAL.replace("    partition: 0\n", "    partition: 0\n    started_at: 2026-05-14T09:00:01.5Z\n"))
    assert load_deployment(path).started_at_us("north") == minimal.window.start_us + 1_500_000


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("rtsp://192.0.2.1/a", SourceKind.RTSP),
        ("rtsps://192.0.2.1:322/a", SourceKind.RTSP),
        ("usb:0", SourceKind.USB),
        ("walk.gif", SourceKind.PATH),
        ("/data/images", SourceKind.PATH),
    ],
)
def test_the_kind_of_a_source_is_in_its_text(source: str, kind: SourceKind) -> None:
    assert kind_of(source) is kind


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://user:s3cret@host:554/live", "rtsp://***@host:554/live"),
        ("rtsp://user:s3c/r@e?t#@host/live", "rtsp://***@host/live"),
        ("rtsp://host/live?user=admin&password=s3cret", "rtsp://host/live"),
        ("rtsp:/user:s3cret@host/live", "***@host/live"),
        ("rtsp://host/live", "rtsp://host/live"),
        ("videos/north.mp4", "videos/north.mp4"),
    ],
)
def test_a_source_is_shown_without_its_secrets(source: str, shown: str) -> None:
    assert redacted(source) == shown


def test_a_password_is_in_no_repr(tmp_path: Path) -> None:
    path = tmp_path / "deployment.yaml"
    path.write_text(MINIMAL.replace("videos/north.mp4", "rtsp://user:s3cret@host/live"))
    deployment = load_deployment(path)
    assert deployment.camera("north").resolve_source() == "rtsp://user:s3cret@host/live"
    assert "s3cret" not in repr(deployment) + str(deployment) + deployment.camera("north").redacted


def test_an_address_can_come_from_a_secret_file(tmp_path: Path) -> None:
    path = tmp_path / "deployment.yaml"
    path.write_text(MINIMAL.replace("source: videos/north.mp4", "source_file: camera.secret"))
    (tmp_path / "camera.secret").write_text("rtsp://user:s3cret@host/live\n")
    camera = load_deployment(path, check_files=False).camera("north")
    assert camera.resolve_source() == "rtsp://user:s3cret@host/live"
    assert camera.redacted == f"source_file {tmp_path / 'camera.secret'}"
    (tmp_path / "camera.secret").write_text("ftp://user:s3cret@host/live\n")
    with pytest.raises(ValueError, match=r"camera\.secret.*camera north.*expected rtsp") as caught:
        camera.resolve_source()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["other", "others", "0ther", "other-offences", "of-interest", "person-of-1nterest", "poi", "misc", "any"]
)
def test_categories_that_say_nothing_of_anybody_are_vague(name: str) -> None:
    assert is_vague(name)


@pytest.mark.parametrize("name", ["wanted-robbery", "missing-at-risk", "mother-and-child", "recall-to-prison"])
def test_categories_that_give_a_reason_are_not_vague(name: str) -> None:
    assert not is_vague(name)


@given(st.integers(3, 12), st.floats(0.05, 0.45), st.floats(0, 6))
def test_every_convex_polygon_is_a_zone_in_either_direction(corners: int, radius: float, turn: float) -> None:
    around = [turn + 2 * math.pi * k / corners for k in range(corners)]
    polygon = [(0.5 + radius * math.cos(a), 0.5 + radius * math.sin(a)) for a in around]
    assert fault_of(polygon) is None
    assert fault_of(polygon[::-1]) is None
    assert area(polygon) > 0 > area(polygon[::-1])


def test_a_concave_zone_is_accepted() -> None:
    assert fault_of([(0, 0), (1, 0), (1, 1), (0.5, 0.2), (0, 1)]) is None


@pytest.mark.parametrize(
    ("polygon", "fault"),
    [
        ([(0, 0), (1, 1), (1, 0), (0, 1)], "cross or touch"),
        ([(0, 0), (1, 0), (1, 1), (0.5, 0), (0, 1)], "cross or touch"),
        ([(0, 0), (0.5, 0.5), (1, 1)], "no area"),
        ([(0, 0), (1, 0), (1, 1), (1, 0.5)], "cross or touch"),
        ([(0, 0), (1, 0), (1, 1), (0, 0)], "repeats the first"),
        ([(0, 0), (1, 0), (1, 0), (1, 1)], "same point"),
        ([(0.5, 0.5), (0.505, 0.5), (0.5, 0.505)], "no area"),
    ],
)
def test_corners_that_enclose_no_one_area_are_refused(polygon: list[tuple[float, float]], fault: str) -> None:
    assert fault in (fault_of(polygon) or "")


def _watchlist(source: Path, by: SubjectsBy, folders: tuple[str | None, ...] = (None,)) -> Watchlist:
    categories = tuple(
        Category(id=f"wanted-{i}", kind=Kind.WANTED, basis="Warrants issued", folder=folder)
        for i, folder in enumerate(folders)
    )
    return Watchlist(source=str(source), subjects=by, categories=categories)


def test_subjects_are_told_apart_by_subfolder(tmp_path: Path) -> None:
    for name in ("wanted/s-1/a.jpg", "wanted/s-1/b.PNG", "wanted/s-2/a.jpeg", "lost/s-3/a.jpg", "lost/.hidden/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    images = listed_images(_watchlist(tmp_path, SubjectsBy.SUBFOLDER, ("wanted", "lost")))
    assert [(i.category_id, i.subject_id, i.path.name) for i in images] == [
        ("wanted-0", "s-1", "a.jpg"),
        ("wanted-0", "s-1", "b.PNG"),
        ("wanted-0", "s-2", "a.jpeg"),
        ("wanted-1", "s-3", "a.jpg"),
    ]
    assert layout_of(tmp_path / "wanted") is SubjectsBy.SUBFOLDER


def test_subjects_are_told_apart_by_prefix(tmp_path: Path) -> None:
    for name in ("s-1.jpg", "s-1_2.jpg", "jane_doe_0001.jpg", "jane_doe.jpg", "s2.jpg"):
        (tmp_path / name).touch()
    assert layout_of(tmp_path) is SubjectsBy.PREFIX
    images = listed_images(_watchlist(tmp_path, SubjectsBy.PREFIX))
    assert [i.subject_id for i in images] == ["jane_doe", "jane_doe", "s-1", "s-1", "s2"]


@pytest.mark.parametrize(("first", "second"), [("person1.jpg", "person2.jpg"), ("a_b.jpg", "a_c.jpg")])
def test_different_people_are_not_merged_by_the_look_of_their_file_names(first: str, second: str) -> None:
    assert subject_of(first) != subject_of(second)


def test_everything_wrong_with_a_watchlist_folder_is_said_at_once(tmp_path: Path) -> None:
    for name in ("wanted/s-1/a.jpg", "wanted/stray.jpg", "wanted/s-2/notes.txt", "lost/s-1/a.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(WatchlistError) as caught:
        listed_images(_watchlist(tmp_path, SubjectsBy.SUBFOLDER, ("wanted", "lost", "gone")))
    text = str(caught.value)
    for part in (
        "stray.jpg: lies outside",
        "notes.txt: is no image",
        "s-2: no image",
        "keep it in one",
        "gone: there is",
    ):
        assert part in text, part


def test_the_committed_schema_is_the_models_schema() -> None:
    """Regenerate it with `python -m overt.governance.schema > schemas/deployment.schema.json`."""
    assert (REPO / "schemas" / "deployment.schema.json").read_text() == as_text()


def test_every_key_of_the_schema_is_described_and_no_other_is_allowed() -> None:
    schema = json_schema()
    found = list(objects(schema))
    assert len(found) >= 12
    for thing in found:
        assert thing["additionalProperties"] is False
        for key, value in thing["properties"].items():
            assert resolved(value, schema).get("description"), key


class _JsonTypes(yaml.SafeLoader):
    """Leaves dates as text, as editors do."""


_JsonTypes.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def test_the_schema_accepts_the_example_and_sees_what_is_wrong_with_a_changed_one() -> None:
    schema = json_schema()
    example = yaml.load(EXAMPLE.read_text(), Loader=_JsonTypes)
    assert complaints(example, schema, schema) == []
    example["cameras"][0]["zone"]["polygon"][1][0] = 1.5
    example["cameras"][1]["partition"] = "1"
    example["watchlist"]["categories"][0]["kind"] = "seen"
    example["purposes"] = example.pop("purpose")
    assert sorted(complaints(example, schema, schema)) == [
        ".cameras[0].zone.polygon[1][0]: out of bounds",
        ".cameras[1].partition: not of type integer",
        ".purpose: missing",
        ".purposes: unknown",
        ".watchlist.categories[0].kind: not one of ['wanted', 'missing']",
    ]
