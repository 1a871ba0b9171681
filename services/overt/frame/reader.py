"""What every reader of a camera does: give its images one after the other, each with its time in the source."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from overt.picture import Bgr


class Fault(StrEnum):
    """Why one image of a source could not be had. The source goes on. Each is a value of the `reason` label."""

    UNDECODABLE = "undecodable"
    """Its bytes are damaged or of another kind."""
    TOO_LARGE = "too_large"
    """It has more pixels than are accepted (`overt.picture.MAX_PIXELS`)."""
    UNREADABLE = "unreadable"
    """Its file could not be read from the disk."""


@dataclass(frozen=True, slots=True)
class Grabbed:
    """The next image is there and its time is known; its pixels are made only when asked for."""

    number: int
    """Of the image in the source, from 0; damaged ones count."""
    media_time_us: int
    """Presentation time within the source, from 0; exact and the same on every reading of a file."""


@dataclass(frozen=True, slots=True)
class Read:
    """One image: uint8 [H, W, 3] BGR in memory that the reader does not use again."""

    bgr: Bgr = field(repr=False)  # it must never reach a log
    number: int
    media_time_us: int


@dataclass(frozen=True, slots=True)
class BadImage:
    """One image that could not be had; the next may be fine."""

    number: int
    fault: Fault


@dataclass(frozen=True, slots=True)
class EndOfSource:
    """Nothing comes any more: a file has ended, a live camera has hung up."""

    images: int
    duration_us: int
    """Time of the last image plus the time that one image is shown; 0 when there was none."""
    damage: str | None = None
    """What is missing compared with what the file declares of itself, in words; None when it seems whole."""


class Reader(Protocol):
    """One open source. Used from one thread at a time; every call may block while a live camera says nothing."""

    def grab(self) -> Grabbed | EndOfSource:
        """Goes on to the next image without making its pixels."""
        ...

    def retrieve(self) -> Bgr | BadImage:
        """The pixels of the image last grabbed: uint8 [H, W, 3], at most MAX_PIXELS, memory of its own."""
        ...

    def read(self) -> Read | BadImage | EndOfSource:
        """`grab` and `retrieve` in one."""
        ...

    def close(self) -> None: ...


class Reading:
    """`read` for readers that have `grab` and `retrieve`."""

    def grab(self) -> Grabbed | EndOfSource:
        raise NotImplementedError

    def retrieve(self) -> Bgr | BadImage:
        raise NotImplementedError

    def read(self) -> Read | BadImage | EndOfSource:
        """See Reader."""
        grabbed = self.grab()
        if isinstance(grabbed, EndOfSource):
            return grabbed
        image = self.retrieve()
        return image if isinstance(image, BadImage) else Read(image, grabbed.number, grabbed.media_time_us)
