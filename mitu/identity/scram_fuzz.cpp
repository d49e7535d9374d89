// Any bytes as a client's SCRAM messages: no crash, and nobody gets in without a proof.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mitu/base/check.hpp"
#include "mitu/identity/scram.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mitu::identity;
    static const auto verifier = make_scram_verifier("pencil", "salt salt salt 1", 4'096);
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const std::size_t line = text.find('\n');
    const std::string_view first = text.substr(0, line);
    const std::string_view last =
        line == std::string_view::npos ? std::string_view{} : text.substr(line + 1);
    const auto parsed = parse_scram_verifier(first);
    if (parsed) MITU_CHECK(format_scram_verifier(*parsed) == first);

    ScramServer server;
    const auto user = server.on_client_first(first);
    if (!user) return 0;
    MITU_CHECK(!user->empty() && is_scram_text(*user));
    const bool exists = *user == "user";
    (void)server.challenge(exists ? verifier : std::nullopt, "XYZ", SecretKey{});
    MITU_CHECK(!server.on_client_final(last));
    MITU_CHECK(!server.is_proved());
    return 0;
}
