// SPDX-License-Identifier: Apache-2.0
// Images by name, whatever the transport: files of this machine, registries, a Docker daemon.
#pragma once

#include <memory>
#include <string>

#include "layers/image_name.h"
#include "layers/image_store.h"
#include "registry/session.h"
#include "registry/transfers.h"

namespace CLI {
class App;
}

namespace imgslim {

// What a run says about the network.
struct NetworkArguments {
  bool plain_http = false;
  std::string ca_file;
  std::string authfile;
  std::uint64_t timeout = 0;  // seconds
  bool offline = false;       // registries are what earlier runs kept of them
};
void add_network_options(CLI::App& app, NetworkArguments& arguments);

// Opens the images of one run; connections and credentials are shared, and come into being when the first
// name needs them.
class ImageStores {
 public:
  // `spool_directory`: for copies of what cannot be read twice.
  ImageStores(const NetworkArguments& arguments, std::string spool_directory);

  std::unique_ptr<ImageSource> open_source(const ImageName& name);
  // `source`: where the image comes from, so that a registry can take blobs over from a repository of its
  // own.
  std::unique_ptr<ImageDestination> open_destination(const ImageName& name, const DestinationNeeds& needs,
                                                     const ImageName* source);
  TransferReport transfers() const;

 private:
  const SessionPtr& session();

  NetworkArguments arguments_;
  std::string spool_directory_;
  SessionPtr session_;
};

}  // namespace imgslim
