// SPDX-License-Identifier: Apache-2.0
#include "src/inspection_words.h"

#include <elf.h>
#include <fmt/format.h>

#include "layers/error.h"

namespace imgslim {
namespace {

std::string_view linkage_words(InspectedLinkage linkage) {
  switch (linkage) {
    case InspectedLinkage::kStatic:
      return "statically linked: no loader, no libraries";
    case InspectedLinkage::kStaticPie:
      return "statically linked, position independent: no loader, no libraries";
    case InspectedLinkage::kInterpreterOnly:
      return "needs the loader, but no library";
    case InspectedLinkage::kDynamic:
      return "dynamically linked";
    case InspectedLinkage::kLibrary:
      return "shared library";
    case InspectedLinkage::kOther:
      break;
  }
  return "object file, not to be started";
}

}  // namespace

std::string machine_name(const ElfFacts& elf) {
  switch (elf.machine) {
    case EM_X86_64:
      return elf.is_64 ? "x86-64" : "x32";
    case EM_AARCH64:
      return "arm64";
    case EM_386:
      return "i386";
    case EM_ARM:
      return "arm";
    case EM_RISCV:
      return elf.is_64 ? "riscv64" : "riscv32";
    case EM_PPC64:
      return elf.byte_order == std::endian::little ? "ppc64le" : "ppc64";
    case EM_S390:
      return elf.is_64 ? "s390x" : "s390";
    default:
      return fmt::format("machine {}", elf.machine);
  }
}

std::string_view linkage_words(GoLinkage linkage) {
  switch (linkage) {
    case GoLinkage::kStatic:
      return "static: no loader, no libraries, runs in scratch";
    case GoLinkage::kStaticPie:
      return "position independent without cgo: needs the loader, but no library";
    case GoLinkage::kStaticGlibc:
      return "cgo, static with glibc: may still load NSS and iconv modules";
    case GoLinkage::kStaticMusl:
      return "cgo, static with musl: no loader, no libraries, dlopen cannot work";
    case GoLinkage::kDynamicCgo:
      return "cgo, dynamically linked: needs the loader and its libraries";
    case GoLinkage::kDynamicWithoutCgo:
      return "dynamically linked without cgo: needs the loader and its libraries";
    case GoLinkage::kPlugin:
      return "plugin or shared library";
  }
  return "unknown";
}

std::string kind_words(const Inspection& inspection) {
  if (!inspection.elf) return "script";
  std::string text = machine_name(*inspection.elf) + ", ";
  if (inspection.go && inspection.go->linkage) {
    text = "Go program, " + text;
    text += linkage_words(*inspection.go->linkage);
  } else {
    text += linkage_words(inspection.linkage);
  }
  if (inspection.libraries && inspection.libraries->loader().kind != LoaderKind::kUnknown &&
      !inspection.libraries->is_static()) {
    const LoaderFacts& loader = inspection.libraries->loader();
    text += fmt::format("; {} {}", loader.kind == LoaderKind::kGlibc ? "glibc" : "musl",
                        printable(loader.version));
  }
  return text;
}

std::string rule_words(const SearchedObject& object, const std::vector<SearchedObject>* objects) {
  const auto owner = [&] {
    if (objects == nullptr || !object.path_owner || *object.path_owner >= objects->size())
      return std::string();
    const std::string& path = (*objects)[*object.path_owner].path;
    return " of " + printable(path.substr(path.rfind('/') + 1));
  };
  switch (object.rule) {
    case SearchRule::kDirect:
      return object.request == RequestKind::kInterpreter ? "the interpreter" : "its path";
    case SearchRule::kRpath:
      return "RPATH" + owner();
    case SearchRule::kLibraryPath:
      return "LD_LIBRARY_PATH";
    case SearchRule::kRunpath:
      return "RUNPATH" + owner();
    case SearchRule::kCache:
      return "ld.so.cache";
    case SearchRule::kDefaultDirectory:
      return "default directory";
    case SearchRule::kLoader:
      return "the interpreter";
  }
  return {};
}

std::string_view call_words(SearchProbe::Call call) {
  switch (call) {
    case SearchProbe::Call::kOpen:
      return "open";
    case SearchProbe::Call::kStat:
      return "stat";
    case SearchProbe::Call::kAccess:
      break;
  }
  return "access";
}

}  // namespace imgslim
