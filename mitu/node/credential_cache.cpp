#include "mitu/node/credential_cache.hpp"

#include <sodium.h>

#include "mitu/base/check.hpp"

namespace mitu::node {

CredentialCache::CredentialCache() {
    MITU_CHECK(sodium_init() >= 0);
    randombytes_buf(key_.data(), key_.size());  // tidy-allow(entropy): a secret, never a seed
}

CredentialCache::Digest CredentialCache::digest(fleet::DeviceIndex device,
                                                std::string_view password) const {
    crypto_generichash_state state;
    Digest out{};
    crypto_generichash_init(&state, key_.data(), key_.size(), out.size());
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(&device.value),
                              sizeof device.value);
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(password.data()),
                              password.size());
    crypto_generichash_final(&state, out.data(), out.size());
    return out;
}

bool CredentialCache::is_known(fleet::DeviceIndex device, std::string_view password) const {
    const Digest wanted = digest(device, password);
    const MutexLock lock{mutex_};
    const auto it = proved_.find(device.value);
    return it != proved_.end() &&
           sodium_memcmp(it->second.data(), wanted.data(), wanted.size()) == 0;
}

void CredentialCache::remember(fleet::DeviceIndex device, std::string_view password) {
    const Digest proved = digest(device, password);
    const MutexLock lock{mutex_};
    proved_[device.value] = proved;
}

}  // namespace mitu::node
