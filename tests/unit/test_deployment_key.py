"""The deployment key's file: made once, readable by its owner only, and never quoted."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from overt.runtime.keys.deployment_key import DeploymentKeyError, create_deployment_key, load_deployment_key


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_new_key_is_32_random_bytes_behind_a_comment_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_deployment_key(tmp_path / "a")
        create_deployment_key(tmp_path / "b")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert (tmp_path / "a").read_text().startswith("# ")
    first, second = (load_deployment_key(tmp_path / name).reveal() for name in "ab")
    assert len(first) == 32
    assert first != second


def test_a_file_that_exists_is_never_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path / "key", "mine")
    with pytest.raises(DeploymentKeyError, match="exists"):
        create_deployment_key(path)
    assert path.read_text() == "mine"


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeploymentKeyError, match="nowhere"):
        create_deployment_key(tmp_path / "nowhere" / "key")


def test_base64_and_hexadecimal_are_read(tmp_path: Path) -> None:
    secret = bytes(range(32))
    base = written(tmp_path / "base64", f"\n# a comment\n  {base64.b64encode(secret).decode()}  \n")
    hexa = written(tmp_path / "hex", secret.hex().upper() + "\n")
    assert load_deployment_key(base).reveal() == secret
    assert load_deployment_key(hexa).reveal() == secret


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o610, 0o777])
def test_a_file_that_others_can_reach_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    create_deployment_key(path)
    path.chmod(mode)
    with pytest.raises(DeploymentKeyError, match="chmod 600"):
        load_deployment_key(path)


SECRET = base64.b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "0 lines"),
        ("# only a comment\n", "0 lines"),
        (f"{SECRET}\n{SECRET}\n", "2 lines"),
        (SECRET[:-4], "30 bytes"),
        (SECRET + "AAAA", "something else"),
        ("hunter2hunter2hunter2", "something else"),
        ("zz" * 32, "something else|48 bytes"),
        ("\N{SNOWMAN}" * 10, "something else"),
    ],
)
def test_what_is_no_key_is_refused_and_not_quoted(tmp_path: Path, text: str, found: str) -> None:
    path = written(tmp_path / "key", text)
    with pytest.raises(DeploymentKeyError, match=found) as caught:
        load_deployment_key(path)
    assert str(path) in str(caught.value)
    assert not [line for line in text.split() if len(line) > 8 and line in str(caught.value)]


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, why in [
        (tmp_path / "pipe", "no file"),
        (tmp_path, "no file"),
        (tmp_path / "missing", "overt keys create"),
    ]:
        with pytest.raises(DeploymentKeyError, match=why):
            load_deployment_key(path)
