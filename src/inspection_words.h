// SPDX-License-Identifier: Apache-2.0
// Facts of an inspection in words, the same in text and JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/inspection.h"

namespace imgslim {

std::string machine_name(const ElfFacts& elf);  // "x86-64", "arm64", "machine 22"
std::string kind_words(const Inspection& inspection);
// How Go code is linked and what that means for an image.
std::string_view linkage_words(GoLinkage linkage);
// "ld.so.cache", "RUNPATH of libfoo.so.1".
std::string rule_words(const SearchedObject& object, const std::vector<SearchedObject>* objects);
std::string_view call_words(SearchProbe::Call call);  // "open", "stat", "access"

}  // namespace imgslim
