// The store's own JSON, for people.

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "apps/mitu/store/store_actions.hpp"
#include "apps/mitu/text.hpp"

namespace mitu::cli {
namespace {

void print_lines(const char* heading, const Json& lines) {
    for (const Json& line : lines) fmt::print("{:8}  {}\n", heading, cell_of(line));
}

void print_damaged(const Json& table) {
    const auto rows = table.at("rows").get<std::uint64_t>();
    fmt::print("damaged   {} ({}, {}), keys {} to {}: {}\n", cell_of(table.at("file")),
               cell_of(table.at("family")),
               rows == 0 ? "rows not known" : fmt::format("at most {} rows", rows),
               cell_of(table.at("first_key")), cell_of(table.at("last_key")),
               cell_of(table.at("what")));
}

}  // namespace

ExitCode print_check(const Json& check, bool as_json) {
    const bool is_sound = check.at("sound").get<bool>();
    const ExitCode exit_code = is_sound ? ExitCode::ok : ExitCode::failed;
    if (as_json) {
        fmt::print("{}\n", check.dump());
        return exit_code;
    }
    if (check.at("problem").is_string()) {
        fmt::print("problem   {}\n", cell_of(check.at("problem")));
    }
    print_lines("cut", check.at("log_cut"));
    for (const Json& table : check.at("damaged")) print_damaged(table);
    for (const Json& finding : check.at("findings")) {
        fmt::print("{:8}  {}  {}\n", finding.at("harmless").get<bool>() ? "harmless" : "wrong",
                   cell_of(finding.at("family")), cell_of(finding.at("what")));
    }
    for (const auto& [family, of_family] : check.at("families").items()) {
        const auto rows = of_family.at("rows").get<std::uint64_t>();
        if (rows == 0) continue;
        fmt::print("{:13} {:>12} rows {:>14} bytes\n", family, rows,
                   of_family.at("bytes").get<std::uint64_t>());
    }
    print_lines("do", check.at("remedies"));
    fmt::print("{}  {} findings in rows, {} of them harmless; {} damaged files; schema {}\n",
               is_sound ? "sound" : "damaged", check.at("findings_total").get<std::uint64_t>(),
               check.at("findings_harmless").get<std::uint64_t>(), check.at("damaged").size(),
               check.at("schema").get<std::uint64_t>());
    return exit_code;
}

ExitCode print_stats(const Json& stats, bool as_json) {
    if (as_json) {
        fmt::print("{}\n", stats.dump());
        return ExitCode::ok;
    }
    for (const auto& [family, of_family] : stats.at("families").items()) {
        const auto rows = of_family.at("rows_estimate").get<std::uint64_t>();
        const auto bytes = of_family.at("disk_bytes").get<std::uint64_t>();
        if (rows == 0 && bytes == 0) continue;
        fmt::print("{:13} about {:>12} rows {:>14} bytes in files\n", family, rows, bytes);
    }
    fmt::print("files {} bytes; log {} bytes; free {} bytes; schema {}; started {} times\n",
               stats.at("disk_bytes").get<std::uint64_t>(),
               stats.at("log_bytes").get<std::uint64_t>(), cell_of(stats.at("free_bytes")),
               stats.at("schema").get<std::uint64_t>(), stats.at("starts").get<std::uint64_t>());
    if (const Json& accepts = stats.at("accepts_new");
        accepts.is_boolean() && !accepts.get<bool>()) {
        fmt::print("nothing new is kept: the disk is full, or does not work; see the log\n");
    }
    return ExitCode::ok;
}

ExitCode print_backup(const Json& backup, bool as_json) {
    if (as_json) {
        fmt::print("{}\n", backup.dump());
    } else {
        fmt::print("ok  {}: {} files, {} bytes; a server starts on it with --data\n",
                   cell_of(backup.at("directory")), backup.at("files").get<std::uint64_t>(),
                   backup.at("bytes").get<std::uint64_t>());
    }
    return ExitCode::ok;
}

}  // namespace mitu::cli
