"""The camera service's loop: one thread that leases cameras, empties their mailboxes in turn, and sends frames.

Each turn, in this order:

1. give up the cameras whose lease is lost, try for those that nobody holds,
2. take at most one image from each camera, cut its zone out, and make a frame of it,
3. send what was made; until the bus has acknowledged it, it has not happened,
4. note how far each file was sent, finish cameras that are over.

Nothing in a turn waits for a camera: those are read by threads of their own (`overt.frame.feed`). Leases are renewed by
a thread of their own, so that a bus that is slow to answer costs none.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from overt.frame.readers import OpenReader, open_reader
from overt.frame.zone import Zone
from overt.ports import Backlog, Clock, Codec, Leases, Sink, Unavailable
from overt.runtime.frame.leases import LeaseKeeper, ProgressNotes
from overt.runtime.frame.outbox import Entry, Outbox
from overt.runtime.frame.reading import CameraReading
from overt.runtime.frame.room import ASK_EVERY_S, Room
from overt.runtime.frame.rules import CameraPlan, CameraSummary, Dropped, FrameRules, source_of
from overt.runtime.metrics import Metrics
from overt.runtime.tracing import NO_TRACING, Tracing

_log = logging.getLogger(__name__)

_IDLE_S = 0.05
_PROGRESS_S = 1.0
_THREADS_END_S = 1.0
_ALIVE_S = 30.0  # a loop that has not turned for so long is stuck: others shall have its cameras


class FrameService:
    """Reads the cameras of a deployment that this replica can lease. Owns its sink and closes it.

    `leases` and `sink` are asked with short timeouts only; `frames_waiting` tells how many frames of a partition the
    detector has not finished. Raises CameraError at once for a source that is none, and for a live camera where
    the run does not keep to real time; ZoneError for a polygon that is none.
    """

    def __init__(
        self,
        plans: Sequence[CameraPlan],
        rules: FrameRules,
        *,
        leases: Leases,
        sink: Sink,
        codec: Codec,
        frames_waiting: Backlog,
        metrics: Metrics,
        clock: Clock,
        topic: str = "frames",
        may_capture: Callable[[], bool] = lambda: True,
        monotonic: Callable[[], float] = time.monotonic,
        opens: OpenReader = open_reader,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._opens = opens
        self._may_capture = may_capture
        self._paused = False
        self._plans = {plan.camera_id: plan for plan in plans}
        self._sources = {plan.camera_id: source_of(plan, rules) for plan in plans}
        self._zones = {plan.camera_id: Zone(plan.polygon) for plan in plans}
        self._rules = rules
        self._leases = leases
        self._sink = sink
        self._room = Room(frames_waiting, rules.unconsumed_most, monotonic)
        self._metrics = metrics
        self._clock = clock
        self._monotonic = monotonic
        self._arrived = threading.Event()
        # An image that arrives ends a pause, and so does `detector_caught_up`; while nobody calls that, the bus is
        # asked as often as it is worth asking.
        self._pause_s = _IDLE_S if rules.realtime else ASK_EVERY_S
        self._full: set[str] = set()
        """Cameras whose next image cannot be sent yet, so that its arrival is no reason to wake."""
        self._keeper = LeaseKeeper(
            leases,
            most=rules.cameras_most,
            renew_s=rules.renew_s,
            acquire_s=rules.acquire_s,
            monotonic=monotonic,
        )
        self._outbox = Outbox(
            sink,
            codec,
            metrics,
            topic=topic,
            realtime=rules.realtime,
            flush_s=rules.flush_s,
            monotonic=monotonic,
            tracing=tracing,
        )
        self._readings: dict[str, CameraReading] = {}
        self._finished: set[str] = set()
        self._sent = dict.fromkeys(self._plans, 0)
        self._failures: dict[str, str] = {}
        self._damages: dict[str, str] = {}
        self._progress = ProgressNotes(leases, every_s=_PROGRESS_S, monotonic=monotonic)
        self._first = 0  # whose turn it is to be first
        self.last_turn_s = monotonic()

    # The loop

    def run(self, stop: threading.Event) -> Mapping[str, CameraSummary]:
        """Until `stop` is set, the window ends or, unless serving, all sources are over; then drains, for `drain_s` and
        a second at most. Returns what became of each camera. Raises what is nobody's fault but ours."""
        self._keeper.start(lambda: self._monotonic() - self.last_turn_s < _ALIVE_S)
        try:
            while not stop.is_set() and not self._over():
                # Before the window, and while the site is paused, nothing is leased and nothing opened.
                self.last_turn_s = self._monotonic()
                worked = not self._rules.window_is_ahead(self._clock()) and self._open() and self.turn()
                if not worked:
                    self._arrived.wait(self._pause_s)
                    self._arrived.clear()
            self.drain()
        finally:
            self.close()
        return self.summary()

    def _open(self) -> bool:
        """Whether the site may capture; where it may no longer, reading ends as at the end of the window."""
        paused, before = not self._may_capture(), self._paused
        self._paused = paused
        if paused and not before:
            self._end_reading()
        if paused:
            self._metrics.ready.labels("frame").set(self.ready())
        return not paused

    def _end_reading(self) -> None:
        """Reads nothing any more and gives the cameras back; what was read is sent, and open tracks are ended."""
        self._close_readings()
        self._send_the_rest()
        for camera_id in list(self._readings):
            del self._readings[camera_id]
            self._keeper.release(camera_id, again_in_s=self._rules.acquire_s)

    def turn(self) -> bool:
        """One turn of the loop; returns whether there may be more to do at once."""
        self._lease()  # 1
        worked = self._read()  # 2
        self._acknowledge(self._outbox.send())  # 3
        self._progress.note(at_once=False)  # 4
        self._finish()
        self._metrics.ready.labels("frame").set(self.ready())
        return worked

    def detector_caught_up(self) -> None:
        """Fewer frames wait for the detector than a moment ago: ends a pause. May be called from any thread."""
        self._room.ask_again()
        if not self._rules.realtime:
            self._pause_s = _IDLE_S
            self._full.clear()
            self._arrived.set()

    def ready(self) -> bool:
        """Whether it can ask for leases and send frames."""
        return not self._outbox.failing and not self._keeper.failing

    def summary(self) -> Mapping[str, CameraSummary]:
        """What has become of each camera up to now."""
        return {
            camera_id: CameraSummary(
                camera_id, self._sent[camera_id], self._failures.get(camera_id), self._damages.get(camera_id)
            )
            for camera_id in self._plans
        }

    def _over(self) -> bool:
        if self._rules.window_is_over(self._clock()):
            return True
        return not self._rules.serving and len(self._finished) == len(self._plans)

    # Its steps

    def _lease(self) -> None:
        for camera_id in self._keeper.lost():
            _log.warning("camera %s: its lease is lost; another replica reads it", camera_id)
            if (reading := self._readings.pop(camera_id, None)) is not None:
                reading.close()
            self._outbox.forget(camera_id)
            self._progress.forget(camera_id)
        for camera_id in self._keeper.acquire(c for c in self._plans if c not in self._finished):
            self._start(camera_id)

    def _start(self, camera_id: str) -> None:
        plan, source = self._plans[camera_id], self._sources[camera_id]
        resume_at = 0
        try:
            if not source.live and (last := self._leases.read_progress(camera_id)) is not None:
                resume_at = last + 1
        except Unavailable:
            self._keeper.release(camera_id, again_in_s=self._rules.acquire_s)
            return
        epoch = self._keeper.epochs.get(camera_id)
        if epoch is None:
            return  # lost while we asked: the next turn hears of it
        _log.info("camera %s: reading %s (epoch %d, from image %d)", camera_id, source.name, epoch, resume_at)
        self._readings[camera_id] = CameraReading(
            plan,
            source,
            self._zones[camera_id],
            self._rules,
            self._metrics,
            epoch=epoch,
            resume_at=resume_at,
            clock=self._clock,
            monotonic=self._monotonic,
            arrived=partial(self._has_arrived, camera_id),
            opens=self._opens,
        )

    def _has_arrived(self, camera_id: str) -> None:
        if camera_id not in self._full:
            self._arrived.set()

    def _read(self) -> bool:
        if not self._rules.realtime and len(self._outbox):
            return False  # the same frames again before any other
        cameras = list(self._readings)
        self._first = (self._first + 1) % max(1, len(cameras))
        worked = False
        for camera_id in cameras[self._first :] + cameras[: self._first]:
            reading = self._readings[camera_id]
            if reading.over or not self._keeper.held(camera_id):
                continue
            refusal: Callable[[], Dropped | None] = partial(self._refusal, reading.plan)
            if not self._rules.realtime:
                if refusal() is not None:
                    self._full.add(camera_id)
                    continue  # its image waits in the mailbox
                self._full.discard(camera_id)
                refusal = _never
            if (entry := reading.turn(refusal)) is not None:
                self._outbox.put(entry)
                self._room.sent(entry.partition)
                worked = True
        return worked

    def _refusal(self, plan: CameraPlan) -> Dropped | None:
        """Why no frame of this camera is to be made now."""
        if self._outbox.away:
            return Dropped.UNAVAILABLE
        try:
            return Dropped.BACKLOG if self._room.full(plan.partition) else None
        except Unavailable:
            return Dropped.UNAVAILABLE

    def _acknowledge(self, entries: Sequence[Entry]) -> None:
        now_us = self._clock()
        for entry in entries:
            camera_id = entry.frame.camera_id
            if entry.position is not None:
                self._progress.reached(camera_id, entry.position)
            if not entry.frame.end:
                self._sent[camera_id] += 1
                self._metrics.records.labels("frame").inc()
                if self._rules.realtime:
                    seconds = max(0.0, (now_us - entry.frame.captured_at_us) / 1e6)
                    self._metrics.capture_to_stage_seconds.labels("frame").observe(seconds)

    def _finish(self) -> None:
        """Takes leave of cameras that are over, once all they gave is acknowledged."""
        over = [camera_id for camera_id, reading in self._readings.items() if reading.over]
        if not over or len(self._outbox):
            return
        self._progress.note(at_once=True)
        for camera_id in over:
            reading = self._readings.pop(camera_id)
            reading.close()
            if reading.damage is not None:
                self._damages[camera_id] = reading.damage
            if reading.failure is not None:
                self._failures[camera_id] = reading.failure
            if reading.failure is not None and self._rules.serving:
                self._keeper.release(camera_id, again_in_s=self._rules.retry_failed_s)
                continue
            self._finished.add(camera_id)
            if not self._rules.serving:  # else it stays leased, so that no other replica looks into the file again
                self._keeper.release(camera_id)

    # Its end

    def drain(self) -> None:
        """1. stop reading, 2. end frames, 3. send what is left, 4. note progress."""
        self._close_readings()  # 1, 2
        self._send_the_rest()  # 3
        self._progress.note(at_once=True)  # 4

    def _close_readings(self) -> None:
        for camera_id, reading in self._readings.items():
            reading.close()
            if not reading.over and reading.ends_when_stopped and self._keeper.held(camera_id):
                self._outbox.put(reading.end())

    def _send_the_rest(self) -> None:
        until_s = self._monotonic() + self._rules.drain_s
        while True:
            self._acknowledge(self._outbox.send())
            if not len(self._outbox) or self._monotonic() >= until_s:
                break
            time.sleep(_IDLE_S)
        if len(self._outbox):
            _log.error("frame: %d frames could not be sent before the end", len(self._outbox))

    def close(self) -> None:
        """Stops all reading, gives the leases back, closes the sink. `run` does it; harmless when repeated."""
        for reading in self._readings.values():
            reading.close()
        self._keeper.stop()
        until_s = time.monotonic() + _THREADS_END_S
        for reading in self._readings.values():
            reading.close(max(0.0, until_s - time.monotonic()))
        self._sink.close()


def _never() -> Dropped | None:
    """Without real time no image is refused."""
    return None
