"""Every failure that is the user's to solve: one line that says what to do, and an exit code of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from overt.cli.progress import say
from overt.frame.source import CameraError
from overt.governance.loading import DeploymentError
from overt.models.errors import ModelError
from overt.ports import Unavailable
from overt.runtime.avro import SchemaError
from overt.runtime.deployment_key import DeploymentKeyError
from overt.runtime.kafka import KafkaConfigError
from overt.runtime.keyring_format import KeyringError
from overt.runtime.settings import SettingsError


class UserError(Exception):
    """An error of the command line's own, with the exit code of its kind."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def reporting() -> Iterator[None]:
    """Turns the errors that a user can solve into a line on standard error and an exit code."""
    try:
        yield
    except (DeploymentError, SettingsError, SchemaError, DeploymentKeyError, KeyringError, KafkaConfigError) as error:
        _end(error, 2)
    except ModelError as error:
        _end(error, 3)
    except CameraError as error:
        _end(error, 5)
    except UserError as error:
        _end(error, error.code)
    except Unavailable as error:
        _end(error, 4)


def _end(error: Exception, code: int) -> None:
    say(f"overt: {error}")
    sys.exit(code)
