"""How Faust reaches the broker that librdkafka's properties describe: one set of settings for both clients."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from faust.auth import SASLCredentials, SSLCredentials

_KNOWN = frozenset(
    {
        "security.protocol",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
        "ssl.endpoint.identification.algorithm",
    }
)
_SECURITY = ("security.", "sasl.", "ssl.", "enable.ssl.")


def urls(bootstrap: str) -> list[str]:
    """`host:port,host:port` as Faust writes it."""
    return [f"kafka://{address.strip()}" for address in bootstrap.split(",") if address.strip()]


def credentials(properties: Mapping[str, str]) -> Any | None:
    """Faust's credentials for librdkafka's properties of TLS and SASL; None for a plain connection.

    Raises ValueError naming a property of security that cannot be carried over: to leave it out would be silently less
    secure. Tuning properties are librdkafka's own and are passed over. Reads the files of certificates.
    """
    strange = sorted(name for name in properties if name.startswith(_SECURITY) and name not in _KNOWN)
    if strange:
        raise ValueError(f"the Kafka property {strange[0]!r} is not known to Faust's client, which statistics uses")
    protocol = properties.get("security.protocol", "plaintext").upper()
    context = _context(properties) if protocol in ("SSL", "SASL_SSL") else None
    if protocol == "SSL":
        return SSLCredentials(context=context)
    if protocol in ("SASL_SSL", "SASL_PLAINTEXT"):
        mechanism = properties.get("sasl.mechanism") or properties.get("sasl.mechanisms") or "PLAIN"
        return SASLCredentials(
            username=properties.get("sasl.username"),
            password=properties.get("sasl.password"),
            ssl_context=context,
            mechanism=mechanism,
        )
    if protocol != "PLAINTEXT":
        raise ValueError(f"security.protocol is {protocol}; expected PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    return None


def _context(properties: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=properties.get("ssl.ca.location"))
    if properties.get("ssl.endpoint.identification.algorithm", "https").lower() == "none":
        context.check_hostname = False
    if (certificate := properties.get("ssl.certificate.location")) is not None:
        key, password = properties.get("ssl.key.location"), properties.get("ssl.key.password")
        context.load_cert_chain(certificate, key, password)
    return context
