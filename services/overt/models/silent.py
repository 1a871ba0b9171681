"""ONNX Runtime, kept from reporting to its maker. Import it from here and from nowhere else.

Its official builds (1.32 at least) report over the network unless this variable is set before the library is loaded.
`disable_telemetry_events` comes too late: by then it has made a device id and a database in the user's cache, and some
ten seconds later it looks for its maker's host (see the Privacy.md that the package carries).
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime  # after the line above, whatever the order of imports should be

__all__ = ["onnxruntime"]
