// Any text as a JWKS document and as PEM: no crash; a set that is made has keys.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mitu/base/check.hpp"
#include "mitu/identity/jose_key.hpp"
#include "mitu/identity/key_set.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mitu::identity;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    for (const auto& keys : {KeySet::from_jwks(text), KeySet::from_pem(text)}) {
        if (!keys) {
            MITU_CHECK(!keys.error().empty());
            continue;
        }
        MITU_CHECK(keys->size() > 0);
        for (const auto& key : keys->keys()) {
            MITU_CHECK((key->family == KeyFamily::hmac) == (key->public_key == nullptr));
        }
    }
    return 0;
}
