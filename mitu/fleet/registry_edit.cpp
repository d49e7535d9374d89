#include "mitu/fleet/registry_edit.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace mitu::fleet {
namespace {

std::string key_of(std::string_view tenant, std::string_view device) {
    return fmt::format("{}@{}", device, tenant);
}

bool same_device(const DeviceRecord& a, const DeviceRecord& b) {
    return a.device == b.device && a.tenant == b.tenant && a.class_name == b.class_name &&
           a.labels == b.labels && a.credential == b.credential;
}

/// Whether `text` holds exactly `old`, then `added`.
bool holds(const SourceFile& file, std::span<const DeviceRecord> old,
           std::span<const DeviceRecord> added) {
    const auto contents = RegistryContents::read(file);
    if (!contents || contents->records().size() != old.size() + added.size()) return false;
    const auto first_added = contents->records().begin() + static_cast<std::ptrdiff_t>(old.size());
    return std::equal(old.begin(), old.end(), contents->records().begin(), same_device) &&
           std::equal(added.begin(), added.end(), first_added, same_device);
}

}  // namespace

Result<RegistryContents, Problems> RegistryContents::read(const SourceFile& file,
                                                          const RegistryOptions& options) {
    RegistryContents contents;
    Problems twice;
    Problems problems = parse_registry(file, options, [&](DeviceRecord& record) {
        const auto [at, is_new] =
            contents.lines_.try_emplace(key_of(record.tenant, record.device), record.line);
        if (is_new) {
            contents.records_.push_back(record);
        } else {
            twice.push_back({file.name, record.line,
                             fmt::format("device \"{}\" of tenant \"{}\" is there twice, first on "
                                         "line {}; remove one",
                                         record.device, record.tenant, at->second)});
        }
    });
    problems.insert(problems.end(), twice.begin(), twice.end());
    if (!problems.empty()) return std::unexpected(std::move(problems));
    return contents;
}

std::uint32_t RegistryContents::line_of(std::string_view tenant, std::string_view device) const {
    const auto found = lines_.find(key_of(tenant, device));
    return found == lines_.end() ? 0 : found->second;
}

Result<RegistryEdit, Problems> add_to_registry(const SourceFile& file,
                                               std::span<const DeviceRecord> added) {
    const auto old = RegistryContents::read(file);
    if (!old) return std::unexpected(old.error());
    const RegistryFormat format = registry_format(file.name);
    std::string more;
    for (const DeviceRecord& record : added) more += format_record(record, format);

    RegistryEdit edit{std::string{file.text}, false};
    if (edit.text.empty()) edit.text = registry_header(format);
    if (!edit.text.ends_with('\n')) edit.text += '\n';
    edit.text += more;
    if (holds({file.name, edit.text}, old->records(), added)) return edit;

    edit = {std::string{registry_header(format)}, true};
    for (const DeviceRecord& record : old->records()) edit.text += format_record(record, format);
    edit.text += more;
    return edit;
}

}  // namespace mitu::fleet
