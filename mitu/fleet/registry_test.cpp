#include "mitu/fleet/registry.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mitu/fleet/csv.hpp"
#include "mitu/identity/credential.hpp"

namespace mitu::fleet {
namespace {

struct Parsed {
    std::vector<DeviceRecord> records;
    std::string problems;
};

Parsed parse(const std::string& name, std::string_view text, RegistryOptions options = {}) {
    Parsed parsed;
    parsed.problems = to_text(parse_registry(
        {name, text}, options, [&](DeviceRecord& record) { parsed.records.push_back(record); }));
    return parsed;
}

std::string cheap_phc() { return identity::hash_password("x", identity::Salt{}, {1, 8}); }

TEST(registry, reads_csv_by_the_names_of_its_columns) {
    const auto parsed = parse("r.csv",
                              "\xEF\xBB\xBF# fleet\r\ntenant,device,labels,class\r\n"
                              "acme,th-1,zone=lab;floor=3,thermostat\r\n\r\n"
                              "acme,\"th:2\",,thermostat");
    EXPECT_EQ(parsed.problems, "");
    ASSERT_EQ(parsed.records.size(), 2u);
    EXPECT_EQ(parsed.records[0].device, "th-1");
    EXPECT_EQ(parsed.records[0].labels, (std::vector<Label>{{"floor", "3"}, {"zone", "lab"}}));
    EXPECT_EQ(parsed.records[0].line, 3u);
    EXPECT_EQ(parsed.records[1].device, "th:2");
    EXPECT_EQ(parsed.records[1].line, 5u);
}

TEST(registry, reads_yaml_lists) {
    const auto parsed = parse("r.yaml",
                              "devices:\n  - {device: a, tenant: acme, class: x}\n"
                              "  - device: b\n    tenant: acme\n    class: x\n"
                              "    labels: {zone: lab}\n    credential: " +
                                  cheap_phc() + "\n");
    EXPECT_EQ(parsed.problems, "");
    ASSERT_EQ(parsed.records.size(), 2u);
    EXPECT_EQ(parsed.records[1].line, 3u);
    EXPECT_EQ(parsed.records[1].credential, cheap_phc());
    EXPECT_TRUE(parse("r.yaml", "").problems.empty());
    EXPECT_TRUE(parse("r.yaml", "devices:\n").problems.empty());
}

TEST(registry, tells_every_problem_of_a_csv_and_passes_on_the_good_rows) {
    const auto parsed = parse("r.csv",
                              "device,tenant,class,labels,credential\n"
                              "a/b,acme,thermostat,,\n"
                              "ok,acme,thermostat,,\n"
                              ",Acme,,zone,\n"
                              "c,acme,thermostat,k=1;k=2,secret\n"
                              "d,acme\n"
                              "\"e,acme,thermostat,,\n");
    EXPECT_EQ(parsed.problems,
              R"(r.csv:2: device is "a/b"; use 1..128 of A-Z a-z 0-9 . _ : -
r.csv:4: labels has "zone"; use name=value;name=value
r.csv:4: device is missing; use 1..128 of A-Z a-z 0-9 . _ : -
r.csv:4: tenant is "Acme"; use 1..64 of a-z 0-9 _ -, not beginning with _ or -
r.csv:4: class is missing; use 1..64 of a-z 0-9 _ -, not beginning with _ or -
r.csv:5: label "k" is there twice; remove one
r.csv:5: credential is not an argon2id PHC string of known cost; write it with `mitu device add`
r.csv:6: 2 fields; use 5, as the header has
r.csv:7: a quote is not closed, or text follows a closing one; write "" for a quote within quotes
)");
    ASSERT_EQ(parsed.records.size(), 1u);
    EXPECT_EQ(parsed.records[0].device, "ok");
}

TEST(registry, tells_what_is_wrong_with_a_header) {
    EXPECT_EQ(parse("r.csv", "devise,tenant,tenant,password\n").problems,
              R"(r.csv:1: column "devise" is not known; did you mean device?
r.csv:1: column tenant is there twice; remove one
r.csv:1: column "password" is not known; use device, tenant, class, labels, credential
r.csv:1: column device is missing; begin the file with a line such as device,tenant,class,labels,credential
r.csv:1: column class is missing; begin the file with a line such as device,tenant,class,labels,credential
)");
    EXPECT_EQ(
        parse("r.csv", "device,tenant,class,password\na,acme,x,p\n", {.allow_passwords = true})
            .problems,
        "");
}

TEST(registry, tells_every_problem_of_yaml) {
    EXPECT_EQ(parse("r.yaml",
                    "devises: []\ndevices:\n  - 7\n  - device: 7\n    tenant: acme\n"
                    "    clas: x\n    labels: {floor: 3}\n  - {tenant: acme, class: x}\n"
                    "---\n{}\n")
                  .problems,
              R"(r.yaml:3: the device is 7; use a map with device, tenant, class
r.yaml:6: key "clas" is not known; did you mean class?
r.yaml:4: device is 7; use text in quotes
r.yaml:7: label "floor" is 3; use text in quotes
r.yaml:8: device is missing; use 1..128 of A-Z a-z 0-9 . _ : -
r.yaml:10: a second document; use one, without ---
r.yaml:1: "devises" is not known; use devices
)");
    EXPECT_EQ(parse("r.yaml", "[1]").problems,
              "r.yaml:1: the document is no map; use devices: and a list\n");
    EXPECT_EQ(parse("r.yaml", "devices: 7").problems,
              "r.yaml:1: devices is no list; use one item a device\n");
}

TEST(registry, reads_back_what_it_writes_in_both_formats) {
    DeviceRecord record;
    record.device = "a:1";
    record.tenant = "acme";
    record.class_name = "x";
    record.labels = {{"a/b", "1:2"}, {"zone", ""}};
    record.credential = cheap_phc();
    for (const auto& [name, format] :
         {std::pair{"r.csv", RegistryFormat::csv}, std::pair{"r.yaml", RegistryFormat::yaml}}) {
        const std::string text =
            std::string{registry_header(format)} + format_record(record, format);
        const auto parsed = parse(name, text);
        EXPECT_EQ(parsed.problems, "");
        ASSERT_EQ(parsed.records.size(), 1u);
        EXPECT_EQ(parsed.records[0].device, record.device);
        EXPECT_EQ(parsed.records[0].labels, record.labels);
        EXPECT_EQ(parsed.records[0].credential, record.credential);
    }
}

TEST(csv, quotes_what_needs_it_and_reads_it_back) {
    std::vector<std::string> fields;
    ASSERT_TRUE(split_csv("a,\"b \"\"c\"\", d\",,", fields));
    EXPECT_EQ(fields, (std::vector<std::string>{"a", "b \"c\", d", "", ""}));
    ASSERT_TRUE(split_csv(quote_csv("x\"y,z"), fields));
    EXPECT_EQ(fields, std::vector<std::string>{"x\"y,z"});
    EXPECT_FALSE(split_csv("\"a\"b", fields));
}

}  // namespace
}  // namespace mitu::fleet
