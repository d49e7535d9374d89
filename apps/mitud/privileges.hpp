#pragma once
// Who the server is: as root until its sockets are open and its keys are read, then a user of its
// own (docs/decisions/0023-shipping.md).

#include <optional>
#include <string>

#include "mitu/base/result.hpp"
#include "mitu/config/files.hpp"
#include "mitu/runtime/account.hpp"

namespace mitu::daemon {

class Privileges {
public:
    /// Finds node.user and node.group.
    /// Errors  a sentence: there is no such account, or this process may not become it.
    [[nodiscard]] static Result<Privileges, std::string> plan(const config::Node& node);

    /// Makes node.data, if it is not there: for the account, closed to others.
    [[nodiscard]] std::optional<std::string> make_data_directory(const std::string& path) const;

    /// Becomes the account for good; without one, gives up what capabilities a user was started
    /// with, and warns where it is root. Warns of each file that a reload could not read.
    /// Returns what keeps the server from starting.
    /// Threading  before there is a thread.
    [[nodiscard]] std::optional<std::string> give_up(const config::FromFiles& from) const;

private:
    explicit Privileges(std::optional<runtime::Account> account) : account_{std::move(account)} {}
    std::optional<runtime::Account> account_;  // none: stays who it is
};

}  // namespace mitu::daemon
