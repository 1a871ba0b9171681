"""Proves the stack: a short video through it, the alerts on the topic, the metrics in Prometheus.

A project of its own (overt-smoke) is started from docker-compose.yml with a deployment, secrets and models of its own
in out/smoke, and removed again with its volumes, also when a check fails; a stack that runs beside it is left alone.
Which images it takes, the environment and .env say, as ever. A site's recording is read without loss, so that a busy
machine is slow and does not fail; a van watches a camera in its cameras' network, which shows the same over and over
(root, GStreamer).

python -m tests.compose.smoke [--profile single] [--without SERVICE]... [--outward] [--scale] [--standalone]
                              [--outages] [--downstream] [--keep]
"""

import argparse
import json
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError

from overt.runtime.settings import load_settings
from tests.compose import outages, outward, smoke_site
from tests.compose.camera import camera_in_network
from tests.compose.stack import PROJECT, ROOT, TOOLS, WORK, Stack, say, wait_for

SERVICES = ["frame", "detector", "embedder", "matcher", "alerter", "statistics"]
STANDING = {
    "site": ["kafka", "redis", "registry", *SERVICES, "prometheus", "grafana"],
    "single": ["van", "prometheus", "grafana"],
}
# What is not up any more, or not yet, when services run: tried by the stand-alone test all the same.
JOBS = ["deployment-key", "acls", "topics", "watchlist", "alerts", "models-pull", "models-import"]
EXPECTED = {"barack-obama", "grace-hopper"}


def prepare(stack: Stack, chosen: argparse.Namespace) -> None:
    """1 the site, 2 the models, 3 the secrets, 4 the models into their volume."""
    {"site": smoke_site.recorded, "single": smoke_site.van}[stack.profile](WORK / stack.profile)
    if chosen.outward:
        outward.prepare(stack)
    stack.run(Path(sys.executable).parent / "overt", "models", "pull")
    shutil.copytree(load_settings().cache / "models", WORK / "models", dirs_exist_ok=True)
    shutil.rmtree(WORK / "secrets", ignore_errors=True)
    stack.run("chmod", "-R", "a+rX", WORK / stack.profile, WORK / "models")  # the image's user is not your group either
    stack.run(TOOLS / "prepare")
    stack.compose("run", "--rm", "models-import", profile="import")
    say("site, secrets, and the models in their volume")


def check_health(stack: Stack, services: Sequence[str]) -> None:
    wait_for(f"healthy: {', '.join(services)}", lambda: stack.healthy(services), stack.states)


def alerts_on_topic(stack: Stack) -> list[dict[str, Any]]:
    said = stack.compose("run", "--rm", "-T", "alerts", "tail", "--all", "--until-end", profile="tool")
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def by_subject(alerts: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The similarity of each subject's alert. SystemExit when one is about somebody else."""
    found = {str(alert["subject_id"]): float(alert["similarity"]) for alert in alerts}
    if set(found) - EXPECTED:
        raise SystemExit(f"smoke: alerts are about {set(found)}, expected {EXPECTED}")
    return found


def check_alerts(stack: Stack) -> None:
    """An alert about each of the two who are listed and walk past, and none about anybody else."""

    def all_there() -> bool:
        return (
            stack.value("sum(overt_alerts_total)") >= len(EXPECTED)
            and set(by_subject(alerts_on_topic(stack))) == EXPECTED
        )

    wait_for("alerts are counted, and on the topic", all_there, stack.worked)
    similarities = sorted(by_subject(alerts_on_topic(stack)).items())
    found = ", ".join(f"{subject} {similarity:.3f}" for subject, similarity in similarities)
    say(f"alerts, with their similarity: {found}")


def check_metrics(stack: Stack) -> None:
    parts = len(SERVICES) if stack.profile == "site" else 1
    wait_for(
        f"Prometheus scrapes {parts} of {parts}; frames are counted",
        lambda: (
            stack.value('count(count by (part) (up{job="overt"} == 1))') == parts
            and stack.value("sum(overt_frames_read_total)") > 0
        ),
        stack.worked,
    )
    rules = [rule for group in stack.asked("/api/v1/rules")["groups"] for rule in group["rules"]]
    wrong = [rule["name"] for rule in rules if rule["health"] == "err"]
    if wrong or not rules:
        raise SystemExit(f"smoke: of {len(rules)} rules these fail: {wrong}")
    say(f"{len(rules)} rules, none fails")


def check_grafana(stack: Stack) -> None:
    wait_for("Grafana answers", lambda: stack.page_answers(stack.grafana_port, "/api/health"), stack.states)


def check_downstream(stack: Stack, services: Sequence[str]) -> None:
    """With downstream.yml added to a running stack, a system on this host reads alerts, and may not read frames."""
    stack.files.append("infra/docker/downstream.yml")
    stack.up(*services)
    check_health(stack, services)
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
        message = consumer.poll(180)
        consumer.close()
        error = message.error() if message is not None else None
        if message is None or (error.code() if error is not None else None) != code:
            raise SystemExit(f"smoke: downstream on {topic}: {message and error}, expected {code or 'an alert'}")
    say("a system outside reads alerts and may not read frames")


def check_scaling(stack: Stack, services: Sequence[str]) -> None:
    stack.up("--no-recreate", "--scale", "detector=3", *services)
    wait_for(
        "three detectors, all healthy and scraped",
        lambda: stack.healthy(services) and stack.value('count(up{job="overt", part="detector"} == 1)') == 3,
        stack.states,
    )


def check_standalone(stack: Stack) -> None:
    """Tries to get out of each container, those of jobs and tools included, which are held open for it."""
    held = JOBS if stack.profile == "site" else ["models-pull", "models-import"]
    for job in held:
        words = ("run", "--detach", "--no-deps", "--entrypoint", "sleep 3600", job)
        stack.compose(*words, profile=f"{stack.profile},tool,pull,import")
    print(stack.run(sys.executable, "-m", "tests.compose.standalone", PROJECT), end="")
    stack.remove_held()
    say("nobody got out who may not")


def check_site(stack: Stack, chosen: argparse.Namespace) -> None:
    services = [service for service in STANDING["site"] if service not in chosen.without]
    stack.up(*services)
    check_health(stack, services)
    check_alerts(stack)
    check_metrics(stack)
    if "grafana" in services:
        check_grafana(stack)
    adding: AbstractContextManager[outward.Outside | None] = outward.added(stack) if chosen.outward else nullcontext()
    with adding as outside:
        check_more(stack, chosen, services, outside)


def check_more(stack: Stack, chosen: argparse.Namespace, services: list[str], outside: outward.Outside | None) -> None:
    """Of a site that runs, what was chosen."""
    if outside is not None:
        services = [*services, *outward.SERVICES]
        outward.check_letters(outside, stack, alerts_on_topic(stack))
    if chosen.scale:
        check_scaling(stack, services)
    if outside is not None:
        outward.check_alarm(outside, stack)
    if chosen.standalone:
        check_standalone(stack)
    if chosen.outages:
        outages.check_return(stack, "detector", services)
        outages.check_return_of_all(stack, services)
        alerts = alerts_on_topic(stack)
        if set(by_subject(alerts)) != EXPECTED:
            raise SystemExit("smoke: after the outage the alerts on the topic are not what they were")
        say("the alerts are still on the topic, and no other")
        if outside is not None:
            outward.check_once(outside, alerts)
    if chosen.downstream:
        check_downstream(stack, services)
    if chosen.outages:
        outages.check_stop(stack, [*SERVICES, "webhook"])


def check_van(stack: Stack, chosen: argparse.Namespace) -> None:
    services = [service for service in STANDING["single"] if service not in chosen.without]
    stack.up(*services)

    def all_seen() -> bool:
        said = stack.compose("exec", "-T", "van", "cat", "/var/lib/overt/out/alerts.jsonl")
        return set(by_subject(list(map(json.loads, said.splitlines())))) == EXPECTED

    with camera_in_network(stack, smoke_site.recording()):
        check_health(stack, services)
        wait_for("alerts of both in the van's alerts.jsonl", all_seen, stack.worked)
        check_metrics(stack)
        if chosen.standalone:
            check_standalone(stack)
        if chosen.outages:
            outages.check_return(stack, "van", services)
            outages.check_stop(stack, ["van"])


def check(stack: Stack, chosen: argparse.Namespace) -> None:
    if chosen.without:
        say(f"left out: {', '.join(chosen.without)}")
    prepare(stack, chosen)
    (check_site if stack.profile == "site" else check_van)(stack, chosen)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--profile", choices=STANDING, default="site", help="site, or single: a van (root)")
    parser.add_argument("--without", action="append", default=[], choices=STANDING["site"], help="leave this out")
    parser.add_argument("--outward", action="store_true", help="also post alerts by webhook, and send an alarm on")
    parser.add_argument("--scale", action="store_true", help="also run three detectors")
    parser.add_argument("--downstream", action="store_true", help="also read alerts as a system outside does")
    parser.add_argument("--standalone", action="store_true", help="also try to get out of each container (root)")
    parser.add_argument("--outages", action="store_true", help="also kill containers, and stop them (root)")
    parser.add_argument("--keep", action="store_true", help="leave the project running")
    chosen = parser.parse_args()
    if chosen.outward and chosen.profile != "site":
        parser.error("--outward: the webhook reads Kafka, which only a site has")
    return chosen


def main() -> None:
    started_s = time.monotonic()
    chosen = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("smoke: stopped"))  # so that what was started is removed
    stack = Stack(chosen.profile, "docker-compose.yml", *smoke_site.OVERRIDES[chosen.profile])
    stack.remove()
    say("nothing is left of an earlier run")
    had_settings = (ROOT / ".env").exists()
    try:
        check(stack, chosen)
    except SystemExit:
        print(stack.compose("logs", "--tail", "15"), file=sys.stderr)
        raise
    finally:
        if not chosen.keep:
            stack.remove()
            shutil.rmtree(WORK / "secrets", ignore_errors=True)
            if not had_settings:
                (ROOT / ".env").unlink(missing_ok=True)  # made by infra/docker/prepare
            say("removed")
    print(f"smoke: {chosen.profile}: passed in {time.monotonic() - started_s:.0f} s", flush=True)


if __name__ == "__main__":
    main()
