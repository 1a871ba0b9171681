"""The keyring of a deployment, as the environment names it."""

from __future__ import annotations

from overt.governance.deployment import Deployment
from overt.runtime.deployment_key import load_deployment_key
from overt.runtime.keyring import Keyring
from overt.runtime.settings import Settings, SettingsError


def open_keyring(deployment: Deployment, settings: Settings) -> Keyring:
    """The deployment's keyring, made empty when there is none yet. Raises SettingsError when it is not named."""
    if settings.keyring_file is None or settings.deployment_key_file is None:
        raise SettingsError(
            "OVERT_KEYRING_FILE and OVERT_DEPLOYMENT_KEY_FILE name the keyring and the key that wraps it; "
            "make a key with: overt keys create FILE"
        )
    keyring = Keyring(
        settings.keyring_file, load_deployment_key(settings.deployment_key_file), deployment.deployment_id
    )
    keyring.create_file()
    return keyring
