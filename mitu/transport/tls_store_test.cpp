#include "mitu/transport/tls_store.hpp"

#include <gtest/gtest.h>

#include <ctime>

#include "mitu/runtime/clock.hpp"
#include "mitu/transport/testing/pki.hpp"
#include "mitu/transport/tls_contexts.hpp"

namespace mitu::transport {
namespace {

using testing::Identity;
using testing::make_identity;
using Reload = TlsStore::Reload;

const runtime::SystemClock test_clock;

struct Files {
    testing::TemporaryDirectory directory;
    Identity ca = make_identity({.common_name = "Acme CA", .is_ca = true});
    Identity server =
        make_identity({.common_name = "broker", .alternative_names = "DNS:a.example"}, &ca);
    TlsSettings settings;

    Files() {
        settings.certificates.push_back({write("server.pem", server.certificate_pem()),
                                         write("server.key", server.key_pem()),
                                         {}});
    }
    std::string write(const std::string& name, const std::string& text) {
        return directory.write(name, text);
    }
    [[nodiscard]] auto load() const { return TlsStore::load(settings, test_clock.wall()); }
    /// The error of loading, which there must be.
    [[nodiscard]] std::string problem() const {
        auto store = load();
        return store ? "it was loaded" : store.error();
    }
};

void expect_says(const std::string& text, std::initializer_list<const char*> parts) {
    for (const char* part : parts) EXPECT_NE(text.find(part), std::string::npos) << text;
}

}  // namespace

TEST(tls_store, decrypts_keys_and_reads_the_password_file_anew) {
    Files files;
    const auto lock = [&](const char* password) {
        const BioPtr bio{BIO_new(BIO_s_mem())};
        PEM_write_bio_PrivateKey(bio.get(), files.server.key.get(), EVP_aes_256_cbc(), nullptr, 0,
                                 nullptr, const_cast<char*>(password));
        files.write("server.key", Identity::text_of(bio.get()));
    };
    lock("sesame");
    auto& certificate = files.settings.certificates[0];
    certificate.key_password = "sesame";
    EXPECT_TRUE(files.load());
    certificate.key_password.clear();
    certificate.key_password_file = files.write("password", "sesame\r\nnot part of it\n");
    auto store = files.load();
    ASSERT_TRUE(store.has_value()) << store.error();

    lock("changed");
    EXPECT_EQ((*store)->reload(test_clock.wall()).outcome, Reload::refused);
    files.write("password", "changed");
    EXPECT_EQ((*store)->refresh(test_clock.wall()).outcome, Reload::unchanged) << "just seen";
    EXPECT_EQ((*store)->refresh(test_clock.wall()).outcome, Reload::replaced);
}

TEST(tls_store, tells_what_is_in_use) {
    Files files;
    auto store = files.load();
    ASSERT_TRUE(store.has_value()) << store.error();
    const auto status = (*store)->certificates();
    ASSERT_EQ(status.size(), 1u);
    EXPECT_EQ(status[0].server_names, std::vector<std::string>{"a.example"});
    EXPECT_EQ(status[0].subject, "CN=broker,O=Acme");
    EXPECT_LT(status[0].not_before, test_clock.wall());
    EXPECT_GT(status[0].not_after, test_clock.wall());
    EXPECT_TRUE((*store)->warnings().empty());
}

TEST(tls_store, refuses_bad_files_with_file_cause_and_remedy) {
    Files files;
    auto& certificate = files.settings.certificates[0];
    const TlsSettings good = files.settings;
    certificate.certificate_file = files.directory.file("missing.pem");
    expect_says(files.problem(), {"certificate `", "missing.pem", "No such file", "check path"});
    certificate.certificate_file = files.write("der.pem", "\x30\x82 no pem");
    expect_says(files.problem(), {"der.pem", "no PEM certificate", "openssl x509 -inform der"});
    certificate.certificate_file = files.write("empty.pem", "");
    expect_says(files.problem(), {"empty.pem", "is empty"});
    std::string damaged = files.server.certificate_pem();
    damaged[100] = '!';
    certificate.certificate_file = files.write("damaged.pem", damaged);
    expect_says(files.problem(), {"damaged.pem", "number 1", "damaged"});

    files.settings = good;
    const Identity other = make_identity({.common_name = "other"});
    certificate.key_file = files.write("other.key", other.key_pem());
    expect_says(files.problem(), {"key `", "other.key", "does not belong to", "server.pem"});
    certificate.key_file = certificate.certificate_file;
    expect_says(files.problem(), {"no PEM key"});
    const BioPtr bio{BIO_new(BIO_s_mem())};
    PEM_write_bio_PrivateKey(bio.get(), other.key.get(), EVP_aes_256_cbc(), nullptr, 0, nullptr,
                             const_cast<char*>("secret"));
    certificate.key_file = files.write("locked.key", Identity::text_of(bio.get()));
    expect_says(files.problem(), {"locked.key", "is encrypted", "key_password_file"});
    certificate.key_password = "wrong";
    expect_says(files.problem(), {"locked.key", "cannot be decrypted", "check the password"});
    certificate.key_password = std::string(2'000, 'x');
    expect_says(files.problem(), {"locked.key", "cannot be decrypted"});
    certificate.key_password_file = files.directory.file("missing.txt");
    expect_says(files.problem(), {"key password `", "missing.txt", "No such file"});
    certificate.key_password_file = files.write("empty.txt", "\n");
    expect_says(files.problem(), {"empty.txt", "empty line"});

    files.settings = good;
    files.settings.cipher_list = "NO-SUCH-CIPHER";
    expect_says(files.problem(), {"cipher_list `NO-SUCH-CIPHER`", "openssl ciphers"});
    files.settings = good;
    files.settings.client_certificates = ClientCertificates::required;
    expect_says(files.problem(), {"no ca_files"});
    files.settings.ca_files = {certificate.certificate_file};
    expect_says(files.problem(), {"CA `", "is no CA certificate"});
    files.settings.ca_files = {files.write("ca.pem", files.ca.certificate_pem())};
    const Identity stranger = make_identity({.common_name = "Acme CA", .is_ca = true});
    files.settings.crl_files = {files.write("crl.pem", testing::make_crl(stranger, {}))};
    expect_says(files.problem(), {"CRL `", "crl.pem", "no listed CA has signed it", "CN=Acme CA"});
    files.settings.crl_files = {files.settings.ca_files[0]};
    expect_says(files.problem(), {"CRL `", "no PEM CRL"});
    files.settings = {};
    expect_says(files.problem(), {"needs a certificate"});
}

TEST(tls_store, what_has_expired_is_loaded_and_warned_of) {
    Files files;
    const Identity old =
        make_identity({.common_name = "old", .from_days = -30, .until_days = -1}, &files.ca);
    files.settings.certificates = {
        {files.write("old.pem", old.certificate_pem()), files.write("old.key", old.key_pem()), {}}};
    files.settings.client_certificates = ClientCertificates::optional;
    files.settings.ca_files = {files.write("ca.pem", files.ca.certificate_pem())};
    files.settings.crl_files = {files.write("crl.pem", testing::make_crl(files.ca, {}, -1))};
    const auto store = files.load();
    ASSERT_TRUE(store.has_value()) << store.error();
    const auto warnings = (*store)->warnings();
    ASSERT_EQ(warnings.size(), 2u);
    expect_says(warnings[0], {"CRL `", "crl.pem", "has expired"});
    expect_says(warnings[1], {"certificate `", "old.pem", "has expired"});
}

TEST(tls_store, reloads_files_that_changed_once_they_are_steady) {
    Files files;
    const auto store = files.load().value();
    EXPECT_EQ(store->refresh(test_clock.wall()).outcome, Reload::unchanged);
    const auto before = store->contexts();

    const Identity renewed = make_identity({.common_name = "renewed"}, &files.ca);
    files.write("server.pem", renewed.certificate_pem());  // the key has not come yet
    EXPECT_EQ(store->refresh(test_clock.wall()).outcome, Reload::unchanged);
    files.write("server.key", renewed.key_pem() + "\n");
    EXPECT_EQ(store->refresh(test_clock.wall()).outcome, Reload::unchanged);
    EXPECT_EQ(store->refresh(test_clock.wall()).outcome, Reload::replaced);
    EXPECT_EQ(store->refresh(test_clock.wall()).outcome, Reload::unchanged);
    EXPECT_NE(store->contexts(), before);
    EXPECT_EQ(store->certificates()[0].subject, "CN=renewed,O=Acme");
}

TEST(tls_store, a_bad_file_is_refused_once_and_the_old_one_stays) {
    Files files;
    const auto store = files.load().value();
    const auto before = store->contexts();
    files.write("server.key", "no key");
    EXPECT_EQ(store->refresh(test_clock.wall()).outcome, Reload::unchanged);
    const auto refused = store->refresh(test_clock.wall());
    EXPECT_EQ(refused.outcome, Reload::refused);
    expect_says(refused.problem, {"server.key", "no PEM key"});
    EXPECT_EQ(store->refresh(test_clock.wall()).outcome, Reload::unchanged);
    EXPECT_EQ(store->contexts(), before);
    files.write("server.key", files.server.key_pem());
    EXPECT_EQ(store->refresh(test_clock.wall()).outcome, Reload::unchanged);
    EXPECT_EQ(store->refresh(test_clock.wall()).outcome, Reload::replaced);
}

TEST(tls_store, chooses_by_exact_name_then_by_wildcard) {
    Files files;
    const Identity wild = make_identity(
        {.common_name = "wild", .alternative_names = "DNS:*.b.example,DNS:c.example"}, &files.ca);
    files.settings.certificates.push_back({files.write("wild.pem", wild.certificate_pem()),
                                           files.write("wild.key", wild.key_pem()),
                                           {}});
    const auto store = files.load().value();
    const struct {
        const char* name;
        std::uint32_t index;
    } rows[] = {{"a.example", 0},
                {"A.Example", 0},
                {"x.b.example", 1},
                {"X.B.EXAMPLE.", 1},
                {"b.example", 0},
                {"x.y.b.example", 0},
                {"c.example", 1},
                {"*.b.example", 1},
                {"no.where", 0},
                {"", 0},
                {".", 0}};
    for (const auto& row : rows) {
        EXPECT_EQ(store->certificate_of(row.name), row.index) << row.name;
    }
    EXPECT_FALSE(store->contexts()->find("no.where").has_value());
}

}  // namespace mitu::transport
