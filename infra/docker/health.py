"""A container's health check: exit 0 when this container's own page answers 200. Needs no curl and none of Overt.

python3 health.py readyz      the service can do its work now
python3 health.py healthz     its loop still turns
"""

import http.client
import os
import sys


def main(page: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["OVERT_METRICS_PORT"]), timeout=4)
    try:
        connection.request("GET", f"/{page}")
        answer = connection.getresponse()
        sys.stdout.write(answer.read(200).decode("utf-8", "replace"))
    except OSError as error:
        sys.stdout.write(f"/{page} does not answer: {type(error).__name__}\n")
        return 1
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
