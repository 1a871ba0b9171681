"""The pages of a process: /metrics, /healthz and /readyz."""

from __future__ import annotations

from overt.cli.errors import UserError
from overt.runtime.health import HealthServer
from overt.runtime.settings import Settings


def open_pages(health: HealthServer, settings: Settings) -> None:
    """Listens where the settings say. Raises UserError when it cannot."""
    try:
        health.open(settings.metrics_host, settings.metrics_port)
    except OSError as error:
        where = f"{settings.metrics_host}, port {settings.metrics_port}"
        why = f"cannot be listened on ({error.strerror}); name others"
        raise UserError(f"OVERT_METRICS_HOST and OVERT_METRICS_PORT: {where} {why}") from error
