"""Fusion over a track: the probe for a face is made from all faces of its track so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from overt.embedder.state import EmbedderState, FusedTrack
from overt.messages import Face, Vector

_LEAST_LENGTH = 1e-3  # of a sum: below it the faces contradict each other and the last one stands alone


@dataclass(frozen=True, slots=True)
class Memory:
    """How long vectors of passers-by are remembered, which is no longer than it is of use."""

    track_us: int = 20_000_000
    """Capture time after a track's last face. Less than a transient key lives."""
    faces: int | None = None
    """A track with so many faces gets no more and is forgotten at once; None: not known."""
    tracks: int = 256
    """Most tracks of one camera; those whose last face is oldest are forgotten first."""


def weight(quality: float) -> float:
    """What a face counts in the sum."""
    return max(quality, 0.01)


def open_tracks(state: EmbedderState, face: Face, memory: Memory) -> EmbedderState:
    """The state without the tracks whose time is over when that face comes."""
    kept = tuple(
        track
        for track in state.tracks
        if track.source_epoch == face.source_epoch
        # A clock that was set back must not keep anybody either.
        and abs(face.captured_at_us - track.captured_at_us) <= memory.track_us
    )
    return EmbedderState(kept)


def fused(track: FusedTrack | None, face: Face, vector: Vector) -> FusedTrack:
    """The track with one more face: unit vectors are summed by weight. `vector` is float32 [D], finite, L2 norm 1.

    The order of faces makes no difference but for rounding.
    """
    total, faces = vector.astype(np.float64) * weight(face.quality), 1
    if track is not None:
        both = total + track.vector.astype(np.float64) * track.length
        if float(np.linalg.norm(both)) >= _LEAST_LENGTH:
            total, faces = both, track.faces + 1
    length = float(np.linalg.norm(total))
    return FusedTrack(
        track_id=face.track_id,
        source_epoch=face.source_epoch,
        frame_seq=face.frame_seq,
        face_index=face.face_index,
        captured_at_us=face.captured_at_us,
        faces=faces,
        length=length,
        vector=vector if faces == 1 else (total / length).astype(np.float32),
    )


def with_track(state: EmbedderState, latest: FusedTrack, memory: Memory) -> EmbedderState:
    """The state with a track as it is now; without it when it gets no more faces."""
    others = tuple(track for track in state.tracks if track.track_id != latest.track_id)
    if memory.faces is not None and latest.faces >= memory.faces:
        return EmbedderState(others)
    return EmbedderState((*others, latest)[-memory.tracks :])
