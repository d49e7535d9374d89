#include "mitu/store/rocks_repair.hpp"

#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table_properties.h>

#include <string_view>

#include "mitu/ports/trial.hpp"
#include "mitu/store/rocks_status.hpp"

namespace mitu::store {
namespace {

/// Moves DIRECTORY/name to DIRECTORY/quarantine/name, or name.1, name.2, ...
bool quarantine(const std::string& directory, const std::string& name, rocksdb::Env& env,
                OpenReport& report) {
    const std::string shelf = directory + "/quarantine";
    (void)env.CreateDirIfMissing(shelf);
    std::string target = shelf + "/" + name;
    for (int i = 1; env.FileExists(target).ok(); ++i) {
        target = shelf + "/" + name + "." + std::to_string(i);
    }
    const auto moved = env.RenameFile(directory + "/" + name, target);
    if (!moved.ok()) {
        report.losses.push_back(name + ": cannot be put aside: " + moved.ToString());
        return false;
    }
    report.quarantined.push_back(target);
    ports::pass_trial(ports::TrialPoint::repair_file_put_aside);
    return true;
}

bool is_table(std::string_view name) noexcept { return name.ends_with(".sst"); }

/// What is known of a damaged table, from those of its parts that can be read.
std::string describe(rocksdb::SstFileReader& reader) {
    const auto properties = reader.GetTableProperties();
    if (!properties) return "";
    return " (" + properties->column_family_name + ", " + std::to_string(properties->num_entries) +
           " rows)";
}

}  // namespace

Result<void, Error> make_directories(rocksdb::Env& env, const std::string& directory) {
    for (std::size_t slash = directory.find('/', 1);; slash = directory.find('/', slash + 1)) {
        const std::string part = directory.substr(0, slash);
        const auto made = env.CreateDirIfMissing(part);
        if (!made.ok()) return std::unexpected(to_error(made, "making " + part));
        if (slash == std::string::npos) return {};
    }
}

void note_dropped_bytes(ComplaintLog& complaints, OpenReport& report) {
    for (std::string& line : complaints.take()) {
        if (line.find("dropping") != std::string::npos) {
            report.losses.push_back("the log: " + line);
        }
    }
}

void repair(const std::string& directory, const RocksSetup& setup, OpenReport& report) {
    ports::pass_trial(ports::TrialPoint::repair_began);
    rocksdb::Env& env = *setup.options.env;
    std::vector<std::string> names;
    (void)env.GetChildren(directory, &names);
    rocksdb::Options options{setup.options, setup.families.front().options};
    for (const std::string& name : names) {
        if (!is_table(name)) continue;
        rocksdb::SstFileReader reader{options};
        auto status = reader.Open(directory + "/" + name);
        std::string known;
        if (status.ok()) {
            known = describe(reader);
            status = reader.VerifyChecksum();
        }
        if (status.ok()) continue;
        report.losses.push_back(name + known + ": " + status.ToString());
        (void)quarantine(directory, name, env, report);
    }
    const auto repaired = rocksdb::RepairDB(directory, setup.options, setup.families);
    if (!repaired.ok()) report.losses.push_back("repair: " + repaired.ToString());
    note_dropped_bytes(*setup.complaints, report);
    ports::pass_trial(ports::TrialPoint::repair_done);
}

void set_aside_all(const std::string& directory, rocksdb::Env& env, OpenReport& report) {
    std::vector<std::string> names;
    (void)env.GetChildren(directory, &names);
    for (const std::string& name : names) {
        if (name == "." || name == ".." || name == "LOCK" || name == "quarantine") continue;
        (void)quarantine(directory, name, env, report);
    }
}

}  // namespace mitu::store
