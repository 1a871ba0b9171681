"""Every failure that is the user's to solve: one line that says what to do, and an exit code of its own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from overt.cli.progress import say
from overt.evaluation.fit import CertificateRequired
from overt.frame.source import CameraError
from overt.governance.loading import DeploymentError
from overt.models.errors import ModelError
from overt.ports import Unavailable
from overt.runtime.avro import SchemaError
from overt.runtime.kafka import KafkaConfigError
from overt.runtime.keys.deployment_key import DeploymentKeyError
from overt.runtime.keys.keyring_format import KeyringError
from overt.runtime.logs import configure_logging
from overt.runtime.settings import SettingsError
from overt.runtime.topics import TopicsError
from overt.runtime.watchlist.file import WatchlistFileError

_log = logging.getLogger(__name__)

_WRONG_USE = (
    CertificateRequired,
    DeploymentError,
    DeploymentKeyError,
    KafkaConfigError,
    KeyringError,
    SchemaError,
    SettingsError,
    TopicsError,
)


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
    except _WRONG_USE as error:
        _end(error, 2)
    except ModelError as error:
        _end(error, 3)
    except CameraError as error:
        _end(error, 5)
    except WatchlistFileError as error:
        _end(error, 6)
    except UserError as error:
        _end(error, error.code)
    except Unavailable as error:
        _end(error, 4)
    except Exception as error:  # ours to solve
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            raise
        _end_as_ours(error)


def _end_as_ours(error: BaseException) -> None:
    """Tells the kind and the place of what went wrong. The text of an exception that nobody expected may quote what was
    in hand, such as a vector, and the log of a service is kept."""
    if not logging.getLogger().handlers:
        configure_logging("WARNING", "text")
    while error.__cause__ is not None:
        error = error.__cause__
    _log.critical("an error in Overt itself; with OVERT_LOG_LEVEL=DEBUG all of it is shown", exc_info=error)
    sys.exit(1)


def _end(error: Exception, code: int) -> None:
    say(f"overt: {error}")
    sys.exit(code)
