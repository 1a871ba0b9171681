"""A system outside that takes whatever is posted to it; run in a container. receiver.py PORT [PEM]

PEM: a file with a key and its certificate, for https. It prints each request as one line of JSON: target, headers
(names in lower case) and body.
"""

import http.server
import json
import ssl
import sys


class Takes(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        print(json.dumps({"target": self.path, "headers": headers, "body": body}), flush=True)
        self.send_response(204)
        self.end_headers()


def main(port: str, pem: str | None = None) -> None:
    server = http.server.ThreadingHTTPServer(("0.0.0.0", int(port)), Takes)
    if pem is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
