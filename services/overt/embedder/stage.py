"""The embedder: faces in, probes out, one model call for a batch.

Refused on purpose: reading anything else from a live face, such as an emotion, an age or an ethnicity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from overt.embedder.model import EmbeddingModel
from overt.messages import Embedding, Face, Vector
from overt.picture import BadPicture, Bgr
from overt.ports import Reason, Reject


class EmbedderStage:
    """See `overt.ports.Stage`. Gathers the chips of a batch, calls the model once, scatters the vectors."""

    def __init__(self, model: EmbeddingModel) -> None:
        self._model = model

    def __call__(self, batch: Sequence[Face], /) -> Iterable[Embedding | Reject]:
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
            vectors = self._model.embed(np.stack(chips))
            results += [self._probe(face, vector) for face, vector in zip(usable, vectors, strict=True)]
        return results

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
