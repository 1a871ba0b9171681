"""The one reader of the environment (12-factor). Everything else is handed what it needs."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(ValueError):
    """A variable of the environment is wrong. The text names it and says what was expected."""


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "overt"


class Settings(BaseSettings):
    """Settings of a process, each from `OVERT_<NAME>`. Secrets come as files, never as values."""

    model_config = SettingsConfigDict(env_prefix="OVERT_", extra="ignore", frozen=True)

    cache: Path = Field(default_factory=_cache, description="Where models and demo material are kept.")
    models_dir: Path | None = Field(default=None, description="A folder with an operator's own model files.")
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_format: str = Field(default="text", description="text, or json for one object a line.")

    kafka_bootstrap: str = Field(default="127.0.0.1:9092", description="Kafka's bootstrap servers.")
    kafka_config: dict[str, str] = Field(
        default_factory=dict, description="More librdkafka properties, as JSON: TLS, SASL."
    )
    kafka_replication: int = Field(default=-1, description="Replication factor of topics; -1: the broker's default.")
    topic_prefix: str = Field(default="overt.", description="What every topic's name begins with.")
    schema_registry_url: str | None = Field(
        default=None, description="A Confluent-compatible registry; none: local ids."
    )
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", description="Redis, without persistence.")

    deployment_key_file: Path | None = Field(default=None, description="The deployment key that wraps the keyring.")
    keyring_file: Path | None = Field(default=None, description="The keyring: watchlist and alert keys, wrapped.")
    transient_key_slot_s: int = Field(default=10, ge=1, le=60, description="Seconds that share one transient key.")
    transient_key_life_s: int = Field(default=30, ge=2, le=600, description="Seconds a transient key lives.")

    metrics_host: str = Field(default="127.0.0.1", description="Where /metrics, /healthz and /readyz listen.")
    metrics_port: int = Field(default=0, ge=0, le=65535, description="Their port; 0 picks a free one and logs it.")
    threads: int = Field(default=1, ge=1, le=64, description="Threads of each model session.")
    provider: str = Field(default="CPUExecutionProvider", description="ONNX Runtime's execution provider.")
    detector_batch: int = Field(default=4, ge=1, le=64, description="Frames a detector takes at a time.")
    embedder_batch: int = Field(default=16, ge=1, le=256, description="Faces an embedder takes at a time.")
    unconsumed_frames: int = Field(default=8, ge=1, le=1000, description="Frames a camera may have waiting.")


def load_settings() -> Settings:
    """The settings of this process. Raises SettingsError naming each wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [f"OVERT_{'_'.join(str(p) for p in e['loc']).upper()}: {e['msg']}" for e in error.errors()]
        raise SettingsError("; ".join(problems)) from error
    except ValueError as error:  # a JSON value that does not parse
        raise SettingsError(str(error)) from error
