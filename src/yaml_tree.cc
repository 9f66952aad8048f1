// SPDX-License-Identifier: Apache-2.0
#include "src/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "layers/error.h"

namespace imgslim {
namespace {

[[noreturn]] void fail(std::string_view what, std::size_t line, std::string_view problem) {
  throw_usage(fmt::format("{}:{}: {}", what, line, problem));
}

std::size_t line_of(const YAML::Mark& mark) {
  return mark.line < 0 ? 1 : static_cast<std::size_t>(mark.line) + 1;
}

// Builds the values from the parser's events, so that limits hold while it reads.
class Builder : public YAML::EventHandler {
 public:
  Builder(std::string_view what, const YamlLimits& limits) : what_(what), limits_(limits) {}

  YamlValue take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(YamlValue::Kind::kNull, mark, "", anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    fail(what_, line_of(mark), "aliases are not taken here");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(mark, tag);
    // "~" and "null" are what a plain scalar says for nothing; quoted ones carry the tag "!".
    const bool null = tag == "?" && (value.empty() || value == "~" || value == "null");
    add(null ? YamlValue::Kind::kNull : YamlValue::Kind::kScalar, mark, value, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    begin(YamlValue::Kind::kList, mark, anchor);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    begin(YamlValue::Kind::kMap, mark, anchor);
  }
  void OnMapEnd() override { end(); }

 private:
  struct Open {
    YamlValue value;
    std::set<std::string> names;
  };

  void check_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!") fail(what_, line_of(mark), "tags are not taken here");
  }
  YamlValue made(YamlValue::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) fail(what_, line_of(mark), "anchors are not taken here");
    if (++values_ > limits_.max_values) {
      fail(what_, line_of(mark), fmt::format("more than {} values", limits_.max_values));
    }
    YamlValue value;
    value.kind = kind;
    value.line = line_of(mark);
    return value;
  }
  void add(YamlValue::Kind kind, const YAML::Mark& mark, const std::string& text, YAML::anchor_t anchor) {
    YamlValue value = made(kind, mark, anchor);
    value.text = text;
    put(std::move(value));
  }
  void begin(YamlValue::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (open_.size() >= limits_.max_depth) {
      fail(what_, line_of(mark), fmt::format("nested deeper than {} levels", limits_.max_depth));
    }
    open_.push_back({made(kind, mark, anchor), {}});
  }
  void end() {
    YamlValue value = std::move(open_.back().value);
    open_.pop_back();
    if (value.kind == YamlValue::Kind::kMap && value.keys.size() > value.items.size())
      fail(what_, value.line, "a key without a value");
    put(std::move(value));
  }
  void put(YamlValue value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    Open& top = open_.back();
    if (top.value.kind == YamlValue::Kind::kList) {
      top.value.items.push_back(std::move(value));
    } else if (top.value.keys.size() == top.value.items.size()) {
      if (value.kind != YamlValue::Kind::kScalar) fail(what_, value.line, "a key must be text");
      if (!top.names.insert(value.text).second) {
        fail(what_, value.line, fmt::format("the key '{}' stands here twice", printable(value.text, 60)));
      }
      top.value.keys.push_back(std::move(value));
    } else {
      top.value.items.push_back(std::move(value));
    }
  }

  const std::string what_;
  const YamlLimits& limits_;
  std::vector<Open> open_;
  YamlValue root_;
  std::size_t values_ = 0;
};

// What follows the first document.
class Refuser : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override { more = true; }
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {
    more = true;
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    throw YAML::ParserException(mark, "a second document");
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    throw YAML::ParserException(mark, "a second document");
  }
  void OnMapEnd() override {}
  bool more = false;
};

}  // namespace

const YamlValue* YamlValue::find(std::string_view key) const {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].text == key) return &items[i];
  }
  return nullptr;
}

void throw_yaml(std::string_view what, const YamlValue& at, std::string_view problem) {
  fail(what, at.line, problem);
}

YamlValue parse_yaml(std::string_view text, std::string_view what, const YamlLimits& limits) {
  if (text.size() > limits.max_bytes) {
    throw_usage(fmt::format("{} is larger than {} bytes", what, limits.max_bytes));
  }
  std::istringstream in{std::string(text)};
  try {
    YAML::Parser parser(in);
    Builder builder(what, limits);
    if (!parser.HandleNextDocument(builder)) return {};
    Refuser refuser;
    if (parser.HandleNextDocument(refuser) && refuser.more)
      throw_usage(fmt::format("{}: a second document", what));
    return builder.take();
  } catch (const YAML::Exception& error) {
    fail(what, line_of(error.mark), printable(error.msg, 120));
  }
}

}  // namespace imgslim
