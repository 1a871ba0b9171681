"""The one reader of the environment (12-factor). Everything else is handed what it needs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic_settings
from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_PREFIX = "OVERT_"


class SettingsError(ValueError):
    """A variable of the environment is wrong. The text names it and says what was expected."""


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "overt"


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


class Settings(BaseSettings):
    """Settings of a process, each from `OVERT_<NAME>`; one that is set to nothing is not set. Secrets come as files,
    never as values."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    cache: Path = Field(default_factory=_cache, description="Where models and demo material are kept.")
    models_dir: Path | None = Field(
        default=None, description="A folder with model files of one's own, and cards of one's own in its folder cards."
    )
    npm_registry: str | None = Field(
        default=None, repr=False, description="The npm registry models come from; none: the one npm is configured with."
    )
    mirrors: dict[str, str] = Field(
        default_factory=dict,
        repr=False,
        description="As JSON: what a model's address begins with, and what to put there instead.",
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = Field(
        default="INFO", description="DEBUG, INFO, WARNING or ERROR."
    )
    log_format: Literal["text", "json"] = Field(default="text", description="text, or json for one object a line.")

    kafka_bootstrap: str = Field(default="127.0.0.1:9092", description="Kafka's bootstrap servers.")
    kafka_config: dict[str, str] = Field(
        default_factory=dict, repr=False, description="More librdkafka properties, as JSON: TLS, SASL."
    )
    kafka_username: str | None = Field(default=None, description="Kafka's SASL/SCRAM user; over TLS only.")
    kafka_password_file: Path | None = Field(default=None, description="A file with that user's password.")
    kafka_ca_file: Path | None = Field(
        default=None, description="Certificates (PEM) that Kafka's must be signed by; none: those the system trusts."
    )
    kafka_certificate_file: Path | None = Field(
        default=None, description="This process's own certificate (PEM), for brokers that demand one."
    )
    kafka_key_file: Path | None = Field(default=None, description="That certificate's private key (PEM).")
    kafka_key_password_file: Path | None = Field(
        default=None, description="A file with that key's password; none: the key is not encrypted."
    )
    kafka_replication: int = Field(default=-1, description="Replication factor of topics; -1: the broker's default.")
    topic_prefix: str = Field(default="overt.", description="What every topic's name begins with.")
    schema_registry_url: str | None = Field(
        default=None, repr=False, description="A Confluent-compatible registry; none: local ids."
    )
    schema_registry_username: str | None = Field(default=None, description="The registry's user; over https only.")
    schema_registry_password_file: Path | None = Field(default=None, description="A file with that user's password.")
    schema_registry_ca_file: Path | None = Field(
        default=None,
        description="Certificates (PEM) that the registry's must be signed by; none: those its client brings along.",
    )
    schema_registry_certificate_file: Path | None = Field(
        default=None, description="This process's own certificate (PEM), for a registry that demands one."
    )
    schema_registry_key_file: Path | None = Field(default=None, description="That certificate's private key (PEM).")
    schema_registry_key_password_file: Path | None = Field(
        default=None, description="A file with that key's password; none: the key is not encrypted."
    )
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", repr=False, description="Redis, without persistence.")
    redis_username: str | None = Field(default=None, description="Redis's ACL user.")
    redis_password_file: Path | None = Field(default=None, description="A file with that user's password.")
    redis_ca_file: Path | None = Field(
        default=None, description="Certificates (PEM) that Redis's must be signed by; none: those the system trusts."
    )
    redis_certificate_file: Path | None = Field(
        default=None, description="This process's own certificate (PEM), for a Redis that demands one."
    )
    redis_key_file: Path | None = Field(default=None, description="That certificate's private key (PEM).")
    redis_key_password_file: Path | None = Field(
        default=None, description="A file with that key's password; none: the key is not encrypted."
    )

    deployment_key_file: Path | None = Field(default=None, description="The deployment key that wraps the keyring.")
    keyring_file: Path | None = Field(default=None, description="The keyring: watchlist and alert keys, wrapped.")
    missing_keyring_file: Path | None = Field(
        default=None,
        description="A keyring of its own for pictures of alerts about missing people; who has no access to the file"
        " cannot open them. Set it for matcher and alerter alike.",
    )
    transient_key_slot_s: int = Field(default=10, ge=1, le=60, description="Seconds that share one transient key.")
    transient_key_life_s: int = Field(default=30, ge=2, le=600, description="Seconds a transient key lives.")

    statistics_stall_s: float = Field(
        default=60.0, ge=5, le=3600, description="Seconds without progress after which statistics ends, with code 4."
    )
    webhook_url: str | None = Field(
        default=None, repr=False, description="Where `serve webhook` posts alerts: https://, or http:// on loopback."
    )
    webhook_secret_file: Path | None = Field(
        default=None, description="A file with the secret that it signs them with: whsec_ and base64."
    )
    webhook_ca_file: Path | None = Field(
        default=None,
        description="Certificates (PEM) that the endpoint's must be signed by; none: those the system trusts.",
    )
    webhook_timeout_s: float = Field(default=5.0, gt=0, le=8, description="Seconds for one attempt.")
    webhook_give_up_s: float = Field(
        default=3600.0, ge=60, le=2_678_400, description="Age in seconds at which an alert becomes a dead letter."
    )
    otlp_endpoint: str | None = Field(
        default=None,
        repr=False,
        description="Where spans go: a collector's OTLP address, http://collector:4318/v1/traces; none: no traces.",
    )
    otlp_ca_file: Path | None = Field(
        default=None, description="Certificates (PEM) that the collector's must be signed by; none: those of requests."
    )
    trace_share: float = Field(default=1.0, ge=0, le=1, description="Share of the frames that are followed.")
    metrics_host: str = Field(default="127.0.0.1", description="Where /metrics, /healthz and /readyz listen.")
    watched_disks: dict[str, Path] = Field(
        default_factory=dict,
        description="As JSON, name and folder: more disks whose free space /metrics tells, such as the broker's.",
    )
    metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Their port; 0: `serve` takes a free one and logs it, `run` has none."
    )
    threads: int | None = Field(
        default=None, ge=1, le=64, description="Threads of a model session, and of OpenCV; none: as its card says; 1."
    )
    graph_optimisation: Literal["basic", "extended", "all"] | None = Field(
        default=None, description="ONNX Runtime's, of every graph: basic, extended or all; none: as its card says."
    )
    provider: str | None = Field(
        default=None, description="ONNX Runtime's execution provider; none: as the card says. Never a silent CPU."
    )
    detector_provider: str | None = Field(default=None, description="The detector's, where it is another.")
    embedder_provider: str | None = Field(default=None, description="The embedder's, where it is another.")
    detector_batch: int = Field(default=4, ge=1, le=64, description="Frames a detector takes at a time.")
    embedder_batch: int = Field(default=16, ge=1, le=256, description="Faces an embedder takes at a time.")
    unconsumed_frames: int = Field(default=8, ge=1, le=1000, description="Frames a camera may have waiting.")

    @model_validator(mode="after")
    def _a_key_outlives_its_slot(self) -> Self:
        if self.transient_key_slot_s >= self.transient_key_life_s:
            raise ValueError(
                f"{_PREFIX}TRANSIENT_KEY_LIFE_S ({self.transient_key_life_s}) should be larger than "
                f"{_PREFIX}TRANSIENT_KEY_SLOT_S ({self.transient_key_slot_s})"
            )
        return self

    @model_validator(mode="after")
    def _a_user_has_a_password_and_a_certificate_a_key(self) -> Self:
        for server in ("kafka", "redis", "schema_registry"):
            for one, other in (("username", "password_file"), ("certificate_file", "key_file")):
                pair = [f"{server}_{one}", f"{server}_{other}"]
                missing = [name for name in pair if getattr(self, name) is None]
                if len(missing) == 1:
                    there = next(name for name in pair if name not in missing)
                    raise ValueError(
                        f"{_PREFIX}{missing[0].upper()} is not set, and {_PREFIX}{there.upper()} is: name both or none"
                    )
            password_file = f"{server}_key_password_file"
            if getattr(self, password_file) is not None and getattr(self, f"{server}_key_file") is None:
                raise ValueError(f"{_PREFIX}{password_file.upper()} is set, and there is no key: name its file too")
        return self


def load_settings() -> Settings:
    """The settings of this process. Raises SettingsError naming each wrong variable, never showing its value."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [_problem(e["loc"], e["msg"].removeprefix("Value error, ")) for e in error.errors()]
        raise SettingsError("; ".join(problems)) from None  # pydantic's own text quotes values: one may be a password
    except pydantic_settings.SettingsError as error:
        field = re.search(r'field "(\w+)"', str(error))
        raise SettingsError(_problem((field[1] if field else "*",), "the value is not valid JSON")) from None
    except RuntimeError:  # from pathlib, for a user whom the system does not know
        raise SettingsError(
            _problem(("cache",), "this user has no home folder; name a folder to keep models in")
        ) from None


def _problem(where: tuple[int | str, ...], what: str) -> str:
    """The variable's name, and behind it the place inside its value."""
    if not where:
        return what
    inside = "".join(f"[{part!r}]" for part in where[1:])
    return f"{_PREFIX}{str(where[0]).upper()}{inside}: {what}"
