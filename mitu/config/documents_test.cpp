#include "mitu/config/documents.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "mitu/config/key.hpp"
#include "mitu/yaml/document.hpp"
#include "mitu/yaml/files.hpp"

namespace mitu::config {
namespace {

// Paths from the root of the checkout, where ctest runs tests.

std::string text_of(const std::string& path) {
    const auto file = yaml::load_file(path);
    EXPECT_TRUE(file) << path;
    return file ? file->text : "";
}

Result<Loaded, yaml::Problems> load_text(std::string_view text) {
    Sources sources;
    sources.file = yaml::SourceFile{"f.yaml", text};
    sources.tenants.emplace();
    return load(sources);
}

/// Whether the published schema takes a document.
bool schema_takes(std::string_view text) {
    static const nlohmann::json schema_json = nlohmann::json::parse(json_schema());
    valijson::Schema schema;
    const valijson::adapters::NlohmannJsonAdapter adapter{schema_json};
    valijson::SchemaParser{}.populateSchema(adapter, schema);
    yaml::Problems problems;
    const auto documents = yaml::parse({"f.yaml", text}, problems);
    EXPECT_TRUE(problems.empty() && documents.size() == 1) << text;
    valijson::Validator validator;
    return validator.validate(
        schema, valijson::adapters::NlohmannJsonAdapter{documents.at(0).value}, nullptr);
}

TEST(config_documents, what_is_checked_in_is_what_the_table_says) {
    const char* const remedy = "run tools/golden --update";
    EXPECT_TRUE(text_of("docs/config.schema.json") == json_schema()) << remedy;
    EXPECT_TRUE(text_of("docs/configuration.md") == reference_page()) << remedy;
}

TEST(config_documents, examples_load_and_the_schema_takes_them) {
    for (const char* path : {"deploy/dev.yaml", "deploy/mitud.yaml"}) {
        const std::string text = text_of(path);
        const auto loaded = load_text(text);
        EXPECT_TRUE(loaded) << path << "\n" << (loaded ? "" : yaml::to_text(loaded.error()));
        EXPECT_TRUE(schema_takes(text)) << path;
    }
}

TEST(config_documents, the_schema_takes_and_refuses_what_the_parser_does) {
    struct Row {
        const char* text;
        bool good;
    };
    const Row rows[] = {
        {"log: {level: warn}", true},
        {"log: {level: loud}", false},
        {"log: {levle: warn}", false},
        {"log:\n", true},
        {"node: {shards: 256}", true},
        {"node: {shards: 257}", false},
        {"node: {shards: null}", false},
        {"limits: {packet_bytes_max: 64KiB}", true},
        {"limits: {packet_bytes_max: 64KB}", false},
        {"limits: {packet_bytes_max: 1}", false},
        {"limits: {topic_levels_max: null}", true},
        {"limits: {connect_timeout: 5s}", true},
        {"limits: {connect_timeout: 5}", false},
        {"limits: {retained_bytes_max: null}", true},
        {"listeners: [{name: a, bind: '*:1'}]", true},
        {"listeners: [{bind: '*:1'}]", false},
        {"listeners: [{name: A, bind: '*:1'}]", false},
        {"listeners: [{name: a, bind: '*:1', tls: {}}]", false},
        {"listeners: [{name: a, bind: '*:1', tls: }]", false},
        {"listeners: [{name: a, bind: '*:1', limits: }]", true},
        {"listeners: [{name: a, bind: '*:1', allow_anonymous: null}]", true},
        {"listeners: [{name: a, bind: '*:1', tls: {minimum_version: 1.3, certificates: "
         "[{certificate: c, key: k}]}}]",
         true},
        {"authentication: {methods: [{name: a}]}", false},
        {"authentication: {methods: [{name: h, kind: http, http: {url: 'ftp://x'}}]}", false},
        {"bans: [{user: a, until: \"2030-01-01T00:00:00Z\"}]", true},
        {"bans: [{user: a, until: soon}]", false},
        {"metrics: 3", false},
    };
    for (const Row& row : rows) {
        EXPECT_EQ(load_text(row.text).has_value(), row.good) << row.text;
        EXPECT_EQ(schema_takes(row.text), row.good) << row.text;
    }
}

TEST(config_documents, what_is_shown_reads_back_as_the_same_configuration) {
    for (const char* path : {"deploy/dev.yaml", "deploy/mitud.yaml"}) {
        const auto loaded = load_text(text_of(path));
        ASSERT_TRUE(loaded);
        for (const bool origins : {false, true}) {
            for (const bool only_set : {false, true}) {
                const std::string shown = show(*loaded, {.origins = origins, .only_set = only_set});
                const auto again = load_text(shown);
                ASSERT_TRUE(again) << yaml::to_text(again.error()) << shown;
                EXPECT_EQ(again->content_hash, loaded->content_hash) << shown;
            }
        }
    }
}

TEST(config_documents, show_tells_where_values_come_from) {
    const auto loaded = load_text("log:\n  level: warn\n");
    ASSERT_TRUE(loaded);
    const std::string shown = show(*loaded, {.origins = true});
    EXPECT_NE(shown.find("\nlog:\n  level: warn  # f.yaml:2\n  format: text  # default\n"),
              std::string::npos)
        << shown;
    const auto json = nlohmann::json::parse(show(*loaded, {.origins = true, .as_json = true}));
    EXPECT_EQ(json["config"]["log"]["level"], "warn");
    EXPECT_EQ(json["origins"], (nlohmann::json{{"log.level", "f.yaml:2"}}));
    EXPECT_EQ(json["revision"], 1);
}

/// What a person needs to know of each key.
void check_keys(const Shape& shape, const std::string& path) {
    ASSERT_NE(shape.defaults, nullptr) << path;
    for (const Key& key : shape.keys) {
        const std::string at = yaml::join_path(path, key.name);
        EXPECT_TRUE(key.doc.ends_with('.') || key.doc.ends_with('`')) << at << ": a sentence";
        const bool is_number =
            key.kind == Kind::integer || key.kind == Kind::size || key.kind == Kind::duration;
        if (is_number) {
            EXPECT_LT(key.min, key.max) << at << " has no range";
        }
        if (key.is_optional) {
            EXPECT_FALSE(key.none.empty()) << at << ": say what it means that it is not set";
        }
        if (key.shape != nullptr) check_keys(key.shape(), at);
    }
}

TEST(config_documents, every_key_has_a_range_and_a_sentence) { check_keys(root_shape(), ""); }

TEST(config_documents, every_default_is_a_value_that_the_file_may_have) {
    const auto loaded = load({});
    ASSERT_TRUE(loaded);
    const auto again = load_text(show(*loaded));
    ASSERT_TRUE(again) << yaml::to_text(again.error());
    EXPECT_EQ(again->content_hash, loaded->content_hash);
}

}  // namespace
}  // namespace mitu::config
