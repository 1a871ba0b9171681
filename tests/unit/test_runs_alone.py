"""What a process that runs alone loads."""

from __future__ import annotations

import subprocess
import sys


def test_keys_states_and_leases_in_memory_load_no_redis_client() -> None:
    """It takes half a second to load, and the stand-alone way of running speaks to no server."""
    script = (
        "import overt.runtime.frame.lease, overt.runtime.state, overt.runtime.vault, sys; print('redis' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
