#pragma once
// Who asks, and what they may.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/api/broker.hpp"

namespace mitu::api {

/// Each may what those before it may.
enum class Role : std::uint8_t {
    viewer,         // read
    operator_role,  // kick, publish, bans, retained messages
    admin,          // users, keys, listeners, configuration
};

[[nodiscard]] constexpr std::string_view to_text(Role role) noexcept {
    switch (role) {
        case Role::viewer:
            return "viewer";
        case Role::operator_role:
            return "operator";
        case Role::admin:
            return "admin";
    }
    return "viewer";
}
[[nodiscard]] constexpr std::optional<Role> parse_role(std::string_view text) noexcept {
    for (const Role role : {Role::viewer, Role::operator_role, Role::admin}) {
        if (to_text(role) == text) return role;
    }
    return std::nullopt;
}

/// How somebody has shown who they are.
enum class Via : std::uint8_t {
    nothing,
    password,
    session,
    key,
    unix_socket,  // the file system has let them in: an administrator
    loopback,     // nobody is set up yet, and they are on this machine: a viewer
};

[[nodiscard]] constexpr std::string_view to_text(Via via) noexcept {
    constexpr std::string_view texts[] = {"nothing", "password",    "session",
                                          "key",     "unix_socket", "loopback"};
    return texts[static_cast<std::size_t>(via)];
}

struct Principal {
    std::string name{};
    Role role = Role::viewer;
    TenantScope tenant{};  // bound to it; none: all tenants, and the node itself
    Via via = Via::nothing;
};

}  // namespace mitu::api
