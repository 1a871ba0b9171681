"""Alarms reach who should hear of them, and what a dead broker explains is told once: by real Alertmanager."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from overt.runtime.health import HealthServer
from overt.runtime.metrics import Metrics
from tests.support.alertmanager import CONFIG, TOKEN, Alertmanager, alertmanager_unavailable, amtool
from tests.support.bus import until
from tests.support.prometheus import PrometheusServer, alerts, prometheus_unavailable
from tests.support.requirements import require
from tests.support.webhook_receiver import Receiver

CONTENT: dict[str, Any] = yaml.safe_load(CONFIG.read_text("utf-8"))


@pytest.fixture
def pager(tmp_path: Path) -> Iterator[tuple[Receiver, Alertmanager]]:
    """Whoever is paged, and the Alertmanager that does. Skips by name and reason where there is none."""
    if reason := alertmanager_unavailable():
        pytest.skip(reason)
    with Receiver() as receiver, Alertmanager(tmp_path / "alertmanager", receiver.url) as manager:
        yield receiver, manager


def paged(receiver: Receiver) -> list[tuple[str, int]]:
    """Each page's alarm, and how many series it had."""
    pages = [json.loads(letter.body) for letter in list(receiver.letters)]
    return [(page["groupLabels"]["alertname"], len(page["alerts"])) for page in pages]


def test_a_rule_that_fires_in_prometheus_reaches_the_pager(
    pager: tuple[Receiver, Alertmanager], tmp_path: Path
) -> None:
    require(prometheus_unavailable())
    receiver, manager = pager
    metrics = Metrics()
    metrics.webhook_waiting_seconds.set(500)
    health = HealthServer(metrics.registry, healthy=lambda: True, ready=lambda: True)
    port = health.open("127.0.0.1", 0)
    try:
        with PrometheusServer(tmp_path / "prometheus", {"webhook": port}, alertmanager=manager.port):
            until("a page", lambda: any(name == "OvertWebhookWaiting" for name, _ in paged(receiver)))
    finally:
        health.close()
    (letter,) = [one for one in receiver.letters if b"OvertWebhookWaiting" in one.body]
    assert letter.headers["authorization"] == f"Bearer {TOKEN}"
    (alarm,) = json.loads(letter.body)["alerts"]
    assert alarm["annotations"]["runbook_url"] == "docs/operations.md#overtwebhookwaiting"
    assert alarm["labels"]["severity"] == "critical"


def test_a_dead_broker_is_one_page(pager: tuple[Receiver, Alertmanager]) -> None:
    """Whatever stands still for it is held back; a camera that is down by itself is not."""
    receiver, manager = pager
    services = ("frame", "detector", "embedder", "matcher", "alerter")
    severity = {rule.name: rule.severity for rule in alerts()}
    of_services = ("OvertBusAway", "OvertServiceNotReady", "OvertLagGrowing", "OvertSlowStage")
    fallen = [{"alertname": name, "service": service} for name in of_services for service in services]
    fallen += [{"alertname": name, "camera": f"c{n}"} for name in ("OvertNoFrames", "OvertDropping") for n in range(8)]
    fallen += [{"alertname": name} for name in ("OvertSlowAlerts", "OvertStatisticsStalled")]
    manager.raise_alarms([{**labels, "severity": severity[labels["alertname"]]} for labels in fallen])
    until("a page", lambda: paged(receiver))
    manager.raise_alarms([{"alertname": "OvertCameraDown", "camera": "c9", "severity": "critical"}])
    until("a second page", lambda: len(paged(receiver)) >= 2)
    assert paged(receiver) == [("OvertBusAway", len(services)), ("OvertCameraDown", 1)]


# The configuration


def test_the_configuration_is_what_alertmanager_accepts_and_each_severity_has_its_receiver() -> None:
    if reason := alertmanager_unavailable():
        pytest.skip(reason)
    checked = amtool("check-config", CONFIG)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for severity, receiver in (("critical", "pager"), ("warning", "desk"), ("info", "nobody"), ("new", "desk")):
        routed = amtool("config", "routes", "test", f"--config.file={CONFIG}", f"severity={severity}")
        assert routed.stdout.split() == [receiver], severity


def test_it_names_only_alarms_that_exist() -> None:
    """A misspelt one would hold nothing back."""
    named = set(re.findall(r"\bOvert\w+", json.dumps(CONTENT["inhibit_rules"])))
    assert named <= {rule.name for rule in alerts()}
    assert len(named) > 15


def test_what_may_mean_that_somebody_stays_readable_or_unseen_is_never_held_back() -> None:
    targets = {
        name for rule in CONTENT["inhibit_rules"] for name in re.findall(r"\bOvert\w+", str(rule["target_matchers"]))
    }
    assert not {name for name in targets if re.search(r"Key|Window|Guard(?!Near)|Watchlist|Gallery|Bus|Webhook", name)}


def test_it_holds_no_secret_and_no_real_address() -> None:
    text = CONFIG.read_text("utf-8")
    assert not re.search(r"(?<!file: )\b(password|token|credentials): ", text)
    hosts = re.findall(r"(?:https?://|@)([\w.-]+)|smarthost: ([\w.-]+)", text)
    assert hosts
    assert all((one or other).endswith(".invalid") for one, other in hosts)
