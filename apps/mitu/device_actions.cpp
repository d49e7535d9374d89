#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "apps/mitu/device_command.hpp"
#include "apps/mitu/password_input.hpp"
#include "mitu/fleet/csv.hpp"
#include "mitu/fleet/files.hpp"
#include "mitu/fleet/registry_edit.hpp"
#include "mitu/fleet/templates.hpp"

namespace mitu::cli {
namespace {

using fleet::Problem;
using fleet::Problems;

/// The registry's text; empty where there is no file yet.
Result<std::string, Problem> load_registry(const std::string& path) {
    std::error_code unknown;  // then opening it will tell
    if (!std::filesystem::exists(path, unknown) && !unknown) return std::string{};
    auto file = fleet::load_file(path);
    if (!file) return std::unexpected(file.error());
    return std::move(file->text);
}

std::string secrets_text(const std::vector<NewDevice>& devices) {
    std::string text = "device,tenant,class,password\n";
    for (const NewDevice& device : devices) {
        text += fmt::format("{},{},{},{}\n", fleet::quote_csv(device.record.device),
                            device.record.tenant, device.record.class_name,
                            fleet::quote_csv(device.password));
    }
    return text;
}

/// A file of passwords that somebody still needs is not overwritten.
std::optional<Problem> check_secrets_path(const std::string& path) {
    const auto file = fleet::load_file(path);
    if (!file || file->text.empty()) return std::nullopt;
    return Problem{path, 0, "is there already; name another file, or remove it"};
}

}  // namespace

std::string random_secret() { return identity::format_secret(random_bytes<16>()); }

bool hash_passwords(std::vector<NewDevice>& devices) {
    std::atomic<std::size_t> next{0};
    std::atomic<bool> failed{false};
    const auto work = [&] {
        for (std::size_t i = next++; i < devices.size() && !failed; i = next++) {
            NewDevice& device = devices[i];
            if (device.password.empty()) continue;
            device.record.credential = identity::hash_password(
                device.password, random_bytes<std::tuple_size_v<identity::Salt>>(),
                device.is_random ? identity::credential_cost_random
                                 : identity::credential_cost_chosen);
            if (device.record.credential.empty()) failed = true;
        }
    };
    const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
    {
        std::vector<std::jthread> helpers;
        for (std::size_t i = 1; i < std::min(cores, devices.size()); ++i) {
            helpers.emplace_back(work);
        }
        work();
    }
    return !failed;
}

Result<AddSummary, Problems> add_devices(const AddRequest& request,
                                         std::vector<NewDevice> devices) {
    const auto lock = fleet::FileLock::acquire(request.registry_path);
    if (!lock) return std::unexpected(Problems{lock.error()});
    auto text = load_registry(request.registry_path);
    if (!text) return std::unexpected(Problems{text.error()});
    const fleet::SourceFile registry{request.registry_path, *text};
    const auto before = fleet::RegistryContents::read(registry);
    if (!before) return std::unexpected(before.error());

    Problems problems;
    AddSummary summary;
    std::erase_if(devices, [&](const NewDevice& device) {
        const auto& record = device.record;
        const std::uint32_t line = before->line_of(record.tenant, record.device);
        if (line == 0) return false;
        ++summary.skipped;
        problems.push_back(
            {request.source_name, record.line,
             fmt::format("device \"{}\" of tenant \"{}\" is at {}:{} already; remove "
                         "one of them",
                         record.device, record.tenant, registry.name, line)});
        return true;
    });
    if (!problems.empty() && !request.skip_existing) return std::unexpected(std::move(problems));
    if (request.secrets_path) {
        if (auto problem = check_secrets_path(*request.secrets_path)) {
            return std::unexpected(Problems{*std::move(problem)});
        }
    }
    if (!hash_passwords(devices)) {
        return std::unexpected(Problems{
            {request.source_name, 0, "not enough memory to hash a password; it needs 64 MiB"}});
    }

    std::vector<fleet::DeviceRecord> records;
    records.reserve(devices.size());
    for (const NewDevice& device : devices) records.push_back(device.record);
    const auto edit = fleet::add_to_registry(registry, records);
    if (!edit) return std::unexpected(edit.error());
    if (request.secrets_path) {
        if (auto problem = fleet::replace_file(*request.secrets_path, secrets_text(devices),
                                               {.mode = 0600, .keep_mode = false})) {
            return std::unexpected(Problems{*std::move(problem)});
        }
    }
    if (auto problem = fleet::replace_file(request.registry_path, edit->text)) {
        return std::unexpected(Problems{*std::move(problem)});
    }
    summary.added = devices.size();
    summary.total = before->records().size() + devices.size();
    summary.rewritten = edit->rewritten;
    return summary;
}

std::vector<NewDevice> demo_devices(std::uint32_t count) {
    const auto templates = fleet::load_templates(fleet::embedded_templates());
    std::vector<NewDevice> devices;
    if (!templates) return devices;
    std::vector<const fleet::Selector*> kinds;
    for (const auto& policy : templates->policies) {
        const fleet::Selector& selector = policy->selector;
        const bool names_a_kind = !selector.tenant.empty() && !selector.class_name.empty();
        if (names_a_kind && selector.class_name != "operator") kinds.push_back(&selector);
    }
    devices.reserve(count);
    for (std::uint32_t i = 0; i < count && !kinds.empty(); ++i) {
        const fleet::Selector& kind = *kinds[i % kinds.size()];
        NewDevice device;
        device.record.device = fmt::format("{}-{:05}", kind.class_name, i + 1);
        std::replace(device.record.device.begin(), device.record.device.end(), '_', '-');
        device.record.tenant = kind.tenant;
        device.record.class_name = kind.class_name;
        device.record.labels = kind.labels;
        device.password = random_secret();
        device.is_random = true;
        devices.push_back(std::move(device));
    }
    return devices;
}

}  // namespace mitu::cli
