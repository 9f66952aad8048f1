// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <memory>

#include "layers/contents.h"
#include "layers/error.h"
#include "layers/image_store.h"
#include "src/certificate.h"
#include "src/command.h"
#include "src/facts/tree_file_system.h"
#include "src/image_set.h"
#include "src/open_image.h"
#include "src/progress.h"
#include "src/scanned_layers.h"
#include "src/verification.h"

namespace imgslim {
namespace {

struct Arguments {
  std::string image;
  std::string against;
  std::string proof;
  bool all = false;
  std::vector<std::string> also_run;
  std::vector<std::string> platforms;
  NetworkArguments network;
};

// The images behind a name, each read once.
class ReadImages {
 public:
  ReadImages(const std::string& name, const std::vector<Platform>& platforms, unsigned threads,
             ImageStores& stores, Progress& progress)
      : source_(stores.open_source(parse_source_name(name))),
        set_(read_image_set(*source_, platforms)),
        layers_(*source_, set_, threads, progress) {}

  const ImageSource& source() const { return *source_; }
  const std::vector<SourceImage>& images() const { return set_.images; }

  Tree tree_of(const SourceImage& image) const { return merge_layers(image, layers_.tables_of(image)); }
  std::unique_ptr<Contents> contents_of(const SourceImage& image) const { return layers_.contents_of(image); }

 private:
  std::unique_ptr<ImageSource> source_;
  ImageSet set_;
  ScannedLayers layers_;
};

// One image, its tree and what its files hold.
class ReadImage {
 public:
  ReadImage(const ReadImages& images, const SourceImage& image)
      : image_(image),
        tree_(images.tree_of(image)),
        contents_(images.contents_of(image)),
        files_{tree_, *contents_, spool_directory()} {}
  ReadImage(const ReadImage&) = delete;
  ReadImage& operator=(const ReadImage&) = delete;

  // With `source`, what was found there before.
  Verification verify(const Arguments& arguments, const ProofPlatform* proof = nullptr,
                      const ReadImage* source = nullptr, const Verification* before = nullptr) const {
    const TreeFileSystem files(
        tree_, [&](EntryRef file, std::uint64_t length) { return contents_->read_front(file, length); });
    const PackageDatabase packages = PackageDatabase::read(files);
    VerificationInput input{files, image_.config, packages};
    for (const std::string& line : arguments.also_run)
      input.more_commands.push_back(command_from_line(line, "--also-run"));
    input.tree = &tree_;
    input.manifest = &image_.manifest;
    input.all = arguments.all;
    input.proof = proof;
    input.contents = &files_;
    input.source_contents = source != nullptr ? &source->files_ : nullptr;
    return verify_closure(input, before);
  }

 private:
  const SourceImage& image_;
  Tree tree_;
  std::unique_ptr<Contents> contents_;
  FileContents files_;
};

// The image of the source that `image` was made from.
const SourceImage& counterpart(const ReadImages& source, const ReadImages& result, const SourceImage& image) {
  if (source.images().size() == 1 && result.images().size() == 1) return source.images().front();
  for (const SourceImage& found : source.images()) {
    if (found.config.platform == image.config.platform) return found;
  }
  for (const SourceImage& found : source.images()) {
    if (found.config.platform.matches(image.config.platform)) return found;
  }
  throw_usage(fmt::format("{} has no image for {}", source.source().name(), image.config.platform.text()));
}

// The certificate to hold against the image.
struct FoundProof {
  std::string name;  // for people; empty if there is none
  std::optional<Proof> proof;
  std::string problem;  // why there is none though there should be
};

FoundProof find_proof(const ImageSource& source, const std::string& file) {
  FoundProof found;
  if (!file.empty()) {
    found.name = file;
    found.proof = read_proof_file(file);
    return found;
  }
  // One that was found by itself must not keep the image from being verified.
  try {
    const auto certificate = find_certificate(source, source.root().digest);
    if (!certificate) return found;
    found.name = certificate->referrer;
    found.proof = read_proof(certificate->text, "certificate " + certificate->referrer);
  } catch (const Error& error) {
    if (error.failure() != Failure::kBadImage) throw;
    if (found.name.empty()) found.name = "certificate";
    found.problem = error.what();
  }
  return found;
}

// The part of a certificate that speaks of an image, by digest or else by platform; what speaks against it
// becomes a failure.
const ProofPlatform* part_for(const FoundProof& found, const SourceImage& image,
                              std::vector<Finding>& failures) {
  const auto fail = [&](std::string problem) {
    failures.push_back(
        {Finding::Severity::kFailure, "proof", "", "", {printable(found.name)}, std::move(problem)});
  };
  if (!found.problem.empty()) fail(found.problem);
  if (!found.proof) return nullptr;
  const std::string digest = image.descriptor.digest.text();
  if (const ProofPlatform* part = found.proof->find(digest)) return part;
  for (const ProofPlatform& part : found.proof->platforms) {
    if (part.platform != image.config.platform.text()) continue;
    fail(fmt::format("it speaks of {}; the image is {}", part.result_digest, digest));
    return &part;
  }
  fail(fmt::format("it speaks of no image for {}", image.config.platform.text()));
  return nullptr;
}

int run_verify(const Arguments& arguments, const CommonOptions& common) {
  Progress progress(common.quiet     ? Progress::Detail::kQuiet
                    : common.verbose ? Progress::Detail::kVerbose
                                     : Progress::Detail::kNormal);
  std::vector<Platform> platforms;
  for (const std::string& text : arguments.platforms)
    platforms.push_back(Platform::parse(text));
  const unsigned threads = common.thread_count();
  ImageStores stores(arguments.network, spool_directory());
  const ReadImages images(arguments.image, platforms, threads, stores, progress);
  std::unique_ptr<ReadImages> sources;
  if (!arguments.against.empty())
    sources = std::make_unique<ReadImages>(arguments.against, platforms, threads, stores, progress);

  const FoundProof proof = find_proof(images.source(), arguments.proof);
  std::vector<VerifiedImage> verified;
  bool ok = true;
  for (const SourceImage& image : images.images()) {
    std::unique_ptr<ReadImage> source;
    Verification before;
    if (sources) {
      source = std::make_unique<ReadImage>(*sources, counterpart(*sources, images, image));
      before = source->verify(arguments);
    }
    std::vector<Finding> failures;
    const ProofPlatform* part = part_for(proof, image, failures);
    const ReadImage read(images, image);
    Verification result = read.verify(arguments, part, source.get(), source ? &before : nullptr);
    result.findings.insert(result.findings.begin(), failures.begin(), failures.end());
    const std::string platform = image.config.platform.text();
    for (const Finding& finding : result.findings) {
      if (finding.severity == Finding::Severity::kNote)
        progress.note(fmt::format("{}: note: {}", platform, finding.line()));
    }
    ok = ok && result.ok();
    verified.push_back({platform, image.descriptor.digest.text(), std::move(result)});
  }
  const std::string against = sources ? sources->source().name() : "";
  fmt::print("{}", common.format == "json"
                       ? dump_json_pretty(to_json(verified, images.source().name(), against, proof.name))
                       : to_text(verified));
  return ok ? 0 : static_cast<int>(Failure::kVerification);
}

}  // namespace

Run set_up_verify(CLI::App& app, const CommonOptions& common) {
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  app.add_option("IMAGE", a.image, "image to verify")->required();
  app.add_option("--against", a.against, "the image it was made from")->type_name("SOURCE");
  app.add_flag("--all", a.all, "every program, script and link, reached or not");
  app.add_option("--also-run", a.also_run, "another command the image is started with")
      ->type_name("COMMAND")
      ->allow_extra_args(false);
  app.add_option("--platform", a.platforms, "only this platform of an index")
      ->type_name("OS/ARCH")
      ->allow_extra_args(false);
  app.add_option("--proof", a.proof, "the certificate (default: the one beside the image)")
      ->type_name("FILE");
  add_network_options(app, a.network);
  return [arguments, &common] { return run_verify(*arguments, common); };
}

}  // namespace imgslim
