"""A forward proxy on this machine: fetches what it is asked for, and notes it. It tunnels nothing."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_HOP = {"connection", "proxy-connection", "keep-alive", "transfer-encoding", "host"}


class FakeProxy:
    """Knows one name, which is nowhere else, and where it leads; a context manager."""

    def __init__(self, name: str, port: int) -> None:
        self.seen: list[str] = []
        """Methods and addresses, ``"GET http://hub.test/api/models"``."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None: ...

            def do_CONNECT(self) -> None:
                proxy.seen.append(f"CONNECT {self.path}")
                self.send_error(403)

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                proxy.seen.append(f"{self.command} {self.path}")
                url = urlsplit(self.path)
                target = port if url.hostname == name else url.port
                inner = http.client.HTTPConnection("127.0.0.1", target, timeout=30)
                kept = {key: value for key, value in self.headers.items() if key.lower() not in _HOP}
                inner.request(self.command, f"{url.path}?{url.query}" if url.query else url.path, headers=kept)
                answer = inner.getresponse()
                self.send_response(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in _HOP:
                        self.send_header(key, value)
                self.end_headers()
                while self.command == "GET" and (piece := answer.read(1 << 16)):
                    self.wfile.write(piece)
                inner.close()

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that hangs up is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "FakeProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
