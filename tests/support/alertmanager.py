"""Real Alertmanager with the project's configuration, whose pager is a receiver of the test's."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.support.child import Child
from tests.support.ports import free_port

CONFIG = Path(__file__).resolve().parents[2] / "infra" / "alertmanager" / "alertmanager.yml"
TOKEN = "a-token-of-the-test"

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@functools.cache
def _server() -> str | None:
    """The program, by Debian's name or its own."""
    return shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


@functools.cache
def alertmanager_unavailable() -> str | None:
    """None when Alertmanager and amtool are here, else why not."""
    if _server() is None or shutil.which("amtool") is None:
        return "alertmanager is missing: on Debian, install prometheus-alertmanager"
    return None


def amtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`amtool ARGUMENTS` to its end."""
    return subprocess.run(["amtool", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


def pager_alone(config: Mapping[str, Any], url: str, token: Path) -> dict[str, Any]:
    """The project's configuration with the pager at `url` and mail for nobody; nothing is waited for."""
    changed: dict[str, Any] = json.loads(json.dumps(config))
    for receiver in changed["receivers"]:
        receiver.pop("email_configs", None)
        for hook in receiver.get("webhook_configs", ()):
            hook["url"] = url
            hook["http_config"]["authorization"]["credentials_file"] = str(token)
    del changed["global"]["smtp_auth_password_file"]
    for route in (changed["route"], *changed["route"]["routes"]):
        route |= {"group_wait": "2s", "group_interval": "2s"}
    return changed


class Alertmanager:
    """`with Alertmanager(folder, receiver.url) as manager: manager.port`."""

    def __init__(self, folder: Path, pager: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        token, file = folder / "token", folder / "alertmanager.yml"
        token.write_text(TOKEN)
        config = pager_alone(yaml.safe_load(CONFIG.read_text("utf-8")), pager, token)
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        argv = [
            _server() or "alertmanager",
            f"--config.file={file}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        self.child = Child(argv, log_path=folder / "alertmanager.log")

    def raise_alarms(self, alarms: Sequence[Mapping[str, str]]) -> None:
        """Alarms by their labels, as Prometheus would hand them over."""
        body = json.dumps([{"labels": dict(labels)} for labels in alarms]).encode()
        url = f"http://127.0.0.1:{self.port}/api/v2/alerts"
        _OPENER.open(urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=10).close()

    def _ready(self) -> bool:
        try:
            with _OPENER.open(f"http://127.0.0.1:{self.port}/-/ready", timeout=1.0) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def __enter__(self) -> Self:
        self.child.spawn()
        self.child.wait_until(self._ready, 60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.child.kill()
