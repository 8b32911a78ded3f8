"""sm-api: answers that it is there. It reads the engine's files at its start, and does not start with broken ones."""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from sandbox.programs.daemon import say, stopping


class Handler(BaseHTTPRequestHandler):
    """Answers every GET."""

    def do_GET(self) -> None:
        """Say that the service is there."""
        body = json.dumps({"status": "success"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the signature is http.server's
        """Log a request."""
        say(format % args)


def main() -> None:
    """Serve until asked to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", required=True, type=Path)
    parser.add_argument("--port", required=True, type=int)
    options = parser.parse_args()
    scoring = options.checkout / "metaspace/engine/conf/scoring.json"
    if scoring.exists():
        json.loads(scoring.read_text(encoding="utf-8"))
    stop = stopping()
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    say(f"sm-api listens on {options.port}")
    stop.wait()
    server.shutdown()
    say("sm-api ends")


if __name__ == "__main__":
    main()
