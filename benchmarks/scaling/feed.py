"""Who plays the cameras: seals frames and sends them, as many as are worked off, so that some always wait."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence
from typing import Any

from overt.messages import Frame
from overt.picture import Picture
from overt.runtime.world import now_us
from scaling.site import Site

_IDLE_S = 0.002
_AT_ONCE = 64  # frames: the first of 256 cameras all at once take a busy broker longer than a producer waits


def feed(site: Site, images: Sequence[bytes], size: tuple[int, int], depth: int, done: Any, stop: Any) -> None:
    """A process's whole life: every camera has `depth` frames waiting, and gets another when one was committed.

    images: JPEG files, shown in turn; size: their width and height in pixels.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("overt").setLevel(logging.ERROR)
    world = site.world("frame")
    sink, topic = world.sink(), world.topic("frames")
    pictures = [Picture(encoded=image) for image in images]
    sent = [0] * len(done)
    while not stop.value:
        waiting = [sent[number] - done[number] for number in range(len(sent))]
        wanting = sorted((n for n, count in enumerate(waiting) if count < depth), key=waiting.__getitem__)[:_AT_ONCE]
        for number in wanting:
            sent[number] += 1
            picture = pictures[sent[number] % len(pictures)]
            frame = Frame(f"c{number}", 1, sent[number], now_us(), None, 0, 0, *size, picture)
            sink.produce(topic, key=frame.key, value=world.codec.encode(frame), partition=number)
        if wanting:
            sink.flush(30.0)
        else:
            time.sleep(_IDLE_S)
    sink.close()
