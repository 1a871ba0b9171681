"""Passwords and certificates come as files; what is wrong with one is said by its variable and its path, and what it
holds is never shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from overt.runtime.access import kafka_access, kafka_properties, redis_access, registry_access
from overt.runtime.cluster import connect_redis
from overt.runtime.settings import Settings, SettingsError, load_settings

WORD = "geheim"


def _certified(folder: Path, name: str, *, encrypted: bool = False) -> tuple[Path, Path]:
    """Files of a certificate that signs itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    unsigned = x509.CertificateBuilder(subject, subject, key.public_key(), 1, now, now + timedelta(days=1))
    lock = serialization.BestAvailableEncryption(WORD.encode()) if encrypted else serialization.NoEncryption()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    made = folder / f"{name}.crt", folder / f"{name}.key"
    made[0].write_bytes(unsigned.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    made[1].write_bytes(key.private_bytes(*form))
    made[1].chmod(0o600)
    return made


def _settings(user: dict[str, object], **more: object) -> Settings:
    return Settings.model_validate({**user, **more})


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(WORD + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    path, _ = _certified(tmp_path, "ca")
    path.chmod(0o644)
    return path


def test_a_user_speaks_scram_and_only_over_tls(password: Path, ca: Path) -> None:
    settings = Settings(kafka_username="detector", kafka_password_file=password, kafka_ca_file=ca)
    assert kafka_properties(settings) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "detector",
        "sasl.password": WORD,
        "ssl.ca.location": str(ca),
    }
    without_ca = Settings(kafka_username="detector", kafka_password_file=password)
    assert kafka_properties(without_ca)["security.protocol"] == "SASL_SSL"
    assert kafka_properties(Settings(kafka_ca_file=ca)) == {"security.protocol": "SSL", "ssl.ca.location": str(ca)}
    assert kafka_properties(Settings()) == {}


def test_properties_of_ones_own_are_kept_but_for_what_the_settings_say(password: Path) -> None:
    user: dict[str, object] = {"kafka_username": "detector", "kafka_password_file": password}
    more = {"sasl.mechanism": "SCRAM-SHA-256", "socket.keepalive.enable": "true"}
    assert more.items() <= kafka_properties(_settings(user, kafka_config=more)).items()
    for name in ("security.protocol", "sasl.password"):
        with pytest.raises(SettingsError, match=rf"^OVERT_KAFKA_CONFIG: '{name}' follows") as caught:
            kafka_properties(_settings(user, kafka_config={name: WORD}))
        assert WORD not in str(caught.value)


def _as_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _as_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "is missing: expected a file with one line"),
    "empty": (lambda path: path.write_text(" \n"), "is empty: expected one line"),
    "of two lines": (lambda path: path.write_text(f"{WORD}\n{WORD}\n"), "has 2 lines: expected one"),
    "too large": (lambda path: path.write_text(WORD * 20_000), "has 120000 bytes: expected one line"),
    "open to all": (lambda path: path.chmod(0o644), r"is open to others \(mode 0644\): chmod 600 "),
    "open to be changed by a group": (lambda path: path.chmod(0o660), r"is open to others \(mode 0660\)"),
    "a folder": (_as_a_folder, "is no file: expected one with"),
    "a pipe": (_as_a_pipe, "is no file: expected one with"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("server", ["kafka", "redis"], ids="of {}".format)
def test_a_wrong_password_file_is_named_with_its_variable(server: str, wrong: str, password: Path) -> None:
    spoil, said = WRONG[wrong]
    spoil(password)
    settings = Settings.model_validate({f"{server}_username": "detector", f"{server}_password_file": password})
    read = kafka_access if server == "kafka" else redis_access
    with pytest.raises(SettingsError, match=rf"^OVERT_{server.upper()}_PASSWORD_FILE: {password} {said}") as caught:
        read(settings)
    assert WORD not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_group_may_be_let_read_a_password(password: Path) -> None:
    """So orchestrators hand secrets to processes that are not root."""
    password.chmod(0o440)
    assert kafka_access(Settings(kafka_username="d", kafka_password_file=password)).password == WORD


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (Path.unlink, "is missing: expected a file with one or more certificates in PEM"),
        (lambda path: path.write_text("anything"), "holds no certificate: expected"),
        (
            lambda path: path.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
            "holds a certificate that cannot be read: expected",
        ),
        (lambda path: path.chmod(0o646), r"can be changed by everybody \(mode 0646\): chmod o-w "),
    ],
)
def test_wrong_certificates_are_named_with_their_variable(spoil: Callable[[Path], object], said: str, ca: Path) -> None:
    spoil(ca)
    with pytest.raises(SettingsError, match=rf"^OVERT_KAFKA_CA_FILE: {ca} {said}"):
        kafka_access(Settings(kafka_ca_file=ca))


def test_a_certificate_of_ones_own_is_shown_over_tls_alone_or_beside_a_password(tmp_path: Path, password: Path) -> None:
    certificate, key = _certified(tmp_path, "detector", encrypted=True)
    mine = Settings(kafka_certificate_file=certificate, kafka_key_file=key, kafka_key_password_file=password)
    assert kafka_properties(mine) == {
        "security.protocol": "SSL",
        "ssl.certificate.location": str(certificate),
        "ssl.key.location": str(key),
        "ssl.key.password": WORD,
    }
    assert WORD not in repr(kafka_access(mine))
    both = _settings(mine.model_dump(), kafka_username="detector", kafka_password_file=password)
    assert kafka_properties(both).items() >= {"security.protocol": "SASL_SSL", "ssl.key.location": str(key)}.items()
    with pytest.raises(SettingsError, match=r"^OVERT_KAFKA_CONFIG: 'ssl\.key\.password' follows"):
        kafka_properties(_settings(mine.model_dump(), kafka_config={"ssl.key.password": WORD}))


@pytest.mark.parametrize("server", ["kafka", "redis", "schema_registry"], ids="of {}".format)
def test_a_key_that_does_not_open_or_belongs_elsewhere_is_named_with_its_variable(
    server: str, tmp_path: Path, password: Path
) -> None:
    """Nobody is asked for a password: a service has no terminal."""
    certificate, key = _certified(tmp_path, "mine", encrypted=True)
    _, others = _certified(tmp_path, "other")
    wrong = tmp_path / "wrong"
    wrong.write_text("not-the-word")
    wrong.chmod(0o600)
    nothing = tmp_path / "nothing"
    nothing.write_text(WORD)
    nothing.chmod(0o600)
    read = {"kafka": kafka_access, "redis": redis_access, "schema_registry": registry_access}[server]
    for chosen, opened_by, said in (
        (key, None, "is encrypted: name a file with its password"),
        (key, wrong, "cannot be opened: is its password the right one"),
        (others, None, f"is not the key of the certificate {certificate}"),
        (nothing, None, "holds no key: expected a private key in PEM"),
    ):
        named = {"certificate_file": certificate, "key_file": chosen, "key_password_file": opened_by}
        with pytest.raises(SettingsError, match=rf"^OVERT_{server.upper()}_KEY_FILE: {chosen} {said}") as caught:
            read(Settings.model_validate({f"{server}_{name}": value for name, value in named.items()}))
        assert WORD not in str(caught.value)
    others.chmod(0o644)
    named = {f"{server}_certificate_file": certificate, f"{server}_key_file": others}
    with pytest.raises(SettingsError, match=r"is open to others \(mode 0644\): chmod 600 "):
        read(Settings.model_validate(named))


@pytest.mark.parametrize(("there", "missing"), [("CERTIFICATE_FILE", "KEY_FILE"), ("KEY_FILE", "CERTIFICATE_FILE")])
def test_a_certificate_without_a_key_and_the_reverse_are_refused(
    there: str, missing: str, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OVERT_REDIS_{there}", str(ca))
    with pytest.raises(SettingsError, match=f"^OVERT_REDIS_{missing} is not set, and OVERT_REDIS_{there} is"):
        load_settings()
    monkeypatch.delenv(f"OVERT_REDIS_{there}")
    monkeypatch.setenv("OVERT_REDIS_KEY_PASSWORD_FILE", str(ca))
    with pytest.raises(SettingsError, match=r"^OVERT_REDIS_KEY_PASSWORD_FILE is set, and there is no key"):
        load_settings()


def test_a_registrys_user_goes_over_https_only_and_is_named_once(password: Path, ca: Path) -> None:
    user: dict[str, object] = {"schema_registry_username": "overt", "schema_registry_password_file": password}
    fine = registry_access(_settings(user, schema_registry_url="https://host", schema_registry_ca_file=ca))
    assert (fine.username, fine.password, fine.ca_file) == ("overt", WORD, ca)
    for wrong, said in (
        (
            {**user, "schema_registry_url": "http://host"},
            "USERNAME: OVERT_SCHEMA_REGISTRY_URL has to begin",
        ),
        (
            {"schema_registry_ca_file": ca, "schema_registry_url": "http://host"},
            "CA_FILE: OVERT_SCHEMA_REGISTRY_URL",
        ),
        ({**user, "schema_registry_url": f"https://u:{WORD}@host"}, "URL: it names a user or a password, and OVERT_"),
        (
            {**user, "schema_registry_username": "a:b", "schema_registry_url": "https://host"},
            "USERNAME: a colon ends",
        ),
    ):
        with pytest.raises(SettingsError, match=f"^OVERT_SCHEMA_REGISTRY_{said}") as caught:
            registry_access(Settings.model_validate(wrong))
        assert WORD not in str(caught.value)


@pytest.mark.parametrize("server", ["kafka", "redis", "schema_registry"], ids="of {}".format)
def test_a_user_without_a_password_and_the_reverse_are_refused(
    server: str, password: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, word = f"OVERT_{server.upper()}_USERNAME", f"OVERT_{server.upper()}_PASSWORD_FILE"
    monkeypatch.setenv(user, "detector")
    with pytest.raises(SettingsError, match=f"^{word} is not set, and {user} is"):
        load_settings()
    monkeypatch.delenv(user)
    monkeypatch.setenv(word, str(password))
    with pytest.raises(SettingsError, match=f"^{user} is not set, and {word} is"):
        load_settings()


def test_redis_is_given_its_user_once_and_certificates_only_where_they_count(password: Path, ca: Path) -> None:
    user: dict[str, object] = {"redis_username": "frame", "redis_password_file": password}
    with pytest.raises(SettingsError, match=r"^OVERT_REDIS_URL: it names a user or a password, and OVERT_REDIS"):
        connect_redis(_settings(user, redis_url="rediss://:geheim@host/0"))
    with pytest.raises(SettingsError, match=r"^OVERT_REDIS_CA_FILE: OVERT_REDIS_URL has to begin with rediss://"):
        connect_redis(Settings(redis_url="redis://host/0", redis_ca_file=ca))
    with pytest.raises(SettingsError, match=r"^OVERT_REDIS_URL: expected redis://host:port/0"):
        connect_redis(_settings(user, redis_url="rediss://[::1"))
    assert repr(connect_redis(_settings(user, redis_url="rediss://host/0", redis_ca_file=ca))) == "Client(host:6379)"


def test_no_repr_shows_a_password(password: Path, ca: Path) -> None:
    settings = Settings(kafka_username="detector", kafka_password_file=password, kafka_ca_file=ca)
    assert WORD not in repr(kafka_access(settings)) + repr(settings)
