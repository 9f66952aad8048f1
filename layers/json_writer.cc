// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include <stdexcept>

#include "layers/error.h"
#include "layers/json.h"
#include "layers/json_number.h"
#include "layers/utf8.h"

namespace imgslim {
namespace {

class Writer {
 public:
  explicit Writer(bool pretty) : pretty_(pretty) {}

  void value(const Json& value, int depth) {
    switch (value.type()) {
      case Json::value_t::object:
        return object(value, depth);
      case Json::value_t::array:
        return array(value, depth);
      case Json::value_t::string:
        return string(value.get_ref<const std::string&>());
      case Json::value_t::binary:
        if (!is_number_kept_as_text(value)) throw std::invalid_argument("binary value in JSON");
        out_ += *number_text(value);
        return;
      case Json::value_t::discarded:
        throw std::invalid_argument("discarded value in JSON");
      default:
        out_ += value.dump();
    }
  }

  std::string take() { return std::move(out_); }

 private:
  void line(int depth) {
    if (!pretty_) return;
    out_ += '\n';
    out_.append(static_cast<std::size_t>(depth) * 2, ' ');
  }

  void object(const Json& value, int depth) {
    if (value.empty()) {
      out_ += "{}";
      return;
    }
    out_ += '{';
    bool first = true;
    for (const auto& [key, item] : value.get_ref<const Json::object_t&>()) {
      if (!first) out_ += ',';
      first = false;
      line(depth + 1);
      string(key);
      out_ += pretty_ ? ": " : ":";
      this->value(item, depth + 1);
    }
    line(depth);
    out_ += '}';
  }

  void array(const Json& value, int depth) {
    if (value.empty()) {
      out_ += "[]";
      return;
    }
    out_ += '[';
    bool first = true;
    for (const auto& item : value) {
      if (!first) out_ += ',';
      first = false;
      line(depth + 1);
      this->value(item, depth + 1);
    }
    line(depth);
    out_ += ']';
  }

  void string(std::string_view text) {
    out_ += '"';
    while (!text.empty()) {
      const std::size_t length = utf8_length(text);
      if (length == 0) throw_bad_image("text for JSON is not UTF-8: " + printable(text, 80));
      if (length == 1) {
        character(text[0]);
      } else {
        out_ += text.substr(0, length);
      }
      text.remove_prefix(length);
    }
    out_ += '"';
  }

  void character(char c) {
    static constexpr char kHex[] = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out_ += '\\';
      out_ += c;
    } else if (byte >= 0x20) {
      out_ += c;
    } else if (c == '\n') {
      out_ += "\\n";
    } else if (c == '\r') {
      out_ += "\\r";
    } else if (c == '\t') {
      out_ += "\\t";
    } else {
      out_ += "\\u00";
      out_ += kHex[byte >> 4];
      out_ += kHex[byte & 15];
    }
  }

  bool pretty_;
  std::string out_;
};

}  // namespace

std::string dump_json(const Json& value) {
  Writer writer(false);
  writer.value(value, 0);
  return writer.take();
}

std::string dump_json_pretty(const Json& value) {
  Writer writer(true);
  writer.value(value, 0);
  return writer.take() + "\n";
}

}  // namespace imgslim
