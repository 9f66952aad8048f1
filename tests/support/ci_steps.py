#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes the run steps out of the GitHub action or the GitLab template and executes them: ci_steps.py KIND FILE DIRECTORY NAME=VALUE...

KIND is github or gitlab. NAME=VALUE sets an input of the action, or a variable of the template. A comment API listens on
the loopback; what it holds at the end is DIRECTORY/comments.json, and its requests are DIRECTORY/requests. Comments that
are there before come from DIRECTORY/comments.json. The exit status is that of the first step that fails."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading

import yaml


class Api(http.server.BaseHTTPRequestHandler):
    comments = []
    requests = []
    token = ("Authorization", "Bearer secret")

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_request(self):
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        self.requests.append(f"{self.command} {self.path}")
        if self.headers.get(self.token[0]) != self.token[1]:
            return self.answer(401, {"message": "no token"})
        if self.command == "GET":
            page = int(re.search(r"[?&]page=(\d+)", self.path).group(1))
            return self.answer(200, self.comments[(page - 1) * 100:page * 100])
        if self.command == "POST":
            self.comments.append({"id": len(self.comments) + 1, "body": body["body"]})
            return self.answer(201, self.comments[-1])
        number = int(self.path.rsplit("/", 1)[1])
        comment = next(comment for comment in self.comments if comment["id"] == number)
        comment["body"] = body["body"]
        return self.answer(200, comment)

    do_GET = do_POST = do_PATCH = do_PUT = handle_request

    def log_message(self, *_):
        pass


def github_steps(document, values):
    """Name, script, environment and condition of each step; `outputs` fills up as they run."""
    inputs = {name: str(item.get("default", "")) for name, item in document["inputs"].items()}
    inputs.update(values)
    outputs = {}

    def expand(text):
        def value_of(expression):
            if expression.startswith("inputs."):
                return inputs[expression[len("inputs."):]]
            step = re.fullmatch(r"steps\.(\w+)\.outputs\.(\w+)", expression)
            if step:
                return outputs.get(step.group(1), {}).get(step.group(2), "")
            raise SystemExit(f"ci_steps.py: an expression that is not known here: {expression}")

        def value(match):
            values = [value_of(part.strip()) for part in match.group(1).split("||")]
            return next((one for one in values if one), "")
        return re.sub(r"\$\{\{(.*?)\}\}", value, text)

    for step in document["runs"]["steps"]:
        condition = step.get("if", "")
        name = re.search(r"inputs\.([a-z-]+) != ''", condition)
        if name and not inputs[name.group(1)]:
            continue
        yield step["id"], step["run"], lambda step=step: {key: expand(text) for key, text in step["env"].items()}, outputs


def main():
    kind, path, directory = sys.argv[1:4]
    values = dict(argument.split("=", 1) for argument in sys.argv[4:])
    with open(path, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    comments = os.path.join(directory, "comments.json")
    if os.path.exists(comments):
        with open(comments, encoding="utf-8") as file:
            Api.comments = json.load(file)
    if kind == "gitlab":
        Api.token = ("PRIVATE-TOKEN", "secret")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    environment = {**os.environ, "no_proxy": "*"}
    status = 0
    if kind == "github":
        temporary = os.path.join(directory, "runner")
        os.makedirs(temporary, exist_ok=True)
        environment.update(RUNNER_TEMP=temporary, GITHUB_OUTPUT=os.path.join(directory, "output"),
                           GITHUB_STEP_SUMMARY=os.path.join(directory, "summary"), GITHUB_API_URL=url,
                           GITHUB_REPOSITORY="team/app")
        values.setdefault("token", "secret")
        values.setdefault("pull-request", "")
        for name, script, variables, outputs in github_steps(document, values):
            open(environment["GITHUB_OUTPUT"], "a", encoding="utf-8").close()
            with open(environment["GITHUB_OUTPUT"], encoding="utf-8") as file:
                before = len(file.read())
            # As the runner starts `shell: bash`.
            file = os.path.join(temporary, name + ".sh")
            with open(file, "w", encoding="utf-8") as out:
                out.write(script)
            result = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", file],
                                    env={**environment, **variables()}, check=False)
            with open(environment["GITHUB_OUTPUT"], encoding="utf-8") as file:
                lines = file.read()[before:].splitlines()
            outputs[name] = dict(line.split("=", 1) for line in lines)
            status = status or result.returncode
            if result.returncode and name in ("program", "optimize"):
                break
    else:
        job = document[".imgslim"]
        environment.update(job["variables"], CI_API_V4_URL=url, CI_PROJECT_ID="7", **values)
        # CI_STEPS_SHELL: words that start the job image's shell.
        shell = os.environ.get("CI_STEPS_SHELL", "sh").split()
        for script in job["script"]:
            status = subprocess.run([*shell, "-c", script], env=environment, check=False).returncode
            if status:
                break
    server.shutdown()
    with open(comments, "w", encoding="utf-8") as file:
        json.dump(Api.comments, file)
    with open(os.path.join(directory, "requests"), "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in Api.requests)
    sys.exit(status)


main()
