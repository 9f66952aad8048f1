// SPDX-License-Identifier: Apache-2.0
// Equal content inside one image: files that a later layer wrote again just as they were, and files that
// are equal under several names. CRC-64 and size find candidates; only SHA-256 over both contents decides.
#pragma once

#include <functional>
#include <vector>

#include "layers/contents.h"
#include "layers/tree.h"

namespace imgslim {

// Whether two entries show the same to a container: type, mode, owner, time, xattrs, link, device, size.
// Names and contents are not compared.
bool same_attributes(const Entry& a, const LayerTable& a_table, const Entry& b, const LayerTable& b_table);

// By InodeId: whether the inode shows exactly what the inode it replaces showed, content included.
std::vector<bool> find_repeats(const Tree& tree, const Contents& contents);

// By InodeId: the first inode (in tree order) that is equal in content, mode, owner, time and xattrs, came
// from the same layer, and may share storage with this one; the inode itself where there is none. Files
// with a name for which `excluded` holds are left alone, empty ones too.
std::vector<InodeId> find_equal_files(const Tree& tree, const Contents& contents,
                                      const std::function<bool(NodeId)>& excluded);

}  // namespace imgslim
