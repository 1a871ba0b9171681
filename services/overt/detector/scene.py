"""One frame with what was found in it, and whose: what the choice of faces and the views are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from overt.detector.detections import Detections
from overt.detector.state import Track
from overt.messages import Box, Frame, Sighting, Sightings
from overt.picture import BadPicture, Bgr

_HIDDEN_US = 500_000  # for so long a face that is not detected is still blurred and drawn where it is expected
_LONGEST_SIDE_PX = 32_766  # OpenCV's warps refuse more


@dataclass(frozen=True, slots=True)
class Scene:
    """`found` is in pixels of the zone's picture `bgr`; `tracks` and every `Box` in those of the camera's image."""

    frame: Frame
    bgr: Bgr = field(repr=False)  # it must never reach a log
    found: Detections
    clock_us: int
    tracks: Sequence[Track]
    owners: Mapping[int, int]
    """By the index of a detection: the index of its track. A detection of low score may have none."""

    def box(self, detection: int) -> Box:
        """A detection's box."""
        left, top = self.frame.left, self.frame.top
        x1, y1, x2, y2 = self.found.xyxy[detection].tolist()
        return Box(x1 + left, y1 + top, x2 + left, y2 + top)

    def hidden(self) -> list[tuple[Track, Box]]:
        """Tracks that were detected a moment ago and not in this frame, where they are expected."""
        seen = set(self.owners.values())
        return [
            (track, track.box(self.clock_us))
            for index, track in enumerate(self.tracks)
            if index not in seen and self.clock_us - track.seen_at_us <= _HIDDEN_US
        ]

    def others(self, detection: int) -> list[list[float]]:
        """The boxes of everybody else, seen or hidden, in pixels of the picture."""
        left, top = self.frame.left, self.frame.top
        seen = [xyxy for index, xyxy in enumerate(self.found.xyxy.tolist()) if index != detection]
        return seen + [[b.x1 - left, b.y1 - top, b.x2 - left, b.y2 - top] for _, b in self.hidden()]

    def sightings(self) -> Sightings:
        """Every face, those of no track and the hidden too: all that must be blurred."""
        seen = [
            Sighting(self.box(d), self.tracks[self.owners[d]].track_id if d in self.owners else None)
            for d in range(len(self.found))
        ]
        return Sightings(self.frame, (*seen, *(Sighting(box, track.track_id) for track, box in self.hidden())))


def pixels(frame: Frame) -> Bgr:
    """The frame's picture, uint8 [H, W, 3]. Raises BadPicture when there is none or it does not fit its frame."""
    if frame.image is None:
        raise BadPicture("the frame has no picture and does not end its source")
    bgr = frame.image.bgr()
    if bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.dtype != "uint8" or not bgr.size:
        raise BadPicture(f"a picture of {bgr.dtype} {list(bgr.shape)} where uint8 [H, W, 3] is expected")
    height, width = bgr.shape[:2]
    if max(height, width) > _LONGEST_SIDE_PX:
        raise BadPicture(f"a picture of {width}x{height} has a side of more than {_LONGEST_SIDE_PX} px")
    if (
        min(frame.left, frame.top) < 0
        or frame.left + width > frame.image_width
        or frame.top + height > frame.image_height
    ):
        raise BadPicture(
            f"a zone of {width}x{height} does not fit the image of {frame.image_width}x{frame.image_height}"
        )
    return bgr
