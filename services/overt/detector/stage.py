"""The detector: frames in; faces worth an embedding, and a pass for each passer-by, out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from overt.detector.align import Aligner
from overt.detector.bestshot import ShotPolicy
from overt.detector.calibration import Calibration
from overt.detector.choice import Chooser
from overt.detector.locate import Locator
from overt.detector.quality import Gate, failure
from overt.detector.scene import Scene, pixels
from overt.detector.state import DetectorState, Track
from overt.detector.track import Tracking, associate, begun, continued, solver
from overt.messages import Face, Frame, Pass, Sightings
from overt.picture import BadPicture, Bgr
from overt.ports import Reason, Reject

Output = Face | Pass | Sightings


class DetectorStage:
    """See `overt.ports.StatefulStage`. Blocks for one pass of the network for each frame, and one for each look.

    A passer-by is a track that was detected in `Tracking.confirm_frames` frames or gave a crop; less is taken for noise
    and leaves no Pass. Outputs of a frame come in this order: passes that ended before it, its faces by `face_index`,
    its sightings where `observe` is set, passes that end with it. A frame of an older epoch gives nothing. A frame
    whose picture cannot be used is a Reject and changes no state.
    """

    def __init__(
        self,
        locator: Locator,
        aligner: Aligner,
        *,
        calibration: Calibration,
        gate: Gate | None = None,
        tracking: Tracking | None = None,
        shots: ShotPolicy | None = None,
        context: bool = False,
        observe: bool = False,
    ) -> None:
        solver()  # imported now and not at the first face
        self._locator = locator
        self._gate = gate or Gate()
        self._tracking = tracking or Tracking()
        self._observe = observe
        self._chooser = Chooser(
            locator,
            aligner,
            calibration=calibration,
            gate=self._gate,
            policy=shots or ShotPolicy(),
            with_context=context,
        )

    def fresh(self, key: str, /) -> DetectorState:
        """No track is open."""
        del key
        return DetectorState()

    def step(self, state: DetectorState, batch: Sequence[Frame], /) -> tuple[DetectorState, Iterable[Output | Reject]]:
        """One frame after the other; see the class."""
        results: list[Output | Reject] = []
        for index, frame in enumerate(batch):
            if frame.source_epoch < state.source_epoch:
                continue
            try:
                bgr = None if frame.end and frame.image is None else pixels(frame)
            except BadPicture:
                results.append(Reject(index, Reason.BAD_PICTURE))
                continue
            state, outputs = self._frame(state, frame, bgr)
            results += outputs
        return state, results

    def _frame(self, state: DetectorState, frame: Frame, bgr: Bgr | None) -> tuple[DetectorState, list[Output]]:
        """1 close an older epoch, 2 let time go by, 3 close who has gone, 4 look at the picture, 5 close at the end."""
        outputs: list[Output] = []
        if frame.source_epoch > state.source_epoch:
            outputs += self._passes(state, frame, state.tracks)
            state = DetectorState(frame.source_epoch, frame.captured_at_us)
        clock_us = state.clock_us + max(0, frame.captured_at_us - state.captured_at_us)
        here = [clock_us - t.seen_at_us <= self._tracking.max_age_us for t in state.tracks]
        outputs += self._passes(state, frame, [t for t, is_here in zip(state.tracks, here, strict=True) if not is_here])
        staying = tuple(t for t, is_here in zip(state.tracks, here, strict=True) if is_here)
        state = replace(state, captured_at_us=frame.captured_at_us, clock_us=clock_us, tracks=staying)
        if bgr is not None:
            state, seen = self._picture(state, frame, bgr)
            outputs += seen
        if frame.end:
            outputs += self._passes(state, frame, state.tracks)
            state = replace(state, tracks=())
        return state, outputs

    def _picture(self, state: DetectorState, frame: Frame, bgr: Bgr) -> tuple[DetectorState, list[Output]]:
        """1 detect, 2 associate, 3 continue and begin tracks, 4 choose faces."""
        found = self._locator.locate(bgr)
        tracks = list(state.tracks)
        on_camera = found.xyxy + np.array([frame.left, frame.top, frame.left, frame.top], np.float32)
        sure = found.scores >= self._locator.sure_score
        pairs, beginning = associate(tracks, state.clock_us, on_camera, sure, self._tracking)
        owners = {d: t for t, d in pairs}
        boxes = on_camera.tolist()
        for t, d in pairs:
            tracks[t] = continued(tracks[t], frame, boxes[d], state.clock_us, self._tracking)
        for d in beginning:
            owners[d] = len(tracks)
            tracks.append(begun(frame, boxes[d], state.clock_us, self._tracking))
        scene = Scene(frame, bgr, found, state.clock_us, tuple(tracks), owners)
        outputs: list[Output] = []
        for d, t in sorted(owners.items()):
            tracks[t], face = self._chooser.consider(scene, d)
            outputs += [face] if face else []
        outputs += [scene.sightings()] if self._observe else []
        return replace(state, tracks=tuple(tracks)), outputs

    def _passes(self, state: DetectorState, frame: Frame, ended: Sequence[Track]) -> list[Output]:
        """Passes of those that are confirmed, in the order in which their tracks began."""
        return [
            Pass(
                track_id=t.track_id,
                camera_id=frame.camera_id,
                source_epoch=state.source_epoch,
                frame_seq=t.frame_seq,
                first_seen_us=t.first_seen_us,
                last_seen_us=t.last_seen_us,
                frames=t.frames,
                crops=t.shots.crops,
                failure=None if t.shots.crops else failure(t.largest_px, t.last_seen_us - t.first_seen_us, self._gate),
            )
            for t in ended
            if t.confirmed
        ]
