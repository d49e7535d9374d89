#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "apps/mitu/passwd_command.hpp"
#include "mitu/identity/password_file.hpp"

namespace mitu::cli {
namespace {

namespace fs = std::filesystem;

class PasswdActions : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "mitu_passwd.XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        root_ = pattern;
        path_ = (root_ / "users").string();
    }
    void TearDown() override { fs::remove_all(root_); }

    std::string text() const {
        std::stringstream read;
        read << std::ifstream{path_}.rdbuf();
        return read.str();
    }
    void write(const std::string& text) const { std::ofstream{path_} << text; }
    bool opens(const std::string& user, const std::string& password) const {
        const auto file = identity::PasswordFile::parse(text());
        if (!file) return false;
        const auto entry = file->find(user);
        return entry && identity::verify_password(entry->hash, password);
    }
    PasswdRequest request(std::string user, std::string password) const {
        PasswdRequest made;
        made.path = path_;
        made.user = std::move(user);
        made.password = std::move(password);
        made.is_random = true;
        return made;
    }

    fs::path root_;
    std::string path_;
};

TEST_F(PasswdActions, makes_a_file_that_only_its_owner_reads) {
    EXPECT_EQ(set_password(request("ann", "a")), false);
    struct stat status{};
    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    EXPECT_TRUE(opens("ann", "a"));
    EXPECT_FALSE(opens("ann", "b"));
    EXPECT_EQ(text().find("ann:$argon2id$"), 0u);
    EXPECT_EQ(set_password(request("ann", "b")), true);
    EXPECT_TRUE(opens("ann", "b"));
    EXPECT_FALSE(opens("ann", "a"));
}

TEST_F(PasswdActions, mosquittos_users_stay_until_their_password_is_set) {
    const std::string old =
        "# "
        "ours\nold:$6$MyFQHynpItTxoVUe$JQaBfKx8A1DlQBAVYRN0wiHUVnjmNfaJFzHKeiHJM85FOZYMcFBCr9ZfQIO"
        "bwl85iDKaCFR3lar/9hRGcjgtsw==\n";
    write(old);
    EXPECT_TRUE(opens("old", "secret2"));
    PasswdRequest by_scram = request("new", "pencil");
    by_scram.scram = true;
    by_scram.tenant = "acme";
    EXPECT_EQ(set_password(by_scram), false);
    EXPECT_EQ(text().find(old), 0u);
    EXPECT_TRUE(opens("new", "pencil"));
    const auto check = check_password_file(path_);
    ASSERT_TRUE(check);
    EXPECT_EQ(check->users, 2u);
    EXPECT_EQ(check->by_kind, (std::array<std::size_t, 4>{0, 1, 0, 1}));
    EXPECT_EQ(set_password(request("old", "secret3")), true);
    EXPECT_EQ(check_password_file(path_)->by_kind, (std::array<std::size_t, 4>{1, 1, 0, 0}));
    EXPECT_EQ(text().find("# ours\nold:$argon2id$"), 0u);
}

TEST_F(PasswdActions, deletes_one_user_and_says_who_is_not_there) {
    EXPECT_TRUE(set_password(request("ann", "a")));
    EXPECT_TRUE(set_password(request("bob", "b")));
    EXPECT_FALSE(delete_user(path_, "ann"));
    EXPECT_FALSE(opens("ann", "a"));
    EXPECT_TRUE(opens("bob", "b"));
    const auto problems = delete_user(path_, "ann");
    ASSERT_TRUE(problems);
    EXPECT_EQ(problems->front().text, "user \"ann\" is not in it; check the name");
    EXPECT_TRUE(delete_user(path_ + ".none", "ann"));
}

TEST_F(PasswdActions, a_broken_file_or_request_changes_nothing) {
    const std::string broken = "ann:hunter2\n";
    write(broken);
    const auto result = set_password(request("bob", "b"));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().front().line, 1u);
    EXPECT_EQ(text(), broken);
    EXPECT_TRUE(delete_user(path_, "ann"));
    EXPECT_FALSE(check_password_file(path_));
    EXPECT_EQ(text(), broken);
    write("");
    PasswdRequest foreign = request("ann", "käse");
    foreign.scram = true;
    EXPECT_FALSE(set_password(foreign));
    EXPECT_FALSE(set_password(request("a:b", "x")));
    EXPECT_FALSE(set_password(request("ann", "")));
    EXPECT_FALSE(set_password(request("ann", std::string(70'000, 'x'))));
    PasswdRequest bad_tenant = request("ann", "x");
    bad_tenant.tenant = "A/B";
    EXPECT_FALSE(set_password(bad_tenant));
    EXPECT_EQ(text(), "");
}

TEST_F(PasswdActions, tells_when_others_may_read_the_file) {
    EXPECT_TRUE(set_password(request("ann", "a")));
    EXPECT_FALSE(check_password_file(path_)->others_may_read);
    ASSERT_EQ(::chmod(path_.c_str(), 0640), 0);
    EXPECT_TRUE(check_password_file(path_)->others_may_read);
}

}  // namespace
}  // namespace mitu::cli
