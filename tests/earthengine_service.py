"""A loopback stand-in for Earth Engine's REST service, for the real client to talk to.

It serves the client's own discovery document and list of algorithms, and answers `value:compute`,
`image:computePixels` and `image:export` by evaluating the expression graph (see earthengine_graph).
"""

from __future__ import annotations

import importlib.resources
import json
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from earthengine_exports import Exports
from earthengine_graph import Evaluator, Refused, StoredImage, answer_pixels, answer_value


@dataclass
class Fault:
    """An answer given instead of the right one."""

    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None  # send the right answer, but only so many bytes of it
    hang: float = 0.0
    right: bool = False  # after the hang, the right answer


class Service:
    """The service; use as a context manager.

    Attributes
    ----------
    seen : list of (path, body)
        Requests answered or refused, except discovery and algorithms.
    faults : deque of Fault
        Taken one by one by the next requests.
    always : Fault or None
        Given to every request once `faults` is empty.
    most_px : int
        Pixels of computed images that one request may ask for: beyond it, memory runs out.
    exports : Exports
        What was exported, where to, and what fails.
    most_at_once : int
        Most requests under way at the same time.
    """

    def __init__(self, collections: dict[str, list[StoredImage]], project: str = "p") -> None:
        self.collections, self.project = collections, project
        self.seen: list[tuple[str, Any]] = []
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.most_px = 10**9
        self.exports = Exports()
        self.most_at_once = self._at_once = 0
        self._lock, self._closing = threading.Lock(), threading.Event()
        folder = importlib.resources.files("ee") / "tests"
        self._discovery = (folder / "cloud_api_discovery_document.json").read_bytes()
        self._algorithms = (folder / "algorithms.json").read_bytes()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else every answer waits 40 ms

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                service.answer(self, None)

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                service.answer(self, json.loads(self.rfile.read(length)))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def requests_of(self, method: str) -> list[Any]:
        """Bodies of the requests to one method."""
        return [body for path, body in self.seen if path.endswith(method)]

    def answer(self, handler: BaseHTTPRequestHandler, body: Any) -> None:
        path = handler.path.split("?", 1)[0]
        fault = None
        if path == "/$discovery/rest":
            status, content = 200, self._discovery
        elif path == f"/v1alpha/projects/{self.project}/algorithms":
            status, content = 200, self._algorithms
        else:
            with self._lock:
                self.seen.append((path, body))
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                fault = self.faults.popleft() if self.faults else self.always
            query = dict(parse_qsl(handler.path.partition("?")[2]))
            status, content = self._compute(path, body, query)
        headers: dict[str, str] = {}
        if fault is not None:
            self._closing.wait(fault.hang)
            headers = fault.headers
            if fault.cut is None and not fault.right:
                status, content = fault.status, _error(fault.status, "the service is busy")
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            handler.send_header(name, value)
        if fault is not None and fault.cut is not None:
            handler.close_connection = True
            content = content[: fault.cut]
        if body is not None:
            with self._lock:
                self._at_once -= 1
        try:
            handler.end_headers()
            handler.wfile.write(content)
        except ConnectionError:
            pass  # the client gave up waiting

    def _compute(self, path: str, body: Any, query: dict[str, str]) -> tuple[int, bytes]:
        base = f"/v1alpha/projects/{self.project}/"
        try:
            if not path.startswith(base):
                raise Refused("Caller does not have required permission to use project.", 403)
            method = path.removeprefix(base)
            if method == "value:compute":
                result = answer_value(Evaluator(self.collections, body["expression"]).result)
                return 200, json.dumps({"result": result}).encode()
            if method == "image:computePixels":
                if body.get("fileFormat") != "NPY":
                    raise Refused(f"unknown file format '{body.get('fileFormat')}'")
                image = Evaluator(self.collections, body["expression"]).result
                size = body["grid"]["dimensions"]
                if isinstance(image, dict) and size["width"] * size["height"] > self.most_px:
                    raise Refused("User memory limit exceeded.")
                return 200, answer_pixels(image, body["grid"])
            if method == "image:export":
                with self._lock:
                    return 200, json.dumps(self.exports.start(base, body)).encode()
            if method == "operations" and body is None:
                with self._lock:
                    answer = self.exports.list(self.collections, query)
                return 200, json.dumps(answer).encode()
            raise Refused(f"unknown method '{method}'", 404)
        except Refused as error:
            return error.status, _error(error.status, str(error))


def _error(status: int, message: str) -> bytes:
    return json.dumps({"error": {"code": status, "message": message}}).encode()
