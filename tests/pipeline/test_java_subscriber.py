"""The Java subscriber of docs/alert-topic.md: compiled as it lies there, against a real broker and a real registry."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from overt.messages import Alert, Kind
from overt.runtime.avro import AvroFormat
from overt.runtime.codec import SealingCodec
from overt.runtime.kafka import KafkaSettings, KafkaSink, apply_changes
from overt.runtime.keys.deployment_key import create_deployment_key, load_deployment_key
from overt.runtime.keys.keyring import Keyring
from overt.runtime.keys.transient import MemoryTransientKeys
from overt.runtime.registry import ServerRegistry
from overt.runtime.topics import Action, Change
from overt.runtime.vault import SealingVault
from tests.support import messages as make
from tests.support.bus import unique
from tests.support.child import Child
from tests.support.kafka_broker import KafkaBroker
from tests.support.messages import SCHEMAS
from tests.support.schema_registry import RegistryUnavailable, SchemaRegistry

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "java"


@pytest.fixture
def classpath(tmp_path: Path) -> str:
    """Of the example, built by its own POM. Skips where no JDK is, or Maven has no repository."""
    for tool in ("javac", "mvn"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing: the Java subscriber cannot be compiled")
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "java"))
    done = subprocess.run(["mvn", "-B", "-q", "package"], cwd=folder, capture_output=True, text=True, timeout=240)
    assert "COMPILATION ERROR" not in done.stdout, done.stdout
    if done.returncode:
        pytest.skip(f"Maven could not build it: {done.stdout.strip()[-200:]}")
    return f"{folder}/target/alert-reader-1.jar:{folder}/target/lib/*"


def _vault(folder: Path) -> SealingVault:
    create_deployment_key(folder / "key")
    keyring = Keyring(folder / "keyring", load_deployment_key(folder / "key"), "d1")
    keyring.create_file()
    return SealingVault("d1", MemoryTransientKeys(), keyring)


def _produce(bootstrap: str, codec: SealingCodec, topic: str, alerts: Sequence[Alert]) -> None:
    apply_changes(KafkaSettings(bootstrap), [Change(topic, Action.CREATE, 1)], replication=1)
    sink = KafkaSink(KafkaSettings(bootstrap))
    for alert in alerts:
        sink.produce(topic, key=alert.key, value=codec.encode(alert))
    sink.flush(30.0)
    sink.close()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SchemaRegistry]:
    try:
        server = SchemaRegistry(tmp_path)
    except RegistryUnavailable as reason:
        pytest.skip(str(reason))
    with server:
        yield server


@pytest.mark.slow
def test_it_reads_each_alert_once_by_the_schema_of_the_registry(
    kafka: KafkaBroker, classpath: str, registry: SchemaRegistry, tmp_path: Path
) -> None:
    topic, properties = unique("java") + ".alerts", tmp_path / "client.properties"
    properties.write_text(f"bootstrap.servers={kafka.bootstrap}\ngroup.id={unique('g')}\n")
    wire = AvroFormat(SCHEMAS, ServerRegistry(registry.url), lambda record: f"{topic}-value")
    codec = SealingCodec(wire, _vault(tmp_path), prefix="", frame_form="jpeg")
    one = make.alert(alert_id="1", similarity=0.5)
    _produce(kafka.bootstrap, codec, topic, [one, one, replace(one, alert_id="2", kind=Kind.MISSING)])
    argv = ["java", "-cp", classpath, "AlertReader", str(properties), topic, "schemas/alert.avsc", registry.url]
    with Child(argv, log_path=tmp_path / "log", cwd=ROOT, env=dict(os.environ)) as reader:
        reader.spawn()
        reader.wait_until(lambda: "missing" in reader.log_text(), 60, what="at the second alert")
    lines = [line for line in reader.log_text().splitlines() if "candidate" in line]
    assert lines == ["1 c1 candidate A, wanted, similarity 0.5", "2 c1 candidate A, missing, similarity 0.5"]
