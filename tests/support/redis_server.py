"""A real Redis server as a child process: memory only, on a free port of 127.0.0.1."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Sequence
from pathlib import Path

import redis

from tests.support.child import Child, ChildFailed, Started
from tests.support.ports import free_port


@functools.cache
def redis_unavailable() -> str | None:
    """None when a server can be started here, else why not."""
    if shutil.which("redis-server") is None:
        return "redis-server is missing: install it (infra/test-deps.sh does on Debian)"
    return None


class RedisServer(Started):
    """One server that keeps nothing on disk: `restart` and `kill` lose every key. It listens on 127.0.0.1, and on
    `more_hosts`. Nothing runs before `start`."""

    def __init__(self, folder: Path, *, port: int | None = None, more_hosts: Sequence[str] = ()) -> None:
        self.folder = folder
        self.log_path = folder / "redis.log"
        self.port = port or free_port()
        hosts = " ".join(("127.0.0.1", *more_hosts))
        words = f"redis-server --protected-mode no --bind {hosts} --port {self.port} --appendonly no --save".split()
        # Its folder is where a dump would appear if somebody asked for one: tests look there.
        self.child = Child([*words, "", "--dir", str(folder)], log_path=self.log_path)

    @property
    def url(self) -> str:
        """For `redis.Redis.from_url`."""
        return self.url_at("127.0.0.1")

    def url_at(self, host: str) -> str:
        """The same at another of its addresses."""
        return f"redis://{host}:{self.port}/0"

    def client(self) -> redis.Redis:
        """A new client; the caller closes it."""
        return redis.Redis.from_url(self.url)

    def start(self, timeout_s: float = 20.0) -> float:
        """Start and wait for an answer to PING; returns the seconds. ChildFailed when it does not come."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.child.spawn()
        try:
            return self.child.wait_until(self._answers, timeout_s, poll_s=0.01)
        except ChildFailed:
            self.kill()
            raise

    def stop(self, timeout_s: float = 20.0) -> float:
        """SIGTERM; returns the seconds."""
        return self.child.terminate(timeout_s)

    def kill(self) -> None:
        """SIGKILL; harmless when it does not run."""
        self.child.kill()

    def restart(self) -> float:
        """`stop` and `start`: an empty server on the same port."""
        self.stop()
        return self.start()

    def wipe(self) -> None:
        """Drop every key and keep running."""
        with self.client() as client:
            client.flushall()

    def freeze(self) -> None:
        """Stop answering and keep the connections."""
        self.child.freeze()

    def thaw(self) -> None:
        """Answer again after `freeze`."""
        self.child.thaw()

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False
