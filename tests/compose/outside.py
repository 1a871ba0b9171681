"""The world outside, for the stand-alone test: outside.py ADDRESS SEEN, in a network namespace of its own.

Answers HTTP on port 80 and every question of a resolver on port 53, and writes each address from which anything at all
arrived to the file SEEN, one a line.
"""

import http.server
import socket
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path

_ETH_P_IP = 0x0800


def serve_names(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.bind((address, 53))
        while True:
            question, asker = answering.recvfrom(512)
            head = question[:2] + struct.pack(">5H", 0x8180, 1, 1, 0, 0)
            record = struct.pack(">3HIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(address)
            with suppress(OSError):  # no way leads back to some who ask: the next is answered all the same
                answering.sendto(head + question[12:] + record, asker)


def write_who_comes(address: str, seen: Path) -> None:
    known: set[str] = set()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP)) as listening:
        while True:
            packet = listening.recv(64)
            source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
            if target == address and source not in known:
                known.add(source)
                with seen.open("a") as file:
                    file.write(source + "\n")


def main(address: str, seen: str) -> None:
    Path(seen).write_text("")
    threading.Thread(target=serve_names, args=(address,), daemon=True).start()
    threading.Thread(target=write_who_comes, args=(address, Path(seen)), daemon=True).start()
    http.server.HTTPServer((address, 80), http.server.BaseHTTPRequestHandler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
