// SPDX-License-Identifier: Apache-2.0
// Documents that refer to another (distribution-spec, "Listing Referrers"), and the index under a tag that
// stands for them where a registry has no such list ("Referrers Tag Schema").
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "layers/error.h"
#include "registry/client.h"

namespace imgslim {
namespace {

constexpr int kMaxPages = 100;
constexpr std::size_t kMaxReferrers = 10000;
constexpr int kTagTries = 4;

std::string fallback_tag(const Digest& subject) {
  std::string tag = std::string(subject.algorithm()) + "-" + std::string(subject.hex());
  // Longer ones are cut, as the schema says.
  const std::size_t most = subject.algorithm().size() + 1 + 64;
  if (tag.size() > most) tag.resize(most);
  return tag;
}

Json empty_index() {
  Json index = Json::object();
  index["schemaVersion"] = 2;
  index["mediaType"] = media_type::kOciIndex;
  index["manifests"] = Json::array();
  return index;
}

}  // namespace

std::vector<Descriptor> RegistryClient::referrers(const Digest& subject) const {
  std::vector<Descriptor> out;
  const std::string where = what("referrers of " + subject.short_text());
  Call get;
  get.path = "/referrers/" + subject.text();
  get.headers.emplace_back("Accept", std::string(media_type::kOciIndex));
  get.max_body = kMaxManifest;
  bool listed = false;
  for (int page = 0; page < kMaxPages; ++page) {
    const HttpResponse response = call_patiently(*servers_->origin, get);
    if (response.status != 200) {
      if (listed) fail("referrers of " + subject.short_text(), response);
      break;
    }
    listed = true;
    session_->transfers().came(response.body.size());
    for (Descriptor& entry : Index::parse(response.body, "", where).manifests)
      out.push_back(std::move(entry));
    if (out.size() > kMaxReferrers) throw_bad_image(where + ": there are too many");
    std::optional<std::string> link;
    for (const std::string_view field : response.headers.all("link")) {
      if (!link) link = parse_next_link(field);
    }
    if (!link) return out;
    const auto next = response.url.resolve(*link);
    if (!next || !next->same_origin(servers_->origin->endpoint.base)) {
      throw Error(Failure::kNetwork, where + ": the next page is on another server");
    }
    get.url = *next;
  }
  if (listed) throw_bad_image(where + ": there are too many pages");
  if (const auto tagged = find_own_manifest(fallback_tag(subject))) {
    out = Index::parse(tagged->bytes, "", where).manifests;
  }
  return out;
}

void RegistryClient::add_to_referrers_tag(const Digest& subject, const Descriptor& manifest) const {
  const std::string tag = fallback_tag(subject);
  const std::string where = what("index " + tag.substr(0, 19));
  // There is no compare-and-swap: another writer's entry may be lost, or ours. Ours is looked for again.
  for (int attempt = 0; attempt < kTagTries; ++attempt) {
    const auto found = find_own_manifest(tag);
    Json index = found ? Index::parse(found->bytes, "", where).json : empty_index();
    const std::string digest = manifest.digest.text();
    const bool listed = std::any_of(index["manifests"].begin(), index["manifests"].end(),
                                    [&](const Json& entry) { return entry.value("digest", "") == digest; });
    if (listed) return;
    index["manifests"].push_back(manifest.to_json());
    const std::string text = dump_json(index);
    store_manifest(Descriptor{std::string(media_type::kOciIndex), digest_of(text), text.size(), {}, {}, {}},
                   text, tag);
  }
  throw Error(Failure::kNetwork, where + ": other writers replaced it again and again");
}

}  // namespace imgslim
