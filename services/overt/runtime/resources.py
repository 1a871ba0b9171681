"""Files that ship with the package."""

from __future__ import annotations

from pathlib import Path


def schemas_dir() -> Path:
    """The folder of `*.avsc` and `topics.yaml`: inside an installed package, else in the source tree.

    Raises FileNotFoundError when neither is there.
    """
    here = Path(__file__).resolve()
    candidates = (here.parents[1] / "schemas", here.parents[3] / "schemas")
    for folder in candidates:
        if (folder / "topics.yaml").is_file():
            return folder
    looked = " nor in ".join(str(folder) for folder in candidates)
    raise FileNotFoundError(f"topics.yaml is neither in {looked}: install the package again")
