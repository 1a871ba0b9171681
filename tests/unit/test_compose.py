"""Rules that docker-compose.yml keeps, read from the file: no engine is needed. `make compose-test` runs it."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.kafka_jars import kafka_version

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
JOBS = {"deployment-key", "acls", "topics", "watchlist", "alerts", "models-pull", "models-import"}
STAGES = {"frame", "detector", "embedder", "matcher", "alerter", "statistics"}
OPT_IN = {"webhook", "alertmanager"}
"""What stands, has a route to elsewhere, and starts with no other."""
STANDING = set(SERVICES) - JOBS

every_service = pytest.mark.parametrize("name", sorted(SERVICES))
every_standing = pytest.mark.parametrize("name", sorted(STANDING))


def _networks(name: str) -> set[str]:
    return set(SERVICES[name].get("networks", []))


def _published(name: str) -> list[str]:
    return list(SERVICES[name].get("ports", []))


def _sources(name: str) -> set[str]:
    """Secrets and volumes that a container is given."""
    given = {secret["source"] for secret in SERVICES[name].get("secrets", [])}
    return given | {volume.rsplit(":/", 1)[0] for volume in SERVICES[name].get("volumes", [])}


def test_the_parts_are_all_there() -> None:
    assert {"kafka", "redis", "registry", "prometheus", "grafana", "van", *STAGES, *OPT_IN} == STANDING


@every_service
def test_a_container_may_do_as_little_as_possible(name: str) -> None:
    """Read-only, without capabilities or new privileges, not root, no core dumps."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["ulimits"] == {"core": 0}
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service)
    overt = service["image"].startswith("${OVERT_IMAGE")
    assert overt or re.fullmatch(r"[1-9]\d*:\d+", service["user"])
    assert not overt or "user" not in service, "the image says who it is"


@every_service
def test_a_container_has_limits_and_its_log_rotates(name: str) -> None:
    service = SERVICES[name]
    assert {"mem_limit", "cpus", "pids_limit", "stop_grace_period", "healthcheck", "tmpfs"} <= set(service)
    assert service["memswap_limit"] == service["mem_limit"], "what is swapped out lies on a disk"
    assert service["logging"]["driver"] == "json-file"
    assert {"max-size", "max-file"} == set(service["logging"]["options"])
    assert all(not place.startswith("/tmp") or "size=" in place for place in service["tmpfs"])


@every_standing
def test_what_stands_is_watched_and_started_again(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD", "without a shell"
    assert "curl" not in str(service["healthcheck"]["test"])


@pytest.mark.parametrize("name", sorted(JOBS))
def test_a_job_runs_once(name: str) -> None:
    assert SERVICES[name]["restart"] == "no"
    assert SERVICES[name]["healthcheck"] == {"disable": True}


@every_service
def test_a_service_can_be_scaled(name: str) -> None:
    """No name and no port of the host is taken by one container alone, but the two that people open."""
    assert "container_name" not in SERVICES[name]
    assert "hostname" not in SERVICES[name]
    assert bool(_published(name)) == (name in {"prometheus", "grafana"})


@every_service
def test_what_is_published_is_published_on_the_loopback_address(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in _published(name))


@every_service
def test_an_image_is_pinned_by_its_version(name: str) -> None:
    default = re.fullmatch(r"\$\{OVERT_\w*IMAGE:-(.+)\}", SERVICES[name]["image"])
    assert default is not None, "a mirror's images can be named"
    assert re.search(r":v?\d+\.\d+\.\d+", default[1])


def test_kafka_is_the_version_that_the_tests_run() -> None:
    assert f"apache/kafka:{kafka_version()}" in SERVICES["kafka"]["image"]


def test_services_have_no_way_out() -> None:
    """Every network of a service is internal; the edge does not masquerade; what has a route is opt-in, each by a
    network of its own."""
    networks = COMPOSE["networks"]
    internal = {name for name, network in networks.items() if network.get("internal")}
    assert internal == {"bus", "watch", "cameras", "alarms"}
    assert networks["edge"]["driver_opts"]["com.docker.network.bridge.enable_ip_masquerade"] == "false"
    assert {name for name in SERVICES if _networks(name) - internal} == {
        "prometheus",
        "grafana",
        "models-pull",
        *OPT_IN,
    }
    assert {name for name in SERVICES if "edge" in _networks(name)} == {"prometheus", "grafana"}
    for network, alone in (("outside", "models-pull"), ("hooks", "webhook"), ("pager", "alertmanager")):
        assert {name for name in SERVICES if network in _networks(name)} == {alone}
    assert {name for name, service in SERVICES.items() if service.get("network_mode")} == {
        name for name, service in SERVICES.items() if service.get("network_mode") == "none"
    }


def test_only_who_reads_cameras_is_on_their_network() -> None:
    assert {name for name in SERVICES if "cameras" in _networks(name)} == {"frame", "van"}


def test_prometheus_reaches_services_and_neither_bus_nor_cameras() -> None:
    assert _networks("prometheus") == {"watch", "edge", "alarms"}
    assert {name for name in SERVICES if "watch" in _networks(name)} == {"prometheus", "van", "webhook", *STAGES}


def test_alertmanager_reaches_no_service() -> None:
    assert _networks("alertmanager") == {"alarms", "pager"}
    assert {name for name in SERVICES if "alarms" in _networks(name)} == {"alertmanager", "prometheus"}


@every_service
def test_no_name_is_asked_of_the_host(name: str) -> None:
    """Engines before 26 would hand a question from an internal network to the host's resolver."""
    assert SERVICES[name]["dns"] == ([] if name in {"models-pull", *OPT_IN} else ["127.0.0.1"])


def test_what_needs_a_route_is_never_started_with_the_rest() -> None:
    profiles = {name: set(service["profiles"]) for name, service in SERVICES.items()}
    assert all(profiles.values()), "without a profile it would start with every other"
    assert {name for name, chosen in profiles.items() if not chosen & {"site", "single"}} == {
        "alerts",
        "models-pull",
        "models-import",
        *OPT_IN,
    }
    assert (profiles["webhook"], profiles["alertmanager"]) == ({"webhook"}, {"alarms"})
    assert profiles["van"] == {"single"}
    assert {name for name, chosen in profiles.items() if "single" in chosen} == {"van", "prometheus", "grafana"}


@pytest.mark.parametrize("name", sorted(STAGES))
def test_a_service_is_itself_on_kafka_and_starts_when_its_world_is_there(name: str) -> None:
    """Its own user and password; topics and watchlist first."""
    service = SERVICES[name]
    assert service["command"] == ["serve", name]
    assert service["environment"]["OVERT_KAFKA_USERNAME"] == name
    assert f"kafka-{name}" in _sources(name)
    waits = {other: on["condition"] for other, on in service["depends_on"].items()}
    assert waits["topics"] == waits["watchlist"] == "service_completed_successfully"
    assert waits["kafka"] == waits["redis"] == "service_healthy"


def test_the_webhook_is_itself_on_kafka_holds_no_key_and_knows_no_redis() -> None:
    service = SERVICES["webhook"]
    assert service["command"] == ["serve", "webhook"]
    assert service["environment"]["OVERT_KAFKA_USERNAME"] == "webhook"
    assert _sources("webhook") & {"kafka-webhook", "webhook"} == {"kafka-webhook", "webhook"}
    assert not {name for name in service["environment"] if "REDIS" in name or "KEYRING" in name}


def test_keys_and_reference_images_are_where_they_are_needed_and_nowhere_else() -> None:
    def holders(source: str) -> set[str]:
        return {name for name in SERVICES if source in _sources(name)}

    assert holders("deployment-key") == {"deployment-key", "watchlist", "matcher", "alerter"}
    assert holders("keyring") == {"watchlist", "matcher", "alerter"}
    assert holders("kafka-admin") == {"acls"}
    assert holders("${OVERT_SITE:-./site}/watchlist") == {"watchlist"}
    assert holders("${OVERT_SITE:-./site}") == {"van"}


def test_secrets_are_files_and_every_one_is_used() -> None:
    """Never a value in the environment; none that nobody reads."""
    used = set(chain.from_iterable(({s["source"] for s in each.get("secrets", [])}) for each in SERVICES.values()))
    assert used == set(COMPOSE["secrets"])
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())
    for service in SERVICES.values():
        for variable in service.get("environment", {}):
            assert not re.search(r"(PASSWORD|SECRET|TOKEN|KEY)$", variable), f"{variable}: give a file"


def test_every_setting_of_the_file_is_in_the_example_with_its_default() -> None:
    """.env.example lists what docker-compose.yml reads, and nothing else."""
    text = (ROOT / "docker-compose.yml").read_text()
    read = dict(re.findall(r"\$\{(OVERT_\w+):?-([^}]*)\}", text))
    shown = dict(re.findall(r"^#(OVERT_\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert set(read) == set(shown)
    chosen_otherwise = {"OVERT_GATEWAY_MODE"}  # shown with the value that a newer engine should have
    assert {n: v for n, v in read.items() if n not in chosen_otherwise} == {
        n: v for n, v in shown.items() if n not in chosen_otherwise
    }


def test_every_file_that_is_mounted_from_here_exists() -> None:
    for name in SERVICES:
        for source in _sources(name):
            if source.startswith("./infra/"):
                assert (ROOT / source).exists(), f"{name}: {source}"


def test_the_image_is_built_from_what_it_needs_and_without_secrets() -> None:
    """The classic builder's syntax; nobody's root; only what .dockerignore names goes in."""
    text = (ROOT / "infra" / "docker" / "Dockerfile").read_text()
    assert "--mount" not in text
    assert "# syntax" not in text
    assert text.count("\nFROM ") == 2
    last = text[text.rindex("\nFROM ") :]
    assert "USER 10001:10001" in last
    assert "PIP_" not in last
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert {line for line in ignored if line.startswith("!")} == {
        "!LICENSE",
        "!README.md",
        "!pyproject.toml",
        "!uv.lock",
        "!schemas",
        "!services",
        "!infra/docker/health.py",
    }


def _override(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "docker" / name).read_text())
    return found


def test_the_listener_for_other_systems_is_an_override_and_on_the_loopback_address() -> None:
    services = _override("downstream.yml")["services"]
    assert set(services) == {"kafka"}
    assert set(services["kafka"]["networks"]) == {"bus", "edge"}
    assert all(port.startswith("127.0.0.1:") for port in services["kafka"]["ports"])


def test_the_cameras_network_is_an_override_of_that_network_alone() -> None:
    override = _override("cameras.yml")
    assert set(override) == {"networks"}
    assert set(override["networks"]) == {"cameras"}
