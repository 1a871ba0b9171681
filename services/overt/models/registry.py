"""The registry: which models are known, where their files are, and whether they are the right ones.

A file is looked for in the cache, then in the search folders, and is accepted for its sha256 only. Nothing is
downloaded unless `pull` is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from overt.models.card import Card, DetectorCard, EmbedderCard, read_card
from overt.models.errors import BadCard, MissingModel, ModelError, UnknownModel, WrongBytes
from overt.models.files import check_file
from overt.models.obtain import OnProgress, Progress, Step, no_progress, obtain, take_from
from overt.models.origins import Origins
from overt.models.sources import FileSource, HttpsSource

CARDS = Path(__file__).parent / "cards"
"""The cards that come with the package."""

OWN_CARDS = "cards"
"""The folder with an operator's own cards, inside a search folder."""

State = Literal["ready", "missing", "wrong"]


@dataclass(frozen=True, slots=True)
class Status:
    """What `overt models list` and `verify` show: `path` where the state is ready; else `problem` says what to do."""

    card: Card
    state: State
    path: Path | None
    problem: str


class Registry:
    """Model cards and their files.

    `cache` is written by `pull` and `import_folder` only; `search` are folders of an operator's own, read only, with
    model files, and cards of their own in a folder `cards`. The constructor reads the cards and raises BadCard.
    """

    def __init__(
        self, cache: Path, search: Sequence[Path] = (), cards_dir: Path = CARDS, origins: Origins | None = None
    ) -> None:
        self._cache = cache
        self._search = tuple(search)
        self._origins = origins or Origins()
        self._cards: dict[str, Card] = {}
        self._verified: dict[Path, tuple[int, int, int]] = {}
        for folder in (cards_dir, *(folder / OWN_CARDS for folder in self._search)):
            for path in sorted(folder.glob("*.yaml")):
                self.admit(read_card(path), path)

    def admit(self, card: Card, path: Path | None = None) -> None:
        """Adds a card, of the file `path`, to those known. Raises BadCard where it would take another's place."""
        of = f"{path}: " if path else ""
        if card.name in self._cards:
            raise BadCard(f"{of}field name: another card is called {card.name} already; choose another name")
        for other in self.cards():
            if card.default and other.default and other.role == card.role:
                raise BadCard(f"{of}field default is true, and {other.name} is the default {card.role}: keep one")
            if isinstance(card, EmbedderCard) and isinstance(other, EmbedderCard) and card.space_id == other.space_id:
                raise BadCard(
                    f"{of}field space_id: {card.space_id} is the space of {other.name}, and vectors of different "
                    "models must never meet; choose another"
                )
        self._cards[card.name] = card

    def cards(self) -> tuple[Card, ...]:
        """All cards, by name."""
        return tuple(self._cards.values())

    def card(self, name: str) -> Card:
        """Raises UnknownModel."""
        if name not in self._cards:
            raise UnknownModel(f"No model is called {name!r}. Known are: {', '.join(self._cards)}.")
        return self._cards[name]

    def detector(self, name: str | None = None) -> DetectorCard:
        """The detector of that name, or the default one. Raises UnknownModel."""
        card = self._default("detector") if name is None else self.card(name)
        if not isinstance(card, DetectorCard):
            raise UnknownModel(f"{name} is an {card.role}, a detector is wanted: {self._names('detector')}.")
        return card

    def embedder(self, name: str | None = None) -> EmbedderCard:
        """The embedder of that name, or the default one. Raises UnknownModel."""
        card = self._default("embedder") if name is None else self.card(name)
        if not isinstance(card, EmbedderCard):
            raise UnknownModel(f"{name} is a {card.role}, an embedder is wanted: {self._names('embedder')}.")
        return card

    def path(self, name: str) -> Path:
        """The verified ONNX file; hashed once for each registry unless the file changes.

        Raises UnknownModel; MissingModel and WrongBytes, which say what to do.
        """
        card = self.card(name)
        wrong: WrongBytes | None = None
        for path in self._named(card):
            try:
                self._verify(card, path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except WrongBytes as error:
                wrong = wrong or error
            except OSError as error:
                wrong = wrong or WrongBytes(f"{path}: cannot be read ({error.strerror}). {self._remedy(card)}")
            else:
                return path
        if found := self._under_another_name(card):
            return found
        if wrong:
            raise wrong
        raise MissingModel(f"{name}: the model's file is not here. {self._remedy(card)}")

    def pull(self, name: str, progress: OnProgress = no_progress) -> Path:
        """Obtains the model's file unless a right one is here, and returns its path.

        Raises NotObtained, NotConverted, NotWritable, WrongBytes; MissingModel when only the operator can provide it.
        """
        card = self.card(name)
        try:
            path = self.path(name)
            progress(Progress(name, Step.READY))
            return path
        except (MissingModel, WrongBytes):
            if isinstance(card.source, FileSource):
                raise
        obtain(card, card.source, self._cache / card.file_name, self._origins, progress)
        return self.path(name)

    def verify(self, name: str) -> Status:
        """Hashes the file again, whatever was verified before."""
        self._verified.clear()
        return self.status(name)

    def status(self, name: str) -> Status:
        """The state of one model as a value; raises only UnknownModel."""
        card = self.card(name)
        try:
            return Status(card, "ready", self.path(name), "")
        except WrongBytes as error:
            return Status(card, "wrong", None, str(error))
        except (ModelError, OSError) as error:
            return Status(card, "missing", None, str(error))

    def import_folder(self, folder: Path, progress: OnProgress = no_progress) -> tuple[str, ...]:
        """For a machine without network: takes into the cache every model found in `folder`, recognised by content.

        Accepts the ready ONNX file, the original file, or the package index's archive. Returns the names of models that
        are ready afterwards and were not before. Raises MissingModel when the folder does not exist; NotConverted,
        NotWritable.
        """
        if not folder.is_dir():
            raise MissingModel(f"{folder}: is no folder. Name one that holds model files or archives.")
        wanted = [card for card in self.cards() if self.status(card.name).state != "ready"]
        return tuple(c.name for c in wanted if take_from(folder, c, self._cache / c.file_name, progress))

    def _default(self, role: Literal["detector", "embedder"]) -> Card:
        for card in self.cards():
            if card.role == role and card.default:
                return card
        raise UnknownModel(f"No {role} is the default. Name one of: {self._names(role)}.")

    def _names(self, role: str) -> str:
        return ", ".join(c.name for c in self.cards() if c.role == role)

    def _named(self, card: Card) -> list[Path]:
        """Where the file should lie."""
        names = [card.file_name]
        if isinstance(card.source, FileSource | HttpsSource):
            names.append(card.source.file_name)
        return [self._cache / card.file_name, *(folder / name for folder in self._search for name in names)]

    def _under_another_name(self, card: Card) -> Path | None:
        """The file in a search folder, whatever it is called there."""
        for folder in self._search:
            for path in _of_size(folder, card.onnx.size_bytes):
                try:
                    self._verify(card, path)
                except (WrongBytes, OSError):
                    continue
                return path
        return None

    def _verify(self, card: Card, path: Path) -> None:
        stat = path.stat()
        seal = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if self._verified.get(path) != seal:
            check_file(path, card.onnx, self._remedy(card))
            self._verified[path] = seal

    def _remedy(self, card: Card) -> str:
        if not isinstance(card.source, FileSource):
            return f"Run: overt models pull {card.name}"
        return (
            f"Put the right file ({card.source.file_name}, sha256 {card.onnx.sha256}; {card.source.obtain}) into a "
            f"folder of models and name that folder (OVERT_MODELS_DIR)."
        )


def _of_size(folder: Path, size_bytes: int) -> list[Path]:
    """The files of a folder that may be the wanted one; none where it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_file() and path.stat().st_size == size_bytes)
    except OSError:
        return []
