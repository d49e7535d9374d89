// `mitu store` of a data directory.

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>

#include "apps/mitu/store/store_actions.hpp"
#include "mitu/store/directory.hpp"
#include "mitu/store/transfer.hpp"

namespace mitu::cli {
namespace {

namespace fs = std::filesystem;

std::string in_words(const store::Error& error) {
    const bool is_damaged = error.kind == store::ErrorKind::damaged;
    return error.detail + (is_damaged ? "; see `mitu store check`" : "");
}

ExitCode complain_of(const store::Error& error) {
    return complain(ExitCode::failed, in_words(error));
}

WallTime now_by_wall() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::milliseconds>(now).count()};
}

/// Why this directory is nothing to work with; nullopt: it is.
std::optional<std::string> problem_with(const std::string& directory, const char* instead) {
    const std::string store = store::store_in(directory);
    if (const auto holder = store::holder_of(store)) {
        return fmt::format("{}: process {} has its store open; {}", directory, *holder, instead);
    }
    if (fs::exists(store + "/CURRENT")) return std::nullopt;
    if (fs::exists(directory + "/CURRENT")) {
        return fmt::format("{} is a store itself; name the data directory that it lies in: {}",
                           directory, fs::path{directory}.parent_path().string());
    }
    return fmt::format("{} holds no store; name the data directory of a server (--data)",
                       directory);
}

constexpr const char* ask_instead =
    "ask the server itself: the same command without DIR, --url says where it is";

enum class Opening : std::uint8_t { to_read, to_write };

/// Null: complained.
std::unique_ptr<store::RocksEngine> open_store(const std::string& directory, Opening how) {
    store::DiskOptions options;
    options.directory = store::store_in(directory);
    options.read_only = how == Opening::to_read;
    options.mends = false;
    store::OpenReport report;
    auto opened = store::RocksEngine::open(options, report);
    for (const std::string& loss : report.losses) fmt::print(stderr, "mitu: note: {}\n", loss);
    if (opened) return std::move(*opened);
    (void)complain_of(opened.error());
    return nullptr;
}

}  // namespace

ExitCode check_directory(const StoreFlags& flags) {
    if (const auto problem = problem_with(flags.directory, ask_instead)) {
        return complain(ExitCode::usage, *problem);
    }
    const auto found = store::inspect(store::store_in(flags.directory), now_by_wall());
    if (!found) return complain_of(found.error());
    return print_check(Json::parse(store::to_json(*found)), flags.api.json);
}

ExitCode show_directory(const StoreFlags& flags) {
    if (const auto problem = problem_with(flags.directory, ask_instead)) {
        return complain(ExitCode::usage, *problem);
    }
    const auto engine = open_store(flags.directory, Opening::to_read);
    if (!engine) return ExitCode::failed;
    const auto identity = store::read_identity(*engine);
    if (!identity) return complain_of(identity.error());
    return print_stats(Json::parse(store::stats_json(*engine, *identity)), flags.api.json);
}

ExitCode export_directory(const StoreFlags& flags) {
    if (const auto problem =
            problem_with(flags.directory, "make a backup of it (mitu store backup), export that")) {
        return complain(ExitCode::usage, *problem);
    }
    const auto engine = open_store(flags.directory, Opening::to_read);
    if (!engine) return ExitCode::failed;
    const auto count = store::export_lines(*engine, [](std::string_view line) {
        return std::fwrite(line.data(), 1, line.size(), stdout) == line.size() &&
               std::fputc('\n', stdout) != EOF;
    });
    if (!count) return complain_of(count.error());
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        return complain(ExitCode::failed, "store export: standard output takes no more");
    }
    return ExitCode::ok;
}

ExitCode import_directory(const StoreFlags& flags) {
    const std::string store = store::store_in(flags.directory);
    if (fs::exists(store)) {
        return complain(ExitCode::usage,
                        store + " is there already; import into a data directory without a store");
    }
    std::ifstream file;
    if (flags.file != "-") {
        file.open(flags.file);
        if (!file) {
            return complain(ExitCode::usage,
                            flags.file + " cannot be read; name the lines of `mitu store export`");
        }
    }
    std::istream& from = flags.file == "-" ? std::cin : file;
    std::error_code failed;
    if (fs::create_directories(flags.directory, failed)) {
        fs::permissions(flags.directory, fs::perms::owner_all, failed);  // messages lie in it
    }
    auto engine = open_store(flags.directory, Opening::to_write);
    if (!engine) return ExitCode::failed;
    const auto count = store::import_lines(*engine, [&]() -> std::optional<std::string> {
        std::string line;
        if (!std::getline(from, line)) return std::nullopt;
        return line;
    });
    if (!count) {
        engine.reset();
        fs::remove_all(store, failed);  // made above: half of it is of no use
        const auto& problem = count.error();
        return complain(ExitCode::failed,
                        problem.line == 0 ? flags.directory + ": " + problem.what
                                          : fmt::format("{}:{}: {}; nothing was imported",
                                                        flags.file, problem.line, problem.what));
    }
    if (flags.api.json) {
        fmt::print("{}\n", Json{{"directory", flags.directory}, {"rows", *count}}.dump());
    } else {
        fmt::print("ok  {}: {} rows; a server starts on it with --data\n", flags.directory, *count);
    }
    return ExitCode::ok;
}

ExitCode back_up_directory(const StoreFlags& flags) {
    if (const auto problem = problem_with(
            flags.directory, "ask the server itself: without --from, --url says where it is")) {
        return complain(ExitCode::usage, *problem);
    }
    const auto engine = open_store(flags.directory, Opening::to_write);
    if (!engine) return ExitCode::failed;
    const auto made = store::back_up(*engine, store::store_in(flags.directory), flags.target);
    if (!made) return complain_of(made.error());
    return print_backup(Json::parse(store::to_json(*made)), flags.api.json);
}

}  // namespace mitu::cli
