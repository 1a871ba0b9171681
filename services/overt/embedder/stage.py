"""The embedder: faces in, probes out, one model call for a batch; each probe fused over its track where that is asked.

Refused on purpose: reading anything else from a live face, such as an emotion, an age or an ethnicity; and remembering
a face for longer than its track.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from overt.embedder.fusion import Memory, fused, open_tracks, with_track
from overt.embedder.model import EmbeddingModel
from overt.embedder.state import EmbedderState
from overt.messages import Embedding, Face, Vector
from overt.picture import BadPicture, Bgr
from overt.ports import Reason, Reject


class EmbedderStage:
    """See `overt.ports.StatefulStage`. Gathers the chips of a batch, calls the model once, scatters the vectors.

    Without a `memory` each face is a probe of its own, and nothing is remembered of anybody.
    """

    def __init__(self, model: EmbeddingModel, memory: Memory | None = None) -> None:
        self._model = model
        self._memory = memory
        self._shared = model.card.shared.vector if model.card.shared else None

    def fresh(self, key: str, /) -> EmbedderState:
        """No track is open."""
        del key
        return EmbedderState()

    def step(
        self, state: EmbedderState, batch: Sequence[Face], /
    ) -> tuple[EmbedderState, Iterable[Embedding | Reject]]:
        """Rejects first, then a probe for each usable face, in the order of the batch."""
        results: list[Embedding | Reject] = []
        chips: list[Bgr] = []
        usable: list[Face] = []
        side = self._model.card.alignment.chip_px
        for index, face in enumerate(batch):
            try:
                chip = face.crop.bgr()
            except BadPicture:
                results.append(Reject(index, Reason.BAD_PICTURE))
                continue
            if chip.shape != (side, side, 3):
                results.append(Reject(index, Reason.BAD_PICTURE))
                continue
            chips.append(chip)
            usable.append(face)
        if chips:
            for face, vector in zip(usable, self._model.embed(np.stack(chips)), strict=True):
                state, probe = self._fuse(state, face, vector)
                results.append(probe)
        return state, results

    def _fuse(self, state: EmbedderState, face: Face, vector: Vector) -> tuple[EmbedderState, Embedding]:
        if self._memory is None:
            return EmbedderState(), self._probe(face, vector)
        state = open_tracks(state, face, self._memory)
        if not np.isfinite(vector).all():
            return state, self._probe(face, vector)  # whoever compares rejects it; it must not spoil the others
        known = next((track for track in state.tracks if track.track_id == face.track_id), None)
        track = fused(known, face, vector, self._shared)
        return with_track(state, track, self._memory), self._probe(face, track.vector)

    def _probe(self, face: Face, vector: Vector) -> Embedding:
        return Embedding(
            camera_id=face.camera_id,
            source_epoch=face.source_epoch,
            frame_seq=face.frame_seq,
            face_index=face.face_index,
            captured_at_us=face.captured_at_us,
            track_id=face.track_id,
            quality=face.quality,
            space_id=self._model.card.space_id,
            vector=vector,
            thumbnail=face.thumbnail,
            context=face.context,
        )
