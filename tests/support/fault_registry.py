#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fault_registry.py PORT-FILE STATE-DIRECTORY FAULT: a registry in memory with one fault, on a loopback port.

It speaks as much of the distribution protocol as pulls and pushes need. FAULT is one of the names in FAULTS ("none":
an honest one). STATE-DIRECTORY holds what it begins with (blobs/, manifests/, tags/, as save() writes them) and what
is in it now; its file log has a line for each request: METHOD PATH STATUS AUTHORIZATION. The second port, that of
another host, is in PORT-FILE's second line.
"""

import hashlib
import json
import os
import random
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MB = 1 << 20
TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


class State:
    def __init__(self, directory, fault):
        self.directory = directory
        self.fault = fault
        self.lock = threading.Lock()
        self.blobs = {}
        self.manifests = {}  # digest: (type, bytes)
        self.tags = {}
        self.uploads = {}
        self.hits = {}
        self.tokens = {}  # token: (scopes, time it runs out)
        self.next = 0
        self.ports = (0, 0)
        self.seen = set()  # (repository, digest): with FAULT_HIDES, what repositories other than r have
        self.log_file = open(os.path.join(directory, "log"), "a", buffering=1)
        for digest in self.names("blobs"):
            with open(os.path.join(directory, "blobs", digest), "rb") as file:
                self.blobs[digest] = file.read()
        for digest in self.names("manifests"):
            with open(os.path.join(directory, "manifests", digest), "rb") as file:
                kind, _, data = file.read().partition(b"\n")
                self.manifests[digest] = (kind.decode(), data)
        for tag in self.names("tags"):
            with open(os.path.join(directory, "tags", tag)) as file:
                self.tags[tag] = file.read()

    def names(self, folder):
        try:
            return os.listdir(os.path.join(self.directory, folder))
        except FileNotFoundError:
            return []

    def write(self, folder, name, data):
        os.makedirs(os.path.join(self.directory, folder), exist_ok=True)
        with open(os.path.join(self.directory, folder, name), "wb") as file:
            file.write(data)

    def put_blob(self, digest, data):
        self.blobs[digest] = data
        self.write("blobs", digest, data)

    def put_manifest(self, reference, kind, data):
        digest = digest_of(data)
        self.manifests[digest] = (kind, data)
        self.write("manifests", digest, kind.encode() + b"\n" + data)
        if not reference.startswith("sha256:"):
            self.tags[reference] = digest
            self.write("tags", reference, digest.encode())
        return digest

    def count(self, key):
        """How often this has been asked before."""
        with self.lock:
            self.hits[key] = self.hits.get(key, 0) + 1
            return self.hits[key] - 1

    def number(self):
        with self.lock:
            self.next += 1
            return self.next


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Gone(Exception):
    """The connection was cut on purpose."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state = None
    other = False  # whether this is the other host

    def log_message(self, *_):
        pass

    # What every request does first.
    def handle_one(self):
        self.body_read = False
        self.path_only = urlsplit(self.path).path
        self.query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        try:
            self.route()
        except (Gone, BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_one

    def is_fault(self, *names):
        return self.state.fault in names

    def record(self, status):
        side = "other" if self.other else "own"
        self.state.log_file.write(
            f"{side} {self.command} {self.path} {status} {self.headers.get('Authorization', '-')}\n"
        )

    def answer(self, status, data=b"", headers=(), length=None):
        self.drain()
        self.record(status)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def error(self, status, code="UNKNOWN", message="as told", headers=()):
        self.answer(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(),
                    [("Content-Type", "application/json"), *headers])

    def reset(self):
        """Cuts the connection with a reset rather than an end."""
        self.record("reset")
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise Gone

    def finish_early(self):
        self.record("end")
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        raise Gone

    # A request's body.
    def body(self, most=None):
        self.body_read = True
        left = int(self.headers.get("Content-Length") or 0)
        parts = []
        got = 0
        while left > 0:
            if most is not None and got >= most:
                return b"".join(parts), True
            part = self.rfile.read(min(left, 65536))
            if not part:
                raise Gone
            parts.append(part)
            got += len(part)
            left -= len(part)
        return b"".join(parts), False

    def drain(self):
        if not self.body_read:
            self.body()

    # Who asks.
    def wants_token(self):
        return self.is_fault("token-pull", "token-push", "pull-only-challenge", "401-for-good", "basic",
                             "realm-elsewhere", "realm-http-elsewhere", "location-elsewhere", "redirect-elsewhere",
                             "error-echo", "scopes")

    def authorized(self, action):
        if not self.wants_token() or self.other:
            return True
        given = self.headers.get("Authorization", "")
        if self.is_fault("401-for-good"):
            return False
        if self.is_fault("basic"):
            return given == "Basic " + os.environ["FAULT_BASIC"]
        scope, until = self.state.tokens.get(given.removeprefix("Bearer "), (None, 0))
        if scope is None or time.monotonic() > until:
            return False
        if self.is_fault("token-pull", "token-push") and self.state.count("uses " + given) >= 2:
            # It ends before the time that was promised.
            del self.state.tokens[given.removeprefix("Bearer ")]
            return False
        return any(action in part.rsplit(":", 1)[-1].split(",") for part in scope)

    def challenge(self, name, action):
        port = self.state.ports[1 if self.is_fault("realm-http-elsewhere") else 0]
        host = "127.0.0.2" if self.is_fault("realm-http-elsewhere") else "127.0.0.1"
        if self.is_fault("realm-elsewhere"):
            realm = "ftp://127.0.0.2/token"
        else:
            realm = f"http://{host}:{port}/token"
        if self.is_fault("basic"):
            field = 'Basic realm="a registry, of sorts"'
        else:
            actions = "pull" if self.is_fault("pull-only-challenge") else action
            field = f'Bearer realm="{realm}",service="fault, registry",scope="repository:{name}:{actions}"'
        message = "denied"
        if self.is_fault("error-echo"):
            message = "denied for " + self.headers.get("Authorization", "-")
        self.error(401, "UNAUTHORIZED", message, [("WWW-Authenticate", field)])

    def token(self):
        if self.is_fault("error-echo"):
            return self.error(403, "DENIED", "no token for " + self.headers.get("Authorization", "-"))
        scopes = self.query.get("scope", [])
        if self.command == "POST":
            data, _ = self.body()
            form = parse_qs(data.decode())
            scopes = form.get("scope", [""])[0].split(" ")
        token = f"token-{self.state.number()}-{random.getrandbits(64):x}"
        self.state.tokens[token] = (scopes, time.monotonic() + 300)
        return self.answer(200, json.dumps({"token": token, "expires_in": 300}).encode(),
                           [("Content-Type", "application/json")])

    def route(self):
        path = self.path_only
        if path == "/token":
            return self.token()
        if self.other and path.startswith("/elsewhere/"):
            return self.serve_blob(path.rsplit("/", 1)[1])
        if path.rstrip("/") == "/v2":
            return self.answer(200)
        parts = path.split("/")
        for word in ("manifests", "blobs", "referrers"):
            if word not in parts[2:]:
                continue
            at = parts.index(word, 2)
            name, rest = "/".join(parts[2:at]), parts[at + 1:]
            if word == "blobs" and rest[0] == "uploads":
                if not self.authorized("push"):
                    return self.challenge(name, "pull,push")
                return self.upload(name, rest[1:])
            action = "push" if self.command in ("PUT", "DELETE") else "pull"
            if not self.authorized(action):
                return self.challenge(name, "pull,push" if action == "push" else "pull")
            if self.is_fault("403-for-good"):
                return self.error(403, "DENIED", "not for you")
            if word == "manifests":
                return self.manifest(name, rest[0])
            if word == "referrers":
                return self.referrers(name, rest[0])
            return self.blob(name, rest[0])
        return self.error(404)

    # Manifests.
    def manifest(self, name, reference):
        state = self.state
        if self.command == "PUT":
            return self.put_manifest(reference)
        digest = state.tags.get(reference, reference)
        if digest not in state.manifests:
            return self.error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        pushed_only = self.command == "HEAD" or os.environ.get("FAULT_SIDE") == "push"
        if self.is_fault("manifest-503") and not pushed_only and state.count("manifest") == 0:
            return self.error(503)
        if self.is_fault("manifest-429") and not pushed_only and state.count("manifest") == 0:
            return self.error(429, headers=[("Retry-After", "1")])
        kind, data = state.manifests[digest]
        if self.is_fault("redirect-loop"):
            return self.answer(307, headers=[("Location", f"{self.path_only}?n={state.number()}")])
        if self.is_fault("wrong-type"):
            kind = "text/html"
        if self.is_fault("huge-manifest"):
            data = b"{" + b" " * (60 * MB) + data[1:]
        if self.is_fault("manifest-digest-lie"):
            data = data + b"\n"
        headers = [("Content-Type", kind)]
        if not self.is_fault("no-digest-header"):
            headers.append(("Docker-Content-Digest", digest))
        return self.answer(200, data, headers)

    def put_manifest(self, reference):
        data, _ = self.body()
        state = self.state
        once = state.count("put manifest") == 0
        if self.is_fault("push-manifest-503") and once:
            return self.error(503)
        if self.is_fault("push-manifest-429") and once:
            return self.error(429, headers=[("Retry-After", "1")])
        if self.is_fault("push-manifest-400"):
            return self.error(400, "MANIFEST_INVALID", "manifest invalid")
        kind = self.headers.get("Content-Type", "")
        if kind not in TYPES:
            return self.error(400, "MANIFEST_INVALID", "no Content-Type")
        document = json.loads(data)
        wanted = [document["config"], *document["layers"]] if "layers" in document else []
        for item in wanted:
            if item["digest"] not in state.blobs:
                return self.error(400, "MANIFEST_BLOB_UNKNOWN", item["digest"])
        for item in document.get("manifests", []):
            if not reference.startswith("sha256-") and item["digest"] not in state.manifests:
                return self.error(400, "MANIFEST_UNKNOWN", item["digest"])
        digest = state.put_manifest(reference, kind, data)
        if self.is_fault("lost-201-manifest") and once:
            self.reset()
        headers = [("Location", f"/v2/x/manifests/{digest}"), ("Docker-Content-Digest", digest)]
        if "subject" in document and self.is_fault("referrers-api"):
            headers.append(("OCI-Subject", document["subject"]["digest"]))
        return self.answer(201, headers=headers)

    def referrers(self, name, digest):
        if not self.is_fault("referrers-api"):
            return self.error(404)
        found = []
        for own, (kind, data) in sorted(self.state.manifests.items()):
            document = json.loads(data)
            if document.get("subject", {}).get("digest") == digest:
                found.append({"mediaType": kind, "digest": own, "size": len(data),
                              "artifactType": document.get("artifactType", "")})
        page = int(self.query.get("page", ["0"])[0])
        headers = [("Content-Type", TYPES[0])]
        if page + 1 < len(found):
            headers.append(("Link", f'</v2/{name}/referrers/{digest}?page={page + 1}>; rel="next"'))
        index = {"schemaVersion": 2, "mediaType": TYPES[0], "manifests": found[page:page + 1]}
        return self.answer(200, json.dumps(index).encode(), headers)

    def hidden(self, name, digest):
        return "FAULT_HIDES" in os.environ and name != "r" and (name, digest) not in self.state.seen

    # Blobs that are read. Faults meet large ones: the layer.
    def blob(self, name, digest):
        data = self.state.blobs.get(digest)
        if data is None or self.hidden(name, digest):
            return self.error(404, "BLOB_UNKNOWN", "blob unknown")
        if self.command == "HEAD":
            return self.answer(200, length=len(data))
        if self.is_fault("redirect-elsewhere"):
            host = f"127.0.0.2:{self.state.ports[1]}"
            return self.answer(307, headers=[("Location", f"http://{host}/elsewhere/{digest}?signature=canary-signed")])
        return self.serve_blob(digest)

    def serve_blob(self, digest):
        data = self.state.blobs[digest]
        large = len(data) >= MB
        times = self.state.count("get " + digest) if large else -1
        fault = self.state.fault if large else "none"
        if fault == "before-headers" and times == 0:
            self.reset()
        if fault == "503-once" and times == 0 or fault == "503-three" and times < 3:
            return self.error(503)
        if fault == "500-once" and times == 0:
            return self.error(500)
        if fault == "429-once" and times == 0 or fault == "429-six" and times < 6:
            return self.error(429, headers=[("Retry-After", "1")])
        if fault == "429-late":
            return self.error(429, headers=[("Retry-After", "4711")])
        if fault == "flip-once" and times == 0 or fault == "flip-always":
            data = data[:MB // 2] + bytes([data[MB // 2] ^ 1]) + data[MB // 2 + 1:]
        if fault == "short":
            data = data[:-1000]
        if fault == "long":
            data = data + b"x" * 1000
        size = len(data)
        first, status = 0, 200
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            begin, _, end = asked[6:].partition("-")
            first, last = int(begin), int(end or size - 1)
            if fault == "range-ignored":
                first = 0
            elif first >= size:
                return self.error(416)
            else:
                status = 206
                data = data[first:last + 1]
        headers = [("Content-Type", "application/octet-stream")]
        if status == 206:
            begin = first
            if fault == "range-wrong":
                data, begin = self.state.blobs[digest][first // 2:], first // 2
            if fault == "range-lying":
                data = self.state.blobs[digest][:len(data)]
            headers.append(("Content-Range", f"bytes {begin}-{begin + len(data) - 1}/{size}"))
        if fault == "chunked" or fault in ("short-chunked", "long-chunked"):
            if fault == "short-chunked":
                data = data[:-1000]
            if fault == "long-chunked":
                data = data + b"x" * 1000
            return self.send_chunked(status, data, headers)
        stop = None
        if fault in ("reset-once", "range-ignored", "range-wrong", "range-lying") and times == 0:
            stop = 3 * MB
        if fault in ("end-early", "stall") and times == 0:
            stop = 3 * MB
        if fault == "reset-every-mb":
            stop = MB
        if fault == "stall-always":
            stop = 0 if first else MB
        self.record(status)
        self.send_response(status)
        for field, value in headers:
            self.send_header(field, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if fault == "drip":
            return self.drip(data)
        if stop is None or stop >= len(data):
            self.wfile.write(data)
            return None
        self.wfile.write(data[:stop])
        if fault in ("stall", "stall-always"):
            self.stall()
        if fault == "end-early":
            self.finish_early()
        # So that what was sent arrives before the reset.
        time.sleep(0.05)
        return self.reset()

    def stall(self):
        self.wfile.flush()
        time.sleep(70)
        self.reset()

    def drip(self, data):
        for i in range(600):
            self.wfile.write(data[i:i + 1])
            self.wfile.flush()
            time.sleep(0.5)
        self.reset()

    def send_chunked(self, status, data, headers):
        self.record(status)
        self.send_response(status)
        for field, value in headers:
            self.send_header(field, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(data), MB):
            part = data[at:at + MB]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    # Blobs that are written.
    def place(self, upload, name):
        """The next Location: it changes with every answer, as the protocol allows."""
        state = f"_state={self.state.number()}"
        self.state.uploads[upload]["state"] = state
        path = f"/v2/{name}/blobs/uploads/{upload}?{state}"
        if self.is_fault("location-elsewhere"):
            return f"http://127.0.0.2:{self.state.ports[1]}{path}"
        if self.is_fault("moved-location"):
            return f"http://127.0.0.1:{self.state.ports[0]}{path}"
        return path

    def upload(self, name, rest):
        state = self.state
        if self.command == "POST":
            if "mount" in self.query:
                if self.is_fault("mount-403"):
                    return self.error(403, "DENIED", "no mounts")
                if self.query["mount"][0] in state.blobs and not self.is_fault("mount-202"):
                    state.seen.add((name, self.query["mount"][0]))
                    return self.answer(201, headers=[("Location", f"/v2/{name}/blobs/{self.query['mount'][0]}")])
            if self.is_fault("post-503") and state.count("post") == 0:
                return self.error(503)
            upload = f"u{state.number()}"
            state.uploads[upload] = {"data": b"", "state": ""}
            headers = [("Location", self.place(upload, name)), ("Range", "0-0")]
            if self.is_fault("minimum-chunk"):
                headers.append(("OCI-Chunk-Min-Length", str(2 * MB)))
            return self.answer(202, headers=headers)
        session = state.uploads.get(rest[0])
        if session is None or session["state"] not in urlsplit(self.path).query:
            return self.error(404, "BLOB_UPLOAD_UNKNOWN", "upload unknown")
        if self.command == "DELETE":
            del state.uploads[rest[0]]
            return self.answer(204)
        if self.command == "GET":
            if self.is_fault("416-new-session"):
                return self.error(404)
            size = len(session["data"])
            return self.answer(204, headers=[("Location", self.place(rest[0], name)),
                                             ("Range", f"0-{max(size - 1, 0)}")])
        return self.receive(name, rest[0], session)

    def receive(self, name, upload, session):
        state = self.state
        length = int(self.headers.get("Content-Length") or 0)
        large = length >= MB
        times = state.count("receive") if large else -1
        fault = state.fault if large else "none"
        if fault in ("put-reset", "put-stall") and times == 0:
            data, _ = self.body(most=3 * MB)
            session["data"] += data
            if fault == "put-stall":
                self.record("stall")
                time.sleep(40)
            self.reset()
        if fault == "put-503" and times == 0:
            return self.error(503)
        if fault == "put-429" and times == 0:
            return self.error(429, headers=[("Retry-After", "1")])
        if fault in ("416", "416-new-session") and times == 0:
            return self.error(416)
        if fault == "put-flip":
            return self.error(400, "DIGEST_INVALID", "digest invalid")
        if self.command == "PUT" and large and fault in ("minimum-chunk", "201-on-patch"):
            return self.error(413, "SIZE_INVALID", "too large for one request")
        data, _ = self.body()
        if self.command == "PATCH":
            first = self.headers.get("Content-Range", "").partition("-")[0]
            if first and int(first) != len(session["data"]):
                return self.error(416, headers=[("Range", f"0-{max(len(session['data']) - 1, 0)}")])
            session["data"] += data
            status = 201 if self.is_fault("201-on-patch") else 202
            return self.answer(status, headers=[("Location", self.place(upload, name)),
                                                ("Range", f"0-{len(session['data']) - 1}")])
        session["data"] += data
        digest = self.query["digest"][0]
        if digest_of(session["data"]) != digest:
            del state.uploads[upload]
            return self.error(400, "DIGEST_INVALID", "digest invalid")
        state.put_blob(digest, session["data"])
        state.seen.add((name, digest))
        del state.uploads[upload]
        if fault == "lost-201" and times == 0:
            self.reset()
        return self.answer(201, headers=[("Location", f"/v2/{name}/blobs/{digest}"),
                                         ("Docker-Content-Digest", digest)])


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass


def main():
    port_file, directory, fault = sys.argv[1:4]
    os.makedirs(directory, exist_ok=True)
    state = State(directory, fault)
    own = type("Own", (Handler,), {"state": state, "other": False})
    other = type("Other", (Handler,), {"state": state, "other": True})
    servers = [Server(("127.0.0.1", 0), own), Server(("127.0.0.2", 0), other)]
    state.ports = tuple(server.server_address[1] for server in servers)
    with open(port_file + ".new", "w") as file:
        file.write("".join(f"{port}\n" for port in state.ports))
    os.rename(port_file + ".new", port_file)
    threading.Thread(target=servers[1].serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main()
