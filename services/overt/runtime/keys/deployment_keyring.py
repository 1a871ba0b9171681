"""The keyring of a deployment, as the environment names it."""

from __future__ import annotations

from pathlib import Path

from overt.governance.deployment import Deployment
from overt.runtime.keys.deployment_key import load_deployment_key
from overt.runtime.keys.keyring import Keyring
from overt.runtime.settings import Settings, SettingsError

_ELSEWHERE = "missing:elsewhere"
"""Owner of a mark in the keyring: pictures of alerts about missing people have a keyring of their own."""


def open_keyring(deployment: Deployment, settings: Settings) -> Keyring:
    """The deployment's keyring, made empty when there is none yet. Raises SettingsError when it is not named."""
    if settings.keyring_file is None or settings.deployment_key_file is None:
        raise SettingsError(
            "OVERT_KEYRING_FILE and OVERT_DEPLOYMENT_KEY_FILE name the keyring and the key that wraps it; "
            "make a key with: overt keys create FILE"
        )
    return _opened(settings.keyring_file, settings.deployment_key_file, deployment)


def open_missing_keyring(deployment: Deployment, settings: Settings) -> Keyring | None:
    """The keyring of alerts about missing people, where it is another, made empty when there is none yet."""
    if settings.missing_keyring_file is None:
        return None
    if settings.deployment_key_file is None:
        raise SettingsError(
            "OVERT_MISSING_KEYRING_FILE: the key that wraps it is not named (OVERT_DEPLOYMENT_KEY_FILE)"
        )
    return _opened(settings.missing_keyring_file, settings.deployment_key_file, deployment)


def demand_keyrings(deployment: Deployment, settings: Settings) -> None:
    """What a service that seals alerts must be given. Raises SettingsError.

    Where one service keeps the keys of missing people's alerts in a keyring of their own, one without it could not open
    what the other has sealed, and alerts would be lost: it does not start.
    """
    keyring = open_keyring(deployment, settings)
    if open_missing_keyring(deployment, settings) is not None:
        keyring.create(_ELSEWHERE)
    elif keyring.get(_ELSEWHERE) is not None:
        raise SettingsError(
            "OVERT_MISSING_KEYRING_FILE is not set, and another service of this deployment keeps the keys of alerts "
            "about missing people in a keyring of their own: set it here too"
        )


def _opened(file: Path, key_file: Path, deployment: Deployment) -> Keyring:
    keyring = Keyring(file, load_deployment_key(key_file), deployment.deployment_id)
    keyring.create_file()
    return keyring
