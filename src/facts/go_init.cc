// SPDX-License-Identifier: Apache-2.0
// Init functions in the order in which they run before main: the linker's sorted task lists (Go 1.21 and
// later, cmd/link/internal/ld/inittask.go), the graph of tasks that the runtime walks (1.13 to 1.20), or,
// where neither is found, names.
#include <algorithm>
#include <iterator>
#include <unordered_map>
#include <unordered_set>

#include "src/facts/go_reader.h"

namespace imgslim {
namespace {

constexpr std::uint64_t kMaxTasks = 1 << 20;
constexpr std::uint64_t kMaxModuleWords = 96;
constexpr std::uint64_t kMaxRuntimeTasks = 1000;
constexpr std::string_view kRuntimePrefixes[] = {"runtime.", "internal/"};

using Names = std::vector<std::string_view>;

class InitReader {
 public:
  InitReader(const GoMemory& memory, const GoTable& table, GoFacts& facts)
      : memory_(memory), table_(table), facts_(facts), word_(memory.word_size()) {
    // Task records and lists are in the data that holds no pointers into the heap.
    for (const GoModuleWord index : {kModuleNoPointerData, kModuleData}) {
      const auto begin = module_word(memory, table, index);
      const auto end = module_word(memory, table, index + 1);
      if (!begin || !end || *begin >= *end) continue;
      const std::string_view view = memory.from(*begin);
      data_.push_back({*begin, view.substr(0, *end - *begin)});
    }
  }

  void read() {
    if (table_.module_data != 0 && (read_lists() || read_graph())) return;
    read_names();
  }

 private:
  struct Data {
    std::uint64_t address;
    std::string_view bytes;
  };

  // The name of the function that starts at an address exactly.
  const GoFunction* starts_at(std::uint64_t address) const {
    if (address < facts_.text || address >= facts_.end_of_text) return nullptr;
    const GoFunction* function = facts_.function_at(address);
    return function && function->start == address ? function : nullptr;
  }

  // A task of 1.21 and later: u32 state (0), u32 count, then the functions.
  struct Task {
    std::uint64_t address = 0;
    Names functions;
  };

  std::optional<Task> read_task(std::uint64_t address) {
    const std::string_view view = memory_.from(address);
    const auto state = memory_.half_in(view, 0);
    const auto count = memory_.half_in(view, 4);
    if (!state || !count || *state != 0 || *count == 0 || *count > (view.size() - 8) / word_)
      return std::nullopt;
    Task task;
    task.address = address;
    for (std::uint64_t i = 0; i < *count; ++i) {
      if (lookups_left_ == 0) return std::nullopt;
      --lookups_left_;
      const GoFunction* function = starts_at(*memory_.word_in(view, 8 + i * word_));
      if (!function || !is_init_name(function->name)) return std::nullopt;
      task.functions.push_back(function->name);
    }
    return task;
  }

  // A slice of tasks, its header at an address: pointer, length, equal capacity. Empty if it is none.
  std::vector<Task> tasks_of_slice(std::uint64_t header) {
    const auto list = memory_.word(header);
    const auto count = memory_.word(header + word_);
    if (!list || !count || *count == 0 || *count > kMaxTasks) return {};
    if (memory_.word(header + 2 * word_) != count) return {};
    const std::string_view view = memory_.from(*list);
    if (*count > view.size() / word_) return {};
    std::vector<Task> tasks;
    for (std::uint64_t i = 0; i < *count; ++i) {
      auto task = read_task(*memory_.word_in(view, i * word_));
      if (!task) return {};
      tasks.push_back(std::move(*task));
    }
    return tasks;
  }

  // The list of the program is a slice of the module data; where in it differs from release to release, so
  // every word is tried. The runtime's own list is a variable of its own, runtime_inittasks, and runs first;
  // its tasks are in the program's list again, but a task runs once.
  bool read_lists() {
    std::vector<Task> main;
    for (std::uint64_t index = kModuleDataEnd; index < kMaxModuleWords && main.empty(); ++index) {
      main = tasks_of_slice(table_.module_data + index * word_);
    }
    if (main.empty()) return false;
    std::unordered_set<std::uint64_t> done;
    for (const auto& list : {runtime_list(), main}) {
      for (const Task& task : list) {
        if (!done.insert(task.address).second) continue;
        facts_.init_functions.insert(facts_.init_functions.end(), task.functions.begin(),
                                     task.functions.end());
      }
    }
    return true;
  }

  std::vector<Task> runtime_list() {
    for (const Data& data : data_) {
      const std::uint64_t first = (word_ - data.address % word_) % word_;
      for (std::uint64_t at = first; at + 3 * word_ <= data.bytes.size(); at += word_) {
        const std::uint64_t count = memory_.load_word(data.bytes.data() + at + word_);
        if (count == 0 || count > kMaxRuntimeTasks) continue;
        if (memory_.load_word(data.bytes.data() + at + 2 * word_) != count) continue;
        if (!in_data(memory_.load_word(data.bytes.data() + at))) continue;
        const std::uint64_t header = data.address + at;
        if (header - table_.module_data < kMaxModuleWords * word_) continue;
        auto tasks = tasks_of_slice(header);
        if (!tasks.empty() && std::all_of(tasks.begin(), tasks.end(), is_runtime)) return tasks;
      }
    }
    return {};
  }

  bool in_data(std::uint64_t address) const {
    return std::any_of(data_.begin(), data_.end(), [&](const Data& data) {
      return address >= data.address && address - data.address < data.bytes.size();
    });
  }

  static bool is_runtime(const Task& task) {
    return std::all_of(task.functions.begin(), task.functions.end(), [](std::string_view name) {
      return std::any_of(std::begin(kRuntimePrefixes), std::end(kRuntimePrefixes),
                         [&](std::string_view prefix) { return name.starts_with(prefix); });
    });
  }

  // "pkg.init", "pkg.init.0"; from 1.21 on also "pkg.map.init.0".
  static bool is_init_name(std::string_view name) {
    const std::string_view prefix = go_package_prefix(name);
    if (prefix.empty() || name.size() <= prefix.size()) return false;
    const std::string_view rest = name.substr(prefix.size());
    return rest == ".init" || rest.starts_with(".init.") || rest.starts_with(".map.init.");
  }

  // A task of 1.13 to 1.20: words state (0), number of tasks it waits for, number of functions; then both.
  struct Node {
    std::uint64_t address = 0;
    std::vector<std::uint64_t> waits_for;  // addresses, then indexes
    Names functions;
    bool is_valid = true;
    bool is_waited_for = false;
  };

  std::optional<Node> read_node(std::uint64_t address, std::string_view view) const {
    const std::uint64_t room = view.size() / word_ - 3;
    const std::uint64_t waits = memory_.load_word(view.data() + word_);
    const std::uint64_t functions = memory_.load_word(view.data() + 2 * word_);
    if (waits > room || functions > room - waits || waits + functions == 0) return std::nullopt;
    Node node;
    node.address = address;
    // The functions are the strictest test, so they come first.
    for (std::uint64_t i = 0; i < functions; ++i) {
      const GoFunction* function = starts_at(memory_.load_word(view.data() + (3 + waits + i) * word_));
      if (!function || !is_init_name(function->name)) return std::nullopt;
      node.functions.push_back(function->name);
    }
    for (std::uint64_t i = 0; i < waits; ++i) {
      const std::uint64_t target = memory_.load_word(view.data() + (3 + i) * word_);
      if (!in_data(target)) return std::nullopt;
      node.waits_for.push_back(target);
    }
    return node;
  }

  std::vector<Node> read_nodes() const {
    std::vector<Node> nodes;
    for (const Data& data : data_) {
      const std::uint64_t first = (word_ - data.address % word_) % word_;
      for (std::uint64_t at = first; at + 4 * word_ <= data.bytes.size();) {
        const char* record = data.bytes.data() + at;
        std::optional<Node> node;
        if (memory_.load_word(record) == 0 && nodes.size() < kMaxTasks) {
          node = read_node(data.address + at, data.bytes.substr(at));
        }
        // Records do not overlap, which also keeps the scan linear.
        at += node ? (3 + node->waits_for.size() + node->functions.size()) * word_ : word_;
        if (node) nodes.push_back(std::move(*node));
      }
    }
    return nodes;
  }

  // What waits for something that is no task is none; whoever waits for that neither.
  static void drop_false_tasks(std::vector<Node>& nodes,
                               const std::unordered_map<std::uint64_t, std::uint64_t>& index) {
    std::vector<std::vector<std::uint64_t>> waiters(nodes.size());
    std::vector<std::uint64_t> dropped;
    for (std::uint64_t i = 0; i < nodes.size(); ++i) {
      for (const std::uint64_t target : nodes[i].waits_for) {
        if (const auto found = index.find(target); found != index.end()) {
          waiters[found->second].push_back(i);
        } else if (nodes[i].is_valid) {
          nodes[i].is_valid = false;
          dropped.push_back(i);
        }
      }
    }
    while (!dropped.empty()) {
      const std::uint64_t last = dropped.back();
      dropped.pop_back();
      for (const std::uint64_t waiter : waiters[last]) {
        if (!nodes[waiter].is_valid) continue;
        nodes[waiter].is_valid = false;
        dropped.push_back(waiter);
      }
    }
  }

  bool read_graph() {
    std::vector<Node> nodes = read_nodes();
    std::unordered_map<std::uint64_t, std::uint64_t> index;
    for (std::uint64_t i = 0; i < nodes.size(); ++i)
      index.emplace(nodes[i].address, i);
    drop_false_tasks(nodes, index);
    for (Node& node : nodes) {
      if (!node.is_valid) continue;
      for (std::uint64_t& target : node.waits_for) {
        target = index.at(target);
        nodes[target].is_waited_for = true;
      }
    }
    std::vector<bool> done(nodes.size());
    Names names;
    // The runtime's task runs first, then main's, which no other task waits for.
    std::optional<std::uint64_t> runtime;
    std::vector<std::uint64_t> roots;
    for (std::uint64_t i = 0; i < nodes.size(); ++i) {
      if (!nodes[i].is_valid) continue;
      if (!nodes[i].functions.empty() && go_package_prefix(nodes[i].functions.front()) == "runtime")
        runtime = i;
      if (!nodes[i].is_waited_for) roots.push_back(i);
    }
    if (roots.empty()) return false;
    if (runtime) walk(nodes, *runtime, done, names);
    std::optional<std::uint64_t> main;
    std::size_t most = 0;
    for (const std::uint64_t root : roots) {
      if (root == runtime) continue;
      const std::size_t weight = nodes[root].waits_for.size() + 1;
      if (weight > most) {
        most = weight;
        main = root;
      }
    }
    if (main) walk(nodes, *main, done, names);
    if (names.empty()) return false;
    facts_.init_functions.assign(names.begin(), names.end());
    return true;
  }

  // Depth first, dependencies in their order, then the task's own functions (runtime.doInit).
  static void walk(const std::vector<Node>& nodes, std::uint64_t root, std::vector<bool>& done,
                   Names& names) {
    std::vector<std::pair<std::uint64_t, std::size_t>> stack;
    const auto enter = [&](std::uint64_t index) {
      if (done[index]) return;
      done[index] = true;
      stack.emplace_back(index, 0);
    };
    enter(root);
    while (!stack.empty()) {
      auto& [index, next] = stack.back();
      const Node& node = nodes[index];
      if (next < node.waits_for.size()) {
        enter(node.waits_for[next++]);
        continue;
      }
      names.insert(names.end(), node.functions.begin(), node.functions.end());
      stack.pop_back();
    }
  }

  void read_names() {
    for (const GoFunction& function : facts_.functions) {
      const std::string_view rest = function.name.substr(go_package_prefix(function.name).size());
      const bool is_numbered = rest.starts_with(".init.") && rest.size() > 6 &&
                               rest.find_first_not_of("0123456789", 6) == std::string_view::npos;
      if (rest.size() != function.name.size() && (rest == ".init" || is_numbered)) {
        facts_.init_functions.emplace_back(function.name);
      }
    }
    if (!facts_.init_functions.empty()) {
      facts_.problems.push_back("no list of init tasks: init functions are in the order of their addresses");
    }
  }

  const GoMemory& memory_;
  const GoTable& table_;
  GoFacts& facts_;
  std::size_t word_;
  std::vector<Data> data_;
  std::uint64_t lookups_left_ = 4 * kMaxTasks;
};

}  // namespace

void read_go_inits(const GoMemory& memory, const GoTable& table, GoFacts& facts) {
  InitReader(memory, table, facts).read();
}

}  // namespace imgslim
