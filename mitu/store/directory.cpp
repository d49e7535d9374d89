#include "mitu/store/directory.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

namespace mitu::store {
namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;

std::string dumped(const OrderedJson& value) {
    return value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

std::unexpected<Error> refused(std::string text) {
    return std::unexpected(Error{ErrorKind::refused, std::move(text)});
}

std::optional<dev_t> device_of(const std::string& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) return std::nullopt;
    return found.st_dev;
}

/// With `/` behind it or not.
fs::path plain(const std::string& directory) {
    fs::path path{directory};
    return path.has_filename() ? path : path.parent_path();
}

}  // namespace

std::string store_in(const std::string& data_directory) {
    return (fs::path{data_directory} / "store").string();
}

std::optional<std::int64_t> holder_of(const std::string& directory) {
    // Asks only: taking the lock, for a moment even, could keep a server from starting.
    const int file = ::open((directory + "/LOCK").c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return std::nullopt;
    struct flock lock{};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    const int asked = ::fcntl(file, F_GETLK, &lock);
    ::close(file);
    if (asked != 0 || lock.l_type == F_UNLCK) return std::nullopt;
    return lock.l_pid;
}

Result<Inspection, Error> inspect(const std::string& directory, WallTime wall,
                                  const std::function<bool()>& goes_on) {
    DiskOptions options;
    options.directory = directory;
    options.read_only = true;
    options.block_cache_bytes = 8ULL << 20;
    options.write_buffer_bytes = 8ULL << 20;
    options.open_files_max = 32;
    OpenReport opened;
    const auto engine = RocksEngine::open(options, opened);
    Inspection inspection;
    inspection.cut = std::move(opened.losses);
    if (!engine) {
        if (engine.error().kind != ErrorKind::damaged) return std::unexpected(engine.error());
        inspection.problem = engine.error();
        return inspection;
    }
    inspection.damaged = (*engine)->damaged_tables(goes_on);
    const auto identity = read_identity(**engine);
    if (!identity) {
        if (identity.error().kind != ErrorKind::damaged) return std::unexpected(identity.error());
        inspection.problem = identity.error();
        return inspection;
    }
    inspection.identity = *identity;
    auto report = check(**engine, {.findings_max = 100, .wall = wall, .goes_on = goes_on});
    if (!report) return std::unexpected(report.error());
    inspection.report = std::move(*report);
    return inspection;
}

std::vector<std::string> remedies(const Inspection& inspection) {
    std::vector<std::string> all;
    if (inspection.problem) {
        all.emplace_back(
            "the list of files cannot be read: a start builds it anew from the files that hold, "
            "and "
            "says what was lost; to lose nothing more, restore a backup instead");
    }
    if (!inspection.cut.empty()) {
        all.emplace_back(
            "the log is damaged: a start goes on with what comes before the place that is named, "
            "and what was written after it is lost; a backup that is younger than that has it");
    }
    if (!inspection.damaged.empty()) {
        all.emplace_back(
            "files are damaged: the server moves them to quarantine/ and goes on with the rest, "
            "so their rows are lost; to have these back, stop it and restore a backup. Check the "
            "disk");
    }
    if (inspection.damaged.empty() && !inspection.problem && !inspection.report.is_sound()) {
        all.emplace_back(
            "rows do not agree, though every checksum holds: the server steps over them; keep a "
            "backup as it is, and report it");
    }
    return all;
}

std::string to_json(const Inspection& inspection) {
    OrderedJson damaged = OrderedJson::array();
    for (const DamagedTable& table : inspection.damaged) {
        damaged.push_back({{"file", table.file},
                           {"family", table.family},
                           {"rows", table.rows},
                           {"first_key", printable(table.first_key)},
                           {"last_key", printable(table.last_key)},
                           {"what", table.what}});
    }
    const CheckReport& report = inspection.report;
    OrderedJson families = OrderedJson::object();
    for (std::size_t i = 0; i < family_count; ++i) {
        families[std::string{to_text(family_at(i))}] = {{"rows", report.rows[i]},
                                                        {"bytes", report.bytes[i]}};
    }
    OrderedJson findings = OrderedJson::array();
    for (const Finding& finding : report.findings) {
        findings.push_back({{"family", to_text(finding.family)},
                            {"what", finding.what},
                            {"harmless", finding.is_harmless}});
    }
    return dumped({{"sound", inspection.is_sound()},
                   {"problem", inspection.problem ? OrderedJson(inspection.problem->detail)
                                                  : OrderedJson(nullptr)},
                   {"log_cut", inspection.cut},
                   {"damaged", std::move(damaged)},
                   {"schema", inspection.identity.schema},
                   {"starts", inspection.identity.generation},
                   {"families", std::move(families)},
                   {"expired", report.expired},
                   {"findings_total", report.findings_total},
                   {"findings_harmless", report.harmless_total},
                   {"findings", std::move(findings)},
                   {"remedies", remedies(inspection)}});
}

std::string stats_json(Engine& engine, const Identity& identity, std::optional<bool> accepts_new) {
    const EngineStats stats = engine.stats();
    const auto free = engine.free_bytes();
    OrderedJson families = OrderedJson::object();
    std::uint64_t disk_bytes = 0;
    for (std::size_t i = 0; i < family_count; ++i) {
        const EngineStats::OfFamily& of_family = stats.families[i];
        disk_bytes += of_family.disk_bytes;
        families[std::string{to_text(family_at(i))}] = {{"rows_estimate", of_family.rows_estimate},
                                                        {"disk_bytes", of_family.disk_bytes},
                                                        {"memory_bytes", of_family.memory_bytes}};
    }
    return dumped({{"schema", identity.schema},
                   {"starts", identity.generation},
                   {"disk_bytes", disk_bytes},
                   {"log_bytes", stats.log_bytes},
                   {"memory_bytes", stats.memory_bytes},
                   {"free_bytes", free ? OrderedJson(*free) : OrderedJson(nullptr)},
                   {"accepts_new", accepts_new ? OrderedJson(*accepts_new) : OrderedJson(nullptr)},
                   {"families", std::move(families)}});
}

std::string to_json(const BackupReport& report) {
    return dumped(
        {{"directory", report.directory}, {"files", report.files}, {"bytes", report.bytes}});
}

Result<BackupReport, Error> back_up(RocksEngine& engine, const std::string& store_directory,
                                    const std::string& data_directory) {
    const fs::path target = plain(data_directory);
    std::error_code failed;
    const fs::path around = fs::absolute(target, failed).parent_path();
    const auto there = device_of(around.string());
    if (!there) {
        return refused(around.string() + " is not there, or may not be seen; make it first");
    }
    if (there != device_of(store_directory)) {
        return refused(
            target.string() + " is on another file system than " + store_directory +
            ", which it cannot share files with; back up beside the store, and copy that");
    }
    if (::mkdir(target.c_str(), 0700) != 0) {
        return refused(target.string() + ": " +
                       (errno == EEXIST ? "it is there already; name a new directory"
                                        : std::string{std::strerror(errno)}));
    }
    const std::string copy = store_in(target.string());
    if (const auto copied = engine.backup(copy); !copied) {
        fs::remove_all(target, failed);
        return std::unexpected(copied.error());
    }
    BackupReport report{target.string()};
    for (const auto& file : fs::directory_iterator{copy, failed}) {
        ++report.files;
        report.bytes += file.is_regular_file(failed) ? file.file_size(failed) : 0;
    }
    return report;
}

Result<Inspection, Error> inspect_open(RocksEngine& engine, const std::string& store_directory,
                                       WallTime wall, const std::function<bool()>& goes_on) {
    // Within the store's own directory: that is the file system where links to its files can be.
    const std::string copy = store_directory + "/checking";
    std::error_code failed;
    fs::remove_all(copy, failed);  // of one that a kill has ended
    const auto copied = back_up(engine, store_directory, copy);
    if (!copied) return std::unexpected(copied.error());
    auto inspection = inspect(store_in(copy), wall, goes_on);
    fs::remove_all(copy, failed);
    return inspection;
}

}  // namespace mitu::store
