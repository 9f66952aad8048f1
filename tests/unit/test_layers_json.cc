// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "layers/error.h"
#include "layers/json.h"

using namespace imgslim;

namespace {

std::string error_of(std::string_view text, const JsonLimits& limits = {}) {
  try {
    parse_json(text, "config", limits);
  } catch (const Error& error) {
    CHECK(error.failure() == Failure::kBadImage);
    return error.what();
  }
  return "none";
}

std::string again(std::string_view text) {
  return dump_json(parse_json(text, "config"));
}

}  // namespace

TEST_CASE("json: numbers keep their text") {
  for (const std::string text :
       {"0", "-0", "1", "-1", "1.0", "1.10", "1e400", "-1E+5", "1e-7", "12345678901234567890123", "0.0",
        "18446744073709551615", "18446744073709551616", "-9223372036854775808", "-9223372036854775809"}) {
    CHECK(again(text) == text);
    CHECK(number_text(parse_json(text, "")) == text);
    CHECK(again("[{\"a\":" + text + "}]") == "[{\"a\":" + text + "}]");
  }
  CHECK(parse_json("18446744073709551615", "").get<std::uint64_t>() == 18446744073709551615u);
  CHECK(parse_json("-9223372036854775808", "").get<std::int64_t>() == INT64_MIN);
  CHECK_FALSE(parse_json("1.0", "").is_number());
  CHECK_FALSE(number_text(parse_json("\"1\"", "")));
  for (const char* text :
       {"01", "-", "+1", ".5", "1.", "1e", "1e+", "0x10", "-01", "NaN", "Infinity", "1.e1"}) {
    CAPTURE(text);
    CHECK(error_of(text) != "none");
  }
}

TEST_CASE("json: key order, unknown fields and text survive") {
  const std::string text = R"({"z":1,"a":{"y":[],"b":{}},"m":[null,true,false,"caf)"
                           "\xc3\xa9"
                           R"( \" \\ / \u0001\n"],"":"\u0000"})";
  CHECK(again(text) == text);
  CHECK(again(" [ 1 ,\t2\r\n] ") == "[1,2]");
  CHECK(again(R"("\ud83d\ude00\u00e9\/\b\f")") == "\"\xf0\x9f\x98\x80\xc3\xa9/\\u0008\\u000c\"");
  CHECK(dump_json_pretty(parse_json(R"({"a":[1,{"b":2}],"c":{}})", "")) ==
        "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ],\n  \"c\": {}\n}\n");
}

TEST_CASE("json: errors name the document and the byte") {
  CHECK(error_of("") == "config: unexpected end at byte 0");
  CHECK(error_of("[1,]") == "config: expected a value at byte 3");
  CHECK(error_of("[1") == "config: unexpected end at byte 2");
  CHECK(error_of("{\"a\" 1}") == "config: expected ':' at byte 5");
  CHECK(error_of("{\"a\":1,}") == "config: expected a key at byte 7");
  CHECK(error_of("{} x") == "config: unexpected byte after the value at byte 3");
  CHECK(error_of("\"ab") == "config: string without end at byte 0");
  CHECK(error_of("tru") == "config: unknown word at byte 0");
  CHECK(error_of("\xef\xbb\xbf{}") == "config: expected a value at byte 0");
  CHECK(error_of(R"({"a":1,"b":2,"a":3})") == "config: key \"a\" appears twice at byte 13");
  CHECK(error_of(R"({"a":1,"\u0061":3})") == "config: key \"a\" appears twice at byte 7");
}

TEST_CASE("json: text must be UTF-8") {
  for (const char* text :
       {"\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xc3\"", "\"\xe2\x82\""}) {
    CHECK(error_of(text) == "config: invalid UTF-8 at byte 1");
  }
  for (const char* text : {R"("\ud800")", R"("\udc00")", R"("\ud800\u0041")", R"("\ud800\n")", R"("\u12")",
                           R"("\u12g4")", R"("\x")", R"("\u-123")", "\"\\", "\"\\u", "\"\n\""}) {
    CAPTURE(text);
    CHECK(error_of(text) != "none");
  }
  CHECK_THROWS_AS(dump_json(Json("\xff")), Error);
}

TEST_CASE("json: limits") {
  const std::string deep = std::string(10000, '[') + std::string(10000, ']');
  CHECK(error_of(deep) == "config: nested deeper than 64 at byte 64");
  std::string objects;
  for (int i = 0; i < 10000; ++i)
    objects += "{\"a\":";
  CHECK(error_of(objects) == "config: nested deeper than 64 at byte 320");
  const std::string fits = std::string(64, '[') + std::string(64, ']');
  CHECK(again(fits) == fits);
  CHECK(error_of("[1,2,3]", {.max_values = 3}) == "config: more than 3 values at byte 5");
  CHECK(error_of("[1,2]", {.max_bytes = 4}) == "config: larger than 4 bytes");
}

TEST_CASE("json: an object of many keys takes linear time") {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i)
    text += "\"key" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  text += "\"key7\":0}";
  CHECK(error_of(text).find("key \"key7\" appears twice") != std::string::npos);
  text.replace(text.size() - 9, 8, "\"last\":0");
  CHECK(parse_json(text, "").size() == 200001);
}
