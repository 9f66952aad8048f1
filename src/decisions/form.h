// SPDX-License-Identifier: Apache-2.0
// The forms an image can be brought into (imgslim-optimize(1), FORMS).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace imgslim {

// From the weakest to the strongest; each drops what the one before drops.
enum class Form : std::uint8_t { kLossless, kTidy, kDistroless };

constexpr std::string_view name_of(Form form) {
  return form == Form::kLossless ? "lossless" : form == Form::kTidy ? "tidy" : "distroless";
}

constexpr std::optional<Form> form_named(std::string_view name) {
  for (const Form form : {Form::kLossless, Form::kTidy, Form::kDistroless}) {
    if (name == name_of(form)) return form;
  }
  return std::nullopt;
}

}  // namespace imgslim
