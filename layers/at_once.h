// SPDX-License-Identifier: Apache-2.0
// Independent pieces of work on several threads.
#pragma once

#include <cstddef>
#include <functional>

namespace imgslim {

// Calls `work` for each number below `count`, the calling thread included in `threads`. Numbers are taken in
// order, so that neighbours run at about the same time. Once a call throws no further one begins, and the
// error of the lowest number is thrown when all have ended.
void for_each_at_once(unsigned threads, std::size_t count, const std::function<void(std::size_t)>& work);

}  // namespace imgslim
