"""Proves the stack: a short video through it, the alerts on the topic, the metrics in Prometheus.

A project of its own (overt-smoke) is started from docker-compose.yml with a deployment, secrets and models of its own
in out/smoke, and removed again with its volumes; a stack that runs beside it is left alone. Which images it takes, the
environment and .env say, as ever. The recording is read without loss, so that a busy machine is slow and does not fail.

python -m tests.compose.smoke [--without SERVICE]... [--scale] [--downstream] [--standalone] [--keep]
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError

from overt.runtime.settings import load_settings
from tests.compose import smoke_site

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "infra" / "docker"
WORK = ROOT / "out" / "smoke"
PROJECT = "overt-smoke"
SERVICES = ["frame", "detector", "embedder", "matcher", "alerter", "statistics"]
STANDING = ["kafka", "redis", "registry", *SERVICES, "prometheus", "grafana"]
EXPECTED = {"barack-obama", "grace-hopper"}


def free_port() -> int:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        return int(asking.getsockname()[1])


class Stack:
    """The project, through docker compose."""

    def __init__(self, *files: str) -> None:
        self.prometheus_port = free_port()
        self.grafana_port = free_port()
        self.downstream_port = free_port()
        self._environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": PROJECT,
            "COMPOSE_PROFILES": "site",
            "OVERT_SITE": "./out/smoke/site",
            "OVERT_SECRETS": "./out/smoke/secrets",
            "OVERT_MODELS": "./out/smoke/models",
            "OVERT_PROMETHEUS_PORT": str(self.prometheus_port),
            "OVERT_GRAFANA_PORT": str(self.grafana_port),
            "OVERT_DOWNSTREAM_PORT": str(self.downstream_port),
            "COMPOSE_FILE": ":".join(files),
        }

    def run(self, *command: str | Path, timeout: float = 600, profile: str = "site") -> str:
        environment = {**self._environment, "COMPOSE_PROFILES": profile}
        try:
            done = subprocess.run(
                list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            raise SystemExit(f"smoke: {' '.join(map(str, command))}: not done within {timeout:.0f} s") from None
        if done.returncode:
            raise SystemExit(f"smoke: {' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def compose(self, *words: str, timeout: float = 600, profile: str = "site") -> str:
        return self.run(TOOLS / "compose", *words, timeout=timeout, profile=profile)

    def asked(self, path: str, **query: str) -> Any:
        """What Prometheus answers."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        address = f"http://127.0.0.1:{self.prometheus_port}{path}?{urllib.parse.urlencode(query)}"
        with opener.open(address, timeout=10) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> float:
        """Of an expression with one value; 0.0 while it has none."""
        found = self.asked("/api/v1/query", query=expression)["result"]
        return float(found[0]["value"][1]) if found else 0.0


def say(text: str) -> None:
    print(f"smoke: {text}", flush=True)


def wait_for(what: str, holds: Callable[[], bool], timeout_s: float = 180) -> None:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        try:
            if holds():
                return say(what)
        except OSError:
            pass  # not there yet: it says so at the end
        time.sleep(2)
    raise SystemExit(f"smoke: not within {timeout_s:.0f} s: {what}")


def prepare(stack: Stack) -> None:
    """1 the site, 2 the models, 3 the secrets, 4 the models into their volume."""
    smoke_site.main(WORK / "site")
    stack.run(Path(sys.executable).parent / "overt", "models", "pull")
    shutil.copytree(load_settings().cache / "models", WORK / "models", dirs_exist_ok=True)
    shutil.rmtree(WORK / "secrets", ignore_errors=True)
    stack.run("chmod", "-R", "a+rX", WORK / "site", WORK / "models")  # the image's user is neither you nor your group
    stack.run(TOOLS / "prepare")
    stack.compose("run", "--rm", "models-import", profile="import")


def check_health(stack: Stack, services: Sequence[str]) -> None:
    def all_healthy() -> bool:
        names = stack.run("docker", "ps", "-q", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
        said = stack.run("docker", "inspect", "--format", "{{.State.Health.Status}}", *names).split()
        return len(said) >= len(services) and set(said) == {"healthy"}

    wait_for(f"healthy: {', '.join(services)}", all_healthy)


def check_alerts(stack: Stack) -> None:
    words = ("run", "--rm", "-T", "alerts", "tail", "--all", "--count", str(len(EXPECTED)))
    lines = stack.compose(*words, profile="tool", timeout=400).splitlines()
    alerts = [json.loads(line) for line in lines if line.startswith("{")]
    found = {alert["subject_id"] for alert in alerts}
    if found != EXPECTED:
        raise SystemExit(f"smoke: alerts are about {found or 'nobody'}, expected {EXPECTED}")
    for alert in alerts:
        say(f"alert on the topic: {alert['subject_id']}, similarity {alert['similarity']:.3f}")


def check_metrics(stack: Stack) -> None:
    wait_for(
        f"Prometheus scrapes {len(SERVICES)} services",
        lambda: stack.value('count(count by (part) (up{job="overt"} == 1))') == len(SERVICES),
    )
    wait_for("frames are counted", lambda: stack.value("sum(overt_frames_read_total)") > 0)
    wait_for("alerts are counted", lambda: stack.value("sum(overt_alerts_total)") >= 1)
    rules = [rule for group in stack.asked("/api/v1/rules")["groups"] for rule in group["rules"]]
    wrong = [rule["name"] for rule in rules if rule["health"] == "err"]
    if wrong or not rules:
        raise SystemExit(f"smoke: of {len(rules)} rules these fail: {wrong}")
    say(f"{len(rules)} rules, none fails")


def check_grafana(stack: Stack) -> None:
    address = f"http://127.0.0.1:{stack.grafana_port}/api/health"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    wait_for("Grafana answers", lambda: bool(opener.open(address, timeout=10).status == 200))


def check_downstream(stack: Stack) -> None:
    """A system on this host reads alerts as README says, and may not read frames."""
    secrets = WORK / "secrets"
    client = {
        "bootstrap.servers": f"localhost:{stack.downstream_port}",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "downstream",
        "sasl.password": (secrets / "kafka-downstream.password").read_text().strip(),
        "ssl.ca.location": str(secrets / "ca.crt"),
        "auto.offset.reset": "earliest",
    }
    for topic, code in (("overt.alerts", None), ("overt.frames", KafkaError.TOPIC_AUTHORIZATION_FAILED)):
        consumer = Consumer({**client, "group.id": f"downstream-{topic}"})
        consumer.subscribe([topic])
        message = consumer.poll(60)
        consumer.close()
        error = message.error() if message is not None else None
        if message is None or (error.code() if error is not None else None) != code:
            raise SystemExit(f"smoke: downstream on {topic}: {message and error}, expected {code or 'an alert'}")
    say("a system outside reads alerts and may not read frames")


def check_scaling(stack: Stack, services: Sequence[str]) -> None:
    stack.compose("up", "-d", "--no-recreate", "--scale", "detector=2", *services)
    wait_for(
        "two detectors, both scraped",
        lambda: stack.value('count(up{job="overt", part="detector"} == 1)') == 2,
    )


def check(stack: Stack, chosen: argparse.Namespace) -> None:
    services = [service for service in STANDING if service not in chosen.without]
    if chosen.without:
        say(f"left out: {', '.join(chosen.without)}")
    prepare(stack)
    stack.compose("up", "-d", *services)
    check_health(stack, services)
    check_alerts(stack)
    check_metrics(stack)
    if "grafana" in services:
        check_grafana(stack)
    if chosen.downstream:
        check_downstream(stack)
    if chosen.scale:
        check_scaling(stack, services)
    if chosen.standalone:
        say("trying to get out of each container")
        print(stack.run(sys.executable, "-m", "tests.compose.standalone", PROJECT), end="")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--without", action="append", default=[], choices=STANDING, help="leave this service out")
    parser.add_argument("--scale", action="store_true", help="also run two detectors")
    parser.add_argument("--downstream", action="store_true", help="also read alerts as a system outside does")
    parser.add_argument("--standalone", action="store_true", help="also try to get out of each container (root)")
    parser.add_argument("--keep", action="store_true", help="leave the project running")
    chosen = parser.parse_args()
    stack = Stack(
        "docker-compose.yml",
        "tests/compose/recorded.yml",
        *(["infra/docker/downstream.yml"] if chosen.downstream else []),
    )
    try:
        check(stack, chosen)
    except SystemExit:
        print(stack.compose("logs", "--tail", "15"), file=sys.stderr)
        raise
    finally:
        if not chosen.keep:
            stack.compose("down", "-v", "--remove-orphans")
    say("passed")


if __name__ == "__main__":
    main()
