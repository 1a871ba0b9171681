"""The file of alerts: one whole line for each, under the Alert's own names, without a picture."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import pytest

from overt.messages import Alert
from overt.output.alerts_jsonl import AlertLog, alert_to_dict, alert_to_line
from overt.picture import Picture
from tests.support.output_scenes import alert_for, texture


def lines_of(path: Path) -> list[dict[str, object]]:
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_has_every_field_of_an_alert_but_its_images() -> None:
    line = json.loads(alert_to_line(replace(alert_for("t"), context=Picture(bgr=texture(9, 9, 1)))))
    assert list(line) == [field.name for field in fields(Alert) if field.name not in ("probe_image", "context")]
    assert line == alert_to_dict(alert_for("t"))


def test_numbers_keep_their_kind_and_six_decimals() -> None:
    line = alert_to_dict(alert_for("t"))
    assert line["similarity"] == 0.961235
    assert isinstance(line["captured_at_us"], int)
    assert (line["kind"], line["authority"]) == ("wanted", "UNSIGNED")


def test_a_margin_that_does_not_exist_is_null_and_no_line_is_invalid_json() -> None:
    line = alert_to_line(replace(alert_for("t"), margin=None, similarity=math.nan))
    assert '"margin": null' in line
    assert "NaN" not in line


def test_text_that_would_break_a_line_does_not() -> None:
    subject = 'a\nb"c\u2028d\u2029e\x85f\x0bg\u00e9'
    line = alert_to_line(replace(alert_for("t"), subject_id=subject))
    assert len(line.splitlines()) == 1
    assert json.loads(line)["subject_id"] == subject
    assert "\u00e9" in line  # and it stays readable


def test_a_log_makes_its_folder_appends_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "out" / "alerts.jsonl"
    for track in ("a", "b"):
        with AlertLog(path) as log:
            log.append(alert_for(track))
            assert lines_of(path)[-1]["track_id"] == track  # there at once, before the log is closed
    assert [line["track_id"] for line in lines_of(path)] == ["a", "b"]


@pytest.mark.parametrize("cut", [1, 20, 300])
def test_an_unfinished_last_line_is_cut_off_and_the_others_stay(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "alerts.jsonl"
    whole = (alert_to_line(alert_for("a")) + "\n").encode()
    path.write_bytes(whole + alert_to_line(alert_for("b")).encode()[:-cut])
    with AlertLog(path) as log:
        log.append(alert_for("c"))
    assert [line["track_id"] for line in lines_of(path)] == ["a", "c"]


def test_a_file_that_is_one_unfinished_line_is_started_anew(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b'{"alert_id": "x')
    with AlertLog(path) as log:
        log.append(alert_for("a"))
    assert [line["track_id"] for line in lines_of(path)] == ["a"]


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_text(alert_to_line(alert_for("a")))
    with AlertLog(path) as log:
        log.append(alert_for("b"))
    assert [line["track_id"] for line in lines_of(path)] == ["a", "b"]


def test_a_file_of_somebody_elses_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b"x" * (2 << 20))
    with AlertLog(path):
        pass
    assert path.read_bytes() == b"x" * (2 << 20) + b"\n"


def test_a_log_that_is_not_open_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not open"):
        AlertLog(tmp_path / "alerts.jsonl").append(alert_for("a"))
    assert list(tmp_path.iterdir()) == []
