"""Real Prometheus: `promtool` over rules, and a server that scrapes what a test names."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.support.child import Child
from tests.support.ports import free_port

PROMETHEUS = Path(__file__).resolve().parents[2] / "infra" / "prometheus"
RULES = tuple(sorted((PROMETHEUS / "rules").glob("*.yml")))

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@functools.cache
def prometheus_unavailable() -> str | None:
    """None when Prometheus and promtool are here, else why not."""
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            return f"{program} is missing: install prometheus (infra/test-deps.sh does on Debian)"
    return None


@dataclass(frozen=True, slots=True)
class Rule:
    """An alerting rule as its file says it."""

    name: str
    expression: str
    severity: str
    annotations: Mapping[str, str]


def alerts() -> list[Rule]:
    """All alerting rules of the project."""
    return [
        Rule(rule["alert"], rule["expr"], rule["labels"]["severity"], rule["annotations"])
        for file in RULES
        for group in yaml.safe_load(file.read_text("utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`promtool ARGUMENTS` to its end."""
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


class PrometheusServer:
    """A server on a free port of 127.0.0.1 with the project's rules, that scrapes `targets` (part: port) every second.
    `alertmanager`: the port of one on this machine that it tells.

    Nothing runs before `start`; leaving the context kills it.
    """

    def __init__(
        self,
        folder: Path,
        targets: Mapping[str, int],
        *,
        rules: Sequence[Path] = RULES,
        alertmanager: int | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        # The jobs and rules are the project's; only where a target is, and how often it is asked, is the test's.
        config: dict[str, Any] = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [
                {
                    "job_name": "overt",
                    "static_configs": [
                        {"targets": [f"127.0.0.1:{port}"], "labels": {"part": part}} for part, port in targets.items()
                    ],
                }
            ],
        }
        if alertmanager is not None:
            told = [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]
            config["alerting"] = {"alertmanagers": told}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self.child = Child(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--log.level=warn",
            ],
            log_path=folder / "prometheus.log",
        )

    def start(self, timeout_s: float = 60.0) -> Self:
        """Starts it and waits until it is ready. ChildFailed when it is not."""
        self.child.spawn()
        self.child.wait_until(self._ready, timeout_s)
        return self

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector that an expression gives now; AssertionError with Prometheus's words where it is wrong."""
        text = urllib.parse.urlencode({"query": expression})
        try:
            with _OPENER.open(self._url(f"/api/v1/query?{text}"), timeout=10.0) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from None
        result = found["data"]["result"]
        assert isinstance(result, list)
        return result

    def value(self, expression: str) -> float | None:
        """The one number that an expression gives; None where it gives nothing."""
        result = self.query(expression)
        assert len(result) < 2, f"{expression}: {len(result)} series"
        return float(result[0]["value"][1]) if result else None

    def wait_for(self, expression: str, timeout_s: float = 60.0) -> float:
        """Until an expression gives something; the seconds. ChildFailed when it does not."""
        return self.child.wait_until(
            lambda: bool(self.query(expression)), timeout_s, what=f"at {expression}", poll_s=0.2
        )

    def rules(self) -> Iterator[dict[str, Any]]:
        """The rules as the server has them, with their health and their last error."""
        with _OPENER.open(self._url("/api/v1/rules"), timeout=10.0) as answer:
            for group in json.load(answer)["data"]["groups"]:
                yield from group["rules"]

    def wait_evaluated(self, timeout_s: float = 60.0) -> None:
        """Until each rule was evaluated at least once."""
        began = time.monotonic()
        while any(rule["health"] == "unknown" for rule in self.rules()):
            assert time.monotonic() - began < timeout_s, "a rule was never evaluated"
            time.sleep(0.2)

    def _ready(self) -> bool:
        try:
            with _OPENER.open(self._url("/-/ready"), timeout=1.0) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.child.kill()
