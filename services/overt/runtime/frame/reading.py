"""One camera that this replica reads: its events become frames, metrics and log lines."""

from __future__ import annotations

import logging
from collections.abc import Callable

from overt.frame.camera import (
    Camera,
    CameraEvent,
    Down,
    Failed,
    Faulty,
    Frozen,
    Late,
    Reopening,
    Up,
)
from overt.frame.feed import Taken
from overt.frame.playback import Playback, Played
from overt.frame.readers import OpenReader, open_reader
from overt.frame.source import CameraSource
from overt.frame.stillness import Stillness
from overt.frame.zone import Zone, ZoneError
from overt.messages import Frame
from overt.picture import Picture
from overt.ports import Clock
from overt.runtime.frame.outbox import Entry
from overt.runtime.frame.rules import CameraPlan, Dropped, FrameRules
from overt.runtime.metrics import Metrics

_log = logging.getLogger(__name__)

_REPEATABLE_EPOCH = 1
_SAY_AGAIN_S = 60.0


class CameraReading:
    """Reads one camera under one lease. `turn` never waits; it gives at most one frame to be sent."""

    def __init__(
        self,
        plan: CameraPlan,
        source: CameraSource,
        zone: Zone,
        rules: FrameRules,
        metrics: Metrics,
        *,
        epoch: int,
        resume_at: int,
        clock: Clock,
        monotonic: Callable[[], float],
        arrived: Callable[[], object],
        opens: OpenReader = open_reader,
    ) -> None:
        self.plan = plan
        self.over = False
        self.failure: str | None = None
        self.damage: str | None = None
        self._live = source.live
        self._zone = zone
        self._rules = rules
        self._metrics = metrics
        self._clock = clock
        self._monotonic = monotonic
        self._epoch = epoch if rules.realtime else _REPEATABLE_EPOCH
        self._resume_at = resume_at
        self._sent = 0
        self._position = resume_at
        self._captured_at_us: int | None = None
        self._image_size = (0, 0)
        self._stillness = Stillness(rules.still) if rules.still and rules.realtime else None
        self._said: tuple[str, float] = ("", 0.0)
        self._camera = Camera(
            source,
            self._playback(),
            realtime=rules.realtime,
            clock=clock,
            monotonic=monotonic,
            arrived=arrived,
            patience=rules.patience,
            folder_fps=plan.folder_fps,
            opens=opens,
        )

    def _playback(self) -> Playback:
        plan, window_us = self.plan, self._rules.window_us
        if self._rules.realtime or window_us is None:
            return Playback(fps=plan.fps, loop=plan.loop and not self._live, resume_at=self._resume_at)
        first_us, until_us = (max(0, moment - plan.started_at_us) for moment in window_us)
        return Playback(plan.fps, plan.loop, self._resume_at, from_us=first_us, until_us=until_us)

    @property
    def ends_when_stopped(self) -> bool:
        """Whether an end frame is due where the source is stopped, or no successor goes on from there."""
        return self._rules.realtime or not self._rules.serving

    def turn(self, refusal: Callable[[], Dropped | None]) -> Entry | None:
        """What the camera has to say. An image is dropped and counted where `refusal`, asked for it, gives a reason."""
        entry: Entry | None = None
        for event in self._camera.poll():
            match event:
                case Taken():
                    entry = self._on_image(event, refusal)
                case Played():
                    entry = self._on_end(event)
                case _:
                    self._tell(event)
        if self.failure is not None and self._sent and self.ends_when_stopped:
            return self.end()
        return entry

    def close(self, timeout_s: float = 0.0) -> None:
        """Stops reading; waits so long for the thread."""
        self._camera.close(timeout_s)
        self._metrics.camera_up.labels(self.plan.camera_id).set(0)
        self._metrics.camera_frozen.labels(self.plan.camera_id).set(0)

    def end(self) -> Entry:
        """The end frame of a source that is stopped where it is."""
        self.over = True
        seq = self._sent if self._rules.realtime else self._position
        captured_at_us = self._captured_at_us
        if captured_at_us is None:
            captured_at_us = self._clock() if self._rules.realtime else self.plan.started_at_us
        # A successor goes on with the image after the last one sent, so the stop itself is no progress.
        return self._entry(seq, captured_at_us, None, 0, 0, None)

    def _on_image(self, taken: Taken, refusal: Callable[[], Dropped | None]) -> Entry | None:
        camera_id, rules = self.plan.camera_id, self._rules
        self._metrics.frames_read.labels(camera_id).inc()
        if (reason := refusal()) is not None:
            self._metrics.frames_dropped.labels(camera_id, reason.value).inc()
            return None
        try:
            cut = self._zone.cut(taken.bgr)
        except ZoneError as error:
            self._fail(str(error))
            return None
        if self._stillness is not None and self._stillness.unchanged(cut.bgr, taken.read_at_us):
            self._metrics.frames_unchanged.labels(camera_id).inc()
            return None
        self._image_size = (taken.bgr.shape[1], taken.bgr.shape[0])
        self._captured_at_us = taken.read_at_us if rules.realtime else self.plan.started_at_us + taken.media_time_us
        seq = self._sent if rules.realtime else taken.position
        self._sent += 1
        self._position = taken.position + 1
        position = None if self._live else taken.position
        return self._entry(seq, self._captured_at_us, Picture(bgr=cut.bgr), cut.left, cut.top, position)

    def _on_end(self, played: Played) -> Entry | None:
        camera_id = self.plan.camera_id
        self.over, self.damage = True, played.damage
        self._metrics.camera_up.labels(camera_id).set(0)
        if played.damage is not None:
            _log.warning("camera %s: %s", camera_id, played.damage)
        if self._resume_at > played.position:
            _log.info("camera %s: its file was read to the end before; nothing is left of it", camera_id)
            return None
        _log.info("camera %s: its file has ended after %d frames", camera_id, played.position)
        if self._rules.realtime:
            seq, captured_at_us = self._sent, self._captured_at_us or self._clock()
        else:
            seq, captured_at_us = played.position, self.plan.started_at_us + played.media_time_us
        return self._entry(seq, captured_at_us, None, 0, 0, played.position)

    def _entry(
        self, seq: int, captured_at_us: int, image: Picture | None, left: int, top: int, position: int | None
    ) -> Entry:
        deadline_us = None
        if self._rules.realtime and image is not None:
            deadline_us = captured_at_us + round(self._rules.max_delay_s * 1e6)
        frame = Frame(
            camera_id=self.plan.camera_id,
            source_epoch=self._epoch,
            frame_seq=seq,
            captured_at_us=captured_at_us,
            deadline_us=deadline_us,
            left=left,
            top=top,
            image_width=self._image_size[0],
            image_height=self._image_size[1],
            image=image,
            end=image is None,
        )
        return Entry(frame, self.plan.partition, position)

    def _tell(self, event: CameraEvent) -> None:
        camera_id, metrics = self.plan.camera_id, self._metrics
        match event:
            case Up():
                metrics.camera_up.labels(camera_id).set(1)
                _log.info("camera %s: images arrive", camera_id)
                self._said = ("", 0.0)
            case Down():
                metrics.camera_up.labels(camera_id).set(0)
                self._warn(event.why)
            case Reopening():
                metrics.camera_reconnects.labels(camera_id).inc()
            case Frozen():
                metrics.camera_frozen.labels(camera_id).set(event.frozen)
                if event.frozen:
                    _log.warning("camera %s: it sends the same picture over and over; restart its encoder", camera_id)
            case Late():
                metrics.frames_read.labels(camera_id).inc(event.images)
                metrics.frames_dropped.labels(camera_id, Dropped.LATE.value).inc(event.images)
            case Faulty():
                metrics.camera_faults.labels(camera_id, event.fault.value).inc(event.images)
            case Failed():
                self._fail(event.why)

    def _warn(self, why: str) -> None:
        """Says a reason once, and again each minute while it lasts."""
        now_s = self._monotonic()
        if why != self._said[0] or now_s - self._said[1] >= _SAY_AGAIN_S:
            self._said = (why, now_s)
            _log.warning("camera %s: %s; it is tried again", self.plan.camera_id, why)

    def _fail(self, why: str) -> None:
        self.over, self.failure = True, why
        self._camera.close()
        self._metrics.camera_up.labels(self.plan.camera_id).set(0)
        _log.error("camera %s: %s", self.plan.camera_id, why)
