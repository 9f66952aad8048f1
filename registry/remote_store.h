// SPDX-License-Identifier: Apache-2.0
// Images in registries as sources and destinations.
#pragma once

#include <memory>

#include "layers/image_store.h"
#include "registry/session.h"

namespace imgslim {

// Reads the manifest or index that `name` (docker://) says. Throws Error{kNetwork} if there is none.
std::unique_ptr<ImageSource> open_registry_source(const ImageName& name, const SessionPtr& session);

// Blobs go up while the image is being made; nothing names them until publish(), which puts manifests,
// indexes and at last the tag, and reads the tag's digest again. `source`: if it is in the same registry, its
// blobs are mounted rather than moved.
std::unique_ptr<ImageDestination> open_registry_destination(const ImageName& name, const SessionPtr& session,
                                                            const ImageName* source);

// Images in a Docker daemon, over its socket ($DOCKER_HOST, else /var/run/docker.sock): what docker save
// writes, and what docker load reads.
std::unique_ptr<ImageSource> open_daemon_source(const ImageName& name, const SessionPtr& session);
std::unique_ptr<ImageDestination> open_daemon_destination(const ImageName& name,
                                                          const DestinationNeeds& needs,
                                                          const SessionPtr& session);

}  // namespace imgslim
