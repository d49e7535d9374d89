#pragma once
// The registry file: which devices there are. YAML or CSV; written by `mitu device add|import`.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/fleet/policy.hpp"
#include "mitu/fleet/problem.hpp"

namespace mitu::fleet {

/// One device as the file has it.
/// Shape  device, tenant, class: as names.hpp. labels: k=v;k=v in CSV, a map in YAML; at most 32.
///        credential: argon2id PHC string, or empty: no password opens the device.
struct DeviceRecord {
    std::string device;
    std::string tenant;
    std::string class_name;
    std::vector<Label> labels;  // sorted by key
    std::string credential;
    std::string password;  // only where the input of an import has that column
    std::uint32_t line = 0;
};

enum class RegistryFormat : std::uint8_t { csv, yaml };
/// By the end of the file's name: .csv is CSV, any other YAML.
[[nodiscard]] RegistryFormat registry_format(std::string_view file_name) noexcept;

struct RegistryOptions {
    bool allow_passwords = false;  // the column `password` of an import's input
};

/// Reads every record in order and hands it to `sink`; the record is reused for the next.
/// CSV: a header line names the columns (device, tenant, class, labels, credential; in any order);
/// lines that are empty or begin with '#' are skipped; fields may be quoted as in RFC 4180.
/// YAML: `devices:` is a list of maps with the same keys.
/// Errors  returned, all of them; records with a problem do not reach `sink`. A device named twice
///         in one tenant is not seen here but by Catalog::build().
[[nodiscard]] Problems parse_registry(const SourceFile& file, const RegistryOptions& options,
                                      const std::function<void(DeviceRecord&)>& sink);

/// One more record, as a line (or YAML item) to append to a registry in that format.
[[nodiscard]] std::string format_record(const DeviceRecord& record, RegistryFormat format);
/// What a new file begins with.
[[nodiscard]] std::string_view registry_header(RegistryFormat format) noexcept;

}  // namespace mitu::fleet
