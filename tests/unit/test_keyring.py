"""The keyring: real files, real processes, and every way in which a file can be wrong."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overt.ports import KeyGone, Unavailable
from overt.runtime.keys import keyring_file
from overt.runtime.keys.deployment_key import create_deployment_key, load_deployment_key
from overt.runtime.keys.keyring import Keyring
from overt.runtime.keys.keyring_format import (
    KeyringCorrupt,
    KeyringError,
    KeyringMissing,
    KeyringNotWritten,
    WrongDeployment,
    WrongDeploymentKey,
)

HOUR_US = 3_600_000_000

# What another process begins with: the keyring of the folder in its first argument.
OPEN = """
import os, signal, sys
from pathlib import Path
from overt.runtime.keys.deployment_key import load_deployment_key
from overt.runtime.keys.keyring import Keyring
folder = Path(sys.argv[1])
ring = Keyring(folder / "keyring", load_deployment_key(folder / "secret"), "d1")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_deployment_key(tmp_path / "secret")
    opened(tmp_path).create_file()
    return tmp_path


def opened(folder: Path, deployment_id: str = "d1") -> Keyring:
    return Keyring(folder / "keyring", load_deployment_key(folder / "secret"), deployment_id)


def process(folder: Path, script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OPEN + script, str(folder), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(child: subprocess.Popen[str], code: int = 0) -> str:
    out, err = child.communicate(timeout=120)
    assert child.returncode == code, err
    return out


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Keys


def test_a_key_is_the_same_after_everything_was_restarted(folder: Path) -> None:
    made = opened(folder).create("kept:e1")
    for found in (opened(folder).get("kept:e1"), opened(folder).get_by_id(made.key.key_id)):
        assert found is not None
        assert found.key.reveal() == made.key.reveal()
        assert (found.owner, found.expires_at_us) == ("kept:e1", None)


def test_every_key_is_random_and_of_its_own(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Derived from nothing: the same owner in another keyring under the same deployment key gets another."""
    other = tmp_path_factory.mktemp("other")
    (other / "secret").write_bytes((folder / "secret").read_bytes())
    (other / "secret").chmod(0o600)
    opened(other).create_file()
    made = [ring.create(owner).key for ring in (opened(folder), opened(other)) for owner in ("kept:a", "kept:b")]
    assert len({key.reveal() for key in made}) == 4
    assert len({key.key_id for key in made}) == 4


def test_creating_again_gives_the_key_that_is_there(folder: Path) -> None:
    ring = opened(folder)
    first = ring.create("alert:2026-01-01T10", 5)
    content = (folder / "keyring").read_bytes()
    assert ring.create("alert:2026-01-01T10", 99).key.reveal() == first.key.reveal()
    assert (folder / "keyring").read_bytes() == content


def test_racing_processes_get_one_key_and_lose_none(folder: Path) -> None:
    script = """
sys.stdin.readline()
shared = [ring.create(f"alert:{n}", 7).key.key_id.hex() for n in range(5)]
for n in range(5):
    ring.create(f"kept:{sys.argv[2]}-{n}")
print(*shared)
"""
    children = [process(folder, script, str(number)) for number in range(4)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    assert len({said(child) for child in children}) == 1
    assert len(opened(folder)) == 5 + 4 * 5


def test_racing_processes_make_one_file(tmp_path: Path) -> None:
    create_deployment_key(tmp_path / "secret")
    script = 'print(ring.create_file()); ring.create("kept:" + sys.argv[2])'
    made = [said(child).strip() for child in [process(tmp_path, script, str(number)) for number in range(3)]]
    assert sorted(made) == ["False", "False", "True"]
    assert len(opened(tmp_path)) == 3


# Destroying


def test_a_destroyed_key_is_gone_for_every_process_at_its_next_call(folder: Path) -> None:
    ring = opened(folder)
    key = ring.create("kept:e1").key
    kept = ring.create("kept:e2").key
    assert said(process(folder, 'print(ring.destroy("kept:e1"))')).strip() == "1"
    assert ring.get("kept:e1") is None
    assert ring.get_by_id(key.key_id) is None
    found = ring.get("kept:e2")
    assert found is not None
    assert found.key.reveal() == kept.reveal()


def test_a_destroyed_entry_never_gets_a_key_again(folder: Path) -> None:
    ring = opened(folder)
    ring.create_entry_key("e1")
    assert ring.destroy_entry_key("e1")
    assert not ring.destroy_entry_key("e1")
    for again in (ring, opened(folder)):
        assert again.is_destroyed("entry:e1")
        with pytest.raises(KeyGone, match="entry:e1"):
            again.create_entry_key("e1")
        with pytest.raises(KeyGone):
            again.create_entry_keys(["new", "e1"])
    assert len(ring) == 0, "nothing was made beside it"


def test_an_expired_hour_is_swept_and_the_rest_stays(folder: Path) -> None:
    ring = opened(folder)
    ring.create("alert:old", 10 * HOUR_US)
    ring.create("alert:new", 11 * HOUR_US)
    ring.create("kept:e1")
    content = (folder / "keyring").read_bytes()
    assert ring.sweep(10 * HOUR_US - 1) == 0
    assert (folder / "keyring").read_bytes() == content
    assert ring.sweep(10 * HOUR_US) == 1
    assert {key.owner for key in opened(folder).every_key()} == {"alert:new", "kept:e1"}
    assert ring.is_destroyed("alert:old")


def test_what_the_file_held_is_overwritten_when_it_is_replaced(folder: Path) -> None:
    """A second name of the old file shows what stays on the disk's blocks, for every version that held the key."""
    ring = opened(folder)
    ring.create("kept:e1")
    os.link(folder / "keyring", folder / "with e1")
    ring.create("kept:e2")
    os.link(folder / "keyring", folder / "with both")
    ring.destroy("kept:e1")
    for name in ("with e1", "with both"):
        data = (folder / name).read_bytes()
        assert data
        assert not data.strip(b"\0"), name
    assert names(folder) == {"secret", "keyring", "keyring.lock", "with e1", "with both"}


def test_a_whole_watchlist_is_one_rewriting(folder: Path) -> None:
    ring = opened(folder)
    began = (folder / "keyring").stat().st_ino
    os.link(folder / "keyring", folder / "before")  # keeps the number from being used again
    ring.create_many([f"kept:e{number}" for number in range(2000)])
    once = (folder / "keyring").stat().st_ino
    assert once != began
    ring.create_many([f"kept:e{number}" for number in range(2000)])
    assert (folder / "keyring").stat().st_ino == once
    assert ring.destroy(*(f"kept:e{number}" for number in range(1990))) == 1990
    assert len(opened(folder)) == 10


# Shards: the keys of watchlist entries


def test_a_change_of_one_entry_rewrites_one_small_file(folder: Path) -> None:
    ring = opened(folder)
    ring.create_entry_keys([f"e{number}" for number in range(3000)])
    shards = {path: path.stat() for path in sorted((folder / "keyring.entries").glob("??"))}
    assert len(shards) > 200
    assert (folder / "keyring").stat().st_size < 2000
    main = (folder / "keyring").stat().st_ino
    assert ring.destroy_entry_key("e17")
    changed = [path for path, old in shards.items() if path.stat().st_mtime_ns != old.st_mtime_ns]
    assert len(changed) == 1
    assert changed[0].stat().st_size < 20_000
    assert (folder / "keyring").stat().st_ino == main
    assert len(ring) == len(opened(folder)) == 2999


def test_an_entrys_key_is_found_by_its_id_alone(folder: Path) -> None:
    keys = opened(folder).create_many([f"entry:e{number}" for number in range(40)] + ["alert:now"])
    again = opened(folder)
    for key in keys:
        found = again.get_by_id(key.key.key_id)
        assert found is not None
        assert found.owner == key.owner
    assert again.get_by_id(bytes(16)) is None
    assert again.get_by_id(b"\xff" * 16) is None


def test_a_shard_that_is_gone_is_not_taken_for_an_empty_one(folder: Path) -> None:
    opened(folder).create_entry_key("e1")
    [shard] = (folder / "keyring.entries").glob("??")
    shard.unlink()
    with pytest.raises(KeyringMissing, match=shard.name):
        opened(folder).get("entry:e1")


def test_where_one_entry_was_destroyed_none_is_made(folder: Path) -> None:
    ring = opened(folder)
    ring.create_entry_key("e1")
    ring.destroy_entry_key("e1")
    with pytest.raises(KeyGone):
        ring.create_many([*(f"entry:n{number}" for number in range(50)), "entry:e1"])
    assert len(ring) == 0


def test_a_watchlists_keys_are_swept_from_every_shard(folder: Path) -> None:
    ring = opened(folder)
    ring.create_many([f"entry:e{number}" for number in range(300)], HOUR_US)
    ring.create_entry_key("stays")
    assert ring.sweep(HOUR_US - 1) == 0
    assert opened(folder).sweep(HOUR_US) == 300
    assert [key.owner for key in ring.every_key()] == ["entry:stays"]


def test_a_prolonged_key_opens_what_it_sealed_and_lives_longer_and_none_is_revived(folder: Path) -> None:
    now_us = 1_000_000
    ring = Keyring(folder / "keyring", load_deployment_key(folder / "secret"), "d1", clock=lambda: now_us)
    sealed = [ring.create(f"entry:{n}", now_us + HOUR_US).key.seal(b"x", b"") for n in range(3)]
    ring.create("entry:for ever")
    ring.destroy("entry:1")
    ring.create("entry:ended", now_us + 1)
    now_us += 2
    owners = [f"entry:{name}" for name in ("0", "1", "for ever", "ended", "never made")]
    assert ring.prolong(owners, now_us + HOUR_US) == 1
    assert ring.prolong(owners, now_us + 60) == 0, "nobody's life is shortened"
    assert ring.sweep(now_us + HOUR_US - 1) == 2, "the one that ended and the one that nobody prolonged"
    fresh = Keyring(folder / "keyring", load_deployment_key(folder / "secret"), "d1", clock=lambda: now_us)
    key = fresh.get("entry:0")
    assert key is not None
    assert (key.key.open(sealed[0], b""), key.expires_at_us) == (b"x", now_us + HOUR_US)
    assert fresh.is_destroyed("entry:1")


def test_racing_processes_make_one_shard_and_lose_no_key(folder: Path) -> None:
    """All begin with a keyring that has no shard yet."""
    script = 'ring.create_entry_keys([f"{sys.argv[2]}-{n}" for n in range(30)])'
    for child in [process(folder, script, str(number)) for number in range(4)]:
        said(child)
    assert len(opened(folder)) == 120


# Wrong files


def test_a_missing_keyring_is_not_taken_for_an_empty_one(folder: Path) -> None:
    ring = opened(folder)
    ring.create("kept:e1")
    (folder / "keyring").rename(folder / "elsewhere")
    for attempt in (lambda: ring.get("kept:e1"), lambda: ring.create("kept:e2"), lambda: ring.sweep(1)):
        with pytest.raises(KeyringMissing, match="keyring is missing"):
            attempt()
    (folder / "elsewhere").rename(folder / "keyring")
    assert ring.get("kept:e1") is not None


def test_another_deployment_and_another_deployment_key_are_told_apart(folder: Path) -> None:
    opened(folder).create("kept:e1")
    content = (folder / "keyring").read_bytes()
    with pytest.raises(WrongDeployment, match="'d1', not to 'd2'"):
        opened(folder, "d2").get("kept:e1")
    (folder / "secret").unlink()
    create_deployment_key(folder / "secret")
    stranger = opened(folder)
    for attempt in (lambda: stranger.get("kept:e1"), lambda: stranger.create("kept:e2"), stranger.create_file):
        with pytest.raises(WrongDeploymentKey):
            attempt()
    assert (folder / "keyring").read_bytes() == content


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_damaged_or_truncated_file_is_refused_and_left_alone(folder: Path, data: st.DataObject) -> None:
    path = folder / "keyring"
    if not len(opened(folder)):
        opened(folder).create("kept:e1")
    good = path.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1), label="place")
    if data.draw(st.booleans(), label="cut"):
        bad = good[:place] if place < len(good) - 1 else b""  # the last byte is only the end of the line
    else:
        bad = good[:place] + bytes([good[place] ^ (1 << data.draw(st.integers(0, 7), label="bit"))]) + good[place + 1 :]
    try:
        path.write_bytes(bad)
        ring = opened(folder)
        with pytest.raises((KeyringCorrupt, WrongDeploymentKey)):
            ring.get("kept:e1")
        with pytest.raises(KeyringError):
            ring.destroy("kept:e1")
        assert path.read_bytes() == bad
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"{}\n{}\n", b"[]\n[]\n", b"null", b"\xff\xfe", b"1\n2\n", b'{"a":1}\n"x"']
)
def test_what_is_no_keyring_is_refused(folder: Path, content: bytes) -> None:
    (folder / "keyring").write_bytes(content)
    with pytest.raises(KeyringCorrupt, match="keyring"):
        opened(folder).get("kept:e1")


def test_a_content_changed_by_somebody_without_the_deployment_key_is_refused(folder: Path) -> None:
    """The checksum can be made to fit by anybody; the tag cannot. Here: a tombstone taken away."""
    opened(folder).create("kept:e1")
    opened(folder).destroy("kept:e1")
    body, seal, _ = (folder / "keyring").read_bytes().split(b"\n")
    plain = json.loads(body)
    assert [row["owner"] for row in plain["destroyed"]] == ["kept:e1"]
    plain["destroyed"] = []
    forged = json.dumps(plain).encode()
    new_seal = json.loads(seal) | {"sha256": hashlib.sha256(forged).hexdigest()}
    (folder / "keyring").write_bytes(forged + b"\n" + json.dumps(new_seal).encode() + b"\n")
    with pytest.raises(WrongDeploymentKey):
        opened(folder).create("kept:e1")


# Writers that fail


def test_a_full_disk_loses_nothing(folder: Path) -> None:
    """A limit on the size of files fails the write half-way, as a full disk does."""
    ring = opened(folder)
    ring.create_many([f"kept:e{number}" for number in range(20)])
    content = (folder / "keyring").read_bytes()
    script = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
for attempt in (lambda: ring.create("kept:one more"), lambda: ring.destroy("kept:e3"), lambda: ring.sweep(1)):
    try:
        print(attempt())
    except Exception as error:
        print(type(error).__name__, error)
"""
    lines = said(process(folder, script)).splitlines()
    assert lines[0].startswith("KeyringNotWritten")
    assert "as it was" in lines[0]
    assert lines[1].startswith("KeyringNotWritten")
    assert lines[2] == "0", "nothing to sweep needs no room"
    assert (folder / "keyring").read_bytes() == content
    assert names(folder) == {"secret", "keyring", "keyring.lock"}
    assert ring.destroy("kept:e3") == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    create_deployment_key(tmp_path / "secret")
    ring = Keyring(tmp_path / "nowhere" / "keyring", load_deployment_key(tmp_path / "secret"), "d1")
    with pytest.raises(KeyringNotWritten, match="nowhere"):
        ring.create_file()


@pytest.mark.parametrize(
    ("dies", "survives"),
    [
        ("os.fsync = die", True),
        ("os.link = die", True),
        ("os.replace = die", True),
        ("import overt.runtime.keys.keyring_file as f; f._sync_folder = die", False),
        ("import overt.runtime.keys.keyring_file as f; f._overwrite = die", False),
    ],
)
def test_a_writer_killed_at_any_step_leaves_a_whole_file_and_the_next_one_cleans_up(
    folder: Path, dies: str, survives: bool
) -> None:
    """Either the key is still there or it is destroyed; and what the dead writer left is overwritten, too."""
    ring = opened(folder)
    ring.create_many(["kept:e1", "kept:e2"])
    os.link(folder / "keyring", folder / "old blocks")
    script = f"""
def die(*a, **k): os.kill(os.getpid(), signal.SIGKILL)
{dies}
ring.destroy("kept:e1")
"""
    said(process(folder, script), -signal.SIGKILL)
    assert (ring.get("kept:e1") is not None) == survives
    assert ring.get("kept:e2") is not None
    ring.destroy("kept:e1")
    ring.create("kept:e3")
    assert {key.owner for key in opened(folder).every_key()} == {"kept:e2", "kept:e3"}
    assert not (folder / "old blocks").read_bytes().strip(b"\0")
    assert names(folder) == {"secret", "keyring", "keyring.lock", "old blocks"}


def test_writers_killed_one_after_the_other_lose_nothing(folder: Path) -> None:
    """What the first left beside the file is a second name of the file itself: the next must not overwrite it."""
    ring = opened(folder)
    ring.create("kept:e1")
    script = """
def die(*a, **k): os.kill(os.getpid(), signal.SIGKILL)
os.replace = die
ring.create("kept:e2")
"""
    for _ in range(2):
        said(process(folder, script), -signal.SIGKILL)
        assert {key.owner for key in opened(folder).every_key()} == {"kept:e1"}


def test_a_writer_that_sleeps_with_the_lock_stops_writers_in_time_and_no_reader(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring_file, "_LOCK_TIMEOUT_S", 0.1)
    ring = opened(folder)
    ring.create("kept:e1")
    with (folder / "keyring.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(KeyringNotWritten, match=r"keyring\.lock"):
            ring.create("kept:e2")
        assert opened(folder).get("kept:e1") is not None
    ring.create("kept:e2")


def test_readers_are_never_disturbed_by_a_writer(folder: Path) -> None:
    ring = opened(folder)
    kept = ring.create("kept:kept").key.reveal()
    script = """
print("ready", flush=True)
for number in range(100):
    ring.create(f"kept:{number}")
    ring.destroy(f"kept:{number}")
"""
    writer = process(folder, script)
    assert writer.stdout is not None
    writer.stdout.readline()
    reads = 0
    while writer.poll() is None:
        found = opened(folder).get("kept:kept")
        assert found is not None
        assert found.key.reveal() == kept
        reads += 1
    said(writer)
    assert reads


def test_a_file_that_is_replaced_and_overwritten_while_it_is_read_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(folder).create("kept:kept")
    fstat, writes = os.fstat, iter(["kept:1", "kept:2"])

    def rewrite_after(handle: int) -> os.stat_result:
        status = fstat(handle)
        owner = next(writes, None)
        if owner is not None:
            opened(folder).create(owner)
        return status

    reader = opened(folder)
    monkeypatch.setattr(os, "fstat", rewrite_after)
    assert reader.get("kept:kept") is not None
    assert reader.get("kept:2") is not None
    assert next(writes, None) is None


def test_a_rewriting_is_seen_though_the_clock_stands_still(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    ring = opened(folder)
    for number in range(5):
        before = keyring_version(ring)
        opened(folder).create(f"kept:{number}")
        assert keyring_version(ring)[1] > before[1]
        assert ring.get(f"kept:{number}") is not None


def keyring_version(ring: Keyring) -> tuple[int, int, int]:
    return ring._main._file.version()


# Secrets


def test_no_key_shows_in_the_file_a_repr_an_error_or_a_pickle(folder: Path) -> None:
    ring = opened(folder)
    durable = ring.create("kept:e1")
    ring.create("kept:gone")
    ring.destroy("kept:gone")
    deployment_key = load_deployment_key(folder / "secret")
    for secret in (durable.key.reveal(), deployment_key.reveal()):
        shapes = (secret, secret.hex().encode(), base64.b64encode(secret), repr(secret)[2:-1].encode())
        shown = [
            (folder / "keyring").read_bytes(),
            repr((ring, durable, durable.key, deployment_key, ring.every_key(), vars(ring))).encode(),
        ]
        attempts: list[Callable[[], object]] = [
            lambda: ring.create("kept:gone"),
            lambda: opened(folder, "d2").get("x"),
        ]
        for wrong in attempts:
            with pytest.raises((KeyGone, WrongDeployment)) as caught:
                wrong()
            shown.append(repr(caught.value).encode())
        assert not [shape for shape in shapes for text in shown if shape in text]
    for thing in (durable.key, deployment_key, durable):
        with pytest.raises(TypeError):
            pickle.dumps(thing)


def test_trouble_with_the_keyring_is_the_world_being_away() -> None:
    """So the loop commits nothing and tries again, instead of taking each message for a bad one."""
    for kind in (KeyringCorrupt, KeyringMissing, KeyringNotWritten, WrongDeployment, WrongDeploymentKey):
        assert issubclass(kind, Unavailable)
