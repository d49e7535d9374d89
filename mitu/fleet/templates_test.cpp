#include "mitu/fleet/templates.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace mitu::fleet {
namespace {

Result<Templates, Problems> load(std::string_view text, std::string_view overlay = {}) {
    const std::vector<SourceFile> base{{"policies/acme.yaml", text}};
    std::vector<SourceFile> over;
    if (!overlay.empty()) over.push_back({"site/acme.yaml", overlay});
    return load_templates(base, over);
}

/// All problems as text, or "" if there is none.
std::string problems_of(std::string_view text, std::string_view overlay = {}) {
    const auto result = load(text, overlay);
    return result ? std::string{} : to_text(result.error());
}

const Policy& policy_named(const Templates& templates, std::string_view name) {
    for (const auto& policy : templates.policies) {
        if (policy->name == name) return *policy;
    }
    throw std::runtime_error{"no such policy"};
}

constexpr std::string_view small = R"(kind: Tenant
name: acme
---
kind: Policy
name: thermostat
selector: {tenant: acme, class: thermostat}
access: {publish: {allow: ["t/${device}/#"]}, subscribe: {}}
settings: {telemetry_interval_s: 10}
)";

TEST(templates, embedded_ones_are_valid_and_cover_the_tenants_and_classes) {
    const auto templates = load_templates(embedded_templates());
    ASSERT_TRUE(templates) << to_text(templates.error());
    std::set<std::string> tenants;
    std::set<std::string> classes;
    for (const Tenant& tenant : templates->tenants) tenants.insert(tenant.name);
    for (const auto& policy : templates->policies) {
        if (!policy->selector.class_name.empty()) classes.insert(policy->selector.class_name);
        if (policy->selector.class_name == "operator") {
            EXPECT_EQ(policy->desired, nullptr) << policy->name;
        }
    }
    EXPECT_EQ(templates->tenants.front().name, "default");
    EXPECT_GE(tenants.size(), 4u);
    EXPECT_GE(classes.size(), 5u);
    for (const auto& tenant : tenants) {
        if (tenant == "default") continue;
        const Policy& op = policy_named(*templates, tenant + "-operator");
        EXPECT_EQ(op.access.subscribe.allow, std::vector<std::string>{"#"});
    }
    const Policy& open = policy_named(*templates, "default");
    EXPECT_FALSE(open.heartbeat);
    EXPECT_FALSE(open.limits.message_rate || open.limits.payload_bytes_max ||
                 open.limits.queue_messages_max || open.limits.queue_bytes_max);
    EXPECT_EQ(open.access.publish.allow, std::vector<std::string>{"#"});
}

TEST(templates, read_every_section_of_a_policy) {
    const auto templates = load(R"(
kind: Policy
name: full
revision: 7
description: all of it
selector: {class: box, labels: {zone: "b", area: "1"}}
heartbeat: {interval: 30s, timeout: 5m}
limits:
  message_rate: {per_second: 5, burst: 20}
  payload_bytes_max: 16384
  queue_messages_max: 100
  queue_bytes_max: 262144
access:
  publish: {allow: ["t/${device}/#"], deny: ["t/${device}/secret"]}
  subscribe: {allow: ["b/${class}/x-${tenant}-y/+"]}
settings: {b: [1, 2.5, "x", true], a: {c: "007", d: 1e3}}
)");
    ASSERT_TRUE(templates) << to_text(templates.error());
    const Policy& policy = *templates->policies.at(0);
    EXPECT_EQ(policy.revision, 7u);
    EXPECT_EQ(policy.description, "all of it");
    EXPECT_EQ(policy.selector.specificity(), 3u);
    EXPECT_EQ(policy.selector.labels, (std::vector<Label>{{"area", "1"}, {"zone", "b"}}));
    ASSERT_TRUE(policy.heartbeat);
    EXPECT_EQ(policy.heartbeat->interval, Duration::seconds(30));
    EXPECT_EQ(policy.heartbeat->timeout, Duration::seconds(300));
    ASSERT_TRUE(policy.limits.message_rate);
    EXPECT_EQ(policy.limits.message_rate->per_second, 5u);
    EXPECT_EQ(policy.limits.message_rate->burst, 20u);
    EXPECT_EQ(policy.limits.payload_bytes_max, 16384u);
    EXPECT_EQ(policy.limits.queue_messages_max, 100u);
    EXPECT_EQ(policy.limits.queue_bytes_max, 262144u);
    EXPECT_EQ(policy.access.publish.deny, std::vector<std::string>{"t/${device}/secret"});
    EXPECT_EQ(policy.desired->json(),
              R"({"revision":7,"settings":{"a":{"c":"007","d":1000.0},"b":[1,2.5,"x",true]}})");
    EXPECT_EQ(policy.file, "policies/acme.yaml");
    EXPECT_EQ(policy.line, 2u);
}

TEST(templates, hash_follows_content_and_not_its_spelling) {
    const auto hash = [](std::string_view text) { return load(text)->policies[0]->content_hash; };
    constexpr std::string_view head = "kind: Policy\nname: a\nselector: {class: x}\n";
    const std::string access = "access: {publish: {}, subscribe: {}}\n";
    const std::string settings = "settings: {a: 1, b: 2}\n";
    const std::uint64_t one = hash(std::string{head} + access + settings);
    EXPECT_EQ(one, 1269258908632599872u);  // golden: versions and machines agree on it
    EXPECT_EQ(one, hash(std::string{head} + "settings:\n  b: 2\n  a: 1\n" + access));
    EXPECT_EQ(one, hash("# x\n" + std::string{head} + "revision: 2\n" + access + settings));
    EXPECT_NE(one, hash(std::string{head} + access + "settings: {a: 1, b: 3}\n"));
    EXPECT_NE(one,
              hash(std::string{head} + access + settings + "limits: {payload_bytes_max: 1}\n"));
}

TEST(templates, tell_every_problem_with_file_line_value_and_remedy) {
    EXPECT_EQ(
        problems_of(R"(kind: Policy
name: Bad Name
revision: 0
selector:
  tenant: acme
  klass: thermostat
  labels: {floor: 3, "a b": "x"}
heartbeet: {}
heartbeat:
  interval: 0s
limits:
  message_rate: {per_second: "many"}
  payload_bytes_max: 999999999999
access:
  publish: {allow: "t/#"}
settings: [1]
)"),
        R"(policies/acme.yaml:2: name is "Bad Name"; use 1..64 of a-z 0-9 _ -, not beginning with _ or -
policies/acme.yaml:3: revision is 0; use 1..4294967295
policies/acme.yaml:6: selector.klass is not known; did you mean class?
policies/acme.yaml:7: selector.labels.floor is 3; use text in quotes, at most 63 characters
policies/acme.yaml:8: heartbeet is not known; did you mean heartbeat?
policies/acme.yaml:9: heartbeat.timeout is missing; use 1s..168h
policies/acme.yaml:10: heartbeat.interval is "0s"; use 1s..24h
policies/acme.yaml:12: limits.message_rate.burst is missing; use 1..1000000
policies/acme.yaml:12: limits.message_rate.per_second is "many"; use 1..1000000
policies/acme.yaml:13: limits.payload_bytes_max is 999999999999; use 1..268435455
policies/acme.yaml:14: access.subscribe is missing; use a map with allow and deny
policies/acme.yaml:15: access.publish.allow is "t/#"; use a list of at most 64 topic filters
policies/acme.yaml:16: settings is [1]; use a map
)");
}

TEST(templates, tell_what_a_schema_cannot_see) {
    EXPECT_EQ(
        problems_of(R"(kind: Policy
name: a
selector: {tenant: acmee, class: x, labels: {"a b": "x", k: "?"}}
heartbeat: {interval: 5m, timeout: 299s}
access:
  publish:
    allow: ["", "a/#/b", "a+/b", "${devise}/x", "${device/x", "$share/g/x", "ok/+/${tenant}-1/#"]
  subscribe: {deny: ["a\tb"]}
settings: {deep: {b: {c: {d: {e: {}}}}}, none: null}
---
kind: Policy
name: b
selector: {class: y}
heartbeat: {interval: 25h, timeout: 169h}
access: {publish: {}, subscribe: {}}
)"),
        R"(policies/acme.yaml:3: selector.labels.a b is not a label; use 1..63 of A-Z a-z 0-9 . _ / -
policies/acme.yaml:3: selector.labels.k is "?"; use at most 63 of A-Z a-z 0-9 . _ : / -
policies/acme.yaml:4: heartbeat.timeout is "299s", below the interval of "5m"; use two to four intervals
policies/acme.yaml:7: access.publish.allow[0] is ""; use a topic filter of at least one character
policies/acme.yaml:7: access.publish.allow[1] is "a/#/b"; use + and # as whole levels, and # last
policies/acme.yaml:7: access.publish.allow[2] is "a+/b"; use + and # as whole levels, and # last
policies/acme.yaml:7: access.publish.allow[3] is "${devise}/x"; use ${device}, ${tenant} or ${class}
policies/acme.yaml:7: access.publish.allow[4] is "${device/x"; close ${ with }
policies/acme.yaml:7: access.publish.allow[5] is "$share/g/x"; write the filter that stands behind $share/NAME/
policies/acme.yaml:8: access.subscribe.deny[0] is "a\tb"; use no control characters
policies/acme.yaml:9: settings.deep.b.c.d.e is nested too deep; use at most 5 levels
policies/acme.yaml:9: settings.none is null, which a shadow reads as: not there; use a value, or leave it out
policies/acme.yaml:14: heartbeat.interval is "25h"; use 1s..24h
policies/acme.yaml:14: heartbeat.timeout is "169h"; use 1s..168h
)");
}

TEST(templates, tell_kinds_yaml_and_names_that_are_wrong) {
    EXPECT_EQ(problems_of("[1, 2]\n---\nname: x\n---\nkind: Polcy\n---\nkind: Tenant\nname: a\n"
                          "---\nkind: Tenant\nname: a\nx: 1\n---\nkind: Tenant\nname: a\n"),
              "policies/acme.yaml:1: the document is [1,2]; use a map that begins with kind: "
              "Policy or kind: Tenant\n"
              "policies/acme.yaml:3: kind is missing; use Policy or Tenant\n"
              "policies/acme.yaml:5: kind is \"Polcy\"; use Policy or Tenant\n"
              "policies/acme.yaml:12: x is not known; use description, kind, name\n"
              "policies/acme.yaml:14: name \"a\" is used twice, first at policies/acme.yaml:7; use "
              "another name\n");
    EXPECT_EQ(problems_of("kind: Tenant\nname: a\nname: b\n"),
              "policies/acme.yaml:3: name is there twice; remove one\n");
    EXPECT_EQ(
        problems_of("kind: Tenant\nname: &n a\n---\nkind: Tenant\nname: !!str b\n"),
        "policies/acme.yaml:2: an anchor (&name) cannot be used here; remove it\n"
        "policies/acme.yaml:5: the tag tag:yaml.org,2002:str cannot be used here; remove it\n");
    EXPECT_EQ(problems_of("kind: Tenant\nname: {a\n"),
              "policies/acme.yaml:3: not YAML: end of map flow not found; check quotes and "
              "indentation\n");
    EXPECT_EQ(problems_of("kind: Tenant\nname: \xFF\n"),
              "policies/acme.yaml: not UTF-8; save the file in that encoding\n");
    EXPECT_EQ(problems_of(std::string_view{"kind: Tenant\nname: a\0b\n", 23}),
              "policies/acme.yaml:2: a control character; remove it\n");
    EXPECT_EQ(
        problems_of("kind: Tenant\nname: a\ndescription: \"\\_\"\n"),
        "policies/acme.yaml:3: text that is not UTF-8; write the escapes \\_ as \\u00A0, \\N as "
        "\\u0085\n");
    EXPECT_EQ(problems_of(" a, te sac: xme}\n, "),
              "policies/acme.yaml:1: kind is missing; use Policy or Tenant\n"
              "policies/acme.yaml:2: not YAML: a stray , ] or }; check quotes and indentation\n");
    EXPECT_EQ(problems_of(std::string(100, '[') + std::string(100, ']')),
              "policies/acme.yaml:1: not YAML: nested deeper than 32; check quotes and "
              "indentation\n");
}

TEST(templates, refuse_a_tenant_that_nobody_declares) {
    EXPECT_EQ(
        problems_of("kind: Tenant\nname: acme\n---\nkind: Policy\nname: a\n"
                    "selector: {tenant: acmee}\naccess: {publish: {}, subscribe: {}}\n"),
        "policies/acme.yaml:4: selector.tenant is \"acmee\", which no document of kind Tenant "
        "declares; did you mean acme?\n");
}

TEST(templates, refuse_selectors_that_may_tie) {
    const std::string both =
        "kind: Policy\nname: by-class\nselector: {class: x}\n"
        "access: {publish: {}, subscribe: {}}\n---\n"
        "kind: Policy\nname: by-label\nselector: {labels: {zone: lab}}\n"
        "access: {publish: {}, subscribe: {}}\n";
    EXPECT_EQ(
        problems_of(both),
        "policies/acme.yaml:6: \"by-label\" ties with \"by-class\" (policies/acme.yaml:1) for "
        "devices of class x, label zone=lab; add a field or label to one of them, or a policy "
        "that selects all of these\n");
    EXPECT_EQ(problems_of(both + "---\nkind: Policy\nname: c\n"
                                 "selector: {class: x, labels: {zone: lab}}\n"
                                 "access: {publish: {}, subscribe: {}}\n"),
              "");
}

TEST(templates, overlay_replaces_by_name_and_adds) {
    const auto templates = load(small, R"(kind: Policy
name: thermostat
revision: 2
selector: {tenant: acme, class: thermostat}
access: {publish: {}, subscribe: {}}
settings: {telemetry_interval_s: 60}
---
kind: Tenant
name: zeta
---
kind: Policy
name: other
selector: {tenant: zeta}
access: {publish: {}, subscribe: {}}
)");
    ASSERT_TRUE(templates) << to_text(templates.error());
    EXPECT_EQ(templates->tenants.size(), 3u);
    EXPECT_EQ(templates->policies.size(), 2u);
    EXPECT_EQ(policy_named(*templates, "thermostat").desired->json(),
              R"({"revision":2,"settings":{"telemetry_interval_s":60}})");
    EXPECT_EQ(policy_named(*templates, "thermostat").file, "site/acme.yaml");
}

TEST(templates, overlay_with_other_content_must_raise_the_revision) {
    EXPECT_EQ(
        problems_of(small,
                    "kind: Policy\nname: thermostat\n"
                    "selector: {tenant: acme, class: thermostat}\n"
                    "access: {publish: {}, subscribe: {}}\n"),
        "site/acme.yaml:1: revision of \"thermostat\" is 1, but policies/acme.yaml:4 has other "
        "content at revision 1; use 2 or more\n");
    EXPECT_EQ(problems_of(small, small), "");
}

}  // namespace
}  // namespace mitu::fleet
