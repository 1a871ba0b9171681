"""`overt serve webhook` as a process on real Kafka: no key, no Redis; killed, it goes on where it had committed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from overt.runtime.avro import AvroFormat, LocalRegistry
from overt.runtime.codec import SealingCodec
from overt.runtime.kafka import KafkaLog, KafkaSettings, KafkaSink, apply_changes
from overt.runtime.keys.deployment_key import create_deployment_key, load_deployment_key
from overt.runtime.keys.keyring import Keyring
from overt.runtime.keys.transient import MemoryTransientKeys
from overt.runtime.topics import Action, Change
from overt.runtime.vault import SealingVault
from tests.support import messages as make
from tests.support.bus import unique, until
from tests.support.kafka_broker import KafkaBroker
from tests.support.messages import SCHEMAS
from tests.support.process import Service, overt
from tests.support.typed import DEPLOYMENT
from tests.support.webhook_receiver import SECRET, Receiver

pytestmark = pytest.mark.kafka


def _sealed(folder: Path, prefix: str, *alert_ids: str) -> list[bytes]:
    """Alerts of the deployment `d1` as the alerter writes them, under a keyring that the webhook is not given."""
    create_deployment_key(folder / "key")
    keyring = Keyring(folder / "keyring", load_deployment_key(folder / "key"), "d1")
    keyring.create_file()
    vault = SealingVault("d1", MemoryTransientKeys(), keyring)
    wire = AvroFormat(SCHEMAS, LocalRegistry(SCHEMAS), lambda record: record)
    codec = SealingCodec(wire, vault, prefix=prefix, frame_form="jpeg")
    now_us = time.time_ns() // 1000
    return [codec.encode(make.alert(alert_id=alert_id, alerted_at_us=now_us)) for alert_id in alert_ids]


def test_alerts_reach_the_endpoint_through_a_kill_and_an_outage(kafka: KafkaBroker, tmp_path: Path) -> None:
    file, secret, prefix = tmp_path / "deployment.yaml", tmp_path / "secret", unique("hook") + "."
    file.write_text(DEPLOYMENT)
    secret.write_text(SECRET)
    secret.chmod(0o600)
    receiver = Receiver()
    settings: dict[str, str | Path] = {
        "kafka_bootstrap": kafka.bootstrap,
        "topic_prefix": prefix,
        "redis_url": "redis://127.0.0.1:1/0",
        "webhook_url": receiver.url,
        "webhook_secret_file": secret,
    }
    topics = [Change(f"{prefix}{name}", Action.CREATE, 1) for name in ("alerts", "deadletters")]
    apply_changes(KafkaSettings(kafka.bootstrap), topics, replication=1)
    first, second, third, fourth = _sealed(tmp_path, prefix, "a", "b", "c", "d")
    sink = KafkaSink(KafkaSettings(kafka.bootstrap))

    def produce(*values: bytes) -> None:
        for value in values:
            sink.produce(f"{prefix}alerts", key="d1", value=value)
        sink.flush(30.0)

    webhook = Service(overt("serve", "webhook", "-d", file), tmp_path, settings=settings, name="webhook")
    produce(first, b"no alert", second)
    with receiver, webhook:
        until("both to be taken", lambda: receiver.ids() == ["a", "b"])
        webhook.wait_for("overt_records_total", 3, service="webhook")
        receiver.stop()
        produce(third, fourth)
        webhook.wait_for("overt_webhook_attempts_total", 2, outcome="no_answer")
        assert (webhook.status("/healthz"), webhook.status("/readyz")) == (200, 503)
        webhook.kill()
        receiver.start()
        webhook.start()
        until("all to be taken", lambda: receiver.ids()[-1] == "d")
        webhook.wait_for("overt_records_total", 2, service="webhook")
        webhook.terminate()
    sink.close()
    assert receiver.ids() == ["a", "b", "c", "d"]
    assert not any(b"sealed" in letter.body or b"image" in letter.body for letter in receiver.letters)
    (dead,) = KafkaLog(KafkaSettings(kafka.bootstrap)).read(f"{prefix}deadletters")
    assert (dead.headers["stage"], dead.headers["reason"], dead.headers["offset"]) == ("webhook", "undecodable", "1")
    assert "token" not in webhook.log_text()
