#pragma once
// ClientKey: who a session belongs to.

#include <compare>
#include <string>
#include <string_view>

namespace mitu::sim {

struct ClientKey {
    std::string tenant;
    std::string client_id;
    auto operator<=>(const ClientKey&) const = default;
};

[[nodiscard]] inline std::string to_text(const ClientKey& key) {
    return key.tenant + "/" + key.client_id;
}

/// Its user name; nothing: it is anonymous.
[[nodiscard]] inline std::string user_of(const ClientKey& key) {
    return key.tenant == "default" ? std::string{} : key.client_id + "@" + key.tenant;
}

/// Of a client that logs in with that user name: "id@tenant", or nothing.
[[nodiscard]] inline ClientKey client_key(std::string_view user_name, std::string_view client_id) {
    const std::size_t at = user_name.find('@');
    if (at == std::string_view::npos) return {"default", std::string{client_id}};
    return {std::string{user_name.substr(at + 1)}, std::string{user_name.substr(0, at)}};
}

}  // namespace mitu::sim
