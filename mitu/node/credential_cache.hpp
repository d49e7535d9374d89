#pragma once
// CredentialCache: who proved a password once need not pay argon2id again at the next reconnect.

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "mitu/base/mutex.hpp"
#include "mitu/base/thread_annotations.hpp"
#include "mitu/fleet/catalog.hpp"

namespace mitu::node {

/// Remembers a keyed BLAKE2b of each device's proved password, under a key that is made at start
/// and never leaves the process: useless to whoever reads a memory dump without it, and gone with
/// the process.
/// Threading  any thread.
class CredentialCache {
public:
    CredentialCache();

    [[nodiscard]] bool is_known(fleet::DeviceIndex device, std::string_view password) const
        MITU_EXCLUDES(mutex_);
    void remember(fleet::DeviceIndex device, std::string_view password) MITU_EXCLUDES(mutex_);

private:
    using Digest = std::array<std::uint8_t, 16>;
    [[nodiscard]] Digest digest(fleet::DeviceIndex device, std::string_view password) const;

    std::array<std::uint8_t, 32> key_{};
    mutable Mutex mutex_;
    std::unordered_map<std::uint32_t, Digest> proved_ MITU_GUARDED_BY(mutex_);
};

}  // namespace mitu::node
