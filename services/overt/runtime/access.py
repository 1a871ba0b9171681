"""Who this process is to Kafka, Redis and the schema registry, and whose certificates it believes: from the settings
and their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from overt.runtime.secret_files import SecretFileError, check_certificates, check_key, read_password
from overt.runtime.settings import Settings, SettingsError

T = TypeVar("T")

SCRAM = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class Access:
    """A user, the certificates of the authority that the server's must be signed by, and a certificate of one's own
    with its key; each None where it is not used."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: str | None = field(default=None, repr=False)
    """None: the key is not encrypted."""


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
    if access.certificate_file is not None:
        own |= {"security.protocol": "SSL", "ssl.certificate.location": str(access.certificate_file)}
        own |= {"ssl.key.location": str(access.key_file)}
        own |= {} if access.key_password is None else {"ssl.key.password": access.key_password}
    if access.username is not None and access.password is not None:
        own |= {"security.protocol": "SASL_SSL", "sasl.mechanism": SCRAM}
        own |= {"sasl.username": access.username, "sasl.password": access.password}
    twice = sorted((own.keys() - {"sasl.mechanism"}) & settings.kafka_config.keys())
    if twice:
        raise SettingsError(
            f"OVERT_KAFKA_CONFIG: {twice[0]!r} follows from OVERT_KAFKA_USERNAME, OVERT_KAFKA_CA_FILE or"
            " OVERT_KAFKA_CERTIFICATE_FILE; leave it out"
        )
    return own | settings.kafka_config


def redis_access(settings: Settings) -> Access:
    """Raises SettingsError naming the variable, and the file where one is wrong."""
    return _fits_the_address(_access(settings, "redis"), settings.redis_url, "redis", "rediss", ("ca", "certificate"))


def registry_access(settings: Settings) -> Access:
    """A user never goes over a connection without TLS. Raises SettingsError naming the variable, and the file where one
    is wrong."""
    access = _access(settings, "schema_registry")
    if access.username is not None and ":" in access.username:
        raise SettingsError("OVERT_SCHEMA_REGISTRY_USERNAME: a colon ends a user's name in HTTP; take another name")
    url, only_over_tls = settings.schema_registry_url or "", ("username", "ca", "certificate")
    return _fits_the_address(access, url, "schema_registry", "https", only_over_tls)


def _fits_the_address(access: Access, url: str, server: str, scheme: str, only_over_tls: Sequence[str]) -> Access:
    variable = f"OVERT_{server.upper()}"
    try:
        parts = urlsplit(url)
        named = parts.username or parts.password
    except ValueError:
        return access  # who connects says what is wrong with the address
    if access.password is not None and named:
        raise SettingsError(f"{variable}_URL: it names a user or a password, and {variable}_PASSWORD_FILE too")
    for part in only_over_tls:
        name = part if part == "username" else f"{part}_file"
        if getattr(access, name) is not None and parts.scheme != scheme:
            raise SettingsError(
                f"{variable}_{name.upper()}: {variable}_URL has to begin with {scheme}:// for it to be used"
            )
    return access


def _access(settings: Settings, server: str) -> Access:
    def of(part: str, read: Callable[[Path], T]) -> T | None:
        path: Path | None = getattr(settings, f"{server}_{part}")
        try:
            return None if path is None else read(path)
        except SecretFileError as error:
            raise SettingsError(f"OVERT_{server.upper()}_{part.upper()}: {error}") from None

    certificate = of("certificate_file", check_certificates)
    key_password = of("key_password_file", read_password)
    return Access(
        username=getattr(settings, f"{server}_username"),
        password=of("password_file", read_password),
        ca_file=of("ca_file", check_certificates),
        certificate_file=certificate,
        key_file=None if certificate is None else of("key_file", lambda key: check_key(key, certificate, key_password)),
        key_password=key_password,
    )
