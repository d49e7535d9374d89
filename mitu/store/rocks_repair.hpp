#pragma once
// What is done with a store that does not open. For files that wrap RocksDB only.

#include "mitu/base/result.hpp"
#include "mitu/store/rocks_options.hpp"

namespace mitu::store {

/// Like mkdir --parents.
[[nodiscard]] Result<void, Error> make_directories(rocksdb::Env& env, const std::string& directory);

/// Adds what a recovery of the log has dropped, as RocksDB told its log.
void note_dropped_bytes(ComplaintLog& complaints, OpenReport& report);

/// Puts files whose checksums do not hold into DIRECTORY/quarantine, and builds the list of files
/// anew from the others. What they held is lost, and rows that they erased may be back.
void repair(const std::string& directory, const RocksSetup& setup, OpenReport& report);

/// All files go to DIRECTORY/quarantine.
void set_aside_all(const std::string& directory, rocksdb::Env& env, OpenReport& report);

}  // namespace mitu::store
