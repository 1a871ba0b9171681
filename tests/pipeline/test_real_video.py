"""Recorded people with real models: those on the list are alerted on once and as themselves, everybody else never.

`face-demographics-walking-and-pause.gif` shows three people side by side who walk towards the camera and never change
places: who is who follows from where a face is. They are enrolled from its first frame and looked for in all later
ones. There are no labels for the other clips. `face-demographics-walking.gif` shows two other people (clothes, hair).
In `head-pose-face-detection-female-and-male.gif` the woman seems to be the one on the left of the first clip (the same
dress), with her head turned and leant over; that is nobody's statement, so nobody has to be found there.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from overt.messages import Alert, Sightings, WatchlistEntry
from overt.models.card import EmbedderCard
from overt.runtime.metrics import Metrics
from overt.runtime.wiring import Wiring
from overt.runtime.world import memory_world
from tests.support import embedded, runs, stills, walks
from tests.support.models import CACHE, real_model

PAUSE, WALKING = "face-demographics-walking-and-pause.gif", "face-demographics-walking.gif"
HEAD_POSE, HAMILTON = "head-pose-face-detection-female-and-male.gif", "short_hamilton_clip.mp4"
PLACES = {"left": (0.0, 0.36), "middle": (0.36, 0.62), "right": (0.62, 1.0)}
"""Where each of the three is in every frame, fractions of the picture's width."""
STRANGERS = 50


@dataclass
class Studio:
    """One pair of models, the clips, and folders to work in."""

    models: Mapping[str, str]
    data: Path
    folder: Path

    def clip(self, name: str) -> Path:
        path = self.data / "videos" / name
        if not path.is_file():
            pytest.skip(f"test data is missing: {path}")
        return path

    def deployment(self, source: Path, watchlist: Path, **more: Any) -> dict[str, Any]:
        """Without a cool-down: that somebody is alerted on once is the track's doing."""
        options = {"cooldown_s": 0, **more.pop("recognition", {})}
        cameras = [runs.camera("one", source, **more)]
        return runs.deployment(cameras, watchlist, models=dict(self.models), recognition=options)

    def wiring(self) -> Wiring:
        deployment = embedded.parsed(self.deployment(self.clip(PAUSE), self.folder))
        return Wiring(memory_world(deployment)[0], embedded.settings(self.data), Metrics(), realtime=False)

    def enrol(self, watchlist: Path) -> list[WatchlistEntry]:
        return embedded.enrolled(
            embedded.parsed(self.deployment(self.clip(PAUSE), watchlist)), embedded.settings(self.data)
        ).entries

    def run(self, source: Path, entries: Sequence[WatchlistEntry], **more: Any) -> embedded.Run:
        deployment = embedded.parsed(self.deployment(source, self.folder, **more))
        return embedded.run(deployment, embedded.settings(self.data), entries, observe=True)

    @cached_property
    def people(self) -> Path:
        """Stills of the three from the first frame, as a watchlist's folder.

        Their eyes are 15 to 21 px apart, less than enrolment takes, so the stills are enlarged twice.
        """
        first = next(walks.frames_of(self.clip(PAUSE)))
        boxes = stills.faces(first, self.wiring().locator())
        assert len(boxes) == len(PLACES)
        pictures = [stills.still(first, box, enlarged=2) for box in boxes]
        return stills.keep(
            self.folder / "people", {who: [picture] for who, picture in zip(PLACES, pictures, strict=True)}
        )

    @cached_property
    def later(self) -> Path:
        """Every frame but the one that the stills are from."""
        return walks.as_folder(list(walks.frames_of(self.clip(PAUSE)))[1:], self.folder / "later")

    @cached_property
    def enrolled(self) -> list[WatchlistEntry]:
        """The three."""
        entries = self.enrol(self.people)
        assert [entry.subject_id for entry in entries] == list(PLACES)
        return entries

    @cached_property
    def strangers(self) -> list[WatchlistEntry]:
        """Other people: one photograph each of LFW's first fifty. Those with a second face in them are refused."""
        photographs = sorted((self.data / "lfw").glob("*/*_0001.jpg"))[:STRANGERS]
        if len(photographs) < STRANGERS:
            pytest.skip(f"test data is missing: {self.data / 'lfw'}")
        for photograph in photographs:
            target = self.folder / "strangers" / photograph.parent.name
            target.mkdir(parents=True)
            shutil.copyfile(photograph, target / photograph.name)
        entries = self.enrol(self.folder / "strangers")
        assert len(entries) >= 0.8 * STRANGERS
        return entries


@pytest.fixture(
    scope="module",
    params=[{"detector": "centerface", "embedder": "dlib-resnet-v1"}, runs.FAST],
    ids=["default-models", "yunet-mobilefacenet"],
)
def studio(request: pytest.FixtureRequest, test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    for name in request.param.values():
        real_model(name)
    return Studio(request.param, test_data, tmp_path_factory.mktemp("studio"))


def _place(alert: Alert, sightings: Sequence[Sightings]) -> str:
    """Which of the three stands where the alert's track is in the alert's frame."""
    (frame,) = (s for s in sightings if s.frame.frame_seq == alert.frame_seq and s.frame.image is not None)
    (face,) = (face for face in frame.faces if face.track_id == alert.track_id)
    middle = (face.box.x1 + face.box.x2) / 2 / frame.frame.image_width
    (place,) = (who for who, (start, end) in PLACES.items() if start <= middle < end)
    return place


def test_each_enrolled_person_is_alerted_on_once_and_as_themselves(studio: Studio) -> None:
    """With the fifty strangers on the list beside them."""
    run = studio.run(studio.later, [*studio.enrolled, *studio.strangers])
    assert run.subjects == sorted(PLACES)
    for alert in run.alerts:
        assert _place(alert, run.sightings) == alert.subject_id
    assert run.total("overt_frames_read_total") == len(list(studio.later.iterdir()))


def test_who_is_left_out_of_the_list_raises_nothing(studio: Studio) -> None:
    """Each of the three; with the default models, which take longer, one of them."""
    for left_out in PLACES if studio.models == runs.FAST else ("middle",):
        entries = [entry for entry in studio.enrolled if entry.subject_id != left_out]
        run = studio.run(studio.later, [*entries, *studio.strangers])
        assert run.subjects == sorted(set(PLACES) - {left_out})
        assert left_out not in {_place(alert, run.sightings) for alert in run.alerts}


def test_enrolled_strangers_raise_nothing(studio: Studio) -> None:
    """Though every one of the three is compared with them."""
    run = studio.run(studio.clip(PAUSE), studio.strangers)
    assert run.alerts == []
    assert run.total("overt_passes_total") == len(PLACES)
    assert run.total("overt_embeddings_total") >= 2 * len(PLACES)


def test_people_of_another_clip_raise_nothing(studio: Studio) -> None:
    """Their faces are 14 to 25 px wide: below what is compared. Where a deployment asks for smaller ones it is their
    quality that decides, and most are too poor."""
    listed = [*studio.enrolled, *studio.strangers]
    far = studio.run(studio.clip(WALKING), listed)
    assert far.alerts == []
    assert far.total("overt_embeddings_total") == 0
    assert far.total("overt_failures_to_acquire_total", reason="too_small") == far.total("overt_passes_total") > 0
    near = studio.run(studio.clip(WALKING), listed, recognition={"min_face_px": 16})
    assert near.total("overt_failures_to_acquire_total", reason="too_small") < far.total("overt_passes_total")
    assert near.alerts == []


def test_in_a_clip_with_leaning_heads_nobody_is_taken_for_somebody_else(studio: Studio) -> None:
    """The man is none of the three; the woman may be found for the one on the left, and for nobody else."""
    run = studio.run(studio.clip(HEAD_POSE), [*studio.enrolled, *studio.strangers])
    assert run.total("overt_embeddings_total") > 0
    assert set(run.subjects) <= {"left"}
    assert {_half(alert, run.sightings) for alert in run.alerts} <= {"left"}


def _half(alert: Alert, sightings: Sequence[Sightings]) -> str:
    (frame,) = (s for s in sightings if s.frame.frame_seq == alert.frame_seq and s.frame.image is not None)
    (face,) = (face for face in frame.faces if face.track_id == alert.track_id)
    return "left" if face.box.x2 < frame.frame.image_width / 2 else "right"


SINGER = (84, 96, 108)
"""Frames of the concert's one long shot (82 to 215) in which the singer alone is seen; the stills are from these."""


def test_a_singer_enrolled_from_stills_is_found_later_in_the_shot_and_in_no_other_face(studio: Studio) -> None:
    """The shots after it show the audience. Every third frame, so that the default models take seconds."""
    frames = list(walks.frames_of(studio.clip(HAMILTON)))
    locator = studio.wiring().locator()
    pictures = [stills.still(frames[n], max(stills.faces(frames[n], locator), key=_width)) for n in SINGER]
    entries = studio.enrol(stills.keep(studio.folder / "concert", {"singer": pictures}))
    assert len(entries) == len(SINGER)
    after = walks.as_folder(frames[116::3], studio.folder / "after")
    run = studio.run(after, [*entries, *studio.enrolled, *studio.strangers])
    assert run.subjects == ["singer"]
    assert run.alerts[0].frame_seq < (216 - 116) / 3, "the audience is no singer"
    shutil.rmtree(after)
    without = studio.run(studio.clip(HAMILTON), [*studio.enrolled, *studio.strangers], max_fps=6)
    assert without.total("overt_embeddings_total") > 0
    assert without.alerts == []


def _width(xyxy: Any) -> float:
    return float(xyxy[2] - xyxy[0])


def test_a_still_as_small_as_in_the_first_frame_is_refused_with_its_reason(studio: Studio, tmp_path: Path) -> None:
    first = next(walks.frames_of(studio.clip(PAUSE)))
    boxes = stills.faces(first, studio.wiring().locator())
    small = stills.keep(tmp_path / "small", {"left": [stills.still(first, boxes[0])]})
    deployment = embedded.parsed(studio.deployment(studio.clip(PAUSE), small))
    enrolment = embedded.enrolled(deployment, embedded.settings(studio.data))
    assert enrolment.entries == []
    assert "px between the eyes" in enrolment.refused[0].why


def test_the_command_alerts_on_the_three_in_the_whole_clip(studio: Studio, tmp_path: Path) -> None:
    """`overt run` with the thresholds of the model's card, images named by a prefix."""
    flat = tmp_path / "flat"
    flat.mkdir()
    for picture in studio.people.glob("*/*.png"):
        shutil.copyfile(picture, flat / f"{picture.parent.name}_1.png")
    content = runs.deployment(
        [runs.camera("one", studio.clip(PAUSE))], flat, subjects="prefix", models=dict(studio.models)
    )
    ended = runs.start(
        "run",
        runs.write(tmp_path / "deployment.yaml", content),
        "--no-realtime",
        out=tmp_path / "out",
        env=runs.environment(cache=CACHE, models_dir=studio.data / "models"),
    )
    assert ended.code == 0, ended.err
    assert ended.subjects == sorted(PLACES)
    card = studio.wiring().models.embedder
    assert isinstance(card, EmbedderCard)
    assert {alert["space_id"] for alert in ended.alerts} == {card.space_id}
    assert card.match is not None
    assert {alert["threshold"] for alert in ended.alerts} <= {point.cosine for point in card.match.points}
