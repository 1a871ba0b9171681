"""What the embedder remembers of a camera: one fused vector for each open track. It is biometric, and travels sealed.

What is kept of a track is exactly the vector of its last probe, so that whoever searches for what the probes held
searches for this too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from overt.messages import Vector


@dataclass(frozen=True, slots=True)
class FusedTrack:
    """One passer-by: the sums of which the next probe is made. See `overt.embedder.fusion`."""

    track_id: str
    source_epoch: int
    frame_seq: int
    face_index: int
    """With the two before: the cause of its last face."""
    captured_at_us: int
    """Capture time of its last face."""
    faces: int
    weight: float
    """Sum of the faces' weights."""
    own: float
    """Weighted sum of the lengths of what is each face's own."""
    length: float
    """L2 norm of the weighted sum of what is each face's own."""
    vector: Vector = field(repr=False)  # it must never reach a log
    """float32 [D], L2 norm 1: the last probe, whose own part points where that sum does."""


@dataclass(frozen=True, slots=True)
class EmbedderState:
    """All that the embedder knows of one camera, the track whose last face is oldest first."""

    tracks: tuple[FusedTrack, ...] = ()
