// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "layers/error.h"
#include "src/facts/roots_from.h"

namespace imgslim {
namespace {

using Words = std::vector<std::string>;

ImageConfig config() {
  ImageConfig config;
  config.entrypoint = {"/app"};
  config.cmd = {"serve"};
  return config;
}

std::vector<Command> read(std::string_view text, std::string_view image = "") {
  return commands_from_deployment(text, "deploy.yaml", config(), image);
}

TEST_CASE("roots from: a Deployment with probes, hooks and init containers") {
  const auto commands = read(R"YAML(
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      initContainers:
      - name: migrate
        image: reg.example/team/app:1
        command: [/migrate]
      containers:
      - name: app
        image: reg.example/team/app@sha256:00
        env: [{name: PORT, value: "80"}]
        args: ["--port=$(PORT)", "$$(X)"]
        livenessProbe: {exec: {command: [/probe, live]}}
        readinessProbe: {httpGet: {port: 80}}
        lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
      - name: sidecar
        image: other
        command: [envoy]
---
apiVersion: v1
kind: ConfigMap
data: {command: x}
)YAML",
                             "reg.example/team/app:2");
  REQUIRE(commands.size() == 4);
  CHECK(commands[0].argv == Words{"/migrate"});
  CHECK(commands[0].origin == "deploy.yaml: Deployment web, container migrate");
  CHECK(commands[1].argv == Words{"/app", "--port=80", "$(X)"});
  CHECK(commands[1].env == Words{"PORT=80"});
  CHECK(commands[2].argv == Words{"/probe", "live"});
  CHECK_FALSE(commands[2].application);
  CHECK(commands[3].argv == Words{"sleep", "5"});
}

TEST_CASE("roots from: Pod, CronJob, List and JSON") {
  CHECK(read("apiVersion: v1\nkind: Pod\nspec: {containers: [{command: [a]}]}\n")[0].argv == Words{"a"});
  CHECK(read("apiVersion: batch/v1\nkind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: {containers: "
             "[{command: [b], args: [c]}]}}}}}\n")[0]
            .argv == Words{"b", "c"});
  CHECK(read(R"YAML({"apiVersion":"v1","kind":"List","items":[
    {"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"command":["d"]}]}}]})YAML")[0]
            .argv == Words{"d"});
}

TEST_CASE("roots from: Compose") {
  const auto commands = read(R"YAML(
x-base: &base
  environment: {A: "1"}
services:
  web:
    <<: *base
    image: app:1
    command: serve --name "a b" $$HOME
    healthcheck: {test: ["CMD", "/probe"]}
  worker:
    build: .
    entrypoint: ["/worker"]
    working_dir: /w
    healthcheck: {test: "curl x || exit 1"}
    post_start: [{command: [/hook]}]
  db:
    image: postgres
    command: postgres
)YAML",
                             "docker.io/library/app");
  REQUIRE(commands.size() == 5);
  CHECK(commands[0].argv == Words{"/app", "serve", "--name", "a b", "$HOME"});
  CHECK(commands[0].env == Words{"A=1"});
  CHECK(commands[1].argv == Words{"/probe"});
  CHECK(commands[2].argv == Words{"/worker"});
  CHECK(commands[2].working_dir == "/w");
  CHECK(commands[3].argv == Words{"/bin/sh", "-c", "curl x || exit 1"});
  CHECK(commands[4].argv == Words{"/hook"});
}

TEST_CASE("roots from: what is wrong is named with its line") {
  const auto message = [](std::string_view text) -> std::string {
    try {
      read(text);
    } catch (const Error& error) {
      CHECK(error.failure() == Failure::kUsage);
      return error.what();
    }
    return "";
  };
  CHECK(message("a: [").starts_with("deploy.yaml: line "));
  CHECK(message("apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - command: text\n") ==
        "deploy.yaml: line 5: command is not a list");
  CHECK(message("services: [a]\n") == "deploy.yaml: line 1: services is not a map");
  CHECK(read("").empty());
  CHECK(read("- a\n- b\n").empty());
  CHECK_THROWS_AS(commands_from_deployment_file("/nonexistent/file", config()), Error);
}

}  // namespace
}  // namespace imgslim
