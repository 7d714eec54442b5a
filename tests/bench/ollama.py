"""As much of Ollama's protocol as a client needs to show one model and to stream an answer at a fixed rate."""

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Generator

MODEL = "bench:latest"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        size = {"size": 1, "digest": "0" * 64, "modified_at": "2026-01-01T00:00:00Z"}
        match self.path:
            case "/api/tags" | "/api/ps":
                self._say({"models": [{"name": MODEL, "model": MODEL, **size}]})
            case _:
                self._say({"version": "0.12.0"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/chat/completions"):
            self._stream()
        else:
            self._say({"capabilities": ["completion"], "details": {}, "model_info": {}, "parameters": ""})

    def _say(self, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        text, rate = self.server.text, self.server.rate
        self.server.asked.set()
        began = time.monotonic()
        with contextlib.suppress(OSError):  # the client has left
            for number, start in enumerate(range(0, len(text), self.server.token)):
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
                delta = {"role": "assistant", "content": text[start : start + self.server.token]}
                self._event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, body: dict[str, object]) -> None:
        whole = {"id": "bench", "object": "chat.completion.chunk", "created": 1, "model": MODEL, **body}
        self.wfile.write(b"data: " + json.dumps(whole).encode() + b"\n\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is told."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, text: str, rate: float, token: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.text, self.rate, self.token = text, rate, token
        self.asked = threading.Event()


@contextlib.contextmanager
def serving(text: str, rate: float, token: int = 4) -> Generator[tuple[str, threading.Event]]:
    """The URL of a server that answers with ``text``, in ``rate`` pieces of ``token`` characters a second.

    And an event: something was asked.
    """
    server = _Server(text, rate, token)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server.asked
    finally:
        server.shutdown()
        server.server_close()
