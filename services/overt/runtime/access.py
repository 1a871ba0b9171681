"""Who this process is to Kafka and to Redis, and whose certificates it believes: from the settings and their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from overt.runtime.secret_files import SecretFileError, check_certificates, read_password
from overt.runtime.settings import Settings, SettingsError

T = TypeVar("T")

SCRAM = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class Access:
    """A user and the certificates of the authority that the server's must be signed by; all None: neither is used."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None


def kafka_access(settings: Settings) -> Access:
    """Raises SettingsError naming the variable, and the file where one is wrong."""
    return _access(settings, "kafka")


def kafka_properties(settings: Settings) -> dict[str, str]:
    """librdkafka's properties: OVERT_KAFKA_CONFIG, and what the user and the certificates make of the connection. A
    user never goes over a connection without TLS. Raises SettingsError."""
    access = kafka_access(settings)
    own: dict[str, str] = {}
    if access.ca_file is not None:
        own |= {"security.protocol": "SSL", "ssl.ca.location": str(access.ca_file)}
    if access.username is not None and access.password is not None:
        own |= {"security.protocol": "SASL_SSL", "sasl.mechanism": SCRAM}
        own |= {"sasl.username": access.username, "sasl.password": access.password}
    twice = sorted((own.keys() - {"sasl.mechanism"}) & settings.kafka_config.keys())
    if twice:
        raise SettingsError(
            f"OVERT_KAFKA_CONFIG: {twice[0]!r} follows from OVERT_KAFKA_USERNAME or OVERT_KAFKA_CA_FILE; leave it out"
        )
    return own | settings.kafka_config


def redis_access(settings: Settings) -> Access:
    """Raises SettingsError naming the variable, and the file where one is wrong."""
    access = _access(settings, "redis")
    try:
        parts = urlsplit(settings.redis_url)
        named = parts.username or parts.password
    except ValueError:
        return access  # `connect` says what is wrong with the address
    if access.ca_file is not None and parts.scheme != "rediss":
        raise SettingsError("OVERT_REDIS_CA_FILE: OVERT_REDIS_URL has to begin with rediss:// for it to be used")
    if access.password is not None and named:
        raise SettingsError("OVERT_REDIS_URL: it names a user or a password, and OVERT_REDIS_PASSWORD_FILE too")
    return access


def _access(settings: Settings, server: str) -> Access:
    username, password_file, ca_file = (
        getattr(settings, f"{server}_{part}") for part in ("username", "password_file", "ca_file")
    )
    return Access(
        username,
        _of(f"OVERT_{server.upper()}_PASSWORD_FILE", read_password, password_file),
        _of(f"OVERT_{server.upper()}_CA_FILE", check_certificates, ca_file),
    )


def _of(variable: str, read: Callable[[Path], T], path: Path | None) -> T | None:
    try:
        return None if path is None else read(path)
    except SecretFileError as error:
        raise SettingsError(f"{variable}: {error}") from None
