#include "mitu/runtime/account.hpp"

#include <grp.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <string>

namespace mitu::runtime {
namespace {

/// In a child, since there is no way back. Shape  its exit status; -1: it was killed.
int in_child(const std::function<int()>& act) {
    const pid_t child = fork();
    if (child == 0) _exit(act());
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// A line of /proc/self/status, without its name: "0 0 0 0".
std::string status_line(const std::string& name) {
    std::ifstream file{"/proc/self/status"};
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(name + ":")) continue;
        std::string text;
        for (const char c : line.substr(name.size() + 1)) text += c == '\t' ? ' ' : c;
        return text;
    }
    return "no such line";
}

}  // namespace

TEST(account, is_found_by_name_and_by_number) {
    EXPECT_EQ(find_uid("root"), 0u);
    EXPECT_EQ(find_gid("root"), 0u);
    EXPECT_EQ(find_uid("4711"), 4711u);
    EXPECT_EQ(find_uid("no-such-user-here"), std::nullopt);
    EXPECT_EQ(find_gid("no-such-group-here"), std::nullopt);
    for (const char* text : {"", "-1", "4294967295", "4294967296", "12x", " 12"}) {
        EXPECT_EQ(find_uid(text), std::nullopt) << text;
    }
    const auto daemon = find_account("daemon", "");
    ASSERT_TRUE(daemon) << daemon.error();
    EXPECT_EQ(daemon->name, "daemon");
    EXPECT_EQ(find_account(std::to_string(daemon->uid), "")->name, "daemon");
    EXPECT_EQ(find_account("daemon", "nogroup")->gid, find_gid("nogroup"));
}

TEST(account, that_is_not_there_is_refused_with_the_remedy) {
    EXPECT_NE(find_account("no-such-user-here", "").error().find("useradd --system"),
              std::string::npos);
    EXPECT_NE(find_account("daemon", "no-such-group-here").error().find("groupadd --system"),
              std::string::npos);
    EXPECT_NE(find_account("3999999", "").error().find("its group is unknown"), std::string::npos);
    EXPECT_TRUE(find_account("3999999", "daemon"));
}

TEST(account, root_becomes_it_with_no_way_back) {
    if (!is_root()) GTEST_SKIP() << "only root can become somebody else";
    const auto account = find_account("daemon", "nogroup");
    ASSERT_TRUE(account) << account.error();
    const int status = in_child([&] {
        if (!become(*account)) return 1;
        const std::string uid = std::to_string(account->uid);
        const std::string gid = std::to_string(account->gid);
        if (status_line("Uid") != " " + uid + " " + uid + " " + uid + " " + uid) return 2;
        if (status_line("Gid") != " " + gid + " " + gid + " " + gid + " " + gid) return 3;
        if (status_line("Groups").find(" 0 ") != std::string::npos) return 4;
        for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
            if (status_line(set) != " 0000000000000000") return 5;
        }
        if (status_line("NoNewPrivs") != " 1") return 6;
        if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0) return 7;
        const gid_t none[] = {0};
        if (setgroups(1, none) == 0) return 8;
        if (access("/etc/shadow", R_OK) == 0) return 9;
        // Again is no mistake: a service manager may have done it before.
        return become(*account) ? 0 : 10;
    });
    EXPECT_EQ(status, 0);
}

TEST(account, who_is_not_root_becomes_nobody_else) {
    const auto daemon = find_account("daemon", "");
    const auto other = find_account("nobody", "nogroup");
    ASSERT_TRUE(daemon && other);
    const int status = in_child([&] {
        if (is_root() && !become(*daemon)) return 1;
        const auto refused = become(*other);
        return !refused && refused.error().find("only root can become nobody") != std::string::npos
                   ? 0
                   : 2;
    });
    EXPECT_EQ(status, 0);
}

TEST(account, root_may_knowingly_stay_root) {
    if (!is_root()) GTEST_SKIP() << "only root is root";
    const auto root = find_account("root", "");
    ASSERT_TRUE(root) << root.error();
    EXPECT_EQ(in_child([&] {
                  if (!become(*root)) return 1;
                  return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && getuid() == 0 ? 0 : 2;
              }),
              0);
}

TEST(account, a_process_that_forbids_cores_writes_none) {
    EXPECT_EQ(in_child([] {
                  forbid_core_dumps();
                  rlimit limit{};
                  getrlimit(RLIMIT_CORE, &limit);
                  return limit.rlim_cur <= 1 && limit.rlim_max <= 1 ? 0 : 1;
              }),
              0);
}

}  // namespace mitu::runtime
