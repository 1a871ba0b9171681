"""What has a route to elsewhere, added to a running site: the webhook's letters arrive, and an alarm reaches the pager.

Who takes them are containers on the networks that only the webhook (`hooks`) and only Alertmanager (`pager`) are on.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.compose.stack import PROJECT, ROOT, WORK, Stack, say, wait_for
from tests.support.alertmanager import CONFIG, pager_alone
from tests.support.webhook_receiver import Letter, receivers_code

SERVICES = ["webhook", "alertmanager"]
PROFILES = ("webhook", "alarms")
_ENDPOINT, _PAGER = "cases", "gateway"
_FOLDER = WORK / "endpoint"
_ALARM = "OvertCameraDown"  # the recording is over: its camera is as good as down


@dataclass(frozen=True)
class Outside:
    """What came so far, in order."""

    letters: Callable[[], list[Letter]]
    pages: Callable[[], list[Letter]]


def prepare(stack: Stack) -> None:
    """Both profiles' settings. The endpoint's certificate is of an authority that only the webhook is told of."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    stack.run(ROOT / "infra" / "security" / "make-dev-certs", _FOLDER, "--host", _ENDPOINT)
    shutil.copy(_FOLDER / "ca.crt", WORK / stack.profile / "certificates" / "endpoint-ca.crt")
    config = pager_alone(
        yaml.safe_load(CONFIG.read_text("utf-8")), f"http://{_PAGER}:8080/alarms", Path("/run/secrets/pager-token")
    )
    (WORK / "alertmanager.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    stack.beside = PROFILES
    stack.settings |= {
        "OVERT_WEBHOOK_URL": f"https://{_ENDPOINT}:8443/alerts",
        "OVERT_WEBHOOK_CA_FILE": "/etc/overt/certificates/endpoint-ca.crt",
        "OVERT_ALERTMANAGER": "./out/smoke/alertmanager.yml",
    }


@contextmanager
def added(stack: Stack) -> Iterator[Outside]:
    """Starts both beside what runs, and those to whom they turn, who go when the block ends."""
    stack.up("--no-deps", *SERVICES)
    with (
        _receiver(stack, "hooks", _ENDPOINT, "8443", "/endpoint/kafka.pem") as letters,
        _receiver(stack, "pager", _PAGER, "8080") as pages,
    ):
        wait_for(f"healthy: {', '.join(SERVICES)}", lambda: stack.healthy(SERVICES), stack.states)
        yield Outside(letters, pages)


def check_letters(outside: Outside, stack: Stack, alerts: Sequence[Mapping[str, Any]]) -> None:
    """Each of these alerts was posted once, to the address that is set, signed as docs/webhook.md says."""
    wait_for("the webhook has posted as many letters", lambda: len(outside.letters()) >= len(alerts), stack.worked)
    check_once(outside, alerts)
    is_ours, secret = receivers_code()["is_ours"], (WORK / "secrets" / "webhook.secret").read_text().strip()
    for letter in outside.letters():
        if not is_ours(letter.headers, letter.body, secret) or letter.target != "/alerts":
            raise SystemExit(f"smoke: a letter to {letter.target} is not signed as docs/webhook.md says")
    subjects = sorted(json.loads(letter.body)["data"]["subject_id"] for letter in outside.letters())
    say(f"each once, over TLS, with a signature that holds: {', '.join(subjects)}")


def check_once(outside: Outside, alerts: Sequence[Mapping[str, Any]]) -> None:
    """No alert was left out, and none came twice."""
    came = sorted(letter.headers["webhook-id"] for letter in outside.letters())
    if came != sorted(alert["alert_id"] for alert in alerts):
        raise SystemExit(f"smoke: {len(alerts)} alerts are on the topic, {len(came)} letters came, with the ids {came}")


def check_alarm(outside: Outside, stack: Stack) -> None:
    """An alarm that fires in Prometheus is in Alertmanager, and is told with the pager's token."""
    asking = ("amtool", "--alertmanager.url=http://127.0.0.1:9093", "alert", "query", "--output=json")

    def is_there() -> bool:
        alarms = json.loads(stack.compose("exec", "-T", "alertmanager", *asking))
        return any(alarm["labels"]["alertname"] == _ALARM for alarm in alarms)

    firing = f'count(ALERTS{{alertname="{_ALARM}",alertstate="firing"}})'
    wait_for(f"{_ALARM} fires in Prometheus", lambda: stack.value(firing) > 0, stack.worked)
    wait_for(f"{_ALARM} is in Alertmanager", is_there, stack.worked)
    wait_for(f"{_ALARM} was told to the pager", lambda: _ALARM in map(_told, outside.pages()), stack.worked)
    expected = f"Bearer {(WORK / 'secrets' / 'pager.token').read_text().strip()}"
    if any(page.headers.get("authorization") != expected for page in outside.pages()):
        raise SystemExit("smoke: a page came without the pager's token")


def _told(page: Letter) -> str:
    return str(json.loads(page.body)["groupLabels"]["alertname"])


@contextmanager
def _receiver(stack: Stack, network: str, name: str, *arguments: str) -> Iterator[Callable[[], list[Letter]]]:
    """receiver.py in a container that this network knows by a name; what it was sent so far."""
    image = stack.run("docker", "inspect", "--format", "{{.Config.Image}}", stack.containers("webhook")[0].name).strip()
    place = ("--network", f"{PROJECT}_{network}", "--network-alias", name, "--user", str(os.getuid()))
    script = ROOT / "tests" / "compose" / "receiver.py"
    files = ("--volume", f"{script}:/receiver.py:ro", "--volume", f"{_FOLDER}:/endpoint:ro")
    words = ("docker", "run", "--detach", "--rm", *place, *files, "--entrypoint", "python3", image)
    container = stack.run(*words, "/receiver.py", *arguments).strip()
    try:
        yield lambda: list(map(_letter, stack.run("docker", "logs", container).splitlines()))
    finally:
        stack.run("docker", "rm", "--force", container)


def _letter(line: str) -> Letter:
    content = json.loads(line)
    return Letter(content["target"], content["headers"], content["body"].encode())
