// SPDX-License-Identifier: Apache-2.0
// One image of a run: its layers as read, its merged tree, the facts about it, what is decided, and what was
// written. The steps are called in the order in which they stand here.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layers/contents.h"
#include "layers/image_edit.h"
#include "layers/image_store.h"
#include "layers/layer_plan.h"
#include "layers/layer_writer.h"
#include "layers/tree.h"
#include "src/decisions/leftovers.h"
#include "src/facts/package_owner.h"
#include "src/facts/roots.h"
#include "src/facts/tree_file_system.h"
#include "src/image_set.h"
#include "src/optimize.h"

namespace imgslim {

// Layers written in this run by layer_key(): equal planned layers of several images are built once.
using WrittenLayers = std::map<Digest, WrittenLayer>;

class ImageWork {
 public:
  // `image` and `options` must outlive it.
  ImageWork(const SourceImage& image, const OptimizeOptions& options);

  // The merged tree. `tables` and `blobs` are the image's layers from the bottom up.
  void merge(std::vector<LayerTablePtr> tables, std::vector<BlobPtr> blobs);
  // What the image starts and who owns its files.
  void find_facts();
  // What goes in this form, and from which layers.
  void plan(Form form);
  // Writes what the plan rewrites into `destination`, each layer read back and compared with the plan; a
  // layer that does not get smaller stays as it was and the rest is planned again. A null destination: a dry
  // run.
  void rewrite(ImageDestination* destination, WrittenLayers& written);
  // Config and manifest of the result.
  EditedImage edit(const std::optional<std::string>& created) const;

  const SourceImage& image() const { return image_; }
  const Roots& roots() const { return roots_; }
  bool changed() const { return plan_.changes(); }
  const std::vector<LayerChange>& changes() const { return changes_; }
  const std::vector<BlobPtr>& blobs() const { return blobs_; }
  PlatformReport report() const;

 private:
  bool stays_apart(NodeId node) const;
  std::vector<RuleReport> rule_reports() const;

  const SourceImage& image_;
  const OptimizeOptions& options_;
  std::vector<LayerTablePtr> tables_;
  std::vector<BlobPtr> blobs_;
  Tree tree_;
  std::unique_ptr<Contents> contents_;
  std::unique_ptr<TreeFileSystem> files_;
  PackageDatabase packages_;
  Roots roots_;
  std::vector<std::string> in_place_;  // directories in which programs may write files in place
  Leftovers leftovers_;
  std::map<NodeId, std::string> rule_of_;  // rule id of dropped nodes
  PlanRequest request_;
  ImagePlan plan_;
  std::vector<LayerChange> changes_;
};

}  // namespace imgslim
