#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A Python service: modules are found at run time, by name."""

import http.server
import importlib
import json
import os


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        answers = {"/healthz": {"status": "ok"}, "/selftest": self.selftest()}
        found = self.path in answers
        body = json.dumps(answers.get(self.path), sort_keys=True).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def selftest(self):
        digest = importlib.import_module("hash" + "lib").sha256(b"payments").hexdigest()
        zone = importlib.import_module("zone" + "info").ZoneInfo("Europe/Berlin")
        return {"sha256": digest, "zone": str(zone)}


port = int(os.environ.get("PORT", "8080"))
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
