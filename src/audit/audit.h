// SPDX-License-Identifier: Apache-2.0
// Where the bytes of images come from: the data behind every format of imgslim-audit(1).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layers/layer_table.h"
#include "layers/stream.h"
#include "layers/tree.h"
#include "src/audit/attribution.h"
#include "src/audit/elf_sections.h"
#include "src/audit/go_sizes.h"
#include "src/decisions/glob.h"
#include "src/facts/package_owner.h"
#include "src/image_set.h"

namespace imgslim {

// Sums over entries.
struct Bytes {
  std::uint64_t files = 0;
  std::uint64_t unpacked = 0;    // tar bytes: headers, content and padding
  std::uint64_t compressed = 0;  // share of the layers' blobs
  Bytes& operator+=(const Bytes& other);
};

struct NamedSum {
  std::string name;
  std::string detail;  // version of a package, reason of a rule
  Bytes bytes;
};

// Content that a layer hid, by the way it did and the layer it lies in.
struct WasteGroup {
  std::uint32_t hidden_by = 0;  // layer
  std::uint32_t lies_in = 0;    // layer
  Visibility how = Visibility::kReplaced;
  std::string_view change;  // what differs if the same content was written again; "" if it is other content
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;       // of content
  std::uint64_t compressed = 0;  // share of the blobs
  EntryRef largest;
};

struct Waste {
  std::uint64_t copies = 0;        // content bytes of all layers
  std::uint64_t visible = 0;       // those that are visible in the end
  std::uint64_t bytes = 0;         // the difference, less what is ignored
  double efficiency = 1;           // visible / copies
  std::uint64_t user_bytes = 0;    // hidden by layers above the base
  std::uint64_t user_copies = 0;   // content bytes of the layers above the base
  double user_percent = 0;         // of them; 0 if there are none
  std::vector<WasteGroup> groups;  // largest first
};

// A file that holds bytes no program needs to run.
struct DebugBytes {
  EntryRef file;
  ElfBytes bytes;
};

struct FormSaving {
  std::string form;
  Bytes bytes;
};

struct SizeAdvice {
  std::uint64_t bytes = 0;  // unpacked
  std::uint64_t compressed = 0;
  std::string text;  // one line
};

struct ImageAudit {
  std::string name;      // as it was given
  std::string platform;  // "linux/amd64"
  std::string digest;    // of the manifest
  std::string revision;  // org.opencontainers.image.revision, "" if there is none
  std::vector<std::string> layer_digests;
  std::vector<std::string> diff_ids;
  std::vector<std::string> steps;  // by layer: the history's build step, "" if it does not say
  std::uint32_t base_layers = 0;
  std::string base_known_by;  // one line

  std::vector<LayerTablePtr> tables;
  std::shared_ptr<const Tree> tree;
  std::vector<LayerAttribution> layers;
  std::vector<Package> packages;
  std::vector<NamedSum> package_sums;    // largest first; "" is what no package owns
  std::vector<NamedSum> directory_sums;  // by path; those of weight alone
  std::vector<NamedSum> rule_sums;       // largest first
  std::vector<EntryRef> largest;         // all regular entries, by bytes
  Waste waste;
  DiveFigures dive;
  std::vector<GoProgramSize> go_programs;  // largest first
  std::vector<DebugBytes> debug;           // largest first
  std::vector<FormSaving> forms;
  std::vector<SizeAdvice> advice;  // by bytes

  const Entry& entry(EntryRef ref) const { return tables[ref.layer]->entries[ref.entry]; }
  const AuditRow& row(EntryRef ref) const { return layers[ref.layer].rows[ref.entry]; }
  std::uint64_t compressed() const;
  std::uint64_t unpacked() const;
  std::uint64_t entries() const;
};

// Files of equal content that take their bytes more than once, in one image or in several.
struct EqualFiles {
  struct Place {
    std::uint32_t image = 0;
    EntryRef file;
  };
  std::uint64_t size = 0;
  std::uint64_t saving = 0;   // bytes that one copy would save
  std::vector<Place> places;  // each stored copy once: layers that images share count once
  bool across_images = false;
};

struct Audit {
  std::vector<ImageAudit> images;
  std::vector<EqualFiles> equal;  // largest saving first
  // Blob bytes of layers that several images of the call have, counted once for each further image.
  std::uint64_t shared_layer_bytes = 0;
};

struct AuditOptions {
  std::vector<Glob> ignore;                  // no waste
  std::optional<std::uint32_t> base_layers;  // lowest layers that are the base's; nothing: guessed
  std::string base_known_by;
  unsigned threads = 1;
};

// The observers that the layers must have been scanned with.
Observers audit_observers();

// Audits one image of `set`. `tables` and `blobs` are its layers from the bottom up. Throws Error.
ImageAudit audit_image(const std::string& name, const SourceImage& image, std::vector<LayerTablePtr> tables,
                       const std::vector<BlobPtr>& blobs, const AuditOptions& options);
// What images have in common.
Audit combine(std::vector<ImageAudit> images);

// For audit_image().
void find_advice(ImageAudit& audit);
std::vector<EqualFiles> find_equal_content(const std::vector<ImageAudit>& images);

}  // namespace imgslim
