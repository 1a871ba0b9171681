"""Every setting comes from the environment; a wrong one is named, what was expected is said, its value is not shown."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from overt.runtime.settings import Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing set that the machine of the test has set."""
    for name in list(os.environ):
        if name.startswith("OVERT_"):
            monkeypatch.delenv(name)


BAD = {
    "OVERT_LOG_LEVEL": "loud-secret",
    "OVERT_LOG_FORMAT": "xml-secret",
    "OVERT_KAFKA_CONFIG": '{"sasl.password": "secret"',
    "OVERT_KAFKA_REPLICATION": "secret",
    "OVERT_TRANSIENT_KEY_SLOT_S": "0",
    "OVERT_TRANSIENT_KEY_LIFE_S": "601",
    "OVERT_METRICS_PORT": "65536",
    "OVERT_THREADS": "0",
    "OVERT_DETECTOR_BATCH": "secret",
    "OVERT_EMBEDDER_BATCH": "1.5",
    "OVERT_UNCONSUMED_FRAMES": "-1",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_names_its_variable_and_no_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, BAD[name])
    with pytest.raises(SettingsError) as caught:
        load_settings()
    said = str(caught.value)
    assert re.match(rf"{name}: \S+ \S+", said), said
    assert set(re.findall(r"OVERT_[A-Z_]+", said)) == {name}
    assert "secret" not in said
    assert caught.value.__cause__ is None, "a traceback would show the value"


def test_all_bad_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    several = {name: value for name, value in BAD.items() if name != "OVERT_KAFKA_CONFIG"}
    for name, value in several.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert set(re.findall(r"OVERT_[A-Z_]+", str(caught.value))) == set(several)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[1]", "OVERT_KAFKA_CONFIG: .*dictionary"),
        ('{"sasl.password": 5}', r"OVERT_KAFKA_CONFIG\['sasl\.password'\]: .*string"),
        ("security.protocol=SSL", "OVERT_KAFKA_CONFIG: .*JSON"),
    ],
)
def test_a_wrong_part_of_a_value_is_named_inside_its_variable(
    value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERT_KAFKA_CONFIG", value)
    with pytest.raises(SettingsError, match=said):
        load_settings()


def test_a_transient_key_outlives_the_slot_in_which_it_seals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERT_TRANSIENT_KEY_SLOT_S", "30")
    with pytest.raises(SettingsError, match=r"^OVERT_TRANSIENT_KEY_LIFE_S \(30\).*OVERT_TRANSIENT_KEY_SLOT_S \(30\)"):
        load_settings()


@pytest.mark.parametrize(("given", "meant"), [("debug", "DEBUG"), ("Warning", "WARNING")])
def test_levels_may_be_written_in_any_case(given: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERT_LOG_LEVEL", given)
    assert load_settings().log_level == meant


def test_what_is_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files pass variables on as empty text; an empty path would be the folder one happens to be in."""
    for name in Settings.model_fields:
        monkeypatch.setenv(f"OVERT_{name.upper()}", "")
    empty = load_settings()
    for name in Settings.model_fields:
        monkeypatch.delenv(f"OVERT_{name.upper()}")
    assert empty == load_settings()
    assert empty.models_dir is None


def test_what_is_set_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "CACHE": str(tmp_path),
        "METRICS_PORT": "9100",
        "KAFKA_CONFIG": '{"security.protocol": "SSL"}',
        "SCHEMA_REGISTRY_URL": "https://registry",
    }.items():
        monkeypatch.setenv(f"OVERT_{name}", value)
    got = load_settings()
    assert (got.cache, got.metrics_port, got.schema_registry_url) == (tmp_path, 9100, "https://registry")
    assert got.kafka_config == {"security.protocol": "SSL"}


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OVERT_TEST_DATA", "OVERT_", "LOG_LEVEL", "THREADS"):
        monkeypatch.setenv(name, "anything")
    assert load_settings() == Settings()
    assert load_settings().log_level == "INFO"


def test_the_cache_follows_the_desktops_convention(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG Base Directory Specification: an empty variable counts as unset."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert load_settings().cache == tmp_path / "overt"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings().cache == tmp_path / ".cache" / "overt"


def test_a_user_without_a_home_is_told_which_variable_helps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A container's user of whom the system knows nothing."""

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(SettingsError, match=r"^OVERT_CACHE: .*folder"):
        load_settings()
    monkeypatch.setenv("OVERT_CACHE", str(tmp_path))
    assert load_settings().cache == tmp_path


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_settings_cannot_be_changed_after_they_were_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().threads = 3
