"""One attempt to hand an alert over: one connection, one request, one answer, all within a time."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from overt.messages import Alert
from overt.ports import Clock
from overt.runtime.webhook.answers import Answer, Outcome, outcome_of, retry_after_s
from overt.runtime.webhook.letter import Secret, body_of, headers_of

_PORTS = {"https": 443, "http": 80}


class AddressError(ValueError):
    """An address cannot be posted to. The text says what was expected; it quotes no path, which may be a secret."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to post. `https` always, but for this machine's own loopback address."""

    tls: bool
    host: str
    port: int
    target: str

    @property
    def told(self) -> str:
        """For people: without path and query, which may hold a token."""
        return f"{self.host}:{self.port}"


def parse_address(url: str) -> Address:
    """Raises AddressError."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise AddressError("expected https://host[:port]/path") from None
    if parts.scheme not in _PORTS or not host or not url.isascii() or set(url) & set(" \t\r\n"):
        raise AddressError("expected https://host[:port]/path")
    if parts.username or parts.password:
        raise AddressError("it names a user or a password: letters are signed instead, leave them out")
    if parts.fragment:
        raise AddressError("it has a fragment (#...), which is never sent: leave it out")
    if parts.scheme == "http" and not _is_loopback(host):
        raise AddressError("expected https://: only on the loopback address may it be http")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.scheme == "https", host, port or _PORTS[parts.scheme], target)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, the certificate and the host's name checked; `ca_file`: the only authorities to believe.

    Raises OSError.
    """
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Endpoint:
    """Posts to one address. It follows no redirection, asks no proxy, and keeps no connection and no cookie."""

    def __init__(
        self, address: Address, secret: Secret, *, timeout_s: float, clock: Clock, tls: ssl.SSLContext | None = None
    ) -> None:
        """timeout_s: for connecting to each address of the host, and for all that comes after it. Raises ValueError
        where the address wants TLS and none is there, or the other way round."""
        if address.tls != (tls is not None):
            raise ValueError("a TLS context belongs to an address with https, and to no other")
        self._address = address
        self._secret = secret
        self._timeout_s = timeout_s
        self._clock = clock
        self._tls = tls

    def post(self, alert: Alert) -> Answer:
        """One attempt. Raises nothing that the other side could bring about."""
        try:
            return self._post(alert)
        except (OSError, http.client.HTTPException) as error:
            return Answer(Outcome.NO_ANSWER, f"{self._address.told} gave no answer: {_why(error)}")

    def _post(self, alert: Alert) -> Answer:
        body = body_of(alert)
        headers = headers_of(alert.alert_id, body, self._clock() // 1_000_000, self._secret)
        address = self._address
        bare = socket.create_connection((address.host, address.port), self._timeout_s)
        with _ends_in(self._timeout_s, self._wrapped(bare)) as connected:
            if isinstance(connected, ssl.SSLSocket):
                connected.do_handshake()
            connection = self._speaker()
            connection.sock = connected
            connection.request("POST", address.target, body, {**headers, "Connection": "close"})
            answer = connection.getresponse()
            asked = retry_after_s(answer.getheader("Retry-After"), self._clock() / 1e6)
            answer.close()
        return Answer(outcome_of(answer.status), f"{address.told} answered {answer.status}", asked)

    def _wrapped(self, bare: socket.socket) -> socket.socket:
        if self._tls is None:
            return bare
        try:
            return self._tls.wrap_socket(bare, server_hostname=self._address.host, do_handshake_on_connect=False)
        except OSError:
            bare.close()
            raise

    def _speaker(self) -> http.client.HTTPConnection:
        """It writes the request and reads the answer, and connects to nothing by itself."""
        host, port = self._address.host, self._address.port
        if self._tls is None:
            return http.client.HTTPConnection(host, port)
        return http.client.HTTPSConnection(host, port, context=self._tls)


class _ends_in:  # noqa: N801  # it reads as a statement
    """Closes a connection when the block ends, and cuts it when the time is over: a timeout of a socket is for each
    read, and a peer that sends a byte now and then would never meet it."""

    def __init__(self, seconds: float, connected: socket.socket) -> None:
        self._connected = connected
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> socket.socket:
        self._timer.start()
        return self._connected

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._connected.close()

    def _cut(self) -> None:
        with suppress(OSError):  # it is closed already
            socket.socket.shutdown(self._connected, socket.SHUT_RDWR)


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "not in time"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
