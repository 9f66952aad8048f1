// SPDX-License-Identifier: Apache-2.0
// The facts of an image's layers as those of its entries.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "layers/contents.h"
#include "layers/layer_table.h"
#include "src/cache/layer_findings.h"
#include "src/facts/file_facts.h"
#include "src/facts/tree_file_system.h"

namespace imgslim {

class ImageFacts : public FileFacts, public KnownDigests, public KnownContents {
 public:
  // `tables`, of the layers from the bottom up, must outlive it; of entries whose content was replaced since
  // the layer was read (Contents) it knows nothing. `layers` without a value: nothing is known or kept of it.
  ImageFacts(const std::vector<LayerTablePtr>& tables, std::vector<std::shared_ptr<LayerFindings>> layers)
      : tables_(tables), layers_(std::move(layers)) {}

  std::optional<std::string> recall(EntryRef entry, std::string_view fact) const override;
  void remember(EntryRef entry, std::string_view fact, std::string_view data) const override;

  // Whole contents, but of ELF files: these are read once, for what is found in them.
  std::optional<std::string> find(EntryRef file) const override;
  std::optional<Digest> find_digest(EntryRef file) const override;
  void add(EntryRef file, std::string_view content) const override;
  void add_digest(EntryRef file, const Digest& digest) const override;
  // Contents that `read` has, small ones remembered.
  std::string content(EntryRef file, std::uint64_t length, const ContentReader& read) const;

 private:
  LayerFindings* facts_of(EntryRef entry) const;
  const std::vector<LayerTablePtr>& tables_;
  std::vector<std::shared_ptr<LayerFindings>> layers_;
};

// The same for entries that stand for others: those of planned layers.
class MappedFacts : public FileFacts {
 public:
  // `place` tells the entry of `facts`, none if it has none.
  MappedFacts(const FileFacts& facts, std::function<EntryRef(EntryRef)> place)
      : facts_(facts), place_(std::move(place)) {}
  std::optional<std::string> recall(EntryRef entry, std::string_view fact) const override;
  void remember(EntryRef entry, std::string_view fact, std::string_view data) const override;

 private:
  const FileFacts& facts_;
  std::function<EntryRef(EntryRef)> place_;
};

}  // namespace imgslim
