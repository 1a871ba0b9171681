"""With a Confluent-compatible registry: ids are the server's, writers and readers need share nothing else, and a schema
that old readers could not follow is refused by it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from overt.messages import TOPIC_OF
from overt.ports import Unavailable, Undecodable
from overt.runtime.avro import AvroFormat, SchemaError, Schemas
from overt.runtime.cluster import wire_format
from overt.runtime.registry import ServerRegistry
from overt.runtime.resources import schemas_dir
from overt.runtime.settings import Settings
from tests.support.registry_gate import RegistryGate
from tests.support.requirements import require
from tests.support.schema_registry import RegistryUnavailable, SchemaRegistry
from tests.support.secured import Secrets, openssl_missing

JUDGEMENT = {
    "adjudication_id": "j",
    "alert_id": "a",
    "deployment_id": "d",
    "verdict": "unsure",
    "by": "op",
    "adjudicated_at_us": 1,
    "took_ms": 1500,
    "note": None,
    "outcome": None,
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SchemaRegistry]:
    try:
        server = SchemaRegistry(tmp_path_factory.mktemp("registry"))
    except RegistryUnavailable as reason:
        pytest.skip(str(reason))
    with server:
        yield server


def wire(url: str, prefix: str = "overt.") -> AvroFormat:
    return AvroFormat(Schemas(schemas_dir()), ServerRegistry(url), lambda record: f"{prefix}{record}-value")


def test_a_reader_that_shares_only_the_registry_reads_what_a_writer_wrote(registry: SchemaRegistry) -> None:
    data = wire(registry.url).dumps("Adjudication", JUDGEMENT)
    assert wire(registry.url).loads("Adjudication", data) == JUDGEMENT


def test_every_record_registers_and_the_same_schema_keeps_its_id(registry: SchemaRegistry) -> None:
    schemas, server = Schemas(schemas_dir()), ServerRegistry(registry.url)
    names = [cls.__name__ for cls in TOPIC_OF]
    first = {name: server.id_of(f"t.{name}-value", schemas[name]) for name in names}
    again = {name: ServerRegistry(registry.url).id_of(f"t.{name}-value", schemas[name]) for name in names}
    assert first == again
    assert len(set(first.values())) == len(names)
    assert server.schema_of(first["Alert"])["name"] == "Alert"


def test_an_id_that_the_registry_does_not_know_is_undecodable(registry: SchemaRegistry) -> None:
    data = wire(registry.url).dumps("Adjudication", JUDGEMENT)
    with pytest.raises(Undecodable, match="knows no schema"):
        wire(registry.url).loads("Adjudication", data[:1] + (2**30).to_bytes(4, "big") + data[5:])


def test_a_backward_compatible_change_is_accepted_and_another_refused(registry: SchemaRegistry) -> None:
    """With the registry's BACKWARD rule on, as operations should set it."""
    put(f"{registry.url}/config", {"compatibility": "BACKWARD"})
    schemas, server = Schemas(schemas_dir()), ServerRegistry(registry.url)
    schema = schemas["Pass"]
    server.id_of("evolve-value", schema)
    added = {"name": "added", "type": "int", "default": 0, "doc": "New."}
    server.id_of("evolve-value", {**schema, "fields": [*schema["fields"], added]})
    broken = {**schema, "fields": [*schema["fields"], {"name": "wanted", "type": "string", "doc": "No default."}]}
    with pytest.raises(SchemaError, match="evolve-value"):
        server.id_of("evolve-value", broken)


def test_a_registry_that_is_away_is_unavailable_and_names_itself(registry: SchemaRegistry) -> None:
    url = registry.url.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.2"):
        wire(url).dumps("Adjudication", JUDGEMENT)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    require(openssl_missing())
    return Secrets(tmp_path_factory.mktemp("secrets"))


def test_behind_tls_a_user_registers_and_reads_and_nobody_else(
    registry: SchemaRegistry, secrets: Secrets, tmp_path: Path
) -> None:
    """Its authority is one of its own; no message holds the password."""
    password = secrets.folder / "kafka-console.password"  # any
    wrong = tmp_path / "wrong"
    wrong.write_text("geheim")
    wrong.chmod(0o600)
    word = password.read_text().strip()
    with RegistryGate(registry.url, secrets.folder / "kafka.pem", user="overt", password=word) as gate:

        def wire_as(password_file: Path, ca_file: Path | None) -> AvroFormat:
            user = {"schema_registry_username": "overt", "schema_registry_password_file": password_file}
            named = {"schema_registry_url": gate.url, "schema_registry_ca_file": ca_file, **user}
            return wire_format(Settings.model_validate(named))

        data = wire_as(password, secrets.ca_file).dumps("Adjudication", JUDGEMENT)
        assert wire_as(password, secrets.ca_file).loads("Adjudication", data) == JUDGEMENT
        for refused, why in (
            (wire_as(wrong, secrets.ca_file), r"answers 401; are OVERT_SCHEMA_REGISTRY_USERNAME and"),
            (wire_as(password, None), r"certificate is not believed; does OVERT_SCHEMA_REGISTRY_CA_FILE"),
            (wire_format(Settings(schema_registry_url=gate.url, schema_registry_ca_file=secrets.ca_file)), "401"),
        ):
            with pytest.raises(Unavailable, match=why) as caught:
                refused.dumps("Adjudication", JUDGEMENT)
            assert "geheim" not in str(caught.value)
            assert word not in str(caught.value)


def test_a_registry_that_demands_a_certificate_is_shown_one(registry: SchemaRegistry, secrets: Secrets) -> None:
    pem, password = secrets.folder / "kafka.pem", secrets.folder / "kafka-console.password"
    user = {"schema_registry_username": "overt", "schema_registry_password_file": password}
    word = password.read_text().strip()
    with RegistryGate(registry.url, pem, user="overt", password=word, clients=secrets.ca_file) as gate:
        named = {"schema_registry_url": gate.url, **user, **secrets.certificate("schema_registry", "console")}
        assert wire_format(Settings.model_validate(named)).dumps("Adjudication", JUDGEMENT)
        without = {name: value for name, value in named.items() if "certificate" not in name and "key" not in name}
        with pytest.raises(Unavailable, match="set OVERT_SCHEMA_REGISTRY_CERTIFICATE_FILE"):
            wire_format(Settings.model_validate(without)).dumps("Adjudication", JUDGEMENT)


def put(url: str, body: dict[str, str]) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="PUT")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(request, timeout=5).close()
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read()) from error
