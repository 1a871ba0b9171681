"""A stack of docker-compose.yml under test: a project of its own, and waits that end when nothing moves any more."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "infra" / "docker"
WORK = ROOT / "out" / "smoke"
PROJECT = "overt-smoke"
_STILL_S = 300.0  # a busy machine takes long over a step; that nothing at all moves for so long is a fault
_CAP_S = 1800.0
_OF_PROJECT = f"label=com.docker.compose.project={PROJECT}"
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_said_at_s = time.monotonic()


def say(text: str) -> None:
    """One line for each step that is done, with the seconds since the one before it."""
    global _said_at_s
    now_s = time.monotonic()
    print(f"smoke: {now_s - _said_at_s:4.0f} s  {text}", flush=True)
    _said_at_s = now_s


def wait_for(what: str, holds: Callable[[], bool], moved: Callable[[], object]) -> None:
    """Until it holds. SystemExit when what `moved` says has not changed for five minutes, or after half an hour."""
    started_s = changed_s = time.monotonic()
    before: object = None
    while True:
        try:
            if holds():
                return say(what)
            now = moved()
        except OSError as error:  # a page that does not answer yet
            now = type(error)
        if now != before:
            before, changed_s = now, time.monotonic()
        if time.monotonic() - changed_s > _STILL_S or time.monotonic() - started_s > _CAP_S:
            waited_s = time.monotonic() - started_s
            raise SystemExit(f"smoke: not within {waited_s:.0f} s, nothing moves: {what}\nat last: {before}")
        time.sleep(2)


@dataclass(frozen=True)
class Container:
    """What Docker says of one container of the project. exit_code counts when it does not run."""

    name: str
    service: str
    status: str
    health: str | None
    pid: int
    exit_code: int
    restarts: int
    finished_at: str
    stop_timeout_s: int | None


def _container(content: dict[str, Any]) -> Container:
    state = content["State"]
    return Container(
        name=content["Name"].lstrip("/"),
        service=content["Config"]["Labels"]["com.docker.compose.service"],
        status=state["Status"],
        health=state["Health"]["Status"] if state.get("Health") else None,
        pid=state["Pid"],
        exit_code=state["ExitCode"],
        restarts=content["RestartCount"],
        finished_at=state["FinishedAt"],
        stop_timeout_s=content["Config"].get("StopTimeout"),
    )


class Stack:
    """The project of one profile, `site` or `single`, through docker compose.

    `beside`: profiles that are on with it. `settings`: more of what .env.example lists.
    """

    def __init__(self, profile: str, *files: str) -> None:
        self.profile = profile
        self.files = list(files)
        self.beside: tuple[str, ...] = ()
        self.settings: dict[str, str] = {}
        self.prometheus_port, self.grafana_port, self.downstream_port = free_port(), free_port(), free_port()

    def _environment(self, profile: str | None) -> dict[str, str]:
        return {
            **os.environ,
            "COMPOSE_PROJECT_NAME": PROJECT,
            "COMPOSE_PROFILES": profile or ",".join((self.profile, *self.beside)),
            "COMPOSE_FILE": ":".join(self.files),
            "COMPOSE_HTTP_TIMEOUT": "600",  # docker-compose 1.29 gives the engine one minute for an answer
            "OVERT_SITE": f"./out/smoke/{self.profile}",
            "OVERT_SECRETS": "./out/smoke/secrets",
            "OVERT_MODELS": "./out/smoke/models",
            "OVERT_PROMETHEUS_PORT": str(self.prometheus_port),
            "OVERT_GRAFANA_PORT": str(self.grafana_port),
            "OVERT_DOWNSTREAM_PORT": str(self.downstream_port),
            **self.settings,
        }

    def run(self, *command: str | Path, profile: str | None = None, stdin: str | None = None) -> str:
        """What a command prints. SystemExit with all it said when it fails, or takes a quarter of an hour."""
        words = list(map(str, command))
        try:
            done = subprocess.run(
                words,
                cwd=ROOT,
                env=self._environment(profile),
                capture_output=True,
                text=True,
                input=stdin,
                timeout=900,
            )
        except subprocess.TimeoutExpired:
            raise SystemExit(f"smoke: {' '.join(words)}: not done within 900 s") from None
        if done.returncode:
            raise SystemExit(f"smoke: {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def compose(self, *words: str, profile: str | None = None) -> str:
        return self.run(TOOLS / "compose", *words, profile=profile)

    def up(self, *words: str) -> None:
        """`up -d`, for as long as its containers come on."""
        command = [str(TOOLS / "compose"), "up", "-d", *words]
        with (
            tempfile.TemporaryFile("w+") as said,
            subprocess.Popen(command, cwd=ROOT, env=self._environment(None), stdout=said, stderr=said) as starting,
        ):
            try:
                wait_for(f"up -d {' '.join(words)}", lambda: starting.poll() is not None, self.states)
            finally:
                starting.kill()
            if starting.returncode:
                said.seek(0)
                raise SystemExit(f"smoke: {' '.join(command)}: {starting.returncode}\n{said.read()}")

    def containers(self, *services: str) -> list[Container]:
        """Of these services (of all), running or not; without those of `run`."""
        filters = ("--filter", _OF_PROJECT, "--filter", "label=com.docker.compose.oneoff=False")
        names = self.run("docker", "ps", "--all", "--quiet", *filters).split()
        if not names:
            return []
        # One may be replaced in between: the others are told of all the same, and the exit code is then 1.
        told = subprocess.run(["docker", "inspect", *names], capture_output=True, text=True, timeout=300, check=False)
        found = map(_container, json.loads(told.stdout))
        return [one for one in found if not services or one.service in services]

    def states(self) -> object:
        """What changes while containers come up."""
        return sorted((one.name, one.status, one.health, one.restarts) for one in self.containers())

    def healthy(self, services: Sequence[str]) -> bool:
        found = self.containers(*services)
        return {one.service for one in found} == set(services) and all(one.health == "healthy" for one in found)

    def asked(self, path: str, **query: str) -> Any:
        """What Prometheus answers."""
        address = f"http://127.0.0.1:{self.prometheus_port}{path}?{urllib.parse.urlencode(query)}"
        with _OPENER.open(address, timeout=30) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> float:
        """Of an expression with one value; 0.0 while it has none."""
        found = self.asked("/api/v1/query", query=expression)["result"]
        return float(found[0]["value"][1]) if found else 0.0

    def worked(self) -> object:
        """What grows while anything is read or worked off."""
        return self.value("sum(overt_records_total)"), self.value("sum(overt_frames_read_total)")

    def page_answers(self, port: int, path: str) -> bool:
        with _OPENER.open(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return bool(answer.status == 200)

    def remove_held(self) -> None:
        """What `run --detach` has left running."""
        filters = ("--filter", _OF_PROJECT, "--filter", "label=com.docker.compose.oneoff=True")
        if names := self.run("docker", "ps", "--all", "--quiet", *filters).split():
            self.run("docker", "rm", "--force", *names)

    def remove(self) -> None:
        """Containers, networks and volumes, those of `run` and of a run that was killed too."""
        self.compose("down", "-v", "--remove-orphans", profile="site,single,tool,pull,import,webhook,alarms")
        left = {
            "rm --force --volumes": ("ps", "--all"),
            "network rm": ("network", "ls"),
            "volume rm": ("volume", "ls"),
        }
        for removal, listing in left.items():
            if names := self.run("docker", *listing, "--quiet", "--filter", _OF_PROJECT).split():
                self.run("docker", *removal.split(), *names)
