#pragma once
// The files of a server on trial: RocksDB's own, with trial points around what is written. For
// files that wrap RocksDB only.

#include <rocksdb/env.h>
#include <rocksdb/listener.h>

#include <memory>

namespace mitu::store {

/// The system's files. A strike `power` cuts every file back to what was synced of it; files and
/// names themselves stay. What was on the disk before counts as synced.
/// Lifetime  ports::trial() outlives it.
[[nodiscard]] std::shared_ptr<rocksdb::Env> make_trial_env();

/// Points of flushes and compactions.
[[nodiscard]] std::shared_ptr<rocksdb::EventListener> make_trial_listener();

}  // namespace mitu::store
