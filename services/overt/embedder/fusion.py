"""Fusion over a track: the probe for a face is made from all faces of its track so far.

Not the default: with confirmations, single faces found as many people with fewer false alerts, since matches of probes
that share faces do not confirm each other. A site that evaluates otherwise may switch it on.

Refused on purpose: fusing over more than one track. Nobody is recognised again as a stranger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.embedder.state import EmbedderState, FusedTrack
from overt.messages import Face, Vector

_LEAST_LENGTH = 1e-3  # of a sum by its weight: below it the faces contradict each other and the last stands alone


@dataclass(frozen=True, slots=True)
class Memory:
    """How long vectors of passers-by are remembered, which is no longer than it is of use."""

    track_us: int = 20_000_000
    """Capture time after a track's last face. Less than a transient key lives."""
    faces: int | None = None
    """A track with so many faces is forgotten at once, and begins anew if it stays; None: not known."""
    tracks: int = 256
    """Most tracks of one camera; those whose last face is oldest are forgotten first."""


def weight(quality: float) -> float:
    """What a face counts in the sums."""
    return max(quality, 0.01) ** 2


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


def fused(track: FusedTrack | None, face: Face, vector: Vector, shared: Vector | None = None) -> FusedTrack:
    """The track with one more face. `vector` is float32 [D], finite, L2 norm 1; `shared` what all faces of the space
    have in common, float32 [D], L2 norm 1, None where that is nothing.

    A vector is a shared part and a part of its own. The own parts are summed by weight, and the probe gets the sum's
    direction at the weighted mean of the own parts' lengths: a mean of whole vectors would let go of what tells
    people apart and draw nearer to everybody, so that strangers' similarities rise past thresholds measured on single
    faces. The order of faces makes no difference but for rounding.
    """
    common = np.zeros(len(vector)) if shared is None else shared.astype(np.float64)
    counts = weight(face.quality)
    part = _own(vector, common)
    total, weights, lengths, faces = part * counts, counts, float(np.linalg.norm(part)) * counts, 1
    if track is not None:
        before = _own(track.vector, common)
        both = total + before * (track.length / max(float(np.linalg.norm(before)), _LEAST_LENGTH))
        if float(np.linalg.norm(both)) >= _LEAST_LENGTH * counts:
            total, weights, lengths, faces = both, weights + track.weight, lengths + track.own, track.faces + 1
    length = float(np.linalg.norm(total))
    if faces == 1:
        probe = vector
    else:
        own = min(lengths / weights, 1.0)
        rest = math.sqrt(1 - own**2) if shared is not None else 0.0
        raw = common * rest + total * (own / length)
        probe = np.asarray(raw / np.linalg.norm(raw), np.float32)
    return FusedTrack(
        track_id=face.track_id,
        source_epoch=face.source_epoch,
        frame_seq=face.frame_seq,
        face_index=face.face_index,
        captured_at_us=face.captured_at_us,
        faces=faces,
        weight=weights,
        own=lengths,
        length=length,
        vector=probe,
    )


def _own(vector: Vector, common: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector - common * float(common @ vector), np.float64)


def with_track(state: EmbedderState, latest: FusedTrack, memory: Memory) -> EmbedderState:
    """The state with a track as it is now; without it when it gets no more faces."""
    others = tuple(track for track in state.tracks if track.track_id != latest.track_id)
    if memory.faces is not None and latest.faces >= memory.faces:
        return EmbedderState(others)
    return EmbedderState((*others, latest)[-memory.tracks :])
