// SPDX-License-Identifier: Apache-2.0
// Equal content inside one image: files that a later layer wrote again just as they were, and files that
// are equal under several names. CRC-64 and size find candidates; only SHA-256 over both contents decides.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "layers/contents.h"
#include "layers/tree.h"

namespace imgslim {

// Whether two entries show the same to a container: type, mode, owner, time, xattrs, link, device, size.
// Names and contents are not compared.
// With `but_overlay_xattrs`, attributes that are overlayfs' own do not count.
bool same_attributes(const Entry& a, const LayerTable& a_table, const Entry& b, const LayerTable& b_table,
                     bool but_overlay_xattrs = false);

// By InodeId: whether the inode shows exactly what the inode it replaces showed, content included.
std::vector<bool> find_repeats(const Tree& tree, const Contents& contents);

// By InodeId: the first inode (in tree order) that is equal in content, mode, owner, time and xattrs, goes to
// the same layer, and may share storage with this one; the inode itself where there is none. `layer_of` tells
// the layer of the result that a name goes to; nothing for a name that is left alone. Empty files are, too.
std::vector<InodeId> find_equal_files(const Tree& tree, const Contents& contents,
                                      const std::function<std::optional<std::uint32_t>(NodeId)>& layer_of);

// The layer a regular file came from as one: nothing if a later layer showed it anew (chmod, chown).
std::optional<std::uint32_t> layer_it_came_from(const Tree& tree, NodeId node);

}  // namespace imgslim
