#pragma once
// What can go wrong with a store, as its callers act on it.

#include <cstdint>
#include <string>
#include <string_view>

namespace mitu::store {

enum class ErrorKind : std::uint8_t {
    disk_full,    // new durable work is refused (0x97) until space is back
    io_failed,    // the device or the file system said so
    damaged,      // a checksum or a record does not hold; `detail` says where
    unsupported,  // written by a newer version, or not a store of this kind
    closed,       // the store is being closed
    in_use,       // another process has it open
    refused,      // not as things are: `detail` says what to do
};

[[nodiscard]] constexpr std::string_view to_text(ErrorKind kind) noexcept {
    switch (kind) {
        case ErrorKind::disk_full:
            return "disk_full";
        case ErrorKind::io_failed:
            return "io_failed";
        case ErrorKind::damaged:
            return "damaged";
        case ErrorKind::unsupported:
            return "unsupported";
        case ErrorKind::closed:
            return "closed";
        case ErrorKind::in_use:
            return "in_use";
        case ErrorKind::refused:
            return "refused";
    }
    return "unknown";
}

struct Error {
    ErrorKind kind = ErrorKind::io_failed;
    std::string detail;  // for people: file, operation, what the system said
};

}  // namespace mitu::store
