"""Around the counting: how Faust reaches the broker, what its logs may say, and how a process knows of a pause."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from faust.types import TP

from overt.demo.deployments import own_deployment
from overt.messages import GuardState, SiteGuard
from overt.ports import Record, Unavailable
from overt.runtime import statistics
from overt.runtime.guard import GuardWatch, audit_of
from overt.runtime.memory import MemoryBus
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings
from overt.runtime.statistics import StatisticsService, make_discreet
from overt.statistics.faust_broker import credentials, urls
from overt.statistics.faust_parts import App, Tables, Transport
from tests.support import messages as make


def test_plain_kafka_needs_no_credentials_and_tuning_is_librdkafkas_own() -> None:
    assert credentials({}) is None
    assert credentials({"linger.ms": "5", "security.protocol": "plaintext"}) is None
    assert urls("a:1, b:2") == ["kafka://a:1", "kafka://b:2"]


def test_tls_and_scram_are_carried_over_and_certificates_are_checked() -> None:
    made: Any = credentials(
        {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "u"}
        | {"sasl.password": "not-shown"}
    )
    assert (made.username, made.password, made.mechanism.value) == ("u", "not-shown", "SCRAM-SHA-512")
    assert made.protocol.value == "SASL_SSL"
    assert made.ssl_context.verify_mode is ssl.CERT_REQUIRED
    assert made.ssl_context.check_hostname
    only_tls: Any = credentials({"security.protocol": "SSL"})
    assert only_tls.context.verify_mode is ssl.CERT_REQUIRED
    assert "not-shown" not in repr(made)


@pytest.mark.parametrize(
    "properties", [{"ssl.engine.location": "x"}, {"sasl.oauthbearer.config": "x"}, {"security.protocol": "MAGIC"}]
)
def test_security_that_cannot_be_carried_over_is_refused_and_not_left_out(properties: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"ssl\.engine\.location|sasl\.oauthbearer\.config|MAGIC"):
        credentials(properties)


def test_what_faust_has_in_hand_does_not_reach_a_log(caplog: pytest.LogCaptureFixture) -> None:
    names = ("faust", "mode", "aiokafka", "asyncio", "overt.statistics.faust_parts")
    before = {name: (list(logging.getLogger(name).handlers), logging.getLogger(name).propagate) for name in names}
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        make_discreet()
        with caplog.at_level(logging.WARNING):
            logging.getLogger("faust.topics").warning("still waiting for %r of %s", "subject s-17", "another")
            logging.getLogger("aiokafka.x").info("not worth a line")
    finally:
        for name, (handlers, propagate) in before.items():
            logger = logging.getLogger(name)
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(levels[name])
    assert "still waiting for" in caplog.text
    assert "s-17" not in caplog.text
    assert "worth" not in caplog.text


# Where Faust stood still


def test_the_end_of_a_recovery_is_heard_by_who_begins_to_wait_later() -> None:
    """Faust sets its signal and clears it at once; on a busy machine nobody waits yet."""

    async def recovered() -> None:
        app = App("test", env={}, broker="kafka://nowhere", store="memory://", TableManager=Tables)
        recovery = cast(Tables, app.tables).recovery
        recovery._set_recovery_started()
        recovery.signal_recovery_end.set()
        recovery.signal_recovery_end.clear()
        await asyncio.wait_for(recovery.signal_recovery_end.wait(), 5)
        recovery._set_recovery_started()
        assert not recovery.signal_recovery_end.is_set()

    asyncio.run(recovered())


def test_nothing_is_handed_on_while_the_consumer_looks_for_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust empties the agents' buffers after it, and what they held would be gone."""
    place = TP("overt.matches", 0)
    flowed: list[bool] = []

    async def seek_to_committed(consumer: Any) -> dict[TP, int]:
        flowed.append(consumer.flow_active)
        return {place: 100}

    async def seek(consumer: Any, where: TP, offset: int) -> None:
        flowed.append(consumer.flow_active)

    async def sought() -> None:
        app = App("test", env={}, broker="kafka://nowhere", store="memory://", TableManager=Tables)
        app.transport = Transport(app.conf.broker_consumer, app)
        consumer: Any = app.consumer
        consumer.resume_flow()
        await consumer.perform_seek()
        assert consumer.begun_at == {place: 100}
        assert not consumer.flow_active

    monkeypatch.setattr(Transport.Consumer, "seek_to_committed", seek_to_committed)
    monkeypatch.setattr(Transport.Consumer, "_seek", seek)
    monkeypatch.setattr(Transport.Consumer, "assignment", lambda _: {place})
    asyncio.run(sought())
    assert flowed == [False, False]


# The watchdog


class Standing:
    """How far a group is, told from outside: `counted` waits for somebody to count it."""

    asked = 0
    away_until = 0

    def __init__(self, *_: object) -> None: ...

    def standing(self, partition: int) -> tuple[int, int]:
        Standing.asked += 1
        if Standing.asked < Standing.away_until:
            raise Unavailable("away")
        return 3, 9


def test_where_records_wait_and_none_is_counted_it_is_told_and_the_process_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not while the broker is away, which is nobody's fault here."""
    metrics, gone = Metrics(), list[str]()
    service = StatisticsService(own_deployment("usb:0", tmp_path), Settings(statistics_stall_s=5), metrics)
    stop = threading.Event()

    def leave(why: str) -> None:
        gone.append(why)
        stop.set()

    monkeypatch.setattr(statistics, "KafkaBacklog", Standing)
    monkeypatch.setattr(statistics, "leave", leave)
    monkeypatch.setattr(statistics, "_ASK_S", 0.02)
    monkeypatch.setattr(Standing, "away_until", 30)
    monkeypatch.setattr(service, "_stall_s", 0.2)
    service._watch_progress(stop)
    assert Standing.asked >= Standing.away_until
    assert re.match("records wait and none was counted for 0 s", gone[0])
    assert metrics.registry.get_sample_value("overt_statistics_stalled") == 1
    assert metrics.registry.get_sample_value("overt_statistics_lag", {"topic": "overt.counted"}) == 6


def test_who_leaves_asks_to_be_started_again() -> None:
    """Whatever else hangs: the exit code says so, and the log why."""
    words = "import threading; from overt.runtime.statistics import leave; e = threading.Event();"
    words += "threading.Thread(target=e.wait).start(); leave('no reason')"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 4
    assert "no reason; ending, to be started again" in done.stderr


# The pause


class Bus:
    """A guard topic in memory."""

    def __init__(self) -> None:
        self.bus = MemoryBus(time.time_ns)
        self.bus.create("guard", 1)

    def say(self, said: SiteGuard) -> None:
        sink = self.bus.sink()
        sink.produce("guard", key=said.key, value=said, partition=0)
        sink.flush(1.0)

    def watch(self, **more: Any) -> GuardWatch:
        return GuardWatch(self.bus.log(), "guard", _decode, "d1", **more)


def _decode(record: Record) -> SiteGuard:
    said: SiteGuard = record.value
    return said


def _until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_site_that_was_never_paused_may_capture_once_that_is_known() -> None:
    watch = Bus().watch()
    _until(watch.may_capture)
    assert watch.last() is None
    watch.close()


def test_a_pause_holds_from_the_topic_until_the_site_is_resumed_and_others_do_not_concern_it() -> None:
    bus, told = Bus(), list[bool]()
    bus.say(make.site_guard())
    bus.say(replace(make.site_guard(), deployment_id="d2", state=GuardState.OPEN))
    watch = bus.watch(tell=told.append)
    _until(watch.known)
    assert not watch.may_capture()
    bus.say(replace(make.site_guard(), state=GuardState.OPEN))
    _until(watch.may_capture)
    assert told == [True, False]
    watch.close()


def test_while_the_topic_cannot_be_read_nothing_may_be_captured() -> None:
    class Away:
        asked = 0

        def read(self, topic: str, *, since_us: int | None = None) -> Any:
            raise Unavailable("away")

        def follow(self, topic: str) -> Any:
            self.asked += 1
            raise Unavailable("away")

    away = Away()
    watch = GuardWatch(away, "guard", _decode, "d1")
    assert not watch.may_capture()
    _until(lambda: away.asked > 0)
    assert not watch.may_capture()
    watch.close()


def test_a_pause_and_its_end_are_in_the_audit_with_who_and_why() -> None:
    paused = audit_of(make.site_guard(), "v1")
    resumed = audit_of(replace(make.site_guard(), state=GuardState.OPEN, actor="somebody", reason="mended"), "v2")
    assert (paused.action.value, paused.actor) == ("site_paused", "guard")
    assert (resumed.action.value, resumed.actor, resumed.reason) == ("site_resumed", "somebody", "mended")
