// SPDX-License-Identifier: Apache-2.0
// One image of a run: its layers as read, its merged tree, the facts about it, what is decided, and what was
// written. The steps are called in the order in which they stand here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "layers/contents.h"
#include "layers/image_edit.h"
#include "layers/image_store.h"
#include "layers/layer_plan.h"
#include "layers/layer_writer.h"
#include "layers/tree.h"
#include "src/debug_files.h"
#include "src/decisions/keep.h"
#include "src/decisions/leftovers.h"
#include "src/decisions/slim_layers.h"
#include "src/facts/package_owner.h"
#include "src/facts/roots.h"
#include "src/facts/tree_file_system.h"
#include "src/image_facts.h"
#include "src/image_set.h"
#include "src/optimize.h"
#include "registry/work_queue.h"
#include "src/proof.h"
#include "src/proof_builder.h"
#include "src/scanned_layers.h"

namespace imgslim {

// Layers written in this run by layer_key(): equal planned layers of several images are built once.
using WrittenLayers = std::map<Digest, WrittenLayer>;

// The part of a blob's bytes that `part` of its plain bytes stands for, shared out evenly: what one file
// takes in a compressed layer cannot be known.
std::uint64_t compressed_share(std::uint64_t part, std::uint64_t blob_size, std::uint64_t plain_size);

class ImageWork {
 public:
  // `image` and `options` must outlive it.
  ImageWork(const SourceImage& image, const OptimizeOptions& options);

  // The merged tree. Each step gives back what it kept decoded, as a run may have many images.
  void merge(const ScannedLayers& layers);
  // The lowest layers that stay as they are.
  void keep_base(std::uint32_t layers) { base_layers_ = layers; }
  std::uint32_t base_layers() const { return base_layers_; }
  // What the image starts and who owns its files.
  void find_facts();
  // What the image's commands can reach (the keep rule); what speaks against the form distroless is then in
  // closure().stoppers.
  void find_closure();
  const KeepResult& closure() const { return *closure_; }
  // What goes in this form, and from which layers. For distroless after find_closure().
  void plan(Form wanted);
  // Writes what the plan rewrites into `destination`, each layer read back and compared with the plan; a
  // layer that does not get smaller stays as it was and the rest is planned again. A null destination: a dry
  // run.
  void rewrite(ImageDestination* destination, WrittenLayers& written);
  // Returns when all that was written has been read back: nothing may name it before.
  void await_checks() { checks_.wait(); }
  // Config and manifest of the result.
  EditedImage edit(const std::optional<std::string>& created) const;

  const SourceImage& image() const { return image_; }
  const Roots& roots() const { return roots_; }
  bool changed() const { return slim_ ? slim_changed_ : plan_.changes(); }
  // Whether the image's layers above the base are all new: none of the source's is copied.
  bool is_slim() const { return slim_.has_value() && slim_changed_; }
  const std::vector<LayerChange>& changes() const { return changes_; }
  const std::vector<BlobPtr>& blobs() const { return blobs_; }
  PlatformReport report() const;
  // What is kept and why, what is gone and by which rule; the digest of the result is the caller's.
  ProofPlatform prove(Form form) const;
  const Tree& tree() const { return tree_; }
  // What a container of the result sees.
  Tree result_tree() const;

  // Writes the companions of the files whose debug information was taken out, and those that the source had,
  // as an artifact that refers to `result`. Before the destination's publish().
  void write_companions(const ImageSource& source, ImageDestination& destination, const Descriptor& result);

 private:
  // Takes the debug information out of the files for which `stays` holds, or counts what could be taken: from
  // then on the tree and its contents show the files as they will be.
  void handle_debug_info(const std::function<bool(NodeId)>& stays);
  void count_debug_info(const std::vector<DebugCandidate>& candidates);
  std::vector<DebugCandidate> debug_candidates(const std::function<bool(NodeId)>& stays) const;
  std::optional<DebugFileReport> reason_to_leave(const DebugCandidate& candidate) const;
  void prove_debug_info(ProofPlatform& platform) const;
  // Adds the bytes of an entry that are gone because its content lost debug information.
  std::vector<GoneBy> with_debug_info(EntryRef entry, std::vector<GoneBy> gone) const;
  void prove_dropped(ProofPlatform& platform) const;
  void prove_dropped_slim(ProofPlatform& platform, const Tree& result) const;
  void rewrite_layers(ImageDestination* destination, WrittenLayers& written);
  void write_companion_layer(ImageDestination& destination, WrittenLayers& written);
  void forget_contents() const;
  bool stays_apart(NodeId node) const;
  ContentReader content_reader() const;
  KeepInput keep_input() const;
  // False, and nothing is planned, if no file goes: then the image has the form already, and its own layers
  // stay.
  bool plan_slim();
  void rewrite_slim(ImageDestination* destination, WrittenLayers& written);
  std::vector<LayerTablePtr> base_tables() const;
  void check_slim();
  void report_slim(PlatformReport& report) const;
  LayerFormat format_for(Compression source) const;
  // Writes a planned layer once; several at a time may be. Nothing if `accept` does not want what came out.
  // `layer` is used until await_checks() returns.
  std::optional<WrittenLayer> write_once(const PlannedLayer& layer, const std::vector<LayerTablePtr>& tables,
                                         const Contents& contents, const LayerFormat& format,
                                         ImageDestination& destination, WrittenLayers& written,
                                         const std::function<bool(const WrittenLayer&)>& accept);
  std::vector<RuleReport> rule_reports() const;
  void add_debug_info_rule(PlatformReport& report) const;
  std::string debug_info_reason() const;

  LayerFormat usual_format() const;

  const SourceImage& image_;
  const OptimizeOptions& options_;
  std::uint32_t base_layers_ = 0;
  std::vector<LayerTablePtr> source_tables_;  // as they were read
  std::vector<LayerTablePtr> tables_;         // the same, but for files whose contents were replaced
  std::vector<BlobPtr> blobs_;
  std::vector<BlobPtr> replaced_;  // by layer: contents that take the place of the layer's own
  std::unique_ptr<DebugFiles> debug_files_;
  std::optional<WrittenLayer> companion_layer_;
  DebugInfoReport debug_info_;
  bool debug_info_handled_ = false;
  Tree tree_;
  std::unique_ptr<Contents> contents_;
  ImageCache* cache_ = nullptr;
  std::optional<ImageFacts> facts_;
  std::unique_ptr<TreeFileSystem> files_;
  PackageDatabase packages_;
  Roots roots_;
  std::vector<std::string> in_place_;  // directories in which programs may write files in place
  Leftovers leftovers_;
  std::map<NodeId, std::string> rule_of_;  // rule id of dropped nodes
  std::vector<Command> more_commands_;
  std::optional<KeepResult> closure_;
  std::optional<SlimPlan> slim_;
  std::unique_ptr<Contents> slim_contents_;  // the source's and what was generated
  std::vector<LayerTablePtr> slim_tables_;
  std::vector<std::optional<WrittenLayer>> slim_written_;
  bool slim_changed_ = true;
  std::mutex written_mutex_;  // guards the layers written in this run
  bool lost_shell_ = false;           // the source has /bin/sh, the planned layers do not
  PlanRequest request_;
  ImagePlan plan_;
  std::vector<LayerChange> changes_;
  WorkQueue checks_{1};  // last: it uses the others
};

}  // namespace imgslim
