"""What lies on a centre's disks of what its sites have sealed, and who could open it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from overt.erasure.keys import try_keys
from overt.erasure.known import as_text
from overt.erasure.search import Findings, Searcher, Sighted
from overt.ports import Custody
from overt.runtime.erasure import Payload, kept_bytes, payload_of
from overt.runtime.vault import MAGIC
from tests.support.many_sites import ManySites

_PICTURES = 50
"""Of each site, so many are looked for byte by byte."""


@dataclass(frozen=True, slots=True)
class Search:
    """`clear`: pictures, and keys of the sites in any form. `opened`: payloads that the sites' own keys open."""

    places: int
    bytes_read: int
    clear: list[Sighted]
    unreadable: list[str]
    sealed: Counter[Custody]
    opened: int

    @property
    def held(self) -> bool:
        """Whether nobody can open anything with what lies there, and all that lies there is alerts' pictures."""
        return not self.clear and not self.unreadable and set(self.sealed) == {Custody.ALERT}


def contents(many: ManySites) -> dict[str, bytes]:
    """What must lie at no centre, by name: pictures in the clear, and every key that opens anything."""
    found: dict[str, bytes] = {}
    for site in many.sites.values():
        found |= dict(list(site.pictures.items())[:_PICTURES])
        for name, key in site.secrets_of_keys().items():
            found |= as_text(name, key)
    return found


def search(folders: Sequence[Path], known: Mapping[str, bytes], keys: Mapping[str, bytes]) -> Search:
    """Looks through the folders as `overt erasure verify` does, and tries the keys on all that is sealed there."""
    findings = Findings()
    searcher = Searcher(known, MAGIC, kept_bytes)
    searcher.look_into(folders, findings)
    payloads: list[Payload] = [payload for found in findings.sealed if (payload := payload_of(found)) is not None]
    return Search(
        findings.places,
        findings.bytes_read,
        findings.clear,
        findings.unreadable,
        Counter(payload.custody for payload in payloads),
        len(try_keys([payload.ciphertext for payload in payloads], keys)),
    )


def search_centre(many: ManySites) -> Search:
    """The centre's broker with its log, MirrorMaker's folder, the centre's secrets. The keys are the sites', which it
    has not: that they open what is there shows that the search sees it."""
    keys = {name: key for site in many.sites.values() for name, key in site.secrets_of_keys().items()}
    return search([many.folder / "centre", many.folder / "mirror-maker"], contents(many), keys)
