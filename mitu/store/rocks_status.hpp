#pragma once
// RocksDB's statuses as errors of the store. For files that wrap RocksDB only.

#include <rocksdb/slice.h>
#include <rocksdb/status.h>

#include <string>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/store/error.hpp"

namespace mitu::store {

[[nodiscard]] inline rocksdb::Slice to_slice(ByteView bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[nodiscard]] inline ByteView to_view(const rocksdb::Slice& slice) noexcept {
    return as_bytes(std::string_view{slice.data(), slice.size()});
}

[[nodiscard]] inline Error to_error(const rocksdb::Status& status, std::string_view doing) {
    ErrorKind kind = ErrorKind::io_failed;
    if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kSpaceLimit) {
        kind = ErrorKind::disk_full;
    } else if (status.IsCorruption()) {
        kind = ErrorKind::damaged;
    } else if (status.IsNotSupported()) {
        kind = ErrorKind::unsupported;
    } else if (status.IsShutdownInProgress()) {
        kind = ErrorKind::closed;
    }
    return {kind, std::string{doing} + ": " + status.ToString()};
}

}  // namespace mitu::store
