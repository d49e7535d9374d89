#pragma once
// A registry's text with more devices in it. Pure: files are read and written by files.hpp.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/fleet/registry.hpp"

namespace mitu::fleet {

/// The devices of a registry, and which there are.
class RegistryContents {
public:
    /// Errors  all of the file's problems, devices named twice among them.
    [[nodiscard]] static Result<RegistryContents, Problems> read(
        const SourceFile& file, const RegistryOptions& options = {});

    [[nodiscard]] std::span<const DeviceRecord> records() const noexcept { return records_; }
    [[nodiscard]] std::span<DeviceRecord> records() noexcept { return records_; }
    /// The line of that device; 0: it is not there.
    [[nodiscard]] std::uint32_t line_of(std::string_view tenant, std::string_view device) const;

private:
    std::vector<DeviceRecord> records_;
    std::unordered_map<std::string, std::uint32_t> lines_;  // by "device@tenant"; never walked
};

struct RegistryEdit {
    std::string text;
    /// The old text could not simply be continued (columns in another order, YAML in flow style):
    /// it is written anew, without its comments.
    bool rewritten = false;
};

/// `file` (empty text: a new file) and behind it `added`, which must be valid and not be in it.
/// Errors  the problems of `file`.
[[nodiscard]] Result<RegistryEdit, Problems> add_to_registry(const SourceFile& file,
                                                             std::span<const DeviceRecord> added);

}  // namespace mitu::fleet
