#include "mitu/identity/credential.hpp"

#include <gtest/gtest.h>

namespace mitu::identity {
namespace {

constexpr CredentialCost cheap{1, 8};
constexpr Salt salt{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

TEST(credential, opens_for_its_password_only) {
    const std::string phc = hash_password("correct horse", salt, cheap);
    EXPECT_TRUE(verify_credential(phc, "correct horse"));
    EXPECT_FALSE(verify_credential(phc, "correct hors"));
    EXPECT_FALSE(verify_credential(phc, ""));
    EXPECT_FALSE(verify_credential("", ""));
    EXPECT_TRUE(verify_credential(hash_password("", salt, cheap), ""));
}

TEST(credential, is_a_phc_string_that_others_write_too) {
    // From the reference implementation: echo -n password | argon2 somesalt16bytes! -id -t 2 -k
    // 1024
    const std::string phc = hash_password("password", salt, credential_cost_random);
    EXPECT_TRUE(phc.starts_with("$argon2id$v=19$m=1024,t=2,p=1$AQIDBAUGBwgJCgsMDQ4PEA$")) << phc;
    EXPECT_EQ(phc.size(), 96u);
    EXPECT_NE(phc, hash_password("password", Salt{}, credential_cost_random));
}

TEST(credential, packs_and_unpacks_without_loss) {
    const std::string phc = hash_password("x", salt, cheap);
    const auto parsed = parse_credential(phc);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->cost, cheap);
    EXPECT_EQ(parsed->salt, salt);
    EXPECT_EQ(format_credential(*parsed), phc);
}

TEST(credential, refuses_other_strings_and_unbearable_costs) {
    const std::string phc = hash_password("x", salt, cheap);
    const auto with = [&](std::string_view from, std::string_view to) {
        std::string changed = phc;
        return changed.replace(changed.find(from), from.size(), to);
    };
    ASSERT_TRUE(parse_credential(phc));
    EXPECT_FALSE(parse_credential(with("argon2id", "argon2i")));
    EXPECT_FALSE(parse_credential(with("v=19", "v=16")));
    EXPECT_FALSE(parse_credential(with("p=1", "p=2")));
    EXPECT_FALSE(parse_credential(with("t=1", "t=17")));
    EXPECT_FALSE(parse_credential(with("t=1", "t=0")));
    EXPECT_FALSE(parse_credential(with("m=8", "m=7")));
    EXPECT_FALSE(parse_credential(with("m=8", "m=08")));
    EXPECT_FALSE(parse_credential(with("m=8", "m=4194304")));
    EXPECT_FALSE(parse_credential(phc + "A"));
    for (int byte = 0x80; byte <= 0xFF; ++byte) {  // libsodium takes some for base64
        std::string changed = phc;
        changed[changed.size() - 20] = static_cast<char>(byte);
        EXPECT_FALSE(parse_credential(changed)) << byte;
    }
    EXPECT_FALSE(parse_credential(phc.substr(0, phc.size() - 1)));
    EXPECT_FALSE(parse_credential(""));
    EXPECT_FALSE(verify_credential(with("t=1", "t=17"), "x"));
    EXPECT_EQ(hash_password("x", salt, {0, 8}), "");
    EXPECT_EQ(hash_password("x", salt, {1, 7}), "");
}

TEST(credential, secret_is_22_characters_without_quoting_needs) {
    std::array<std::uint8_t, 16> random{};
    random.fill(0xFB);
    EXPECT_EQ(format_secret(random), "-_v7-_v7-_v7-_v7-_v7-w");
}

}  // namespace
}  // namespace mitu::identity
