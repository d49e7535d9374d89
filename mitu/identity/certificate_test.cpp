#include "mitu/identity/certificate.hpp"

#include <gtest/gtest.h>

namespace mitu::identity {
namespace {

CertificateFacts facts() {
    CertificateFacts made;
    made.common_names = {"pump-1"};
    made.organizations = {"acme"};
    made.organizational_units = {"ulm", "wien"};
    made.san_dns = {"pump-1.acme.example", "localhost"};
    made.san_uri = {"urn:x:1", "spiffe://acme/device/pump-1"};
    made.san_email = {"pump-1@acme.example"};
    made.fingerprint = {0xAB, 0x01};
    return made;
}

CertificateRules rules(CertificateField from, std::string pattern = {}) {
    CertificateRules made;
    made.from = from;
    made.pattern = std::move(pattern);
    return made;
}

void expect_refused(const Result<Identity, CertificateRefusal>& result, CertificateError kind) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, kind) << result.error().text;
}

TEST(certificate, names_its_user_by_the_field_that_is_asked_for) {
    EXPECT_EQ(identify_certificate(facts(), rules(CertificateField::cn))->user, "pump-1");
    EXPECT_EQ(identify_certificate(facts(), rules(CertificateField::san_email))->user,
              "pump-1@acme.example");
    EXPECT_EQ(identify_certificate(facts(), rules(CertificateField::fingerprint))->user,
              "ab01" + std::string(60, '0'));
    EXPECT_EQ(
        identify_certificate(facts(), rules(CertificateField::san_dns, "{id}.acme.example"))->user,
        "pump-1");
    CertificateRules by_uri = rules(CertificateField::san_uri, "spiffe://{tenant}/device/{id}");
    by_uri.tenant = CertificateTenant::name;
    by_uri.id_is_client_id = true;
    const auto identity = identify_certificate(facts(), by_uri);
    ASSERT_TRUE(identity);
    EXPECT_EQ(identity->user, "pump-1");
    EXPECT_EQ(identity->client_id, "pump-1");
    EXPECT_EQ(identity->tenant, "acme");
    CertificateRules by_cn = rules(CertificateField::cn);
    by_cn.tenant = CertificateTenant::organization;
    EXPECT_EQ(identify_certificate(facts(), by_cn)->tenant, "acme");
}

TEST(certificate, a_placeholder_does_not_reach_over_a_slash) {
    CertificateFacts made = facts();
    const auto user = [&](std::string uri) {
        made.san_uri = {std::move(uri)};
        const auto identity =
            identify_certificate(made, rules(CertificateField::san_uri, "spiffe://acme/d/{id}"));
        return identity ? identity->user : "";
    };
    EXPECT_EQ(user("spiffe://acme/d/x"), "x");
    EXPECT_EQ(user("spiffe://acme/d/x/y"), "");
    EXPECT_EQ(user("spiffe://acme/d/"), "");
    EXPECT_EQ(user("spiffe://acme/d"), "");
    EXPECT_EQ(user("spiffe://evil/spiffe://acme/d/x"), "");
    EXPECT_EQ(user(std::string("spiffe://acme/d/x\0y", 19)), "");
    EXPECT_EQ(user("spiffe://acme/d/\xFF"), "");
    EXPECT_EQ(user("spiffe://acme/d/a\nb"), "");
    EXPECT_EQ(user(""), "");
}

TEST(certificate, is_refused_where_it_does_not_say_who_it_is) {
    CertificateFacts none = facts();
    none.common_names.clear();
    expect_refused(identify_certificate(none, rules(CertificateField::cn)),
                   CertificateError::no_name);
    expect_refused(identify_certificate(facts(), rules(CertificateField::san_dns)),
                   CertificateError::ambiguous);
    expect_refused(identify_certificate(facts(), rules(CertificateField::cn, "device-{id}")),
                   CertificateError::no_name);
    CertificateRules by_unit = rules(CertificateField::cn);
    by_unit.tenant = CertificateTenant::organizational_unit;
    expect_refused(identify_certificate(facts(), by_unit), CertificateError::no_tenant);
    none = facts();
    none.organizational_units.clear();
    expect_refused(identify_certificate(none, by_unit), CertificateError::no_tenant);
    CertificateFacts twice = facts();
    twice.common_names = {"pump-1", "pump-1"};
    EXPECT_TRUE(identify_certificate(twice, rules(CertificateField::cn)));
}

TEST(certificate, only_listed_ones_get_in_where_there_is_a_list) {
    CertificateRules listed = rules(CertificateField::cn);
    listed.allowed = {Fingerprint{1}};
    expect_refused(identify_certificate(facts(), listed), CertificateError::not_listed);
    listed.allowed.push_back(facts().fingerprint);
    EXPECT_TRUE(identify_certificate(facts(), listed));
}

TEST(certificate, fingerprints_have_the_names_that_they_are_given) {
    CertificateRules named = rules(CertificateField::fingerprint);
    named.id_is_client_id = true;
    named.names[Fingerprint{1}] = "other";
    EXPECT_EQ(identify_certificate(facts(), named)->user, format_fingerprint(facts().fingerprint));
    named.names[facts().fingerprint] = "pump-7";
    EXPECT_EQ(identify_certificate(facts(), named)->user, "pump-7");
    EXPECT_EQ(identify_certificate(facts(), named)->client_id, "pump-7");
    named.from = CertificateField::cn;
    EXPECT_NE(identify_certificate(facts(), named)->user, "pump-7") << "the name of another field";
}

TEST(certificate, fingerprints_are_read_as_openssl_writes_them) {
    const std::string plain = format_fingerprint(facts().fingerprint);
    std::string colons = "AB:01";
    for (int i = 0; i < 30; ++i) colons += ":00";
    EXPECT_EQ(parse_fingerprint(plain), facts().fingerprint);
    EXPECT_EQ(parse_fingerprint(colons), facts().fingerprint);
    for (const std::string& text :
         {std::string{}, plain + "0", plain.substr(2), colons + ":", ":" + plain,
          std::string(64, 'g'), colons.substr(3), std::string(64, ':')}) {
        EXPECT_FALSE(parse_fingerprint(text)) << text;
    }
}

TEST(certificate, rules_that_could_not_work_are_found_out) {
    EXPECT_EQ(check_certificate_rules(rules(CertificateField::cn)), "");
    EXPECT_EQ(check_certificate_rules(rules(CertificateField::cn, "a-{id}")), "");
    for (const char* pattern : {"a-", "{id}{id}", "{tenant}/{id}"}) {
        EXPECT_NE(check_certificate_rules(rules(CertificateField::cn, pattern)), "") << pattern;
    }
    CertificateRules by_name = rules(CertificateField::cn, "{tenant}-{id}");
    by_name.tenant = CertificateTenant::name;
    EXPECT_EQ(check_certificate_rules(by_name), "");
    for (const char* pattern : {"", "{id}", "{tenant}{id}", "{id}{tenant}"}) {
        by_name.pattern = pattern;
        EXPECT_NE(check_certificate_rules(by_name), "") << pattern;
    }
}

}  // namespace
}  // namespace mitu::identity
