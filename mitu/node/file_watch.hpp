#pragma once
// FileWatch: whether files have changed since they were loaded.

#include <cstdint>
#include <string>
#include <vector>

namespace mitu::node {

/// Time of change, size and inode of each file, looked at about once a second. A change is told
/// once it has lasted from one look to the next: a file half written is not loaded, and a
/// certificate not before its key.
/// Threading  one thread at a time.
class FileWatch {
public:
    /// What is there now counts as loaded.
    explicit FileWatch(std::vector<std::string> files);
    /// True: load them.
    [[nodiscard]] bool look();

private:
    struct State {
        std::int64_t changed_ns = 0;
        std::int64_t bytes = -1;  // -1: cannot be looked at
        std::uint64_t inode = 0;
        bool operator==(const State&) const = default;
    };
    [[nodiscard]] std::vector<State> states() const;

    std::vector<std::string> files_;
    std::vector<State> loaded_;
    std::vector<State> seen_;
};

}  // namespace mitu::node
