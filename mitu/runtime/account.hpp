#pragma once
// Account: a user and groups of this machine, and how a process becomes them for good.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mitu/base/result.hpp"

namespace mitu::runtime {

/// Whom a process becomes.
struct Account {
    std::string name;  // "mitu", or the number where the user database has no name
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::vector<std::uint32_t> groups{};  // supplementary
};

/// Shape  a name or a number. nullopt: nobody has that name.
[[nodiscard]] std::optional<std::uint32_t> find_uid(const std::string& user);
[[nodiscard]] std::optional<std::uint32_t> find_gid(const std::string& group);

/// Shape  `user` and `group`: a name or a number; an empty group is the user's own. With a group
///        named, the supplementary groups of the user are kept.
/// Errors a sentence: there is no such user or group; a number without an entry needs a group.
[[nodiscard]] Result<Account, std::string> find_account(const std::string& user,
                                                        const std::string& group);

/// Who this process is: "mitu (uid 998)".
[[nodiscard]] std::string own_name();
[[nodiscard]] bool is_root() noexcept;

/// Becomes `account`, with no way back: groups, the three user and group ids, no capability left in
/// any set (ambient and bounding ones too), no_new_privs. Nothing but no_new_privs changes where
/// the account is root; who is that account already only gives up what capabilities it has.
/// Errors     a sentence with the remedy. The process is then in between: it must end.
/// Threading  while there is one thread only: capabilities and no_new_privs are each thread's own.
[[nodiscard]] Result<void, std::string> become(const Account& account);

/// As become(), without becoming anybody: for who has not been root.
[[nodiscard]] Result<void, std::string> give_up_capabilities();

/// No core of this process is written, to a file or to a handler: it would hold keys and passwords.
void forbid_core_dumps() noexcept;

}  // namespace mitu::runtime
