"""What became of each pass: who plays which part, whose face a detection is, and what is counted from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.alerter.stage import AlerterStage, ConfirmationRule, Scene
from overt.evaluation.datasets import Dataset, DatasetError, Sample
from overt.evaluation.estimate import Estimate
from overt.evaluation.unmeasurable import NotMeasurable
from overt.evaluation.video import kept, records
from overt.evaluation.video.cast import Parts, Passer, cast
from overt.evaluation.video.conditions import Conditions
from overt.evaluation.video.join import Joiner
from overt.evaluation.video.measures import PIPELINE, summarise
from overt.evaluation.video.misses import (
    DISSIMILAR,
    NOT_ENROLLED,
    NOTHING_USABLE,
    POOR,
    RULE,
    SOMEBODY_ELSE,
    misses,
)
from overt.evaluation.video.records import NOT_COMPOSED, UNSEEN, AlertRecord, PassRecord, Scored, StretchRecord
from overt.evaluation.video.rules import NOTHING, Confirming, Subjects, alerting, scores
from overt.evaluation.video.tap import Heard, Probe, Seen
from overt.evaluation.video.truth import ComposedTruth, TrueFace
from overt.matcher.exact import ExactGallery
from overt.messages import AcquisitionFailure, Authority, Match, Pass, Vector, WatchlistEntry
from tests.support import messages

CONFIRMING = Confirming(strong_by=0.1, matches=2, within_us=5_000_000)


def _unit(*values: float) -> Vector:
    vector = np.array(values, np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def _dataset(images: dict[str, int]) -> Dataset:
    samples = [Sample(f"{p}/{n}.jpg", Path(p, f"{n}.jpg"), p) for p, many in images.items() for n in range(many)]
    return Dataset(Path("people"), "subfolders", tuple(samples), True)


def _entry(subject: str, vector: Vector) -> WatchlistEntry:
    return replace(messages.entry(), entry_id=f"of {subject}", subject_id=subject, vector=vector, space_id="test/1")


SUBJECTS = Subjects([_entry("ann", _unit(1, 0, 0)), _entry("bob", _unit(0, 1, 0))])


def _probe(frame: int, face: int, track: str, vector: Vector, quality: float = 0.5) -> Probe:
    return Probe(frame, face, track, frame * 100_000, quality, vector)


class TestParts:
    def test_nobody_walks_past_in_an_enrolled_image_and_nobody_is_both_listed_and_not(self) -> None:
        whole = cast(_dataset({"a": 3, "b": 3, "c": 1, "d": 2, "e": 1}), Parts(enrolled=2, unlisted_images=2))
        enrolled = {sample.image for sample in whole.enrolled}
        assert not enrolled & {passer.sample.image for passer in whole.passers}
        assert {p.person for p in whole.passers if p.listed} == {"a", "b"}
        assert {p.person for p in whole.passers if not p.listed} == {"c", "d", "e"}
        assert sorted(p.number for p in whole.passers) == list(range(5))

    def test_the_same_seed_gives_the_same_parts_and_another_one_others(self) -> None:
        data = _dataset({f"p{n}": 4 for n in range(8)} | {f"q{n}": 1 for n in range(8)})
        some = [cast(data, Parts(listed=3, unlisted=3, seed=seed)) for seed in (1, 1, 2)]
        assert some[0] == some[1] != some[2]

    @pytest.mark.parametrize("images", [{"a": 1, "b": 1}, {"a": 4, "b": 4}])
    def test_too_few_images_or_nobody_unlisted_is_said_in_words(self, images: dict[str, int]) -> None:
        with pytest.raises(DatasetError, match=r"people: nobody.*choose another number.*people by their number"):
            cast(_dataset(images), Parts(enrolled=3))


def test_conditions_out_of_range_are_refused() -> None:
    for wrong in ({"face_px": (90.0, 40.0)}, {"fps": 0.0}, {"jpeg_quality": 0}, {"size": (160, 90)}):
        with pytest.raises(ValueError, match=r"expected|do not fit"):
            Conditions(**wrong)


def test_kept_pictures_come_back_in_order_and_are_no_file_for_others(tmp_path: Path) -> None:
    keeping = kept.Keeping(tmp_path, "stretch")
    for encoded in (b"one", b"two"):
        keeping.add(encoded, ())
    keeping.finish()
    assert (tmp_path / "stretch.pictures").stat().st_mode & 0o027 == 0
    found = kept.find(tmp_path, "stretch")
    assert found is not None
    assert [found.next(), found.next(), found.next()] == [b"one", b"two", None]
    found.close()


def test_a_face_has_one_detection_the_best_overlapping_and_a_glimpse_of_one_has_none() -> None:
    faces = [TrueFace(7, (0, 0, 10, 10), 1.0), TrueFace(8, (40, 0, 50, 10), 0.1)]
    boxes = [(4.0, 0.0, 14.0, 10.0), (1.0, 0.0, 11.0, 10.0), (40.0, 0.0, 50.0, 10.0), (80.0, 80.0, 90.0, 90.0)]
    assert ComposedTruth().owners(faces, boxes) == [None, 7, None, None]


def test_in_real_time_a_frame_shows_the_last_picture_that_was_taken_before_it() -> None:
    truth = ComposedTruth(realtime=True, faces=[(TrueFace(n, None, 1.0),) for n in range(3)], taken_at_us=[10, 20, 30])
    assert [truth.faces_at(0, at)[0].passer for at in (10, 19, 25, 99)] == [0, 0, 1, 2]
    assert not truth.faces_at(0, 5)


class TestRules:
    @given(st.lists(st.floats(0.2, 0.9), min_size=1, max_size=6), st.floats(0.1, 0.95))
    @settings(max_examples=150, deadline=None)
    def test_the_rule_s_score_is_the_threshold_at_which_the_alerter_alerts(
        self, similarities: list[float], threshold: float
    ) -> None:
        """For any similarities and any threshold: an alert if and only if the score reaches it."""
        probes = [_probe(10 * n, 0, "t", _unit(1, 0, 0)) for n in range(len(similarities))]
        each = np.array([[s, 0.0] for s in similarities])
        score = alerting(probes, each, Confirming(0.05, 2, 1_500_000))[0]
        stage = AlerterStage(
            "d",
            {"c": Scene("s", "z")},
            {"k": ConfirmationRule(threshold + 0.05, 2, 1_500_000)},
            cooldown_us=0,
            authority=Authority.UNSIGNED,
        )
        matches = [
            _match(probe, similarity, threshold)
            for probe, similarity in zip(probes, similarities, strict=True)
            if similarity >= threshold
        ]
        _, alerts = stage.step(stage.fresh("c"), matches)
        if abs(score - threshold) > 1e-9:
            assert bool(list(alerts)) == (score > threshold)

    def test_only_a_probe_s_first_subject_counts_and_tracks_do_not_confirm_each_other(self) -> None:
        each = np.array([[0.8, 0.7], [0.6, 0.75]])
        two_tracks = [_probe(0, 0, "t", _unit(1, 0, 0)), _probe(1, 0, "u", _unit(1, 0, 0))]
        assert alerting(two_tracks, each, CONFIRMING) == pytest.approx([0.7, 0.65])
        each = np.array([[0.8, 0.1], [0.75, 0.1]])
        assert alerting(two_tracks, each, CONFIRMING) == pytest.approx([0.7, NOTHING])
        one_track = [replace(probe, track_id="t") for probe in two_tracks]
        assert alerting(one_track, each, CONFIRMING) == pytest.approx([0.75, NOTHING])

    def test_similarities_are_those_of_the_exact_gallery(self) -> None:
        rng = np.random.default_rng(3)
        entries = [replace(_entry(f"s{n % 4}", _unit(*rng.normal(size=8))), entry_id=f"e{n}") for n in range(10)]
        probe = _unit(*rng.normal(size=8))
        found = ExactGallery("test/1", entries).search(probe[None], 4, [entries[0].valid_from_us])[0]
        subjects = Subjects(entries)
        ours = dict(zip(subjects.names, subjects.similarities([probe])[0], strict=True))
        assert ours == pytest.approx({c.subject_id: c.similarity for c in found}, abs=1e-6)

    def test_no_crop_gives_no_score_and_order_changes_no_fusion(self) -> None:
        assert scores([], [], SUBJECTS, CONFIRMING, 0) == {}
        crops = [_probe(0, 0, "t", _unit(1, 0.2, 0), 0.3), _probe(1, 0, "t", _unit(1, 0, 0.5), 0.9)]
        one, other = (scores(order, [], SUBJECTS, CONFIRMING, 0) for order in (crops, crops[::-1]))
        for rule in ("best crop", "any crop", "mean of crops", "mean by quality", "alert rule on single crops"):
            assert one[rule] == pytest.approx(other[rule])
        assert one["best crop"][0] == pytest.approx(float(crops[1].vector[0]))


def _match(probe: Probe, similarity: float, threshold: float) -> Match:
    return replace(
        messages.match(),
        camera_id="c",
        category="k",
        subject_id="ann",
        frame_seq=probe.frame_seq,
        track_id=probe.track_id,
        captured_at_us=probe.captured_at_us,
        similarity=similarity,
        threshold=threshold,
    )


class TestJoin:
    """Ann is listed and passes on the left, carl is not and passes on the right; dora is never seen."""

    LEFT, RIGHT = (0.0, 0.0, 40.0, 50.0), (100.0, 0.0, 140.0, 50.0)

    def _joined(self, heard: Heard) -> list[PassRecord]:
        faces = (TrueFace(0, self.LEFT, 1.0), TrueFace(1, self.RIGHT, 0.9))
        truth = ComposedTruth(faces=[faces] * 12)
        passers = [
            Passer(n, person, listed, Sample(f"{person}.jpg", Path(person), person))
            for n, (person, listed) in enumerate([("ann", True), ("carl", False), ("dora", False)])
        ]
        joiner = Joiner(truth, SUBJECTS, CONFIRMING, enrolled={"ann": 2}, realtime=False, stretch=4)
        joined = joiner.join(passers, [True] * 3, heard)
        self.ghosts = (joined.ghosts, joined.ghost_alerts)
        return list(joined.passes)

    def _heard(self, tracks: list[tuple[str, str]]) -> Heard:
        """`tracks`: for each frame, those of the left and of the right face."""
        return Heard(seen=[Seen(n, n * 100_000, (self.LEFT, self.RIGHT), both) for n, both in enumerate(tracks)])

    def test_crops_and_alerts_belong_to_whoever_is_in_the_picture_not_to_the_track(self) -> None:
        heard = self._heard([("t", "u")] * 3)
        heard.crops = [_probe(0, 0, "t", _unit(1, 0, 0)), _probe(1, 1, "u", _unit(0.6, 0.8, 0))]
        heard.probes = heard.crops
        heard.alerts = [
            replace(messages.alert(), frame_seq=1, face_index=1, track_id="t", subject_id="bob", captured_at_us=100_000)
        ]
        ann, carl, dora = self._joined(heard)
        assert ann.scores[PIPELINE].mate == pytest.approx(0.9)
        assert (ann.alerts, ann.failure) == ((), None)
        assert [(alert.subject, alert.right) for alert in carl.alerts] == [("bob", False)]
        assert carl.scores["first crop"] == Scored(None, 0.8)
        assert (dora.failure, dora.acquired) == (UNSEEN, False)

    def test_an_exchange_of_tracks_is_a_switch_for_both_and_one_frame_of_it_is_none(self) -> None:
        swapped = self._joined(self._heard([("t", "u")] * 4 + [("u", "t")] * 4))
        assert [(p.tracks, p.switches) for p in swapped] == [(2, 1), (2, 1), (0, 0)]
        blip = self._joined(self._heard([("t", "u")] * 4 + [("u", "t")] + [("t", "u")] * 3))
        assert [(p.tracks, p.switches) for p in blip] == [(1, 0), (1, 0), (0, 0)]

    def test_why_nothing_was_acquired_comes_from_the_pass_and_tracks_of_nobody_are_counted(self) -> None:
        heard = self._heard([("t", "u")] * 3)
        base = Pass("t", "c", 1, 2, 0, 200_000, 3, 0, AcquisitionFailure.TOO_POOR)
        heard.passes = [base, replace(base, track_id="nobody's", failure=None)]
        ann, carl, _ = self._joined(heard)
        assert (ann.failure, carl.failure) == ("too_poor", records.UNTRACKED)
        assert self.ghosts == (1, 0)


def _pass(number: int, listed: bool, score: float | None, **more: object) -> PassRecord:
    found = {} if score is None else {PIPELINE: Scored(score if listed else None, 0.1 if listed else score)}
    crops = () if score is None else (records.CropRecord(0.1, 50, 0.5, None, 0.2),)
    base = PassRecord(number, f"p{number}", listed, "i", 0, int(listed), 9, 80, 9, 1, 0, None, crops, 1, found)
    return replace(base, failure=None if crops else UNSEEN, **more)  # type: ignore[arg-type]


class TestMeasures:
    def _summary(self) -> tuple[StretchRecord, list[PassRecord]]:
        found, false = AlertRecord("p0", True, 0.9, 0.4, None), AlertRecord("p1", False, 0.6, 0.8, None)
        passes = [
            _pass(0, True, 0.9, alerts=(found,)),
            _pass(1, True, 0.3),
            _pass(2, True, None),
            _pass(3, False, 0.6, alerts=(false,), tracks=2),
            _pass(4, False, 0.2),
            _pass(5, False, None),
            replace(_pass(6, False, None), failure=NOT_COMPOSED),
        ]
        return StretchRecord(0, 100, 90, 5.0, 1.2, 0.6, 1, 0, tuple(passes)), passes

    def test_a_pass_never_detected_counts_and_one_that_was_never_composed_does_not(self) -> None:
        stretch, _ = self._summary()
        summary = summarise([stretch], threshold=0.5, realtime=False)
        rates = [summary.alerting.tpir, summary.alerting.fpir, summary.fta, summary.cost.split]
        counted = [(rate.rate.count, rate.rate.trials) for rate in rates if isinstance(rate, Estimate)]
        assert counted == [(1, 3), (1, 3), (2, 6), (1, 6)]
        assert (summary.left_out, summary.fta_reasons) == (1, {UNSEEN: 2})
        assert summary.cost.cpu_ms == pytest.approx(200)
        assert summary.cost.frames_dropped == 10
        agreement = summary.alerting.agreement
        assert isinstance(agreement, Estimate)
        assert agreement.value == 1

    def test_a_target_that_the_sample_cannot_carry_is_said_and_another_is_measured(self) -> None:
        stretch, passes = self._summary()
        few = summarise([stretch], threshold=0.5, realtime=False).rule(PIPELINE).identification.targets
        assert all(isinstance(target.point, NotMeasurable) for target in few)
        many = replace(stretch, passes=(*passes, *(_pass(n, False, 0.2) for n in range(10, 17))))
        target = summarise([many], threshold=0.5, realtime=False).rule(PIPELINE).identification.targets[0]
        assert not isinstance(target.point, NotMeasurable)
        tpir = target.point.tpir
        assert isinstance(tpir, Estimate)
        assert (target.point.threshold, tpir.rate.count, tpir.rate.trials) == (0.6, 1, 3)

    def test_each_missed_pass_has_its_plainest_reason(self) -> None:
        crop = records.CropRecord(0.1, 50, 0.8, 0.4, 0.2)
        near, poor = replace(crop, mate=0.7), replace(crop, quality=0.3)
        listed = [
            _pass(0, True, 0.9),
            _pass(1, True, None),
            _pass(2, True, 0.9, enrolled=0),
            _pass(3, True, 0.3, scores={PIPELINE: Scored(0.3, 0.8)}),
            _pass(4, True, 0.3, crops=(crop, near)),
            _pass(5, True, 0.3, crops=(poor,)),
            _pass(6, True, 0.3, crops=(poor, crop)),
        ]
        assert misses(listed, PIPELINE, 0.5) == dict.fromkeys(
            (NOT_ENROLLED, NOTHING_USABLE, SOMEBODY_ELSE, RULE, POOR, DISSIMILAR), 1
        )

    def test_nobody_at_all_is_answered_in_words(self) -> None:
        summary = summarise([], threshold=0.5, realtime=False)
        assert isinstance(summary.alerting.tpir, NotMeasurable)
        assert isinstance(summary.sight_to_alert_s, NotMeasurable)

    def test_records_come_back_as_they_were_written_and_half_a_file_does_not(self, tmp_path: Path) -> None:
        stretch, _ = self._summary()
        records.write(tmp_path / "0.json", stretch)
        assert records.read(tmp_path / "0.json") == stretch
        (tmp_path / "0.json").write_text((tmp_path / "0.json").read_text()[:-10])
        assert records.read(tmp_path / "0.json") is None
        assert records.read(tmp_path / "1.json") is None
