"""Keys that are made from the deployment key (HKDF, RFC 5869), for uses that must outlive the keyring's content."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from overt.runtime.keys.deployment_key import DeploymentKey


def pseudonym_key(deployment_key: DeploymentKey, deployment_id: str) -> bytes:
    """The 32 bytes under which a deployment's subjects get their pseudonyms."""
    return _derived(deployment_key, deployment_id, "pseudonyms")


def signing_key(deployment_key: DeploymentKey, deployment_id: str) -> Ed25519PrivateKey:
    """The key that signs what a deployment certifies. Its public half stands in each certificate."""
    return Ed25519PrivateKey.from_private_bytes(_derived(deployment_key, deployment_id, "certificates"))


def _derived(deployment_key: DeploymentKey, deployment_id: str, use: str) -> bytes:
    info = f"overt {use}\x1f{deployment_id}".encode()
    return HKDF(SHA256(), 32, salt=None, info=info).derive(deployment_key.reveal())
