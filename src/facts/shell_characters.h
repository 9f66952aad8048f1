// SPDX-License-Identifier: Apache-2.0
// What a character is to the shell (POSIX.1-2017 XCU 2.2, 2.3; XBD 3.235 for names).
#pragma once

namespace imgslim {

inline bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}
inline bool is_meta(char c) {
  return is_blank(c) || c == '\n' || c == ';' || c == '&' || c == '|' || c == '<' || c == '>' || c == '(' ||
         c == ')';
}
inline bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
inline bool is_name(char c) {
  return is_name_start(c) || is_digit(c);
}

}  // namespace imgslim
