"""A file server on loopback that misbehaves as it is told, request by request."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Request:
    """What is asked: file name, query, how often this file was asked for, byte range."""

    name: str
    query: str
    count: int
    start: int
    stop: int
    size: int
    head: bool


@dataclass(frozen=True)
class Answer:
    """How to answer: a status instead of data, bytes that are missing or changed, a pause."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    drop: int = 0  # bytes that are announced and not sent
    claim: int = 0  # added to the announced total size
    flip: tuple[int, int] = (0, 0)  # bytes of the file that are inverted
    pause: float = 0.0


Rule = Callable[[Request], Answer]


class FaultServer:
    """Serves a folder; `rule` decides for every request, `log` keeps them."""

    def __init__(self, folder: Path, rule: Rule = lambda _: Answer()) -> None:
        self.rule, self.log, self.counts = rule, [], Counter()  # type: Rule, list[Request], Counter[str]
        lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.serve(head=True)

            def do_GET(self) -> None:
                self.serve(head=False)

            def serve(self, head: bool) -> None:
                name, _, query = self.path.lstrip("/").partition("?")
                path = folder / name
                if not path.is_file():
                    self.plain(404, {})
                    return
                data = path.read_bytes()
                part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
                start = int(part[1]) if part else 0
                stop = min(int(part[2] or len(data) - 1) + 1, len(data)) if part else len(data)
                with lock:
                    server.counts[name] += 1
                    request = Request(
                        name, query, server.counts[name], start, stop, len(data), head
                    )
                    server.log.append(request)
                answer = server.rule(request)
                time.sleep(answer.pause)
                if answer.status:
                    self.plain(answer.status, answer.headers)
                    return
                low, high = answer.flip
                body = bytearray(data)
                body[low:high] = bytes(b ^ 0xFF for b in body[low:high])
                sent = bytes(body[start:stop])
                total = len(data) + answer.claim
                self.send_response(206 if part else 200)
                if part:
                    self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{total}")
                    self.send_header("Content-Length", str(len(sent)))
                else:
                    self.send_header("Content-Length", str(total))
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("ETag", f'"{path.name}"')
                self.end_headers()
                if not head:
                    self.wfile.write(sent[: max(0, len(sent) - answer.drop)])
                if answer.drop or answer.claim:
                    self.close_connection = True

            def plain(self, status: int, headers: dict[str, str]) -> None:
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
