#pragma once
// A directory of files compiled into the program by mitu_embed_directory() (cmake/MituEmbed.cmake).

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace mitu {

/// One row of the table that the build writes. Shape: byte offsets and sizes within the data block.
struct EmbeddedFileRecord {
    std::uint32_t path_offset;
    std::uint32_t path_bytes;
    std::uint32_t data_offset;
    std::uint32_t data_bytes;
};

struct EmbeddedEntry {
    std::string_view name;  // the last part of the path only
    bool is_directory = false;
    std::uint32_t size_bytes = 0;  // 0 for a directory
};

/// Files by path. Paths are relative, with '/', without a leading or trailing one: "web/app.js".
/// Lifetime   what it returns lives as long as the process.
/// Threading  immutable.
class EmbeddedDirectory {
public:
    /// For the generated code: `records` are sorted by path in byte order.
    constexpr EmbeddedDirectory(const unsigned char* data, const EmbeddedFileRecord* records,
                                std::size_t file_count) noexcept
        : data_{data}, records_{records}, file_count_{file_count} {}

    /// Files and subfolders of `path` ("" is the root), in byte order of their full paths.
    /// Errors  empty: no such directory (an empty one is not embedded).
    [[nodiscard]] std::vector<EmbeddedEntry> read_dir(std::string_view path) const;

    /// The bytes of one file; binary safe. A zero byte follows them, not counted.
    /// Errors  nullopt: no such file.
    /// Cost    a search by halves; no allocation, no copy.
    [[nodiscard]] std::optional<std::string_view> read_file(std::string_view path) const noexcept;

    [[nodiscard]] std::size_t file_count() const noexcept { return file_count_; }
    /// The path and bytes of file 0..file_count()-1, in byte order of the paths.
    [[nodiscard]] std::string_view path_at(std::size_t index) const noexcept;
    [[nodiscard]] std::string_view data_at(std::size_t index) const noexcept;

private:
    [[nodiscard]] std::size_t lower_bound(std::string_view path) const noexcept;

    const unsigned char* data_;
    const EmbeddedFileRecord* records_;
    std::size_t file_count_;
};

}  // namespace mitu
