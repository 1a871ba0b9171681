"""Run inside a container's network: prints which of these take a connection, one a line. reach.py ADDRESS:PORT..."""

import socket
import sys
from concurrent.futures import ThreadPoolExecutor

_TIMEOUT_S = 2.0


def answers(door: str) -> bool:
    address, port = door.rsplit(":", 1)
    try:
        socket.create_connection((address, int(port)), _TIMEOUT_S).close()
    except OSError:
        return False
    return True


def main(doors: list[str]) -> None:
    with ThreadPoolExecutor(max(1, len(doors))) as pool:
        print("\n".join(door for door, open_ in zip(doors, pool.map(answers, doors), strict=True) if open_))


if __name__ == "__main__":
    main(sys.argv[1:])
