"""One annotated picture: everybody unclear, except those who raised an alert, who are framed and named by their id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np

from overt.messages import Alert, Kind
from overt.output.obscure import MARGIN, MARGIN_BESIDE_ALERT, Rectangle, cover, inside, patch_of, softened
from overt.output.presence import Presence, grown
from overt.output.wording import label
from overt.picture import Bgr

CLEAR_MARGIN = 0.2
"""What is shown beyond the box of an alerted face, in widths and heights of the box."""
CAPTION_HEIGHT_PX = 28

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SCALE = 0.5
_LINE_PX = 20
_COLOUR = {Kind.WANTED: (60, 160, 255), Kind.MISSING: (235, 175, 70)}  # BGR: amber, blue
_PAPER = (24, 20, 18)
_INK = (240, 240, 240)


class Patches:
    """The one patch of each track that stands for its face in the whole video."""

    def __init__(self) -> None:
        self._of: dict[str, Bgr] = {}

    def of(self, bgr: Bgr, presence: Presence) -> Bgr | None:
        """The track's patch, made from this picture if there is none yet; one colour for a face without a track."""
        if presence.track_id is None:
            patch = patch_of(bgr, presence.box)
            return None if patch is None else np.full_like(patch, patch.reshape(-1, 3).mean(axis=0).astype(np.uint8))
        patch = self._of.get(presence.track_id)
        if patch is None and (patch := patch_of(bgr, presence.box)) is not None:
            self._of[presence.track_id] = patch
        return patch

    def keep_only(self, tracks: set[str]) -> None:
        """Forgets the others."""
        self._of = {track: patch for track, patch in self._of.items() if track in tracks}


def annotated(
    bgr: Bgr, faces: Sequence[Presence], alerts: Mapping[str, Alert], patches: Patches, *, soften: bool
) -> Bgr:
    """A new picture, uint8 [H, W, 3]. `faces` are in its pixels; `alerts` are by track.

    Only a face that was seen in this frame and whose track has raised an alert is clear, and only as far as it does
    not overlap anybody else's. `soften` takes the detail out of everything else too.
    """
    clear = [face for face in faces if face.seen and face.track_id in alerts]
    others = [(f, patch) for f in faces if f not in clear and (patch := patches.of(bgr, f)) is not None]
    canvas = _covered(bgr, others, MARGIN)
    result = softened(canvas) if soften else canvas
    areas = [(area, alerts[f.track_id]) for f in clear if f.track_id and (area := _clear_area(canvas, f)) is not None]
    beside = _covered(bgr, others, MARGIN_BESIDE_ALERT) if areas else canvas
    for (x1, y1, x2, y2), _ in areas:
        result[y1:y2, x1:x2] = beside[y1:y2, x1:x2]
    taken = [area for area, _ in areas]
    for area, alert in areas:
        _frame(result, area, alert, taken)
    return result


def _covered(bgr: Bgr, others: Sequence[tuple[Presence, Bgr]], seen_margin: float) -> Bgr:
    """A copy in which the others' faces are covered; where one is only presumed to be, always with the full margin."""
    canvas = bgr.copy()
    for face, patch in others:
        cover(canvas, face.box, patch, seen_margin if face.seen else MARGIN)
    return canvas


def _clear_area(bgr: Bgr, face: Presence) -> Rectangle | None:
    return inside(bgr, grown(face.box, CLEAR_MARGIN))


def with_caption(bgr: Bgr, left: str, right: str) -> Bgr:
    """The picture with a strip below it, [H + 28, W, 3]."""
    height, width = bgr.shape[:2]
    whole = np.empty((height + CAPTION_HEIGHT_PX, width, 3), np.uint8)
    whole[:height] = bgr
    whole[height:] = _PAPER
    scale = _fitting(f"{left}    {right}", width - 20, 0.5)
    _text(whole, left, (10, height + 19), scale)
    (right_width, _), _ = cv2.getTextSize(right, _FONT, scale, 1)
    _text(whole, right, (width - right_width - 10, height + 19), scale)
    return whole


def _frame(bgr: Bgr, face: Rectangle, alert: Alert, taken: list[Rectangle]) -> None:
    """Draws a face's frame and its label, at the place that hides least of what is `taken`, and takes it."""
    x1, y1, x2, y2 = face
    cv2.rectangle(bgr, (x1, y1), (x2 - 1, y2 - 1), _COLOUR[alert.kind], 2, cv2.LINE_AA)
    lines = label(alert)
    width = min(bgr.shape[1], max(cv2.getTextSize(line, _FONT, _SCALE, 1)[0][0] for line in lines) + 18)
    height = min(bgr.shape[0], _LINE_PX * len(lines) + 8)
    left, top, right, bottom = min(_places(bgr, face, width, height), key=lambda place: _hidden(place, taken))
    taken.append((left, top, right, bottom))
    bgr[top:bottom, left:right] = _PAPER
    bgr[top:bottom, left : left + 4] = _COLOUR[alert.kind]
    for number, line in enumerate(lines):
        _text(bgr, line, (left + 10, top + _LINE_PX * (number + 1) - 2), _fitting(line, right - left - 12, _SCALE))


def _places(bgr: Bgr, face: Rectangle, width: int, height: int) -> Iterator[Rectangle]:
    """Where a label may stand: above, below, right and left of the face, then anywhere along the picture's edges."""
    x1, y1, x2, y2 = face
    most_left, most_top = bgr.shape[1] - width, bgr.shape[0] - height
    beside = [(x1, y1 - height - 2), (x1, y2 + 2), (x2 + 2, y1), (x1 - width - 2, y1), (x2 - width, y1 - height - 2)]
    edges = [(left, top) for top in (0, most_top) for left in (0, most_left // 2, most_left)]
    for left, top in beside + edges:
        left, top = min(max(0, left), most_left), min(max(0, top), most_top)
        yield left, top, left + width, top + height


def _hidden(place: Rectangle, taken: Sequence[Rectangle]) -> int:
    """Pixels of what is taken that the place would hide."""
    return sum(
        max(0, min(place[2], other[2]) - max(place[0], other[0]))
        * max(0, min(place[3], other[3]) - max(place[1], other[1]))
        for other in taken
    )


def _fitting(text: str, width_px: int, scale: float) -> float:
    (wanted, _), _ = cv2.getTextSize(text, _FONT, scale, 1)
    return scale if wanted <= width_px else max(0.25, scale * width_px / wanted)


def _text(bgr: Bgr, text: str, at: tuple[int, int], scale: float) -> None:
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    cv2.putText(bgr, printable, at, _FONT, scale, _INK, 1, cv2.LINE_AA)
