// SPDX-License-Identifier: Apache-2.0
// What the git repository of the current directory says, by running git.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace imgslim {

// Standard output of a git command without the last newline, nothing if it fails. Throws Error{kIo} if git
// cannot be started.
std::optional<std::string> git_output(const std::vector<std::string>& arguments);

// A line that git gives a pre-push hook (githooks(5)).
struct PushedRef {
  std::string local_ref;  // "refs/heads/main", or "(delete)"
  std::string local_id;   // all zeros: the ref is deleted
  std::string remote_ref;
  std::string remote_id;
  bool is_deletion() const { return local_id.find_first_not_of('0') == std::string::npos; }
};

// Lines that are none of git's are left out.
std::vector<PushedRef> read_pushed_refs(std::istream& in);

// The commits that a push brings, as full ids: from `refs`, tags followed to their commit. Deletions bring
// none.
std::vector<std::string> pushed_commits(const std::vector<PushedRef>& refs);

// How far `revision` is from `commit`, for people: "3 commits behind", "not in this repository"; "" if they
// are the same.
std::string distance_text(const std::string& revision, const std::string& commit);

}  // namespace imgslim
