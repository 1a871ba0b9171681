"""The one module that imports redis: short time-outs, one meaning for every way in which Redis can be away.

Redis holds transient keys, states and leases, all of which may be lost at any time and none of which may reach a disk.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from overt.ports import Unavailable

_TIMEOUT_S = 1.0
# First words of error replies that mean "not now" or "not this server", whichever exception class carries them.
_AWAY = (
    *("LOADING", "BUSY", "OOM", "MISCONF", "READONLY", "MASTERDOWN", "NOREPLICAS"),
    *("NOAUTH", "WRONGPASS", "NOPERM", "DENIED"),
)

Script = Callable[[Sequence[str], Sequence[bytes | str | int]], Any]
"""A Lua script: called with its keys and its arguments, it runs as one step on the server. Raises Unavailable."""


class Client:
    """A connection pool to one Redis. Threads may share it. Nothing connects before the first command.

    No command is repeated here: the loop puts its batch back and tries again. A connection that the server closed
    meanwhile is replaced before use.
    """

    def __init__(self, connection: redis.Redis, where: str) -> None:
        self._redis = connection
        self.where = where
        """Host and port for messages; never the password."""

    def __repr__(self) -> str:
        return f"Client({self.where})"

    def call(self, *command: bytes | str | int) -> Any:
        """One command, with bytes or integers as its answer. Raises Unavailable."""
        with self._answering():
            return cast(Any, self._redis).execute_command(*command)

    def script(self, text: str) -> Script:
        """Prepares a Lua script. It is loaded at its first call, and again after the server lost it."""
        registered = self._redis.register_script(text)

        def run(keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> Any:
            with self._answering():
                return cast(Any, registered)(keys=list(keys), args=list(arguments))

        return run

    def what_outlives(self) -> list[str]:
        """Which settings of the server let what it holds outlive its expiry; empty also where it does not tell.

        Raises Unavailable.
        """
        found = []
        for name, harmless, why in (
            ("save", "", "snapshots write keys to disk; start Redis with --save ''"),
            ("appendonly", "no", "the append-only file writes keys to disk; start Redis with --appendonly no"),
        ):
            value = self._setting(name)
            if value is not None and value != harmless:
                found.append(f"{name} is {value!r}: {why}")
        if self._setting("slowlog-max-len") not in (None, "0"):
            found.append("slowlog-max-len is not 0: a slow command's arguments are kept; set slowlog-max-len 0")
        return found

    def close(self) -> None:
        """Closes all connections."""
        self._redis.close()

    def _setting(self, name: str) -> str | None:
        try:
            with self._answering():
                answer = self._redis.config_get(name)
        except redis.ResponseError:  # managed servers refuse CONFIG by renaming it
            return None
        except _NotPermitted:
            return None
        value = cast(dict[Any, Any], answer).get(name)
        return None if value is None else str(value)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except redis.exceptions.NoPermissionError as error:
            raise _NotPermitted(f"Redis at {self.where} refuses a command to this user: {error}") from error
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise Unavailable(f"Redis at {self.where} does not answer: {error}{_hint(str(error))}") from error
        except redis.ResponseError as error:
            word = str(error).split(" ", 1)[0].rstrip(":")
            if isinstance(error, redis.ReadOnlyError | redis.exceptions.OutOfMemoryError) or word in _AWAY:
                raise Unavailable(f"Redis at {self.where} cannot serve now: {error}") from error
            raise


class _NotPermitted(Unavailable):
    """The server's access list refuses the command."""


def connect(
    url: str,
    *,
    username: str | None = None,
    password: str | None = None,
    ca_file: Path | None = None,
    certificate_file: Path | None = None,
    key_file: Path | None = None,
    key_password: str | None = None,
) -> Client:
    """A client of the server at `url` (redis://, rediss:// or unix://), without connecting yet.

    ca_file: PEM certificates, one of which must have signed that of a rediss:// server; None: those the system trusts.
    certificate_file, key_file: the client's own, where the server demands one.
    Raises ValueError when the URL cannot be read; its text holds nothing of it, since a password may stand anywhere in
    an address that is written wrongly.
    """
    try:
        parts = urlsplit(url)
        where = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
        connection = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            **({} if username is None else {"username": username}),
            **({} if password is None else {"password": password}),
            **(_tls(ca_file, certificate_file, key_file, key_password) if parts.scheme == "rediss" else {}),
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:
        raise ValueError(
            "expected redis://host:port/0, rediss://... or unix://path; percent-encode @ : / ? # in a password"
        ) from None
    return Client(connection, where)


def _hint(why: str) -> str:
    """What to do about it, where that is known."""
    if why.startswith(("NOAUTH", "HELLO must be called")):
        return " (it asks for a user: set OVERT_REDIS_USERNAME and OVERT_REDIS_PASSWORD_FILE)"
    if "CERTIFICATE_REQUIRED" in why:
        return " (it asks for a certificate: set OVERT_REDIS_CERTIFICATE_FILE and OVERT_REDIS_KEY_FILE)"
    if "EOF occurred in violation" in why:  # what it asked for is lost where it hangs up before that is read
        return " (it hung up: if it asks for a certificate, set OVERT_REDIS_CERTIFICATE_FILE and OVERT_REDIS_KEY_FILE)"
    return ""


def _tls(
    ca_file: Path | None, certificate_file: Path | None, key_file: Path | None, key_password: str | None
) -> dict[str, Any]:
    return {
        "ssl_certfile": None if certificate_file is None else str(certificate_file),
        "ssl_keyfile": None if key_file is None else str(key_file),
        "ssl_password": key_password,
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_ca_certs": None if ca_file is None else str(ca_file),
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
    }
