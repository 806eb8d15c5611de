"""The stand-in for Mechanical Turk on a port of this machine, with the faults that a network and a service have."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from turk_rules import CODE, Refusal
from turk_stand_in import NotAllowed, TurkStandIn

KEY_ID = "AKIASTANDINSTANDIN00"


@contextmanager
def serving(stand_in: TurkStandIn) -> Iterator[str]:
    """The stand-in's address on a free port of this machine, as long as the block runs."""

    class Handler(_Handler):
        turk = stand_in

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    turk: TurkStandIn
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: the other side need not wait for the second

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path.startswith("/mturk/externalSubmit"):
            self._external_submit(body)
            return None
        operation = self.headers.get("X-Amz-Target", "").removeprefix("MTurkRequesterServiceV20170117.")
        fault = self._fault(operation)
        try:
            if fault == "throttle":
                raise Refusal("ThrottlingException", "Rate exceeded", kind="ThrottlingException")
            if fault == "broken":
                raise Refusal(f"{CODE}ServiceFault", "Unable to process the request", 500, "ServiceFault")
            if fault == "lost_before":
                return self._hang_up()
            if not self.headers.get("Authorization", "").startswith(f"AWS4-HMAC-SHA256 Credential={KEY_ID}/"):
                raise Refusal(
                    "", "The security token included in the request is invalid.", kind="UnrecognizedClientException"
                )
            answer = self.turk.do(operation, json.loads(body))
        except Refusal as no:
            if fault == "lost_after":
                return self._hang_up()
            said = {
                "__type": no.kind,
                "Message": no.message,
                **({"TurkErrorCode": no.code} if no.code.startswith(CODE) else {}),
            }
            return self._say(no.status, said)
        if fault == "lost_after":
            return self._hang_up()
        if fault == "late":
            self.connection.settimeout(60)
            self.turk.waited_for.set()
            while self.connection.recv(1024):  # until the other side has lost its patience
                pass
            return self._hang_up()
        return self._say(200, answer)

    def _external_submit(self, body: bytes) -> None:
        fields = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
        try:
            self.turk.submit(fields.get("assignmentId", ""), fields)
        except NotAllowed as no:
            return self._say(400, {"Message": str(no)})
        return self._say(200, {})

    def _fault(self, operation: str) -> str | None:
        with self.turk._lock:
            for fault in self.turk.faults:
                if fault.times > 0 and fault.operation in (None, operation):
                    fault.times -= 1
                    return fault.kind
        return None

    def _hang_up(self) -> None:
        self.close_connection = True

    def _say(self, status: int, answer: Mapping[str, Any]) -> None:
        content = json.dumps(answer, default=lambda moment: moment.timestamp()).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""
