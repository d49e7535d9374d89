// `mitu store`: what a server keeps on disk, looked at and moved from outside.

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/mitu/store/store_actions.hpp"

namespace mitu::cli {
namespace {

using Action = ExitCode (*)(const StoreFlags&);

/// A directory and a server exclude each other: one may be a copy of the other.
bool names_server(const ApiFlags& api) {
    return !api.url.empty() || !api.token.empty() || !api.user.empty() || !api.ca_file.empty();
}

ExitCode run(const StoreFlags& flags, Action on_disk, Action over_api, const char* option) {
    if (flags.directory.empty()) return over_api(flags);
    if (names_server(flags.api)) {
        return complain(ExitCode::usage, std::string{option} +
                                             " is a directory on this machine, --url and what "
                                             "belongs to it a server; use one of them");
    }
    return on_disk(flags);
}

void add_either(CLI::App& store, const char* name, const char* about, Action on_disk,
                Action over_api, Outcome& outcome) {
    auto flags = std::make_shared<StoreFlags>();
    CLI::App* command = store.add_subcommand(name, about);
    command->add_option("DIR", flags->directory,
                        "the data directory of a server that is stopped; without it a server is "
                        "asked");
    add_api_options(*command, flags->api);
    command->callback([flags, on_disk, over_api, &outcome] {
        outcome.exit_code = run(*flags, on_disk, over_api, "DIR");
    });
}

void add_export(CLI::App& store, Outcome& outcome) {
    auto flags = std::make_shared<StoreFlags>();
    CLI::App* command = store.add_subcommand("export", "print all rows as lines of JSON");
    command->add_option("DIR", flags->directory, "the data directory of a server that is stopped")
        ->required();
    command->add_flag("--json", flags->api.json, "it is JSON in any case");
    command->callback([flags, &outcome] { outcome.exit_code = export_directory(*flags); });
}

void add_import(CLI::App& store, Outcome& outcome) {
    auto flags = std::make_shared<StoreFlags>();
    CLI::App* command = store.add_subcommand("import", "make a store of such lines");
    command
        ->add_option("DIR", flags->directory, "a data directory without a store; made if need be")
        ->required();
    command->add_option("FILE", flags->file, "the lines; -: standard input")->required();
    command->add_flag("--json", flags->api.json, "print JSON");
    command->callback([flags, &outcome] { outcome.exit_code = import_directory(*flags); });
}

void add_backup(CLI::App& store, Outcome& outcome) {
    auto flags = std::make_shared<StoreFlags>();
    CLI::App* command =
        store.add_subcommand("backup", "copy it as of now, by hard links, within a moment");
    command
        ->add_option("TARGET", flags->target,
                     "a data directory to make, on the same file system; the server makes it, "
                     "unless --from")
        ->required();
    command->add_option("--from", flags->directory,
                        "the data directory of a server that is stopped; without it a server is "
                        "asked");
    add_api_options(*command, flags->api);
    command->callback([flags, &outcome] {
        outcome.exit_code = run(*flags, back_up_directory, back_up_server, "--from");
    });
}

}  // namespace

void add_store_command(CLI::App& app, Outcome& outcome) {
    CLI::App* store =
        app.add_subcommand("store", "what a server keeps: check, count, copy and move it");
    store->require_subcommand(1);
    add_either(*store, "check", "read all of it: checksums, rows, and whether they agree",
               check_directory, check_server, outcome);
    add_either(*store, "stats", "how much of what it holds", show_directory, show_server_store,
               outcome);
    add_backup(*store, outcome);
    add_export(*store, outcome);
    add_import(*store, outcome);
}

}  // namespace mitu::cli
