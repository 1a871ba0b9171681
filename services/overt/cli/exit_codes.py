"""What each exit code means."""

from __future__ import annotations

EXIT_CODES = {
    0: "done",
    1: "an error in Overt itself",
    2: "wrong usage, settings or deployment file",
    3: "a model is missing or wrong",
    4: "Kafka or Redis is not available",
    5: "a camera or file cannot be read",
    6: "the watchlist cannot be used",
    7: "a check found what it must not find",
    8: "the results cannot be written",
    130: "interrupted",
    141: "whoever read the output has closed it",
}
