// SPDX-License-Identifier: Apache-2.0
#include "src/open_image.h"

#include <CLI/CLI.hpp>

#include "layers/error.h"
#include "registry/remote_store.h"
#include "src/command.h"
#include "src/local_store.h"

namespace imgslim {

void add_network_options(CLI::App& app, NetworkArguments& arguments) {
  app.add_option("--authfile", arguments.authfile, "credentials of registries")->type_name("FILE");
  app.add_option("--ca-file", arguments.ca_file,
                 "certificates that registries are trusted by, besides the system's")
      ->type_name("FILE");
  app.add_flag("--offline", arguments.offline, "use no network, but what earlier runs kept of registries");
  app.add_flag("--plain-http", arguments.plain_http, "talk to registries without TLS");
  app.add_option("--timeout", arguments.timeout, "give up on the network after that time")
      ->check(CLI::Range(1, 1000000))
      ->type_name("SECONDS");
}

ImageStores::ImageStores(const NetworkArguments& arguments, std::string spool_directory)
    : arguments_(arguments), spool_directory_(std::move(spool_directory)) {}

const SessionPtr& ImageStores::session() {
  if (!session_) {
    NetworkOptions options;
    options.plain_http = arguments_.plain_http;
    options.ca_file = arguments_.ca_file;
    options.authfile = arguments_.authfile;
    options.timeout = std::chrono::seconds(arguments_.timeout);
    options.spool_directory = spool_directory_;
    session_ = std::make_shared<NetworkSession>(std::move(options));
  }
  return session_;
}

std::unique_ptr<ImageSource> ImageStores::open_source(const ImageName& name) {
  switch (name.transport) {
    case Transport::kDocker:
      if (arguments_.offline) return open_offline(name, cache_directory());
      return keep_documents(open_registry_source(name, session()), name, cache_directory());
    case Transport::kDockerDaemon:
      return open_daemon_source(name, session());
    default:
      return open_image_source(name, spool_directory_);
  }
}

std::unique_ptr<ImageDestination> ImageStores::open_destination(const ImageName& name,
                                                                const DestinationNeeds& needs,
                                                                const ImageName* source) {
  switch (name.transport) {
    case Transport::kDocker:
      if (arguments_.offline) throw_usage("--offline: " + name.text() + " cannot be written");
      return open_registry_destination(name, session(), source);
    case Transport::kDockerDaemon:
      return open_daemon_destination(name, needs, session());
    default:
      return open_image_destination(name, needs);
  }
}

TransferReport ImageStores::transfers() const {
  return session_ ? session_->transfers().report() : TransferReport();
}

}  // namespace imgslim
