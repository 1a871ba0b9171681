"""Run inside a container's network: says, as JSON, what of the outside answers. probe.py OUTSIDE CAMERA

OUTSIDE: an address beyond the host, with HTTP on port 80 and a resolver on port 53. CAMERA: one in the cameras'
network, with HTTP on port 8000. Each answer is true, false, or (raw sockets) "not allowed".
"""

import http.client
import json
import os
import socket
import struct
import sys

_TIMEOUT_S = 2.0
_NAME = "overt-probe.test"
_NO_ERROR, _NO_SUCH_NAME = 0, 3


def http_answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status > 0
    except OSError:
        return False


def dns_answers(resolver: str) -> bool:
    """Whether some resolver says something of a name that only the one outside knows: its address, or that there is no
    such name (RFC 1035). A container's own resolver that may ask nobody is silent, or says that it failed."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in _NAME.split("."))
    query = struct.pack(">6H", 0x4F56, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_TIMEOUT_S)
        try:
            asking.sendto(query, (resolver, 53))
            answer = asking.recv(512)
        except OSError:
            return False
    return answer[3] & 0x0F in (_NO_ERROR, _NO_SUCH_NAME)


def echo_answers(host: str) -> bool | str:
    """An ICMP echo through a raw socket (RFC 792)."""
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    except PermissionError:
        return "not allowed"
    number = os.getpid() & 0xFFFF
    total = 0x0800 + number + 1
    packet = struct.pack(">2B3H", 8, 0, ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF, number, 1)
    with raw:
        raw.settimeout(_TIMEOUT_S)
        try:
            raw.sendto(packet, (host, 0))
            while True:  # others' answers come in here too
                answer = raw.recvfrom(1024)
                if answer[1][0] == host and answer[0][20] == 0 and answer[0][24:26] == struct.pack(">H", number):
                    return True
        except OSError:
            return False


def main(outside: str, camera: str) -> None:
    json.dump(
        {
            "name through the container's resolver": dns_answers("127.0.0.11"),
            "name through a resolver outside": dns_answers(outside),
            "HTTP": http_answers(outside, 80),
            "raw socket": echo_answers(outside),
            "camera": http_answers(camera, 8000),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
