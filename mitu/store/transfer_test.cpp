#include "mitu/store/transfer.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "mitu/store/check.hpp"
#include "mitu/store/memory_engine.hpp"

namespace mitu::store {
namespace {

std::vector<std::string> lines_of(Engine& engine) {
    std::vector<std::string> lines;
    EXPECT_TRUE(export_lines(engine, [&](std::string_view line) {
        lines.emplace_back(line);
        return true;
    }));
    return lines;
}

Result<std::uint64_t, ImportProblem> import_all(Engine& engine, std::vector<std::string> lines) {
    std::size_t at = 0;
    return import_lines(engine, [&]() -> std::optional<std::string> {
        if (at == lines.size()) return std::nullopt;
        return lines[at++];
    });
}

void fill(Engine& engine) {
    Batch batch;
    batch.put_session({"acme", "d1"}, {.id = SessionId{1}, .extra = as_bytes("\x01\xFF")});
    batch.put_subscription(SessionId{1}, "a/#", {.options = 1});
    batch.put_message(MessageId{5}, {.topic = "t", .payload = as_bytes("x")});
    batch.enqueue(SessionId{1}, 2, {.qos = 1, .message = MessageId{5}});
    batch.put_retained({"acme", "r"}, {.topic = "r", .payload = as_bytes("kept")});
    batch.put_value("bans", "k", as_bytes("v"));
    ASSERT_TRUE(engine.write(batch.bytes(), true));
}

TEST(transfer, what_is_exported_is_imported_as_it_was) {
    MemoryEngine from;
    fill(from);
    const auto lines = lines_of(from);
    MemoryEngine to;
    const auto count = import_all(to, lines);
    ASSERT_TRUE(count) << count.error().what;
    EXPECT_EQ(*count, lines.size() - 1);
    EXPECT_EQ(lines_of(to), lines);
    EXPECT_TRUE(check(to, {})->is_sound());
}

TEST(transfer, lines_say_what_they_are_about) {
    MemoryEngine engine;
    fill(engine);
    std::string all;
    for (const std::string& line : lines_of(engine)) all += line + "\n";
    for (const char* text : {"acme/d1", "1 a/#", "acme/r r 4 bytes", "bans/k"}) {
        EXPECT_NE(all.find(text), std::string::npos) << text << " in\n" << all;
    }
}

TEST(transfer, a_wrong_line_is_named_with_what_is_wrong) {
    const std::string head = R"({"mitu_store": 3})";
    struct Case {
        std::vector<std::string> lines;
        std::uint64_t line;
        std::string_view what;
    };
    const Case cases[] = {
        {{}, 1, "begins with"},
        {{"[]"}, 1, "begins with"},
        {{R"({"mitu_store": 99})"}, 1, "99"},
        {{head, "not json"}, 2, "no JSON"},
        {{head, R"({"family": "queue"})"}, 2, "key is missing"},
        {{head, R"({"family": "cats", "key": "", "value": ""})"}, 2, "cats"},
        {{head, "", R"({"family": "values", "key": "0", "value": ""})"}, 3, "key is not hex"},
        {{head, R"({"family": "values", "key": "00", "value": "zz"})"}, 2, "value is not hex"},
        {{head, R"({"family": "queue", "key": "00", "value": ""})"},
         2,
         "not those of a row of queue"},
    };
    for (const Case& each : cases) {
        MemoryEngine engine;
        const auto refused = import_all(engine, each.lines);
        ASSERT_FALSE(refused) << each.what;
        EXPECT_EQ(refused.error().line, each.line) << each.what;
        EXPECT_NE(refused.error().what.find(each.what), std::string::npos) << refused.error().what;
    }
}

TEST(transfer, nothing_is_imported_over_what_is_there) {
    MemoryEngine engine;
    fill(engine);
    const auto refused = import_all(engine, lines_of(engine));
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().what.find("not empty"), std::string::npos);
}

}  // namespace
}  // namespace mitu::store
