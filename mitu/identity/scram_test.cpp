#include "mitu/identity/scram.hpp"

#include <gtest/gtest.h>

#include <array>

#include "mitu/identity/digest.hpp"

namespace mitu::identity {
namespace {

constexpr SecretKey decoy_key{7};
constexpr std::string_view client_nonce = "rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view server_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr std::string_view client_first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view client_final =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

ScramVerifier pencil() {
    return *make_scram_verifier("pencil", *from_base64("W22ZaJ0SNY7soEsUEjb6gQ=="), 4'096);
}

/// A client that knows the password, for what the RFC's example does not show.
std::string final_of(std::string_view bare, std::string_view header, std::string_view server_first,
                     std::string_view nonce, std::string_view password, const ScramVerifier& v) {
    const auto salted = pbkdf2_sha256(password, v.salt, v.iterations);
    const Sha256 key = hmac_sha256(as_view(*salted), "Client Key");
    const std::string without = "c=" + to_base64(header) + ",r=" + std::string{nonce};
    const std::string text = std::string{bare} + "," + std::string{server_first} + "," + without;
    const Sha256 signature = hmac_sha256(as_view(sha256(as_view(key))), text);
    std::string proof;
    for (std::size_t i = 0; i < key.size(); ++i) {
        proof += static_cast<char>(key[i] ^ signature[i]);
    }
    return without + ",p=" + to_base64(proof);
}

TEST(scram, speaks_the_example_of_rfc_7677) {
    ScramServer server;
    const auto user = server.on_client_first(client_first);
    ASSERT_TRUE(user);
    EXPECT_EQ(*user, "user");
    EXPECT_EQ(server.challenge(pencil(), server_nonce, decoy_key),
              "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
              "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    const auto final = server.on_client_final(client_final);
    ASSERT_TRUE(final);
    EXPECT_EQ(*final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    EXPECT_TRUE(server.is_proved());
    EXPECT_EQ(server.on_client_final(client_final), std::unexpected(ScramError::out_of_order));
    EXPECT_FALSE(server.is_proved());
}

TEST(scram, refuses_a_wrong_password_and_every_changed_byte) {
    for (std::size_t i = 0; i < client_final.size(); ++i) {
        ScramServer server;
        ASSERT_TRUE(server.on_client_first(client_first));
        (void)server.challenge(pencil(), server_nonce, decoy_key);
        std::string changed{client_final};
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        EXPECT_FALSE(server.on_client_final(changed)) << i;
        EXPECT_FALSE(server.is_proved());
    }
}

TEST(scram, a_client_ready_for_channel_binding_gets_in_without) {
    ScramServer server;
    const std::string bare = "n=a=2Cb=3D,r=abc";
    const auto user = server.on_client_first("y,a=a=2Cb=3D," + bare);
    ASSERT_TRUE(user);
    EXPECT_EQ(*user, "a,b=");
    const std::string first = server.challenge(pencil(), "XYZ", decoy_key);
    const std::string last = final_of(bare, "y,a=a=2Cb=3D,", first, "abcXYZ", "pencil", pencil());
    EXPECT_TRUE(server.on_client_final(last));

    ScramServer other;  // the header of the first message has been changed on the way
    ASSERT_TRUE(other.on_client_first("n,a=a=2Cb=3D," + bare));
    (void)other.challenge(pencil(), "XYZ", decoy_key);
    EXPECT_EQ(other.on_client_final(last), std::unexpected(ScramError::channel_binding_changed));
}

TEST(scram, an_unknown_user_sees_a_stable_salt_and_a_wrong_proof) {
    const auto first = [](std::string_view user, const SecretKey& key) {
        ScramServer server;
        const auto name = server.on_client_first("n,,n=" + std::string{user} + ",r=abc");
        EXPECT_TRUE(name);
        return server.challenge(std::nullopt, "XYZ", key);
    };
    EXPECT_EQ(first("nobody", decoy_key), first("nobody", decoy_key));
    EXPECT_NE(first("nobody", decoy_key), first("someone", decoy_key));
    EXPECT_NE(first("nobody", decoy_key), first("nobody", SecretKey{8}));
    EXPECT_EQ(first("nobody", decoy_key).size(), first("someone", decoy_key).size());
    EXPECT_TRUE(first("nobody", decoy_key).ends_with(",i=4096"));

    ScramServer server;
    ASSERT_TRUE(server.on_client_first(client_first));
    (void)server.challenge(std::nullopt, server_nonce, decoy_key);
    EXPECT_EQ(server.on_client_final(client_final), std::unexpected(ScramError::proof));
}

TEST(scram, refuses_malformed_first_messages) {
    struct Row {
        std::string message;
        ScramError error;
    };
    const Row rows[] = {
        {"", ScramError::malformed},
        {"n", ScramError::malformed},
        {"n,,", ScramError::malformed},
        {"n,,n=user", ScramError::malformed},
        {"n,,r=abc,n=user", ScramError::malformed},
        {"n,,n=user,r=", ScramError::malformed},
        {"n,,n=user,r=a b", ScramError::malformed},
        {"n,,n=user,r=abc,?", ScramError::malformed},
        {"n,,n=us=er,r=abc", ScramError::malformed},
        {"n,,n=us=2,r=abc", ScramError::malformed},
        {"x,,n=user,r=abc", ScramError::malformed},
        {"N,,n=user,r=abc", ScramError::malformed},
        {"n,b=user,n=user,r=abc", ScramError::malformed},
        {"n,,n=user,r=\xC3\xA4", ScramError::malformed},
        {"n,,n=us\xFF,r=abc", ScramError::malformed},
        {std::string("n,,n=us\0er,r=abc", 16), ScramError::malformed},
        {"n,,n=user,r=" + std::string(5'000, 'a'), ScramError::malformed},
        {"n,,n=,r=abc", ScramError::user_name},
        {"n,,n=k\xC3\xA4se,r=abc", ScramError::user_name},
        {"p=tls-exporter,,n=user,r=abc", ScramError::channel_binding},
        {"n,,m=x,n=user,r=abc", ScramError::extension},
        {"n,a=root,n=user,r=abc", ScramError::authorization_id},
    };
    for (const Row& row : rows) {
        ScramServer server;
        const auto user = server.on_client_first(row.message);
        ASSERT_FALSE(user) << row.message;
        EXPECT_EQ(user.error(), row.error) << row.message;
        EXPECT_FALSE(server_error_value(row.error).empty());
        EXPECT_EQ(server.on_client_first(client_first), std::unexpected(ScramError::out_of_order));
    }
}

TEST(scram, refuses_malformed_last_messages) {
    const std::string nonce = "r=" + std::string{client_nonce} + std::string{server_nonce};
    const std::string proof = ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const std::pair<std::string, ScramError> rows[] = {
        {"", ScramError::malformed},
        {"c=biws," + nonce, ScramError::malformed},
        {nonce + ",c=biws" + proof, ScramError::malformed},
        {"c=biws" + proof, ScramError::malformed},
        {"c=biws," + nonce + ",p=", ScramError::malformed},
        {"c=biws," + nonce + ",p=AAAA", ScramError::malformed},
        {"c=biws," + nonce + ",=" + proof, ScramError::malformed},
        {"c=," + nonce + proof, ScramError::channel_binding_changed},
        {"c=eSws," + nonce + proof, ScramError::channel_binding_changed},
        {"c=biws,r=" + std::string{client_nonce} + proof, ScramError::nonce},
        {"c=biws," + nonce + "x" + proof, ScramError::nonce},
        {"c=biws," + nonce + ",x=1" + proof, ScramError::proof},  // signed otherwise
    };
    for (const auto& [message, error] : rows) {
        ScramServer server;
        ASSERT_TRUE(server.on_client_first(client_first));
        (void)server.challenge(pencil(), server_nonce, decoy_key);
        EXPECT_EQ(server.on_client_final(message), std::unexpected(error)) << message;
    }
    ScramServer server;
    EXPECT_EQ(server.on_client_final(client_final), std::unexpected(ScramError::out_of_order));
}

TEST(scram_verifier, is_written_as_postgresql_writes_it) {
    const std::string text = format_scram_verifier(pencil());
    EXPECT_EQ(text,
              "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
              "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
              "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
    EXPECT_EQ(parse_scram_verifier(text), pencil());
    EXPECT_TRUE(verify_scram_password(pencil(), "pencil"));
    EXPECT_FALSE(verify_scram_password(pencil(), "Pencil"));
}

TEST(scram_verifier, refuses_what_is_out_of_range) {
    const std::string text = format_scram_verifier(pencil());
    const auto with = [&](std::string_view from, std::string_view to) {
        std::string changed = text;
        return changed.replace(changed.find(from), from.size(), to);
    };
    for (const std::string& changed :
         {with("4096", "4095"), with("4096", "04096"), with("4096", "1000001"),
          with("4096", "99999999999"), with("4096:", "4096"), with("W22", ""), with("==$", "$"),
          with("$WG5d", "WG5d"), with("=:", "="), with("SHA-256", "SHA-1"), text + "=", text + "\n",
          text.substr(0, text.size() - 4), std::string{"SCRAM-SHA-256$"}, std::string{}}) {
        EXPECT_FALSE(parse_scram_verifier(changed)) << changed;
    }
    for (int byte = 0x80; byte <= 0xFF; ++byte) {  // libsodium takes some for base64
        std::string changed = text;
        changed[changed.size() - 20] = static_cast<char>(byte);
        EXPECT_FALSE(parse_scram_verifier(changed)) << byte;
    }
    EXPECT_FALSE(make_scram_verifier("", "salt", 4'096));
    EXPECT_FALSE(make_scram_verifier("käse", "salt", 4'096));
    EXPECT_FALSE(make_scram_verifier("pencil", "", 4'096));
    EXPECT_FALSE(make_scram_verifier("pencil", "salt", 4'095));
    EXPECT_FALSE(make_scram_verifier("pencil", "salt", 1'000'001));
}

}  // namespace
}  // namespace mitu::identity
