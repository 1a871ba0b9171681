"""The report: true to the facts, honest about candidates, self-contained, and escaped."""

from __future__ import annotations

import base64
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from overt.governance import Deployment, load_deployment
from overt.messages import AcquisitionFailure, Alert, Kind
from overt.output.facts import AlertFacts, CameraFacts, ModelFacts, ReportFacts, ThresholdFacts
from overt.output.report import MOST_SHOWN, data_uri, latency, render, write_report
from overt.output.wording import clock, iso, moment
from overt.picture import Picture, decode
from tests.support.output_scenes import START_US, alert_for, texture

EXAMPLE = Path(__file__).resolve().parents[2] / "infra" / "examples" / "deployment.yaml"
EVIL = "<script>alert('x')</script>\"&"


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    return load_deployment(EXAMPLE)


@pytest.fixture
def facts(deployment: Deployment) -> ReportFacts:
    return ReportFacts(
        deployment=deployment,
        overt_version="9.8.7",
        started_at_us=START_US,
        ended_at_us=START_US + 61_500_000,
        realtime=True,
        models=[ModelFacts("embedder", "dlib-resnet-v1", "1", "CC0-1.0", "ab" * 32, "dlib-resnet-v1/1")],
        thresholds=[ThresholdFacts("wanted-robbery", Kind.WANTED, 0.9561, 0.9666, 2, 5.0, "model card")],
        watchlist_subjects=3,
        watchlist_images=7,
        watchlist_refused=1,
        cameras=[
            CameraFacts("north", 1234, 12, 3, 41, {AcquisitionFailure.TOO_SMALL: 5}, 90),
            CameraFacts("south", 1000, 0, 0, 9, {AcquisitionFailure.TOO_BRIEF: 2}, 20),
        ],
        alerts=[
            AlertFacts(alert_for("a"), Picture(bgr=texture(80, 80, 5))),
            AlertFacts(_later(alert_for("b", kind=Kind.MISSING, subject="s-2"), 30_000_000, 1_500_000), None),
        ],
        images=True,
        videos=["north.webm"],
    )


def _later(alert: Alert, by_us: int, latency_us: int) -> Alert:
    at_us = alert.captured_at_us + by_us
    return replace(alert, captured_at_us=at_us, alerted_at_us=at_us + latency_us, category="missing-at-risk")


class Page(HTMLParser):
    """Text, addresses and open tags of a page."""

    VOID = frozenset(("meta", "br", "img", "link", "hr", "input"))

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " " if tag in ("td", "th", "dt", "dd", "p", "li", "figcaption") else ""
        self.addresses += [
            value or "" for name, value in attrs if name in ("src", "href", "action", "srcset", "poster")
        ]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def test_the_counts_are_those_of_the_facts(facts: ReportFacts) -> None:
    words = Page(render(facts)).words
    for part in (
        "50 passers-by",
        "2 alerts for a person to judge",
        "3 people on the watchlist",
        "2 234 frames read",
        "5 face too small, 2 seen too briefly",
        "3 people, 7 images; 1 image was not enrolled",
        "0.956 0.967 1 strong, or 2 within 5 s model card",
        "Overt 9.8.7",
        "The run took 61.5 s",
    ):
        assert part in words, part


def test_it_says_unsigned_at_the_top_and_that_this_is_no_authority(facts: ReportFacts) -> None:
    words = Page(render(facts)).words
    assert "UNSIGNED. This deployment carries no signature." in words[:600]


def test_an_alert_is_a_candidate_and_nobody_is_found(facts: ReportFacts) -> None:
    words = Page(render(facts)).words
    assert "Candidate for s-1" in words
    assert "missing, possible match" in words
    assert "A person looks at both and decides" in words
    assert "found" not in words.lower()
    assert "identified" not in words.lower()


def test_each_alert_stands_beside_its_reference_with_what_speaks_for_it(facts: ReportFacts) -> None:
    page = Page(render(facts))
    for part in ("0.961 (threshold 0.956)", "0.050 to the next subject", "2 faces", "0.85 s", "north, pavement"):
        assert part in page.words, part
    assert page.tags.count("img") == 3  # two probes, one reference; the other reference is not at hand
    assert "not at hand" in page.words


def test_a_list_of_one_has_no_margin(facts: ReportFacts) -> None:
    alone = AlertFacts(replace(alert_for("a"), margin=None), None)
    assert "nobody else on the list" in Page(render(replace(facts, alerts=[alone]))).words


def test_without_images_the_page_holds_no_picture_of_anyone(facts: ReportFacts) -> None:
    html = render(replace(facts, images=False))
    page = Page(html)
    assert "img" not in page.tags
    assert "video" not in page.tags
    assert "data:image" not in html
    assert "This report holds no picture of anyone." in page.words


def test_the_page_needs_nothing_from_anywhere(facts: ReportFacts) -> None:
    html = render(facts)
    page = Page(html)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert [a for a in page.addresses if not a.startswith("data:image/jpeg;base64,")] == ["north.webm", "north.webm"]
    assert "http:" not in html
    assert "https:" not in html
    assert "@import" not in html
    assert "url(" not in html
    assert "default-src 'none'" in html


def test_all_text_from_outside_is_escaped(facts: ReportFacts, deployment: Deployment) -> None:
    changed = deployment.model_dump(by_alias=True)
    changed["purpose"] = changed["site"]["place"] = changed["authority"]["officer"] = EVIL
    changed["watchlist"]["categories"][0]["basis"] = changed["notice"]["place"] = EVIL
    alert = replace(alert_for("a", subject=EVIL), zone=EVIL, category=EVIL, alert_id=EVIL, camera_id=EVIL)
    html = render(
        replace(
            facts,
            deployment=Deployment.model_validate(changed),
            alerts=[AlertFacts(alert, None), AlertFacts(_later(alert, 1000, 5), None)],
            cameras=[CameraFacts(EVIL, 1, 1, 1, 1)],
            models=[ModelFacts(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL)],
            thresholds=[ThresholdFacts(EVIL, Kind.WANTED, 0.9, 0.9, 1, 1.0, EVIL)],
            rejects={EVIL: 1},
            videos=[EVIL],
            remarks=[EVIL],
        )
    )
    page = Page(html)
    assert "<script" not in html
    assert "script" not in page.tags
    assert page.words.count(EVIL) >= 15


def test_no_camera_address_is_told(facts: ReportFacts) -> None:
    assert "192.0.2.10" not in render(facts)


def test_a_run_off_real_time_claims_no_latency(facts: ReportFacts) -> None:
    words = Page(render(replace(facts, realtime=False))).words
    assert "is not meaningful" in words
    assert "median" not in words


def test_no_alert_is_not_told_as_nobody_was_there(facts: ReportFacts) -> None:
    words = Page(render(replace(facts, alerts=[]))).words
    assert "That does not show that nobody on the watchlist came past" in words
    assert "nothing was timed" in words


def test_few_alerts_are_not_sold_as_a_distribution(facts: ReportFacts) -> None:
    assert "With fewer than 20 alerts these figures say little." in Page(render(facts)).words


def test_percentiles_are_nearest_rank(facts: ReportFacts) -> None:
    alerts = [AlertFacts(_later(alert_for("a"), 0, n * 100_000), None) for n in range(1, 101)]
    found = latency(alerts)
    assert found is not None
    assert (found.count, found.p50_s, found.p95_s, found.slowest_s) == (100, 5.0, 9.5, 10.0)
    assert latency([]) is None
    single = latency(alerts[:1])
    assert single is not None
    assert (single.p50_s, single.p95_s) == (0.1, 0.1)


def test_many_alerts_are_counted_though_not_all_are_shown(facts: ReportFacts) -> None:
    alerts = [AlertFacts(_later(alert_for(str(n)), n * 1000, 5), None) for n in range(MOST_SHOWN + 5)]
    page = Page(render(replace(facts, alerts=alerts)))
    assert "The first 200 of 205 alerts are shown; alerts.jsonl lists all." in page.words
    assert page.words.count("Candidate for") == MOST_SHOWN


def test_an_alerts_scene_is_shown_when_it_has_one(facts: ReportFacts) -> None:
    with_scene = AlertFacts(replace(alert_for("a"), context=Picture(bgr=texture(90, 160, 1))), None)
    assert "the scene, with everybody else unclear" in Page(render(replace(facts, alerts=[with_scene]))).words


def test_a_thumbnail_is_small_and_made_anew() -> None:
    uri = data_uri(Picture(bgr=texture(600, 300, 1)))
    assert uri is not None
    assert decode(base64.b64decode(uri.partition(",")[2])).shape == (240, 120, 3)


def test_a_picture_that_cannot_be_decoded_is_named_and_does_not_stop_the_report(facts: ReportFacts) -> None:
    broken = replace(alert_for("a"), probe_image=Picture(encoded=b"\xff\xd8 not a jpeg"))
    assert "cannot be shown" in Page(render(replace(facts, alerts=[AlertFacts(broken, None)]))).words


def test_a_report_replaces_an_older_one_and_leaves_nothing_beside_it(facts: ReportFacts, tmp_path: Path) -> None:
    path = tmp_path / "out" / "report.html"
    write_report(path, facts)
    write_report(path, replace(facts, alerts=[]))
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    assert "No alert was raised" in path.read_text(encoding="utf-8")


def test_a_run_over_recordings_says_that_capture_times_are_not_the_runs(facts: ReportFacts) -> None:
    """Their starts are the deployment file's: an alert can be captured before the run has begun."""
    earlier = replace(facts, started_at_us=START_US + 2_000_000)
    said = "times of capture are theirs"
    assert said in Page(render(replace(earlier, realtime=False))).words[:600]
    assert said not in Page(render(earlier)).words
    assert "This machine ran it from 2026-05-14 09:00:02 UTC to 2026-05-14 09:01:01 UTC" in Page(render(earlier)).words


def test_times_are_told_in_utc() -> None:
    at_us = START_US + 1_534_567
    assert (iso(at_us), clock(at_us), moment(at_us)) == (
        "2026-05-14T09:00:01.534Z",
        "09:00:01.5",
        "2026-05-14 09:00:01 UTC",
    )
