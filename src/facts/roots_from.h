// SPDX-License-Identifier: Apache-2.0
// Commands that deployment files start in an image (--roots-from FILE): Kubernetes Pod, PodTemplate,
// ReplicaSet, ReplicationController, Deployment, StatefulSet, DaemonSet, Job, CronJob and List, several
// documents in one file (kustomize output), and Compose files. YAML 1.2 or JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "layers/manifest.h"
#include "src/facts/roots.h"

namespace imgslim {

// Commands of all containers (initContainers and ephemeral ones too) in `text`: command and args in place
// of ENTRYPOINT and CMD as each format defines it, exec probes, lifecycle hooks, health checks. With `image`
// non-empty only containers whose image is that repository ("registry.example/team/app", any tag or digest),
// or that name none. Documents of other kinds are skipped. Throws Error{kUsage}, naming `name` and the line,
// for what is no YAML or has the wrong types.
std::vector<Command> commands_from_deployment(std::string_view text, std::string_view name,
                                              const ImageConfig& config, std::string_view image = {});

// The same from a file of this machine, at most 16 MiB. Throws Error{kIo} if it cannot be read.
std::vector<Command> commands_from_deployment_file(const std::string& path, const ImageConfig& config,
                                                   std::string_view image = {});

}  // namespace imgslim
