"""What a run carries, listened to while its keys live, so that it can be looked for when they are gone; and the same
run with nothing sealed."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from overt.erasure.known import as_text, vector_as_text
from overt.messages import Embedding, Face, Frame, Message, Vector, WatchlistEntry
from overt.picture import Picture
from overt.ports import Custody, KeyGone
from overt.runtime.avro import AvroFormat, LocalRegistry, Schemas
from overt.runtime.cluster import TopicsAdmin
from overt.runtime.codec import SealingCodec
from overt.runtime.keys.deployment_key import create_deployment_key
from overt.runtime.metrics import Metrics
from overt.runtime.resources import schemas_dir
from overt.runtime.settings import Settings
from overt.runtime.state_codec import StateCodec
from overt.runtime.vault import MAGIC
from overt.runtime.watchlist.enrolment import enrol_folder
from overt.runtime.wiring import STAGES, Wiring
from overt.runtime.world import World
from tests.support.cluster import Cluster

_HEADERS = {"jpeg": 640, "png": 64}
"""Bytes at the beginning of a file that many files share."""
_TOPICS = ("frames", "faces", "embeddings", "watchlist")


@contextmanager
def overheard(world: World) -> Iterator[list[Message]]:
    """Reads along, from before the run to its end, with the keys: every frame, face, embedding and entry that travels.
    A key that is gone already is an error, since what is not known cannot be looked for."""
    messages: list[Message] = []
    stop, failed = threading.Event(), list[BaseException]()

    def listen() -> None:
        followers = [world.log.follow(world.topic(topic)) for topic in _TOPICS]
        try:
            while True:
                last = stop.is_set()
                records = [record for follower in followers for record in follower.poll(100, 0.05)]
                messages.extend(world.codec.decode(record) for record in records)
                if last and not records:
                    return
        except (KeyGone, RuntimeError, ValueError) as error:
            failed.append(error)
        finally:
            for follower in followers:
                follower.close()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield messages
    finally:
        stop.set()
        thread.join(30)
    assert not failed, f"not all could be read along: {failed}"
    assert not thread.is_alive()


def contents(messages: Sequence[Message], frames_apart: int = 5) -> dict[str, bytes]:
    """Every crop, thumbnail, vector, landmarks and reference image by name, and every n-th frame; small ones also in
    the forms in which they would stand in a log."""
    found: dict[str, bytes] = {}
    for message in messages:
        match message:
            case Frame(image=Picture() as image) if message.frame_seq % frames_apart == 0:
                found |= _picture(f"frame {_cause(message)}", image)
            case Face():
                found |= _picture(f"crop {_cause(message)}", message.crop)
                found |= _picture(f"thumbnail {_cause(message)}", message.thumbnail)
                found |= as_text(f"landmarks {_cause(message)}", _bytes(message.landmarks))
            case Embedding():
                found |= vector_as_text(f"vector {_cause(message)}", message.vector)
            case WatchlistEntry():
                found |= vector_as_text(f"vector of {message.entry_id}", message.vector)
                found |= _picture(f"reference of {message.entry_id}", message.reference_image)
    return found


def _cause(message: Frame | Face | Embedding) -> str:
    return "-".join(map(str, (message.camera_id, *message.cause[1:])))


def _bytes(vector: Vector) -> bytes:
    return vector.astype("<f4").tobytes()


def _picture(name: str, picture: Picture) -> dict[str, bytes]:
    data = picture.encoded("png")  # as it came
    return {name: data[_HEADERS["png" if data[1:4] == b"PNG" else "jpeg"] :]}


class OpenVault:
    """Seals nothing: what it returns is what it was given."""

    def seal(self, plain: bytes, *, custody: Custody, owner: str, context: bytes) -> bytes:
        return plain

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        assert not sealed.startswith(MAGIC)
        return sealed


def unsealed(world: World) -> World:
    """The same world, with sealing off and nothing else changed."""
    schemas = Schemas(schemas_dir())
    avro = AvroFormat(schemas, LocalRegistry(schemas), lambda record: record)
    codec = SealingCodec(avro, OpenVault(), prefix=world.prefix, frame_form="png")
    return dataclasses.replace(world, codec=codec, state_codec=StateCodec(avro, OpenVault()), peek=codec.peek)


def run_unsealed(cluster: Cluster, timeout_s: float = 120.0) -> None:
    """All services of a cluster in this process over its real broker and Redis, with sealing off, until its files have
    ended. Nothing of it need be prepared."""
    settings = Settings.model_validate({name: str(value) for name, value in cluster.settings.items()})
    create_deployment_key(Path(cluster.settings["deployment_key_file"]))
    TopicsAdmin(cluster.deployment, settings).apply()
    world = unsealed(cluster.world)
    wiring = Wiring(world, settings, Metrics(), realtime=False)
    sink = world.sink()
    for entry in enrol_folder(wiring, lambda done, total: None).entries:
        topic, partition = world.route(entry)
        sink.produce(topic, key=entry.key, value=world.codec.encode(entry), partition=partition)
    sink.flush(30.0)
    sink.close()
    stop = threading.Event()
    runs: Mapping[str, Any] = {stage: wiring.worker(stage).run for stage in STAGES}
    threads = [threading.Thread(target=run, args=(stop,), daemon=True) for run in runs.values()]
    threads.append(threading.Thread(target=wiring.frame_service().run, args=(stop,), daemon=True))
    for thread in threads:
        thread.start()
    try:
        cluster.wait_done(timeout_s)
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
