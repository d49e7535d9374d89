#pragma once
// What `mitu passwd` does, apart from its flags (passwd_command.cpp).

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "mitu/base/result.hpp"
#include "mitu/identity/password_hash.hpp"
#include "mitu/yaml/problem.hpp"

namespace mitu::cli {

struct PasswdRequest {
    std::string path;
    std::string user;
    std::string password;
    bool is_random = false;  // 128 bits or more, so that a cheap hash is enough
    bool scram = false;
    /// nullopt: what the file says stays; empty: none.
    std::optional<std::string> tenant;
    std::optional<std::string> device_class;
};

/// Sets the user's password, under the file's lock; a file that is not there yet is made, readable
/// by its owner only.
/// Errors  the file is unchanged.
/// Returns  whether the user was there before.
[[nodiscard]] Result<bool, yaml::Problems> set_password(const PasswdRequest& request);

/// Errors  the file is unchanged; a user who is not there is one.
[[nodiscard]] std::optional<yaml::Problems> delete_user(const std::string& path,
                                                        const std::string& user);

struct PasswdCheck {
    std::size_t users = 0;
    std::array<std::size_t, 4> by_kind{};  // by identity::HashKind
    bool others_may_read = false;          // group or world, by the file's mode
};
[[nodiscard]] Result<PasswdCheck, yaml::Problems> check_password_file(const std::string& path);

}  // namespace mitu::cli
