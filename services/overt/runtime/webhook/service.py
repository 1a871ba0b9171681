"""The webhook under the loop: settings, endpoint, delivery and worker, put together."""

from __future__ import annotations

import ssl
import threading

from overt.messages import Message
from overt.runtime.metrics import Metrics
from overt.runtime.runners import StatelessRunner
from overt.runtime.secret_files import SecretFileError, check_certificates, read_password
from overt.runtime.series import begin_at_zero
from overt.runtime.settings import Settings, SettingsError
from overt.runtime.webhook.delivery import Delivery, Patience
from overt.runtime.webhook.endpoint import AddressError, Endpoint, parse_address, tls_context
from overt.runtime.webhook.letter import Secret, SecretError, parse_secret
from overt.runtime.worker import Plan, Worker
from overt.runtime.world import World, now_us

SERVICE = "webhook"


class WebhookService:
    """Posts the alerts of one deployment. Constructed, it has connected to nothing; raises SettingsError."""

    def __init__(self, world: World, settings: Settings, metrics: Metrics, patience: Patience | None = None) -> None:
        """patience: another than the settings'."""
        begin_at_zero(metrics, SERVICE, world.deployment)
        self._delivery = Delivery(
            endpoint_of(settings).post,
            patience or Patience(give_up_s=settings.webhook_give_up_s),
            deployment_id=world.deployment.deployment_id,
            metrics=metrics,
            clock=now_us,
        )
        plan = Plan(
            service=SERVICE,
            reads=world.topic("alerts"),
            most=1,  # what was taken is committed before the next is posted
            route=_nowhere,
            deadletters=world.topic("deadletters"),
            realtime=False,  # how long an endpoint takes is no latency of the pipeline
        )
        self._worker = Worker(
            plan,
            StatelessRunner(SERVICE, self._delivery),
            source=world.source(world.group(SERVICE)),
            sink=world.sink(),
            codec=world.codec,
            metrics=metrics,
            clock=now_us,
            companion=self._delivery,
            chores=self._delivery.tell,
            tracing=world.tracing,
        )

    @property
    def last_turn_s(self) -> float:
        """When the loop last turned, by the monotonic clock."""
        return self._worker.last_turn_s

    def ready(self) -> bool:
        """Whether it is in its group, and no alert waits for its next attempt."""
        return self._worker.ready() and self._delivery.flows()

    def run(self, stop: threading.Event) -> None:
        """Posts until `stop`."""
        self._worker.run(stop)


def endpoint_of(settings: Settings) -> Endpoint:
    """Where to post, and signed with what. Raises SettingsError naming the variable."""
    if settings.webhook_url is None or settings.webhook_secret_file is None:
        missing = "URL" if settings.webhook_url is None else "SECRET_FILE"
        raise SettingsError(f"OVERT_WEBHOOK_{missing}: is not set, and `overt serve webhook` needs it")
    try:
        address = parse_address(settings.webhook_url)
    except AddressError as error:
        raise SettingsError(f"OVERT_WEBHOOK_URL: {error}") from None
    return Endpoint(
        address,
        _secret(settings),
        timeout_s=settings.webhook_timeout_s,
        clock=now_us,
        tls=_tls(settings) if address.tls else None,
    )


def _secret(settings: Settings) -> Secret:
    assert settings.webhook_secret_file is not None
    try:
        return parse_secret(read_password(settings.webhook_secret_file))
    except SecretFileError as error:
        raise SettingsError(f"OVERT_WEBHOOK_SECRET_FILE: {error}") from None
    except SecretError as error:
        raise SettingsError(f"OVERT_WEBHOOK_SECRET_FILE: {settings.webhook_secret_file}: {error}") from None


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        return tls_context(None if settings.webhook_ca_file is None else check_certificates(settings.webhook_ca_file))
    except (SecretFileError, OSError) as error:
        raise SettingsError(f"OVERT_WEBHOOK_CA_FILE: {error}") from None


def _nowhere(_message: Message) -> tuple[str, int | None]:
    raise AssertionError("a webhook gives nothing out")
