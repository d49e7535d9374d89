#include "mitu/runtime/account.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <system_error>

namespace mitu::runtime {
namespace {

constexpr std::size_t entry_bytes_max = 1'048'576;  // a group with very many members

std::optional<std::uint32_t> id_number(std::string_view text) {
    std::uint32_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    // -1 is "as it is" to the kernel, and never somebody.
    const bool is_id = error == std::errc{} && stop == end && number != ~std::uint32_t{0};
    return is_id ? std::optional{number} : std::nullopt;
}

/// Asks with a buffer that grows while it is too small. Shape  nullopt: there is no such entry.
template <class Entry, class Ask>
std::optional<Entry> find_entry(std::vector<char>& buffer, Ask ask) {
    for (buffer.resize(16'384); buffer.size() <= entry_bytes_max;
         buffer.resize(2 * buffer.size())) {
        Entry entry{};
        Entry* found = nullptr;
        if (ask(&entry, buffer.data(), buffer.size(), &found) == ERANGE) continue;
        return found == nullptr ? std::nullopt : std::optional{entry};
    }
    return std::nullopt;
}

std::optional<passwd> entry_of_name(const std::string& name, std::vector<char>& buffer) {
    return find_entry<passwd>(buffer,
                              [&](passwd* entry, char* to, std::size_t size, passwd** found) {
                                  return getpwnam_r(name.c_str(), entry, to, size, found);
                              });
}

std::optional<passwd> entry_of_uid(std::uint32_t uid, std::vector<char>& buffer) {
    return find_entry<passwd>(buffer,
                              [&](passwd* entry, char* to, std::size_t size, passwd** found) {
                                  return getpwuid_r(uid, entry, to, size, found);
                              });
}

std::vector<std::uint32_t> groups_of(const char* name, gid_t gid) {
    int count = 64;
    std::vector<gid_t> groups(static_cast<std::size_t>(count));
    while (getgrouplist(name, gid, groups.data(), &count) < 0) {
        if (count <= static_cast<int>(groups.size())) break;  // not for want of room
        groups.resize(static_cast<std::size_t>(count));
    }
    groups.resize(static_cast<std::size_t>(std::max(count, 0)));
    return {groups.begin(), groups.end()};
}

std::unexpected<std::string> cannot_give_up(std::string_view call) {
    const int error = errno;
    return std::unexpected(
        fmt::format("privileges cannot be given up: {}: {}; start it as the user itself", call,
                    std::generic_category().message(error)));
}

bool set_no_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    return syscall(SYS_capset, &header, none) == 0;
}

bool has_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3] = {};
    if (syscall(SYS_capget, &header, have) != 0) return true;
    return std::any_of(std::begin(have), std::end(have), [](const auto& set) {
        return (set.effective | set.permitted | set.inheritable) != 0;
    });
}

/// What a program that this one could start might still have. Needs CAP_SETPCAP; without it, there
/// is no_new_privs.
void empty_bounding_set() {
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
         ++capability) {
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
}

bool forbid_new_privileges() { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0; }

bool is_account(const Account& account) {
    uid_t real = 0;
    uid_t effective = 0;
    uid_t saved = 0;
    gid_t real_group = 0;
    gid_t effective_group = 0;
    gid_t saved_group = 0;
    return getresuid(&real, &effective, &saved) == 0 &&
           getresgid(&real_group, &effective_group, &saved_group) == 0 && real == account.uid &&
           effective == account.uid && saved == account.uid && real_group == account.gid &&
           effective_group == account.gid && saved_group == account.gid;
}

}  // namespace

std::optional<std::uint32_t> find_uid(const std::string& user) {
    if (const auto number = id_number(user)) return number;
    std::vector<char> buffer;
    const auto entry = entry_of_name(user, buffer);
    return entry ? std::optional<std::uint32_t>{entry->pw_uid} : std::nullopt;
}

std::optional<std::uint32_t> find_gid(const std::string& group) {
    if (const auto number = id_number(group)) return number;
    std::vector<char> buffer;
    const auto entry = find_entry<struct group>(
        buffer, [&](struct group* to, char* bytes, std::size_t size, struct group** found) {
            return getgrnam_r(group.c_str(), to, bytes, size, found);
        });
    return entry ? std::optional<std::uint32_t>{entry->gr_gid} : std::nullopt;
}

Result<Account, std::string> find_account(const std::string& user, const std::string& group) {
    const auto uid = find_uid(user);
    if (!uid) {
        return std::unexpected(
            fmt::format("there is no user `{}`; make it: useradd --system --home-dir /var/lib/mitu "
                        "--shell /usr/sbin/nologin {}",
                        user, user));
    }
    std::vector<char> buffer;
    const auto entry = entry_of_uid(*uid, buffer);
    Account account{user, *uid, 0, {}};
    if (entry) account.name = entry->pw_name;
    if (!group.empty()) {
        const auto gid = find_gid(group);
        if (!gid) {
            return std::unexpected(
                fmt::format("there is no group `{}`; make it: groupadd --system {}", group, group));
        }
        account.gid = *gid;
    } else if (entry) {
        account.gid = entry->pw_gid;
    } else {
        return std::unexpected(
            fmt::format("nobody has the number {}, so its group is unknown", user));
    }
    account.groups =
        entry ? groups_of(entry->pw_name, account.gid) : std::vector<std::uint32_t>{account.gid};
    return account;
}

std::string own_name() {
    const uid_t uid = geteuid();
    std::vector<char> buffer;
    const auto entry = entry_of_uid(uid, buffer);
    return entry ? fmt::format("{} (uid {})", entry->pw_name, uid) : fmt::format("uid {}", uid);
}

bool is_root() noexcept { return geteuid() == 0; }

Result<void, std::string> give_up_capabilities() {
    empty_bounding_set();
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    // Who has none may be where a filter of system calls refuses even that.
    if (has_capabilities() && !set_no_capabilities()) return cannot_give_up("capset");
    if (!forbid_new_privileges()) return cannot_give_up("no_new_privs");
    return {};
}

Result<void, std::string> become(const Account& account) {
    const bool is_it = is_account(account);
    if (!is_it && !is_root()) {
        return std::unexpected(
            fmt::format("it runs as {}, and only root can become {}; start it as root or as {}",
                        own_name(), account.name, account.name));
    }
    if (!is_it) {
        if (account.uid != 0) empty_bounding_set();
        const std::vector<gid_t> groups(account.groups.begin(), account.groups.end());
        if (setgroups(groups.size(), groups.data()) != 0) return cannot_give_up("setgroups");
        if (setresgid(account.gid, account.gid, account.gid) != 0)
            return cannot_give_up("setresgid");
        if (setresuid(account.uid, account.uid, account.uid) != 0)
            return cannot_give_up("setresuid");
        if (!is_account(account)) return std::unexpected("the kernel did not change the user");
    }
    if (account.uid == 0) {
        if (!forbid_new_privileges()) return cannot_give_up("no_new_privs");
        return {};
    }
    if (auto given = give_up_capabilities(); !given) return given;
    if (setuid(0) == 0 || seteuid(0) == 0 || has_capabilities()) {
        return std::unexpected(fmt::format("{} can become root again; start it as {} itself",
                                           account.name, account.name));
    }
    return {};
}

void forbid_core_dumps() noexcept {
    rlimit limit{};
    getrlimit(RLIMIT_CORE, &limit);
    // One byte: smaller than any core file, and the one limit that the kernel heeds for a handler
    // (core_pattern with a pipe) too. Debuggers of the same user may still attach.
    limit.rlim_cur = limit.rlim_max = std::min<rlim_t>(limit.rlim_max, 1);
    setrlimit(RLIMIT_CORE, &limit);
}

}  // namespace mitu::runtime
