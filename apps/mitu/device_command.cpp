// `mitu device`: who may log in. Writes the registry file that mitud reads.

#include "apps/mitu/device_command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/mitu/password_prompt.hpp"
#include "apps/mitu/text.hpp"
#include "mitu/fleet/files.hpp"
#include "mitu/fleet/names.hpp"
#include "mitu/fleet/registry_edit.hpp"
#include "mitu/fleet/selector.hpp"
#include "mitu/fleet/templates.hpp"

namespace mitu::cli {
namespace {

using nlohmann::ordered_json;

ExitCode complain_all(const fleet::Problems& problems) {
    for (const auto& problem : problems) complain(ExitCode::usage, fleet::to_text(problem));
    return ExitCode::usage;
}

void print_json(const ordered_json& value) {
    std::puts(value.dump(-1, ' ', false, ordered_json::error_handler_t::replace).c_str());
}

/// The selector's words in the order of the file; sorted, as a registry has them.
Result<std::vector<fleet::Label>, std::string> parse_labels(const std::vector<std::string>& words) {
    std::vector<fleet::Label> labels;
    for (const std::string& word : words) {
        const std::size_t equals = word.find('=');
        if (equals == std::string::npos) {
            return std::unexpected(
                fmt::format("--label is \"{}\"; use NAME=VALUE, such as zone=lab", word));
        }
        labels.push_back({word.substr(0, equals), word.substr(equals + 1)});
    }
    std::sort(labels.begin(), labels.end());
    return labels;
}

/// A device that no policy selects keeps mitud from starting; better told now. Policies that only
/// mitud knows (--policies) cannot be seen from here, so this is a note.
void note_if_unselected(const fleet::DeviceRecord& record) {
    const auto templates = fleet::load_templates(fleet::embedded_templates());
    if (!templates) return;
    const bool selected = std::any_of(templates->policies.begin(), templates->policies.end(),
                                      [&](const auto& policy) {
                                          return fleet::selects(policy->selector, record.tenant,
                                                                record.class_name, record.labels);
                                      });
    if (selected) return;
    fmt::print(stderr,
               "mitu: note: no compiled-in policy selects class \"{}\" of tenant \"{}\"; mitud "
               "needs one in its --policies directory\n",
               record.class_name, record.tenant);
}

void note_if_rewritten(const AddSummary& summary, const std::string& registry) {
    if (!summary.rewritten) return;
    fmt::print(stderr, "mitu: note: {} was written anew in the usual form; its comments are gone\n",
               registry);
}

// --- add ---

struct AddFlags {
    std::string id;
    std::string tenant;
    std::string class_name;
    std::vector<std::string> labels;
    std::string registry;
    bool password_stdin = false;
    bool generate = false;
    bool json = false;
};

ExitCode run_add(const AddFlags& flags) {
    NewDevice device;
    device.record.device = flags.id;
    device.record.tenant = flags.tenant;
    device.record.class_name = flags.class_name;
    auto labels = parse_labels(flags.labels);
    if (!labels) return complain(ExitCode::usage, labels.error());
    device.record.labels = *std::move(labels);

    // The same checks as for a line of a file, told under the command's own name.
    const std::string line = std::string{fleet::registry_header(fleet::RegistryFormat::csv)} +
                             fleet::format_record(device.record, fleet::RegistryFormat::csv);
    for (const auto& problem : fleet::parse_registry({"x.csv", line}, {}, [](auto&) {})) {
        complain(ExitCode::usage, problem.text);
        device.record.device.clear();
    }
    if (device.record.device.empty()) return ExitCode::usage;

    if (flags.generate == flags.password_stdin) {
        return complain(ExitCode::usage,
                        "a device needs a password; use --generate or --password-stdin");
    }
    device.is_random = flags.generate;
    device.password = flags.generate ? random_secret() : read_password();
    if (device.password.empty()) {
        return complain(ExitCode::usage, "--password-stdin: the first line of stdin is empty");
    }
    const std::string password = device.password;
    std::vector<NewDevice> devices;
    devices.push_back(std::move(device));
    const fleet::DeviceRecord record = devices.front().record;
    const auto added =
        add_devices({flags.registry, std::nullopt, flags.id, false}, std::move(devices));
    if (!added) return complain_all(added.error());

    note_if_rewritten(*added, flags.registry);
    note_if_unselected(record);
    const std::string user = fmt::format("{}@{}", record.device, record.tenant);
    if (flags.json) {
        ordered_json body{{"device", record.device},
                          {"tenant", record.tenant},
                          {"class", record.class_name},
                          {"user", user}};
        if (flags.generate) body["password"] = password;
        print_json(body);
        return ExitCode::ok;
    }
    fmt::print("added     {}\nuser      {}\n", record.device, user);
    if (flags.generate) fmt::print("password  {}\n", password);
    return ExitCode::ok;
}

void add_add_command(CLI::App& device, Outcome& outcome) {
    auto flags = std::make_shared<AddFlags>();
    CLI::App* command = device.add_subcommand("add", "add one device to the registry");
    command->add_option("ID", flags->id, "the device's id, unique in its tenant")->required();
    command->add_option("--tenant", flags->tenant, "whose it is")->required();
    command->add_option("--class", flags->class_name, "what it is; policies select by it")
        ->required();
    command->add_option("--label", flags->labels, "NAME=VALUE; as often as needed");
    command->add_option("--registry", flags->registry, "the file: .csv, or YAML")->required();
    command->add_flag("--generate", flags->generate, "make up a password and print it");
    command->add_flag("--password-stdin", flags->password_stdin,
                      "read the password from the first line of stdin");
    command->add_flag("--json", flags->json, "print JSON");
    command->footer(R"(
The device logs in with user name ID@TENANT (or ID, while no other tenant has that id).
)");
    command->callback([flags, &outcome] { outcome.exit_code = run_add(*flags); });
}

// --- import, demo ---

struct ImportFlags {
    std::string input;
    std::string registry;
    std::string secrets;
    bool generate = false;
    bool random_passwords = false;
    bool skip_existing = false;
    bool json = false;
};

ExitCode report(const Result<AddSummary, fleet::Problems>& added, const ImportFlags& flags) {
    if (!added) return complain_all(added.error());
    note_if_rewritten(*added, flags.registry);
    if (flags.json) {
        print_json({{"added", added->added}, {"skipped", added->skipped}, {"total", added->total}});
        return ExitCode::ok;
    }
    fmt::print("added {} devices to {}, which has {} now", added->added, flags.registry,
               added->total);
    if (added->skipped > 0) fmt::print("; {} were there already", added->skipped);
    std::puts("");
    if (!flags.secrets.empty()) fmt::print("their passwords are in {}\n", flags.secrets);
    return ExitCode::ok;
}

/// Gives every row its password or its hash.
Result<std::vector<NewDevice>, fleet::Problems> plan_import(const ImportFlags& flags,
                                                            fleet::RegistryContents& input) {
    std::vector<NewDevice> devices;
    fleet::Problems problems;
    for (fleet::DeviceRecord& record : input.records()) {
        NewDevice device;
        const bool has_password = !record.password.empty();
        if (has_password && !record.credential.empty()) {
            problems.push_back(
                {flags.input, record.line, "both a password and a credential; remove one of them"});
        } else if (has_password) {
            device.password = std::move(record.password);
            device.is_random = flags.random_passwords;
        } else if (record.credential.empty() && flags.generate) {
            device.password = random_secret();
            device.is_random = true;
        } else if (record.credential.empty()) {
            problems.push_back({flags.input, record.line,
                                "no password; fill in the column password, or use --generate"});
        }
        device.record = std::move(record);
        devices.push_back(std::move(device));
    }
    if (!problems.empty()) return std::unexpected(std::move(problems));
    return devices;
}

ExitCode run_import(const ImportFlags& flags) {
    if (flags.generate && flags.secrets.empty()) {
        return complain(ExitCode::usage,
                        "--generate needs --credentials-out FILE, or nobody would know the "
                        "passwords");
    }
    if (!flags.generate && !flags.secrets.empty()) {
        return complain(ExitCode::usage, "--credentials-out goes with --generate only");
    }
    const auto file = fleet::load_file(flags.input);
    if (!file) return complain_all({file.error()});
    auto input =
        fleet::RegistryContents::read({flags.input, file->text}, {.allow_passwords = true});
    if (!input) return complain_all(input.error());
    auto devices = plan_import(flags, *input);
    if (!devices) return complain_all(devices.error());

    constexpr std::ptrdiff_t worth_telling = 100;
    const auto chosen = std::count_if(devices->begin(), devices->end(), [](const auto& device) {
        return !device.password.empty() && !device.is_random;
    });
    if (chosen >= worth_telling) {
        fmt::print(stderr,
                   "mitu: note: hashing {} passwords at about 0.1 s each; --random-passwords says "
                   "that machines made them, and is quick\n",
                   chosen);
    }
    std::optional<std::string> secrets;
    if (!flags.secrets.empty()) secrets = flags.secrets;
    return report(add_devices({flags.registry, secrets, flags.input, flags.skip_existing},
                              *std::move(devices)),
                  flags);
}

void add_import_command(CLI::App& device, Outcome& outcome) {
    auto flags = std::make_shared<ImportFlags>();
    CLI::App* command =
        device.add_subcommand("import", "add the devices of a file to the registry");
    command
        ->add_option("FILE", flags->input,
                     "CSV (or YAML) with device, tenant, class, and perhaps labels (a=1;b=2), "
                     "password, credential")
        ->required();
    command->add_option("--registry", flags->registry, "the file: .csv, or YAML")->required();
    command->add_flag("--generate", flags->generate, "make up passwords for rows without one");
    command->add_option("--credentials-out", flags->secrets,
                        "where passwords go, as CSV: device, tenant, class, password; for "
                        "--generate");
    command->add_flag("--random-passwords", flags->random_passwords,
                      "the file's passwords are random (128 bits or more): a cheap hash will do");
    command->add_flag("--skip-existing", flags->skip_existing,
                      "leave out devices that are in the registry already");
    command->add_flag("--json", flags->json, "print JSON");
    command->callback([flags, &outcome] { outcome.exit_code = run_import(*flags); });
}

void add_demo_command(CLI::App& device, Outcome& outcome) {
    auto flags = std::make_shared<ImportFlags>();
    auto count = std::make_shared<std::uint32_t>(500);
    CLI::App* command = device.add_subcommand(
        "demo", "make up devices of every compiled-in policy, to try things on");
    command->add_option("--count", *count, "how many (500)")->check(CLI::Range(1, 10'000'000));
    command->add_option("--registry", flags->registry, "the file: .csv, or YAML")->required();
    command
        ->add_option("--credentials-out", flags->secrets,
                     "where passwords go, as CSV: device, tenant, class, password")
        ->required();
    command->add_flag("--json", flags->json, "print JSON");
    command->callback([flags, count, &outcome] {
        outcome.exit_code = report(
            add_devices({flags->registry, flags->secrets, "demo", false}, demo_devices(*count)),
            *flags);
    });
}

// --- list ---

struct ListFlags {
    std::string registry;
    std::string tenant;
    std::string class_name;
    bool json = false;
};

std::string label_text(const fleet::DeviceRecord& record) {
    std::string text;
    for (const auto& label : record.labels) {
        text += fmt::format("{}{}={}", text.empty() ? "" : ";", label.key, label.value);
    }
    return text;
}

ExitCode run_list(const ListFlags& flags) {
    const auto file = fleet::load_file(flags.registry);
    if (!file) return complain_all({file.error()});
    TextTable table{{"DEVICE", "TENANT", "CLASS", "LABELS", "PASSWORD"}};
    const auto show = [&](const fleet::DeviceRecord& record) {
        if (!flags.tenant.empty() && record.tenant != flags.tenant) return;
        if (!flags.class_name.empty() && record.class_name != flags.class_name) return;
        if (!flags.json) {
            table.add({record.device, record.tenant, record.class_name, label_text(record),
                       record.credential.empty() ? "no" : "yes"});
            return;
        }
        ordered_json labels = ordered_json::object();
        for (const auto& label : record.labels) labels[label.key] = label.value;
        print_json({{"device", record.device},
                    {"tenant", record.tenant},
                    {"class", record.class_name},
                    {"labels", labels},
                    {"has_password", !record.credential.empty()}});
    };
    const auto problems = fleet::parse_registry({flags.registry, file->text}, {}, show);
    if (!flags.json) std::fputs(table.print().c_str(), stdout);
    return problems.empty() ? ExitCode::ok : complain_all(problems);
}

void add_list_command(CLI::App& device, Outcome& outcome) {
    auto flags = std::make_shared<ListFlags>();
    CLI::App* command = device.add_subcommand("list", "print the devices of a registry");
    command->add_option("--registry", flags->registry, "the file: .csv, or YAML")->required();
    command->add_option("--tenant", flags->tenant, "of this tenant only");
    command->add_option("--class", flags->class_name, "of this class only");
    command->add_flag("--json", flags->json, "print one JSON object a line");
    command->callback([flags, &outcome] { outcome.exit_code = run_list(*flags); });
}

}  // namespace

void add_device_command(CLI::App& app, Outcome& outcome) {
    CLI::App* device =
        app.add_subcommand("device", "add, import and list the devices that may log in");
    device->require_subcommand(1);
    add_add_command(*device, outcome);
    add_import_command(*device, outcome);
    add_demo_command(*device, outcome);
    add_list_command(*device, outcome);
    device->footer(R"(
The registry is a file that mitud reads at start (mitud --registry FILE). It holds no passwords but
their argon2id hashes. It is replaced whole: a crash leaves the old file or the new one.
)");
}

}  // namespace mitu::cli
