// `mitu config`: check, show and compare configurations of mitud, and print what is known of them.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "apps/mitu/admin/api_client.hpp"
#include "apps/mitu/commands.hpp"
#include "mitu/config/diff.hpp"
#include "mitu/config/documents.hpp"
#include "mitu/config/files.hpp"
#include "mitu/fleet/files.hpp"
#include "mitu/fleet/templates.hpp"

namespace mitu::cli {

namespace {

struct ConfigFlags {
    std::string file;
    std::string other;
    bool origins = false;
    bool only_set = false;
    bool no_files = false;
    bool json = false;
    ApiFlags api;  // of `show`: whom to ask
};

Result<std::vector<std::string>, yaml::Problems> tenants_of(const std::string& directory) {
    std::vector<fleet::LoadedFile> overlay;
    if (!directory.empty()) {
        auto loaded = fleet::load_template_directory(directory);
        if (!loaded) return std::unexpected(loaded.error());
        overlay = *std::move(loaded);
    }
    const auto templates =
        fleet::load_templates(fleet::embedded_templates(), fleet::sources(overlay));
    if (!templates) return std::unexpected(templates.error());
    std::vector<std::string> names;
    for (const fleet::Tenant& tenant : templates->tenants) names.push_back(tenant.name);
    return names;
}

config::FileSources sources_of(const std::string& file) {
    config::FileSources sources;
    if (!file.empty()) sources.file = file;
    for (char** variable = ::environ; variable != nullptr && *variable != nullptr; ++variable) {
        const std::string_view text{*variable};
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos) continue;
        sources.environment.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    }
    sources.tenants = tenants_of;
    return sources;
}

ExitCode refuse(const yaml::Problems& problems) {
    std::fputs(yaml::to_text(problems).c_str(), stderr);
    return complain(ExitCode::usage,
                    problems.size() == 1
                        ? "the configuration has an error"
                        : "the configuration has " + std::to_string(problems.size()) + " errors");
}

void warn(const yaml::Problems& notices) {
    for (const yaml::Problem& notice : notices) {
        std::fprintf(stderr, "warning: %s\n", yaml::to_text(notice).c_str());
    }
}

ExitCode run_check(const ConfigFlags& flags) {
    const auto from = config::load_from_files(sources_of(flags.file));
    if (!from) return refuse(from.error());
    warn(from->loaded.notices);
    if (!flags.no_files) {
        const auto problems = config::unreadable_files(from->loaded);
        if (!problems.empty()) return refuse(problems);
    }
    const config::Config& config = from->loaded.config;
    std::printf("ok  %s: %zu listeners, %zu methods, %zu tenants\n",
                from->file.empty() ? "defaults" : from->file.c_str(), config.listeners.size(),
                config.authentication.methods.size(), config.tenants.size());
    return ExitCode::ok;
}

ExitCode run_show(const ConfigFlags& flags) {
    if (!flags.api.url.empty()) {
        if (!flags.file.empty() || flags.origins || flags.only_set) {
            return complain(ExitCode::usage,
                            "a server shows all that it runs by; leave out FILE, --origins and "
                            "--only-set, or leave out --url");
        }
        ApiFlags api = flags.api;
        api.json = flags.json;
        return show_server_config(api);
    }
    const auto from = config::load_from_files(sources_of(flags.file));
    if (!from) return refuse(from.error());
    warn(from->loaded.notices);
    const std::string text =
        config::show(from->loaded,
                     {.origins = flags.origins, .as_json = flags.json, .only_set = flags.only_set});
    std::fputs(text.c_str(), stdout);
    return ExitCode::ok;
}

/// What the files alone say: neither the environment nor managed.yaml belongs to one of the two.
Result<config::Config, yaml::Problems> load_alone(const std::string& file) {
    const auto from = config::load_from_files({.file = file, .with_managed = false});
    if (!from) return std::unexpected(from.error());
    return from->loaded.config;
}

ExitCode run_diff(const ConfigFlags& flags) {
    const auto before = load_alone(flags.file);
    if (!before) return refuse(before.error());
    const auto after = load_alone(flags.other);
    if (!after) return refuse(after.error());
    const auto changes = config::diff(*before, *after);
    if (flags.json) {
        std::fputs(config::to_json(changes).c_str(), stdout);
        return ExitCode::ok;
    }
    std::size_t live = 0;
    for (const config::Change& change : changes) {
        std::printf("%s\n", config::to_text(change).c_str());
        if (change.is_live) ++live;
    }
    std::printf("%zu live, %zu on restart\n", live, changes.size() - live);
    return ExitCode::ok;
}

}  // namespace

void add_config_command(CLI::App& app, Outcome& outcome) {
    auto flags = std::make_shared<ConfigFlags>();
    CLI::App* config =
        app.add_subcommand("config", "check, show and compare configurations of mitud");
    config->require_subcommand(1);

    CLI::App* check = config->add_subcommand("check", "all that is wrong in a configuration");
    check->add_option("FILE", flags->file, "configuration file (as mitud finds it)");
    check->add_flag("--no-files", flags->no_files,
                    "do not look whether the files it names can be read");
    check->footer(R"(
Reads what mitud would read: the file, managed.yaml in its data directory, and MITU__... variables.
Exit code 2: there are errors, each printed with file, line, value and remedy.
)");
    check->callback([flags, &outcome] { outcome.exit_code = run_check(*flags); });

    CLI::App* show = config->add_subcommand("show", "every value, defaults too; secrets are ***");
    show->add_option("FILE", flags->file, "configuration file (as mitud finds it)");
    show->add_flag("--origins", flags->origins, "where each value comes from");
    show->add_flag("--only-set", flags->only_set, "leave out what is as by default");
    show->add_flag("--json", flags->json, "one JSON object");
    add_api_server_options(*show, flags->api);
    show->footer(R"(
With --url it is what that server runs by, as its API shows it; else what mitud would read here.
)");
    show->callback([flags, &outcome] { outcome.exit_code = run_show(*flags); });

    CLI::App* diff =
        config->add_subcommand("diff", "what changes from one file to another, live or on restart");
    diff->add_option("OLD", flags->file, "configuration file")->required();
    diff->add_option("NEW", flags->other, "configuration file")->required();
    diff->add_flag("--json", flags->json, "a JSON array of changes");
    diff->callback([flags, &outcome] { outcome.exit_code = run_diff(*flags); });

    config->add_subcommand("schema", "JSON schema of the file, for editors and CI")->callback([] {
        std::fputs(config::json_schema().c_str(), stdout);
    });
    config->add_subcommand("reference", "every key, as docs/configuration.md")->callback([] {
        std::fputs(config::reference_page().c_str(), stdout);
    });
    add_config_reload_command(*config, outcome);
}

}  // namespace mitu::cli
