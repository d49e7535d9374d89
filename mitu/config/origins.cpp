#include "mitu/config/origins.hpp"

#include <fmt/format.h>

namespace mitu::config {

std::string to_text(const Origin& origin) {
    if (origin.kind == Origin::Kind::by_default) return "default";
    if (origin.line == 0) return origin.name;
    return fmt::format("{}:{}", origin.name, origin.line);
}

void Origins::erase(std::string_view path) {
    for (auto at = by_path_.lower_bound(path);
         at != by_path_.end() && std::string_view{at->first}.starts_with(path);) {
        const bool is_below = at->first.size() == path.size() || at->first[path.size()] == '.' ||
                              at->first[path.size()] == '[';
        if (is_below) {
            at = by_path_.erase(at);
        } else {
            ++at;
        }
    }
}

Origin Origins::of(std::string_view path) const {
    const auto found = by_path_.find(path);
    return found == by_path_.end() ? Origin{} : found->second;
}

Origin Origins::near(std::string_view path) const {
    for (;;) {
        if (const auto found = by_path_.find(path); found != by_path_.end()) return found->second;
        if (path.empty()) return {};
        const std::size_t cut = path.find_last_of(".[");
        path = path.substr(0, cut == std::string_view::npos ? 0 : cut);
    }
}

}  // namespace mitu::config
