#include "mitu/identity/password_file.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "mitu/identity/credential.hpp"
#include "mitu/identity/scram_verifier.hpp"

namespace mitu::identity {
namespace {

std::string cheap(std::string_view password) { return hash_password(password, Salt{1}, {1, 8}); }

PasswordFile parsed(std::string text) {
    auto file = PasswordFile::parse(std::move(text));
    EXPECT_TRUE(file) << (file ? "" : to_text("users", file.error()));
    return file ? *std::move(file) : PasswordFile{};
}

std::string problems_of(std::string text) {
    const auto file = PasswordFile::parse(std::move(text));
    return file ? "" : to_text("users", file.error());
}

TEST(password_file, finds_users_of_every_form) {
    const auto scram = make_scram_verifier("pencil", "0123456789abcdef", 4'096);
    ASSERT_TRUE(scram);
    const PasswordFile file =
        parsed("# the plant in Ulm\n\nann:" + cheap("a") + "\n  bob x : " + cheap("b") +
               "  tenant=acme\tclass=gateway \r\nscram:" + format_scram_verifier(*scram));
    ASSERT_EQ(file.size(), 3u);
    const auto ann = file.find("ann");
    ASSERT_TRUE(ann);
    EXPECT_TRUE(verify_password(ann->hash, "a"));
    EXPECT_FALSE(verify_password(ann->hash, "b"));
    EXPECT_EQ(ann->tenant, "");
    EXPECT_EQ(ann->line, 3u);
    const auto bob = file.find("bob x");
    ASSERT_TRUE(bob);
    EXPECT_TRUE(verify_password(bob->hash, "b"));
    EXPECT_EQ(bob->tenant, "acme");
    EXPECT_EQ(bob->device_class, "gateway");
    const auto by_scram = file.find("scram");
    ASSERT_TRUE(by_scram);
    EXPECT_TRUE(verify_password(by_scram->hash, "pencil"));
    EXPECT_FALSE(verify_password(by_scram->hash, "pencils"));
    EXPECT_FALSE(file.find(""));
    EXPECT_FALSE(file.find("anna"));
}

TEST(password_file, names_line_and_remedy_and_never_the_secret) {
    const std::string hash = cheap("a");
    EXPECT_EQ(problems_of("ann:" + hash + "\nann:" + hash + "\n"),
              "users:2: user \"ann\" is in line 1 already; remove one of them\n");
    EXPECT_EQ(problems_of("\nann:hunter2\n"),
              "users:2: user \"ann\" has no password hash that is known here (a password in plain "
              "text?); set it with `mitu passwd FILE USER`\n");
    EXPECT_EQ(problems_of("hunter2"),
              "users:1: no \":\" between user and hash; use USER:HASH, or # for a comment\n");
    EXPECT_EQ(problems_of("ann:" + hash + " hunter2"),
              "users:1: user \"ann\": something stands behind the hash; use tenant=NAME or "
              "class=NAME, or remove it\n");
    EXPECT_EQ(problems_of("ann:" + hash + " tenant=A/b"),
              "users:1: user \"ann\": tenant is not a name; use 1..64 of a-z 0-9 _ -\n");
    EXPECT_EQ(problems_of(":" + hash),
              "users:1: the user name is empty; give one of 1..1024 bytes\n");
    EXPECT_NE(problems_of(std::string("a\0b:", 4) + hash), "");
    EXPECT_NE(problems_of("\xC3:" + hash), "");
    EXPECT_NE(problems_of("ann:" + std::string(5'000, 'x')), "");
}

TEST(password_file, refuses_hashes_that_cost_too_much_or_are_cut) {
    const std::string salt = "MTIzNDU2Nzg5MDEy";
    const std::string key(86, 'A');
    EXPECT_EQ(kind_of_hash("$7$101$" + salt + "$" + key + "=="), HashKind::pbkdf2_sha512);
    EXPECT_EQ(kind_of_hash("$6$" + salt + "$" + key + "=="), HashKind::sha512);
    for (const char* iterations : {"0", "-1", "1000001", "99999999999", "0101", "1e3", ""}) {
        EXPECT_FALSE(kind_of_hash(fmt::format("$7${}${}${}==", iterations, salt, key)))
            << iterations;
    }
    EXPECT_FALSE(kind_of_hash("$7$101$" + salt + "$" + key));
    EXPECT_FALSE(kind_of_hash("$7$101$$" + key + "=="));
    EXPECT_FALSE(kind_of_hash("$7$101$" + salt));
    EXPECT_FALSE(kind_of_hash("$7$101"));
    EXPECT_FALSE(kind_of_hash("$6$"));
    EXPECT_FALSE(kind_of_hash("$5$" + salt + "$" + key + "=="));
    EXPECT_FALSE(verify_password("$6$" + salt + "$" + key + "==", ""));
    EXPECT_FALSE(verify_password("", ""));
}

TEST(password_file, edits_keep_comments_order_and_attributes) {
    const std::string hash = cheap("a");
    const std::string other = cheap("b");
    const std::string text = "# one\nann:" + hash + " tenant=acme class=x\n\n# two\nbob:" + hash;
    const auto changed = put_user(text, {"ann", other, std::nullopt, ""});
    ASSERT_TRUE(changed);
    EXPECT_TRUE(changed->replaced);
    EXPECT_EQ(changed->text, "# one\nann:" + other + " tenant=acme\n\n# two\nbob:" + hash);
    const auto added = put_user(text, {"eve", other, "cobalt", {}});
    ASSERT_TRUE(added);
    EXPECT_FALSE(added->replaced);
    EXPECT_EQ(added->text, text + "\neve:" + other + " tenant=cobalt\n");
    const auto removed = remove_user(text, "bob");
    ASSERT_TRUE(removed);
    EXPECT_TRUE(removed->replaced);
    EXPECT_EQ(removed->text, "# one\nann:" + hash + " tenant=acme class=x\n\n# two\n");
    const auto nobody = remove_user(text, "nobody");
    ASSERT_TRUE(nobody);
    EXPECT_FALSE(nobody->replaced);
    EXPECT_EQ(nobody->text, text);
    for (const char* user : {"", "a:b", "#a", " a", "a\n"}) {
        EXPECT_FALSE(put_user(text, {user, hash, {}, {}})) << user;
    }
    EXPECT_FALSE(put_user(text, {"ann", "hunter2", {}, {}}));
    EXPECT_FALSE(put_user(text, {"ann", hash, "a b", {}}));
    EXPECT_FALSE(put_user("broken", {"ann", hash, {}, {}}));
    EXPECT_FALSE(remove_user("broken", "ann"));
}

TEST(password_file, decoy_is_stable_per_user) {
    const PasswordFile file = parsed("a:" + cheap("a") + "\nb:" + cheap("b") + "\n");
    EXPECT_FALSE(file.decoy_hash("nobody").empty());
    EXPECT_EQ(file.decoy_hash("nobody"), file.decoy_hash("nobody"));
    EXPECT_EQ(PasswordFile{}.decoy_hash("nobody"), "");
}

TEST(password_file, reads_what_mosquitto_passwd_writes) {
    std::string pattern = (std::filesystem::temp_directory_path() / "mitu_passwd.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    const std::filesystem::path path = std::filesystem::path{pattern} / "users";
    const auto run = [&](std::string_view arguments) {
        return std::system(  // NOLINT(concurrency-mt-unsafe): the test has one thread
            fmt::format("mosquitto_passwd {} >/dev/null 2>&1", arguments).c_str());
    };
    ASSERT_EQ(run(fmt::format("-c -b {} ann 'pa ss'", path.string())), 0)
        << "mosquitto_passwd comes with Debian's mosquitto";
    ASSERT_EQ(run(fmt::format("-b {} 'bob x' ''\\''quoted'\\'''", path.string())), 0);
    ASSERT_EQ(run(fmt::format("-H sha512 -b {} old käse", path.string())), 0);
    std::stringstream text;
    text << std::ifstream{path}.rdbuf();
    std::filesystem::remove_all(pattern);

    const PasswordFile file = parsed(text.str());
    ASSERT_EQ(file.size(), 3u);
    EXPECT_EQ(kind_of_hash(file.find("ann")->hash), HashKind::pbkdf2_sha512);
    EXPECT_EQ(kind_of_hash(file.find("old")->hash), HashKind::sha512);
    EXPECT_TRUE(verify_password(file.find("ann")->hash, "pa ss"));
    EXPECT_FALSE(verify_password(file.find("ann")->hash, "pa s"));
    EXPECT_TRUE(verify_password(file.find("bob x")->hash, "'quoted'"));
    EXPECT_TRUE(verify_password(file.find("old")->hash, "käse"));
    EXPECT_FALSE(verify_password(file.find("old")->hash, "kase"));
}

TEST(password_file, finds_one_user_of_many) {
    const std::string hash = cheap("a");
    std::string text;
    constexpr std::size_t count = 50'000;
    for (std::size_t i = 0; i < count; ++i) text += fmt::format("device-{}:{}\n", i, hash);
    const PasswordFile file = parsed(text);
    ASSERT_EQ(file.size(), count);
    for (std::size_t i = 0; i < count; i += 7) {
        const auto entry = file.find(fmt::format("device-{}", i));
        ASSERT_TRUE(entry);
        EXPECT_EQ(entry->line, i + 1);
    }
    EXPECT_FALSE(file.find("device-50000"));
}

}  // namespace
}  // namespace mitu::identity
