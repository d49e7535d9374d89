#include "mitu/base/embedded_files.hpp"

#include <string>

#include "mitu/base/check.hpp"

namespace mitu {

std::string_view EmbeddedDirectory::path_at(std::size_t index) const noexcept {
    MITU_CHECK(index < file_count_);
    const EmbeddedFileRecord& record = records_[index];
    return {reinterpret_cast<const char*>(data_) + record.path_offset, record.path_bytes};
}

std::string_view EmbeddedDirectory::data_at(std::size_t index) const noexcept {
    MITU_CHECK(index < file_count_);
    const EmbeddedFileRecord& record = records_[index];
    return {reinterpret_cast<const char*>(data_) + record.data_offset, record.data_bytes};
}

std::size_t EmbeddedDirectory::lower_bound(std::string_view path) const noexcept {
    std::size_t low = 0;
    std::size_t count = file_count_;
    while (count > 0) {
        const std::size_t half = count / 2;
        if (path_at(low + half) < path) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

std::optional<std::string_view> EmbeddedDirectory::read_file(std::string_view path) const noexcept {
    const std::size_t index = lower_bound(path);
    if (index == file_count_ || path_at(index) != path) return std::nullopt;
    return data_at(index);
}

std::vector<EmbeddedEntry> EmbeddedDirectory::read_dir(std::string_view path) const {
    std::string prefix{path};
    if (!prefix.empty()) prefix += '/';
    std::vector<EmbeddedEntry> entries;
    for (std::size_t i = lower_bound(prefix); i < file_count_; ++i) {
        const std::string_view file = path_at(i);
        if (!file.starts_with(prefix)) break;
        const std::string_view rest = file.substr(prefix.size());
        const std::size_t slash = rest.find('/');
        if (slash == std::string_view::npos) {
            entries.push_back({rest, false, records_[i].data_bytes});
            continue;
        }
        // Files of one folder are neighbours, because '/' sorts within their common prefix.
        const std::string_view folder = rest.substr(0, slash);
        if (entries.empty() || !entries.back().is_directory || entries.back().name != folder) {
            entries.push_back({folder, true, 0});
        }
    }
    return entries;
}

}  // namespace mitu
