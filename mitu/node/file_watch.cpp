#include "mitu/node/file_watch.hpp"

#include <sys/stat.h>

#include <utility>

namespace mitu::node {

FileWatch::FileWatch(std::vector<std::string> files)
    : files_{std::move(files)}, loaded_{states()}, seen_{loaded_} {}

bool FileWatch::look() {
    auto now = states();
    const bool lasts = now == seen_;
    seen_ = std::move(now);
    if (!lasts || seen_ == loaded_) return false;
    loaded_ = seen_;
    return true;
}

std::vector<FileWatch::State> FileWatch::states() const {
    std::vector<State> states;
    for (const std::string& file : files_) {
        State& state = states.emplace_back();
        struct stat found{};
        if (::stat(file.c_str(), &found) != 0) continue;
        state.changed_ns =
            std::int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec;
        state.bytes = found.st_size;
        state.inode = found.st_ino;
    }
    return states;
}

}  // namespace mitu::node
