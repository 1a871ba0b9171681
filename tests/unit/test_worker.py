"""The loop's promises, on the memory bus: nothing lost, nothing invented, whatever step fails."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.messages import Frame, Message, Pass
from overt.picture import BadPicture, Picture
from overt.ports import Fenced, Reason, Record, Reject, Saved, TooLarge, Unavailable, Undecodable
from overt.runtime.codec import PassingCodec
from overt.runtime.limit import RejectLimit
from overt.runtime.memory import MemoryBus
from overt.runtime.metrics import Metrics
from overt.runtime.origin import origin_of
from overt.runtime.runners import StatefulRunner, StatelessRunner
from overt.runtime.worker import Plan, Worker
from tests.support.messages import embedding

IMAGE = Picture(bgr=np.zeros((2, 2, 3), np.uint8))


def frame(seq: int, camera: str = "c1", epoch: int = 1, deadline_us: int | None = None) -> Frame:
    return Frame(camera, epoch, seq, seq * 1000, deadline_us, 0, 0, 2, 2, IMAGE)


def passing(item: Frame, total: int = 0) -> Pass:
    return Pass(
        f"{item.camera_id}/{item.source_epoch}/{item.frame_seq}/{total}",
        item.camera_id,
        item.source_epoch,
        item.frame_seq,
        0,
        0,
        1,
        1,
        None,
    )


@dataclass(frozen=True, slots=True)
class Total:
    """A state: how many frames a camera has sent."""

    frames: int = 0


class Counting:
    """A stateful stage whose output tells its state, so that anything lost or counted twice shows."""

    def __init__(self, poison: Iterable[int] = ()) -> None:
        self.poison = set(poison)

    def fresh(self, key: str, /) -> Total:
        return Total()

    def step(self, state: Total, batch: Sequence[Frame], /) -> tuple[Total, Iterable[Pass | Reject]]:
        out = []
        for item in batch:
            if item.frame_seq in self.poison:
                raise ValueError("poison")
            state = Total(state.frames + 1)
            out.append(passing(item, state.frames))
        return state, out


class Shaky:
    """Wraps a part; the n-th call of one of its methods raises once."""

    def __init__(self, part: Any, method: str, error: Exception, at: int) -> None:
        self._part, self._method, self._error, self._left = part, method, error, at

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._part, name)
        if name != self._method:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                raise self._error
            return real(*args, **kwargs)

        return call


class Store:
    """States that stay when a worker is replaced."""

    def __init__(self) -> None:
        self.saved: dict[str, Saved] = {}

    def load(self, service: str, key: str) -> Saved | None:
        return self.saved.get(key)

    def save(self, service: str, states: Mapping[str, Saved]) -> None:
        refused = {key for key, new in states.items() if key in self.saved and self.saved[key].cause > new.cause}
        self.saved |= {key: new for key, new in states.items() if key not in refused}
        if refused:
            raise Fenced(service, refused)


class Numbers:
    """Stands for the Avro codec of states."""

    def dumps(self, state: Total, camera: str) -> bytes:
        return str(state.frames).encode()

    def loads(self, cls: type[Any], data: bytes, camera: str) -> Total:
        return Total(int(data))


class Rig:
    """A bus with frames in and passes out, and workers on it."""

    def __init__(self, partitions: int = 1, **limit: Any) -> None:
        self.now_us = 1_000_000
        self.bus = MemoryBus(lambda: self.now_us)
        self.bus.create("frames", partitions)
        self.bus.create("passes", partitions)
        self.bus.create("deadletters", 1)
        self.store = Store()
        self.metrics = Metrics()
        self.limit = RejectLimit(**limit)

    def worker(self, stage: Any = None, *, most: int = 4, source: Any = None, sink: Any = None, **parts: Any) -> Worker:
        stage = stage or Counting()
        runner: Any = (
            StatefulRunner(
                "s",
                stage,
                state_type=Total,
                store=self.store,
                codec=Numbers(),  # type: ignore[arg-type]
                tell=parts.get("tell", lambda camera, state: None),
            )
            if hasattr(stage, "step")
            else StatelessRunner("s", stage)
        )
        plan = Plan(
            "s",
            "frames",
            most,
            self.route,
            "deadletters",
            realtime=parts.get("realtime", True),
            poll_s=0.0,
            limit=self.limit,
        )
        worker = Worker(
            plan,
            runner,
            source=source or self.bus.source("s"),
            sink=sink or self.bus.sink(),
            codec=parts.get("codec", PassingCodec()),
            metrics=self.metrics,
            clock=lambda: self.now_us,
            companion=parts.get("companion"),
        )
        worker.open()
        return worker

    def route(self, message: Message) -> tuple[str, int | None]:
        return "passes", 0

    def feed(self, *frames: Any, partition: int = 0) -> None:
        for item in frames:
            key = item.camera_id if isinstance(item, Frame) else "?"
            self.bus.sink().produce("frames", key=key, value=item, partition=partition)

    def passes(self) -> list[str]:
        return [r.value.track_id for r in self.bus.log().read("passes")]

    def dead(self) -> list[Mapping[str, str]]:
        return [r.headers for r in self.bus.log().read("deadletters")]

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def finish(worker: Worker, turns: int = 30) -> None:
    for _ in range(turns):
        worker.turn()


def expected(count: int) -> list[str]:
    return [f"c1/1/{i}/{i + 1}" for i in range(count)]


def test_each_record_goes_through_once() -> None:
    rig = Rig()
    rig.feed(*[frame(i) for i in range(10)])
    finish(rig.worker())
    assert rig.passes() == expected(10)
    assert rig.bus.unconsumed("frames", 0, "s") == 0


@pytest.mark.parametrize(
    "step", ["source.poll", "sink.produce", "sink.flush", "store.save", "store.load", "source.commit"]
)
@pytest.mark.parametrize("at", [1, 2, 3])
def test_when_a_part_is_away_in_any_step_nothing_is_lost_or_invented(step: str, at: int) -> None:
    rig = Rig()
    part, method = step.split(".")
    away = Unavailable("away")
    source: Any = rig.bus.source("s")
    sink: Any = rig.bus.sink()
    if part == "source":
        source = Shaky(source, method, away, at)
    elif part == "sink":
        sink = Shaky(sink, method, away, at)
    else:
        rig.store = Shaky(rig.store, method, away, at)  # type: ignore[assignment]
    rig.feed(*[frame(i) for i in range(10)])
    finish(rig.worker(source=source, sink=sink))
    assert list(dict.fromkeys(rig.passes())) == expected(10)
    assert rig.bus.unconsumed("frames", 0, "s") == 0


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=6),
    st.sampled_from(["sink.produce", "sink.flush", "store.save", "source.commit"]),
)
@settings(max_examples=60, deadline=None)
def test_replicas_that_die_at_any_step_repeat_and_never_invent(deaths: list[int], step: str) -> None:
    """Each worker dies (with what it had in memory) at some call; the next goes on. Outputs are those of one life."""
    rig = Rig()
    rig.feed(*[frame(i) for i in range(20)])
    part, method = step.split(".")
    store = rig.store
    for at in deaths:
        source, sink = rig.bus.source("s"), rig.bus.sink()
        dying: dict[str, Any] = {"source": source, "sink": sink, "store": store}
        dying[part] = Shaky(dying[part], method, KeyboardInterrupt(), at)  # type: ignore[arg-type]
        rig.store = dying["store"]
        worker = rig.worker(source=dying["source"], sink=dying["sink"])
        with contextlib.suppress(KeyboardInterrupt):
            finish(worker, 6)
        source.close()
    rig.store = store
    finish(rig.worker())
    assert list(dict.fromkeys(rig.passes())) == expected(20)


def test_an_item_that_fails_twice_becomes_a_dead_letter_and_the_others_go_on() -> None:
    rig = Rig()
    rig.feed(*[frame(i) for i in range(6)])
    finish(rig.worker(Counting(poison=[2])))
    assert rig.passes() == ["c1/1/0/1", "c1/1/1/2", "c1/1/3/3", "c1/1/4/4", "c1/1/5/5"]
    (letter,) = rig.dead()
    assert letter == {"stage": "s", "reason": "failed", "topic": "frames", "partition": "0", "offset": "2"}


def test_a_stateless_stage_is_replayed_item_by_item_too() -> None:
    def stage(batch: Sequence[Frame]) -> Iterable[Pass | Reject]:
        if any(f.frame_seq == 1 for f in batch):
            raise ValueError
        return [passing(f) for f in batch]

    rig = Rig()
    rig.feed(*[frame(i) for i in range(4)])
    finish(rig.worker(stage))
    assert rig.passes() == ["c1/1/0/0", "c1/1/2/0", "c1/1/3/0"]
    assert [d["reason"] for d in rig.dead()] == ["failed"]


def test_a_stages_reject_is_a_dead_letter_without_a_value() -> None:
    rig = Rig()
    rig.feed(frame(0), frame(1))
    finish(rig.worker(lambda batch: [passing(batch[0]), Reject(1, Reason.BAD_PICTURE)] if len(batch) == 2 else []))
    assert rig.passes() == ["c1/1/0/0"]
    (record,) = rig.bus.log().read("deadletters")
    assert (record.key, record.value, record.headers["reason"]) == ("c1", None, "bad_picture")
    assert rig.value("overt_rejects_total", service="s", reason="bad_picture") == 1


class Refusing:
    """Wraps a part; one of its methods raises whenever it is given this camera's frame 2."""

    def __init__(self, part: Any, method: str, error: Exception) -> None:
        self._part, self._method, self._error = part, method, error

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._part, name)
        if name != self._method:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            message = kwargs.get("value", args[0])
            if isinstance(message, Pass) and message.frame_seq == 2:
                raise self._error
            return real(*args, **kwargs)

        return call


@pytest.mark.parametrize(
    "error", [BadPicture("no pixels"), TooLarge("a record for passes")], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize(
    "stage", [Counting, lambda: lambda batch: [passing(f) for f in batch]], ids=["stateful", "stateless"]
)
def test_an_input_of_which_an_output_cannot_be_sent_is_a_dead_letter_and_nothing_else_is_lost(
    stage: Any, error: Exception
) -> None:
    rig = Rig()
    rig.feed(*[frame(i) for i in range(6)])
    codec: Any = Refusing(PassingCodec(), "encode", error) if isinstance(error, BadPicture) else PassingCodec()
    sink: Any = Refusing(rig.bus.sink(), "produce", error) if isinstance(error, TooLarge) else rig.bus.sink()
    finish(rig.worker(stage(), codec=codec, sink=sink))
    assert [p.split("/")[2] for p in rig.passes()] == ["0", "1", "3", "4", "5"]
    (letter,) = rig.dead()
    assert letter == {"stage": "s", "reason": "unencodable", "topic": "frames", "partition": "0", "offset": "2"}
    assert rig.value("overt_rejects_total", service="s", reason="unencodable") == 1
    assert rig.value("overt_passes_total", camera="c1") == 5
    assert rig.bus.unconsumed("frames", 0, "s") == 0


def test_two_outputs_of_one_input_that_cannot_be_sent_are_one_dead_letter() -> None:
    rig = Rig()
    rig.feed(*[frame(i) for i in range(4)])
    codec: Any = Refusing(PassingCodec(), "encode", BadPicture("no pixels"))
    finish(rig.worker(lambda batch: [passing(f, n) for f in batch for n in range(2)], codec=codec))
    assert len(rig.passes()) == 6
    assert [letter["offset"] for letter in rig.dead()] == ["2"]


def test_an_output_is_laid_to_the_input_of_its_cause_else_of_its_frame_else_to_the_cameras_last() -> None:
    def probe(camera: str, seq: int, face_index: int) -> Message:
        return embedding(camera_id=camera, source_epoch=1, frame_seq=seq, face_index=face_index)

    inputs = [probe("a", 1, 0), probe("a", 1, 1), probe("a", 2, 0), probe("b", 1, 0)]
    outputs = [probe("a", 1, 1), probe("a", 1, 0), passing(frame(2, "a")), probe("a", 9, 0), probe("c", 1, 0)]
    assert [origin_of(output, inputs) for output in outputs] == [1, 0, 2, 2, 3]


def test_what_is_not_newer_is_skipped() -> None:
    rig = Rig()
    rig.feed(frame(0), frame(1), frame(0), frame(1), frame(2), frame(2))
    finish(rig.worker())
    assert rig.passes() == expected(3)
    assert rig.value("overt_repeated_records_total", service="s") == 3


def test_an_older_lease_is_ignored() -> None:
    rig = Rig()
    rig.feed(frame(0, epoch=2), frame(5, epoch=1), frame(1, epoch=2))
    finish(rig.worker())
    assert rig.passes() == ["c1/2/0/1", "c1/2/1/2"]


def test_a_worker_that_slept_reloads_what_its_successor_saved() -> None:
    rig = Rig()
    rig.feed(*[frame(i) for i in range(4)])
    sleeper = rig.worker(most=1)
    sleeper.turn()
    rig.store.saved["c1"] = Saved((1, 2, -1), b"3")  # the successor has done frames 1 and 2
    finish(sleeper)
    assert rig.passes()[-1] == "c1/1/3/4"
    assert rig.store.saved["c1"] == Saved((1, 3, -1), b"4")
    assert rig.value("overt_fenced_total", service="s") == 1


def test_of_a_batch_of_several_cameras_only_those_that_a_successor_has_are_done_again() -> None:
    rig = Rig()
    rig.feed(frame(0), frame(0, camera="c2"))
    sleeper = rig.worker(most=2)
    sleeper.turn()
    rig.store.saved["c1"] = Saved((1, 2, -1), b"3")
    rig.feed(*[frame(i, camera=camera) for i in (1, 2, 3) for camera in ("c1", "c2")])
    finish(sleeper)
    assert rig.store.saved == {"c1": Saved((1, 3, -1), b"4"), "c2": Saved((1, 3, -1), b"4")}
    assert [p for p in rig.passes() if p.startswith("c2")] == [f"c2/1/{i}/{i + 1}" for i in range(4)]
    assert rig.value("overt_fenced_total", service="s") == 1


def test_a_late_frame_is_shed_and_counted_and_one_without_a_deadline_never() -> None:
    rig = Rig()
    rig.feed(frame(0, deadline_us=rig.now_us - 1), frame(1, deadline_us=rig.now_us + 1), frame(2))
    finish(rig.worker())
    assert [p.split("/")[2] for p in rig.passes()] == ["1", "2"]
    assert rig.value("overt_frames_shed_total", camera="c1") == 1


class Picky(PassingCodec):
    def decode(self, record: Record) -> Message:
        if record.value == "garbage":
            raise Undecodable("garbage")
        return super().decode(record)


def test_garbage_pauses_its_own_partition_only_and_only_for_a_while() -> None:
    rig = Rig(partitions=2, least=4, rest_s=0.05)
    rig.feed(*["garbage"] * 8, frame(0), partition=0)
    worker = rig.worker(codec=Picky(), most=4)
    worker.turn()
    assert rig.value("overt_partition_paused", service="s", topic="frames", partition="0") == 1
    rig.feed(*[frame(i, camera="c2") for i in range(4)], partition=1)
    worker.turn()
    assert len(rig.passes()) == 4
    assert rig.bus.unconsumed("frames", 0, "s") > 0
    for _ in range(20):
        time.sleep(0.02)
        worker.turn()
    assert rig.bus.unconsumed("frames", 0, "s") == 0
    assert rig.value("overt_rejects_total", service="s", reason="undecodable") == 8


def test_the_state_of_a_camera_that_moves_comes_from_the_store() -> None:
    rig = Rig()
    rig.feed(*[frame(i) for i in range(3)])
    first = rig.worker()
    finish(first)
    first.close()
    rig.feed(*[frame(i) for i in range(3, 5)])
    finish(rig.worker())
    assert rig.passes() == expected(5)


def test_a_worker_that_lost_its_partitions_is_not_ready_until_it_is_in_its_group_again() -> None:
    """Cut off from Kafka it has no failure of its own: there is only nothing to read."""
    rig = Rig()
    worker = rig.worker()
    worker.turn()
    assert worker.ready()
    worker.lost([("frames", 0)])
    worker.turn()
    assert not worker.ready()
    worker.assigned([("frames", 0)])
    assert worker.ready()


class Learning:
    """A companion that is away, then learns for a while, then is ready."""

    def __init__(self, away: int, learning: int) -> None:
        self.away, self.learning = away, learning
        self.closed = False

    def follow(self) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("the test has taken it away")
        self.learning -= 1

    def ready(self) -> bool:
        return self.learning < 0

    def close(self) -> None:
        self.closed = True


class Counted(threading.Event):
    """Notes how long it is waited for, and waits for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits_s.append(timeout or 0.0)
        return self.is_set()


def test_an_outage_slows_nothing_down_once_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    """A long watchlist is learnt in many steps: after an outage none of them waits as if it still lasted."""
    caplog.set_level("INFO")
    rig, companion, stop = Rig(), Learning(away=3, learning=20), Counted()
    rig.feed(frame(0))
    worker = rig.worker(companion=companion)
    running = threading.Thread(target=worker.run, args=(stop,), daemon=True)
    running.start()
    until = time.monotonic() + 60
    while not rig.passes() and time.monotonic() < until:
        time.sleep(0.01)
    stop.set()
    running.join(60)
    assert rig.passes() == expected(1)
    assert len(stop.waits_s) == 3
    assert [r.message for r in caplog.records if "waiting" in r.message or "goes on" in r.message] == [
        "s: waiting: the test has taken it away",
        "s: goes on",
    ]


def test_a_worker_that_ends_closes_what_it_looked_things_up_in() -> None:
    companion = Learning(away=0, learning=0)
    worker = Rig().worker(companion=companion)
    worker.close()
    assert companion.closed


@pytest.mark.parametrize("realtime", [True, False])
def test_latency_is_told_where_capture_times_are_those_of_now(realtime: bool) -> None:
    rig = Rig()
    rig.feed(*[frame(i) for i in range(4)])
    finish(rig.worker(realtime=realtime))
    assert rig.value("overt_capture_to_stage_seconds_count", service="s") == (4 if realtime else 0)
    assert rig.value("overt_records_total", service="s") == 4


def test_what_is_known_of_a_camera_is_told_when_it_counts_and_taken_back_when_its_partition_moves() -> None:
    told: list[tuple[str, Total | None]] = []
    rig = Rig()
    rig.store = Shaky(rig.store, "save", Unavailable("away"), 1)  # type: ignore[assignment]
    rig.feed(frame(0), frame(1))
    worker = rig.worker(tell=lambda camera, state: told.append((camera, state)))
    finish(worker)
    assert told == [("c1", Total(2))]
    worker.revoked([("frames", 0)])
    assert told == [("c1", Total(2)), ("c1", None)]
