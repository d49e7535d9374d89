// Any bytes as a backend's reply: no crash, and only a whole "allow" lets anybody in.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "mitu/base/check.hpp"
#include "mitu/identity/http_backend.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mitu::identity;
    const std::string body{reinterpret_cast<const char*>(data), size};
    Login login;
    login.client_id = "dev-1";
    login.user = body.substr(0, 64);
    login.password = SecretText{body};
    MITU_CHECK(write_login(login, true).starts_with('{'));
    // Nothing that a client says adds a parameter: client_id, password, user_name at most.
    const std::string query = write_query(login, true);
    MITU_CHECK(std::count(query.begin(), query.end(), '&') <= 2);
    MITU_CHECK(std::count(query.begin(), query.end(), '=') <= 3);
    const Now now{{}, 1'700'000'000};
    const auto verdict = read_reply({true, 200, body, ""}, login, now);
    if (!verdict) {
        MITU_CHECK(!verdict.error().empty());
        return 0;
    }
    const auto* allow = std::get_if<Allow>(&*verdict);
    if (allow == nullptr) return 0;
    MITU_CHECK(body.find("allow") != std::string::npos || body.find("\\u") != std::string::npos);
    const Identity& identity = allow->identity;
    MITU_CHECK(identity.client_id.empty() || identity.client_id == login.client_id);
    MITU_CHECK(!identity.expires_at || *identity.expires_at > now.unix_s);
    return 0;
}
