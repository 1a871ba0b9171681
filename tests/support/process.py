"""A service of Overt as its own process: started with settings, asked if it is ready, measured, stopped or killed."""

from __future__ import annotations

import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.child import Child, ChildFailed, Started
from tests.support.netns import Machine
from tests.support.ports import free_port

# Not through a proxy that the environment may name.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_NO_ANSWER = (OSError, http.client.HTTPException)


def overt(*arguments: str | Path) -> list[str]:
    """The command line of `overt ARGUMENTS` in this interpreter's environment."""
    return [str(Path(sys.executable).with_name("overt")), *map(str, arguments)]


def _variables(settings: Mapping[str, str | Path]) -> dict[str, str]:
    return {f"OVERT_{name.upper()}": str(value) for name, value in settings.items()}


class Scrape:
    """The metrics of a service at one moment. `samples[name][labels]` with labels as a frozenset of pairs."""

    def __init__(self, text: str) -> None:
        self.samples: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
        for family in text_string_to_metric_families(text):
            # A counter with labels has no sample before its first event, yet it is declared.
            name = f"{family.name}_total" if family.type == "counter" else family.name
            self.samples.setdefault(name, {})
            for sample in family.samples:
                self.samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value

    def total(self, name: str, **labels: str) -> float:
        """Sum of the samples of `name` that have these labels; 0 if none has, KeyError if nobody declared the name."""
        if name not in self.samples:
            raise KeyError(f"no metric {name!r}; there are {', '.join(sorted(self.samples))}")
        return sum(value for have, value in self.samples[name].items() if labels.items() <= dict(have).items())


class Service(Started):
    """A child process with Overt's settings in its environment and a metrics port that stays its own.

    `settings` are names of the settings without their prefix: {"kafka_bootstrap": broker.bootstrap}. Other `OVERT_`
    variables of this process are not handed on, except OVERT_CACHE. The log, of all runs, is `folder/NAME.log`.
    Nothing runs before `start`.
    """

    def __init__(
        self,
        argv: Sequence[str],
        folder: Path,
        *,
        settings: Mapping[str, str | Path] | None = None,
        name: str = "service",
    ) -> None:
        self.name = name
        self.metrics_port = free_port()
        self.host = "127.0.0.1"
        own = {"metrics_host": "127.0.0.1", "metrics_port": str(self.metrics_port), **(settings or {})}
        inherited = {key: value for key, value in os.environ.items() if key == "OVERT_CACHE" or key[:6] != "OVERT_"}
        self.env = inherited | _variables(own)
        self.child = Child(argv, log_path=folder / f"{name}.log", env=self.env)
        self._argv = list(argv)

    def move(self, machine: Machine, host: str, settings: Mapping[str, str | Path]) -> None:
        """With the next start it runs on another machine, which is asked at `host`, with some settings changed."""
        self.host = host
        self.env = {**self.env, **_variables({**settings, "metrics_host": host})}
        self.child.env = self.env
        self.child.argv = [*machine.words_before, *self._argv]

    def spawn(self) -> None:
        """Start without waiting."""
        self.child.spawn()

    def start(self, timeout_s: float = 60.0) -> float:
        """Start and wait until /readyz says 200; returns the seconds. ChildFailed, and a kill, when it does not."""
        self.child.spawn()
        try:
            return self.wait_ready(timeout_s)
        except ChildFailed:
            self.kill()
            raise

    def wait_ready(self, timeout_s: float = 60.0) -> float:
        """Wait until /readyz says 200; returns the seconds. ChildFailed when it ends first or takes longer."""
        return self.child.wait_until(lambda: self.status("/readyz") == 200, timeout_s)

    def status(self, path: str) -> int | None:
        """HTTP status of `path` on the metrics port; None when nobody answers within a second."""
        try:
            with _OPENER.open(self._url(path), timeout=1.0) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except _NO_ANSWER:
            return None

    def scrape(self) -> Scrape:
        """The metrics now; OSError or HTTPException when nobody answers, or not to the end."""
        with _OPENER.open(self._url("/metrics"), timeout=5.0) as answer:
            return Scrape(answer.read().decode())

    def wait_for(self, name: str, at_least: float, timeout_s: float = 60.0, **labels: str) -> float:
        """Wait until the metric's total is at least this; returns the seconds. ChildFailed when it is not."""

        def reached() -> bool:
            try:
                return self.scrape().total(name, **labels) >= at_least
            except _NO_ANSWER:
                return False

        return self.child.wait_until(reached, timeout_s, what=f"at {name} >= {at_least}", poll_s=0.1)

    def terminate(self, timeout_s: float = 30.0) -> float:
        """SIGTERM and wait; returns the seconds that the drain took. ChildFailed, and a kill, past the timeout."""
        return self.child.terminate(timeout_s)

    def kill(self) -> None:
        """SIGKILL; harmless when it does not run."""
        self.child.kill()

    def freeze(self) -> None:
        """SIGSTOP."""
        self.child.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self.child.thaw()

    def log_text(self) -> str:
        """What the current or last run wrote."""
        return self.child.log_text()

    def _url(self, path: str) -> str:
        return f"http://{self.host}:{self.metrics_port}{path}"
