// SPDX-License-Identifier: Apache-2.0
#include "layers/image_name.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "layers/digest.h"
#include "layers/error.h"

namespace imgslim {
namespace {

constexpr std::array<std::pair<std::string_view, Transport>, 5> kTransports = {{
    {"oci:", Transport::kOci},
    {"oci-archive:", Transport::kOciArchive},
    {"docker-archive:", Transport::kDockerArchive},
    {"docker://", Transport::kDocker},
    {"docker-daemon:", Transport::kDockerDaemon},
}};

constexpr std::string_view kSpellings =
    "write oci:DIR[:REF], docker-archive:FILE[:NAME] or docker://HOST/REPO[:TAG]";

std::string_view prefix_of(Transport transport) {
  for (const auto& [prefix, kind] : kTransports) {
    if (kind == transport) return prefix;
  }
  return {};
}

bool path_exists(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

bool is_directory(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool is_lower_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_alnum(char c) {
  return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

// distribution-spec, "Pulling manifests": [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}.
bool is_tag(std::string_view text) {
  if (text.empty() || text.size() > 128 || text.front() == '.' || text.front() == '-') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

// One part of a repository's path: lower-case letters and digits, joined by '.', '_', '__' or dashes.
bool is_path_part(std::string_view text) {
  if (text.empty() || !is_lower_alnum(text.front()) || !is_lower_alnum(text.back())) return false;
  for (std::size_t i = 0; i < text.size();) {
    if (is_lower_alnum(text[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && text[end] == text[i])
      ++end;
    const std::size_t run = end - i;
    const bool joins = text[i] == '-' || (text[i] == '.' && run == 1) || (text[i] == '_' && run <= 2);
    if (!joins || end == text.size() || !is_lower_alnum(text[end])) return false;
    i = end;
  }
  return true;
}

bool is_host(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alnum(c) || c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
  });
}

// Whether the first part of a name is a host rather than a folder of Docker Hub.
bool looks_like_host(std::string_view first) {
  return first == "localhost" || first.find('.') != std::string_view::npos ||
         first.find(':') != std::string_view::npos;
}

bool is_repository(std::string_view text) {
  if (text.empty() || text.size() > 255) return false;
  while (true) {
    const std::size_t slash = text.find('/');
    if (!is_path_part(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

// "[HOST/]REPO[:TAG][@DIGEST]" with Docker Hub's short names written out.
ImageName parse_registry_name(std::string_view text, Transport transport) {
  const std::string shown = printable(text);
  auto refuse = [&](std::string_view why) {
    throw_usage(fmt::format("image name \"{}{}\": {}", prefix_of(transport), shown, why));
  };
  ImageName out;
  out.transport = transport;
  if (const std::size_t at = text.find('@'); at != std::string_view::npos) {
    out.digest = text.substr(at + 1);
    if (!Digest::parse(out.digest)) refuse("what follows '@' is not a digest");
    text = text.substr(0, at);
  }
  const std::size_t last_slash = text.rfind('/');
  const std::size_t colon = text.rfind(':');
  const bool has_tag =
      colon != std::string_view::npos && (last_slash == std::string_view::npos || colon > last_slash);
  if (has_tag) {
    out.reference = text.substr(colon + 1);
    if (!is_tag(out.reference)) refuse("what follows ':' is not a tag");
    text = text.substr(0, colon);
  }
  if (transport == Transport::kDockerDaemon) {
    if (text.empty()) refuse("the name is missing");
    out.location = text;
    return out;
  }
  const std::size_t slash = text.find('/');
  std::string host = "docker.io";
  std::string repository(text);
  if (slash != std::string_view::npos && looks_like_host(text.substr(0, slash))) {
    host = text.substr(0, slash);
    repository = text.substr(slash + 1);
  } else if (slash == std::string_view::npos) {
    repository = "library/" + repository;
  }
  if (!is_host(host) || !is_repository(repository)) refuse("is not HOST/REPO, with REPO in lower case");
  out.location = host + "/" + repository;
  return out;
}

// "PATH[:REF]", see the header.
ImageName parse_file_name(std::string_view rest, Transport transport, bool source) {
  const std::string shown = fmt::format("{}{}", prefix_of(transport), printable(rest));
  ImageName out;
  out.transport = transport;
  out.location = rest;
  if (rest.find('\0') != std::string_view::npos) throw_usage("image name \"" + shown + "\": holds a NUL");
  if (!path_exists(out.location)) {
    const std::size_t colon = rest.find(':');
    const std::size_t at = rest.find("@sha");
    if (at != std::string_view::npos && at < colon && Digest::parse(rest.substr(at + 1))) {
      out.location = rest.substr(0, at);
      out.reference = rest.substr(at);
    } else if (colon != std::string_view::npos) {
      out.location = rest.substr(0, colon);
      out.reference = rest.substr(colon + 1);
      if (out.reference.empty()) throw_usage("image name \"" + shown + "\": nothing follows the last ':'");
    }
  }
  if (out.location.empty()) throw_usage("image name \"" + shown + "\": the path is missing");
  if (out.location == "-" && transport == Transport::kOci) {
    throw_usage("image name \"" + shown + "\": a layout is a directory, only archives go through a pipe");
  }
  if (out.reference.starts_with('@')) {
    const bool fits =
        source && transport != Transport::kDockerArchive && Digest::parse(out.reference.substr(1));
    if (!fits)
      throw_usage("image name \"" + shown + "\": what follows '@' is not a digest that can stand here");
  } else if (transport == Transport::kDockerArchive && !out.reference.empty()) {
    const ImageName tagged = parse_registry_name(out.reference, Transport::kDocker);
    if (!tagged.digest.empty())
      throw_usage("image name \"" + shown + "\": an archive holds no digest as a name");
  } else {
    // annotations.md, "org.opencontainers.image.ref.name".
    const bool fits = std::all_of(out.reference.begin(), out.reference.end(), [](char c) {
      return is_alnum(c) || std::string_view("-._:@/+").find(c) != std::string_view::npos;
    });
    if (!fits) throw_usage("image name \"" + shown + "\": REF may hold letters, digits and -._:@/+ only");
  }
  return out;
}

std::optional<ImageName> parse_with_transport(std::string_view text, bool source) {
  for (const auto& [prefix, transport] : kTransports) {
    if (!text.starts_with(prefix)) continue;
    const std::string_view rest = text.substr(prefix.size());
    if (transport == Transport::kDocker || transport == Transport::kDockerDaemon) {
      return parse_registry_name(rest, transport);
    }
    return parse_file_name(rest, transport, source);
  }
  return std::nullopt;
}

}  // namespace

std::string ImageName::text() const {
  if (transport == Transport::kDocker || transport == Transport::kDockerDaemon) {
    std::string out = std::string(prefix_of(transport)) + location;
    if (!reference.empty()) out += ":" + reference;
    if (!digest.empty()) out += "@" + digest;
    return out;
  }
  std::string out = sniffed ? location : std::string(prefix_of(transport)) + location;
  if (!reference.empty()) out += ":" + reference;
  return out;
}

ImageName parse_source_name(std::string_view text) {
  if (auto name = parse_with_transport(text, true)) return *name;
  ImageName out;
  out.location = text;
  if (text == "-") {
    out.transport = Transport::kDockerArchive;
    out.sniffed = true;
    return out;
  }
  const bool plain = !text.empty() && text.find('\0') == std::string_view::npos;
  if (plain && path_exists(out.location)) {
    out.transport = is_directory(out.location) ? Transport::kOci : Transport::kDockerArchive;
    out.sniffed = out.transport == Transport::kDockerArchive;
    return out;
  }
  const std::size_t slash = text.find('/');
  if (plain && slash != std::string_view::npos && slash > 0 && looks_like_host(text.substr(0, slash)) &&
      !text.starts_with("./") && !text.starts_with("../")) {
    return parse_registry_name(text, Transport::kDocker);
  }
  throw_usage(
      fmt::format("source \"{}\" is no file, directory or registry name: {}", printable(text), kSpellings));
}

ImageName parse_destination_name(std::string_view text) {
  if (auto name = parse_with_transport(text, false)) return *name;
  throw_usage(fmt::format("destination \"{}\" has no transport: {}", printable(text), kSpellings));
}

}  // namespace imgslim
