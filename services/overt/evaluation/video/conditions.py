"""How composed walk-pasts look: plain data, from which with a seed every pixel follows."""

from __future__ import annotations

from dataclasses import dataclass

from overt.demo.film import Camera


@dataclass(frozen=True, slots=True)
class Conditions:
    """The scene's parameters. Raises ValueError for what is out of range."""

    size: tuple[int, int] = (640, 360)
    """Width and height of the picture, pixels."""
    fps: float = 8.0
    face_px: tuple[float, float] = (40.0, 90.0)
    """Width of a face's box where a pass begins and where it ends."""
    seconds: tuple[float, float] = (2.0, 3.0)
    """Range of an approach's length; turning aside takes 0.9 s more."""
    at_once: int = 3
    """Walkers under way at any time."""
    crossing: float = 0.25
    """Share of passes that change lanes on the way and may hide somebody for a moment."""
    blur_px: float = 0.6
    """Blur of the lens: standard deviation, pixels."""
    shutter: float = 0.25
    """Exposure as a share of the time between two frames: how far moving people smear."""
    noise: float = 3.0
    """Standard deviation of the sensor's noise, levels of 255."""
    light: float = 0.12
    """How much the light on a walker rises and falls along the way, a share."""
    brightness: float = 1.0
    """Of the whole picture: 0.4 is dusk."""
    jpeg_quality: int | None = 80
    """Compression of each picture, 1 to 100; None: none."""
    seed: int = 1

    def __post_init__(self) -> None:
        ordered = 0 < self.face_px[0] < self.face_px[1] and 0 < self.seconds[0] <= self.seconds[1]
        if not (ordered and 0 < self.fps <= 60 and self.at_once >= 1 and 0 <= self.crossing <= 1):
            raise ValueError(
                "a smaller and a larger face, seconds and a rate above 0, and a share in 0..1 are expected"
            )
        if self.brightness <= 0 or min(self.blur_px, self.noise, self.light, self.shutter) < 0:
            raise ValueError("blur, noise, light and shutter of at least 0 and a brightness above 0 are expected")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"a JPEG quality of 1 to 100 is expected, not {self.jpeg_quality}")
        if self.face_px[1] * 1.3 > self.size[1]:
            raise ValueError(f"faces of {self.face_px[1]:g} px do not fit pictures of {self.size[0]}x{self.size[1]}")

    @property
    def camera(self) -> Camera:
        """What the film knows of it."""
        return Camera(self.size, self.fps, self.noise, self.blur_px, self.shutter, self.light)
