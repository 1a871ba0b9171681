"""Who plays which part in the demo: who is on the list, from which photograph, and who walks past, in which.

The parts are data: give another cast and other people are listed. A person on the list never walks past in the very
photograph they were enrolled from unless it is re-photographed, which is then said wherever it appears.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from overt.demo.film import Camera
from overt.demo.portraits import PORTRAITS
from overt.demo.scene import Progress, Scene, composed
from overt.demo.walk import Photo, Walk, Walker

_FACES = {portrait.name: portrait.face_xyxy for portrait in PORTRAITS}


@dataclass(frozen=True, slots=True)
class Listed:
    """A person on the demo's watchlist and the portraits they are enrolled from."""

    label: str
    portraits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """One walk past, in one portrait."""

    label: str
    portrait: str
    rephotographed: bool = False


@dataclass(frozen=True, slots=True)
class DemoCast:
    """The watchlist and the passes, in their order. Raises ValueError for a pass in an enrolled photograph as it is."""

    watchlist: tuple[Listed, ...]
    passes: tuple[Pass, ...]

    def __post_init__(self) -> None:
        enrolled = {(listed.label, portrait) for listed in self.watchlist for portrait in listed.portraits}
        for pass_ in self.passes:
            if (pass_.label, pass_.portrait) in enrolled and not pass_.rephotographed:
                raise ValueError(
                    f"{pass_.label} walks past in {pass_.portrait}, the photograph of their enrolment: "
                    "take another portrait, or say that it is re-photographed"
                )

    @property
    def listed(self) -> frozenset[str]:
        """The labels on the watchlist."""
        return frozenset(listed.label for listed in self.watchlist)

    def walkers(self, portraits: Mapping[str, Path]) -> tuple[Walker, ...]:
        """The passes as walkers. `portraits` is what `portraits.obtain` returned. KeyError for an unknown one."""
        return tuple(
            Walker(
                label=pass_.label,
                listed=pass_.label in self.listed,
                photo=Photo(portraits[pass_.portrait], _FACES[pass_.portrait], pass_.rephotographed),
                start_s=start_s,
                walk=walk,
            )
            for pass_, (start_s, walk) in zip(self.passes, _slots(len(self.passes)), strict=True)
        )


DEMO = DemoCast(
    watchlist=(Listed("barack-obama", ("obama",)), Listed("grace-hopper", ("hopper",))),
    passes=(
        Pass("barack-obama", "obama3"),
        Pass("joe-biden", "biden"),
        Pass("grace-hopper", "hopper", rephotographed=True),
        Pass("eileen-collins", "collins"),
        Pass("barack-obama", "obama2"),
    ),
)
"""Two on the list: one in photographs other than the enrolled, one in the same, re-photographed. Two on no list."""

_SEED = 1
_LANES = (
    Walk(from_x=0.46, to_x=0.36, seconds=4.8),
    Walk(from_x=0.56, to_x=0.70, seconds=5.0),
    Walk(from_x=0.44, to_x=0.60, seconds=4.6),
    Walk(from_x=0.54, to_x=0.31, seconds=5.2),
    Walk(from_x=0.50, to_x=0.45, seconds=5.0),
)


def _slots(count: int) -> Sequence[tuple[float, Walk]]:
    """When and where each pass begins: in pairs, the second some way behind the first."""
    return [(0.4 + 6.9 * (n // 2) + 2.6 * (n % 2), _LANES[n % len(_LANES)]) for n in range(count)]


def demo_scene(cast: DemoCast, portraits: Mapping[str, Path], folder: Path, progress: Progress | None = None) -> Scene:
    """The demo's video, 1280x720 at 15 frames a second; composed once, then found in `folder` again."""
    return composed(cast.walkers(portraits), folder, seed=_SEED, camera=Camera(), progress=progress)
