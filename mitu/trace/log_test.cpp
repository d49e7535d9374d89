#include "mitu/trace/log.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "mitu/trace/log_line.hpp"

namespace mitu::trace {
namespace {

class FakeClock final : public ports::Clock {
public:
    [[nodiscard]] Instant now() const noexcept override { return now_; }
    [[nodiscard]] WallTime wall() const noexcept override { return {1'714'566'896'789}; }
    void advance(Duration d) { now_ = now_ + d; }

private:
    Instant now_;
};

/// Captures lines while it lives; silence afterwards.
class LogTest : public testing::Test {
protected:
    void capture(Level level, LogFormat format = LogFormat::logfmt) {
        LogOptions options;
        options.level = level;
        options.format = format;
        options.clock = &clock_;
        options.write_line = [this](Level, std::string_view line) { lines_.emplace_back(line); };
        configure_log(std::move(options));
    }
    void TearDown() override {
        LogOptions options;
        options.level = Level::off;
        configure_log(std::move(options));
    }

    FakeClock clock_;
    std::vector<std::string> lines_;
};

std::string format(LogFormat format, std::initializer_list<LogField> fields) {
    return format_log_line(format, WallTime{1'714'566'896'789}, Level::warn, "disk_slow",
                           {fields.begin(), fields.size()}, 0);
}

}  // namespace

TEST(log_line, has_three_shapes) {
    const std::string word = "plain";
    const std::initializer_list<LogField> fields{
        {"path", "a b"}, {"n", -3},    {"big", std::uint64_t{18'446'744'073'709'551'615U}},
        {"ratio", 0.5},  {"ok", true}, {"word", word}};
    EXPECT_EQ(
        format(LogFormat::human, fields),
        R"(12:34:56.789 warn  disk_slow path="a b" n=-3 big=18446744073709551615 ratio=0.5 ok=true word=plain)");
    EXPECT_EQ(
        format(LogFormat::logfmt, fields),
        R"(time=2024-05-01T12:34:56.789Z level=warn event=disk_slow path="a b" n=-3 big=18446744073709551615 ratio=0.5 ok=true word=plain)");
    EXPECT_EQ(
        format(LogFormat::json, fields),
        R"({"time":"2024-05-01T12:34:56.789Z","level":"warn","event":"disk_slow","path":"a b","n":-3,"big":18446744073709551615,"ratio":0.5,"ok":true,"word":"plain"})");
}

TEST(log_line, text_of_a_peer_cannot_forge_a_line) {
    const struct {
        std::string_view text;
        std::string_view human;
        std::string_view json;
    } rows[] = {
        {"a\nlevel=error", R"(t="a\nlevel=error")", R"("t":"a\nlevel=error")"},
        {"a\"b", R"(t="a\"b")", R"("t":"a\"b")"},
        {"a=b", R"(t="a=b")", R"("t":"a=b")"},
        {"", R"(t="")", R"("t":"")"},
        {"back\\slash", R"(t="back\\slash")", R"("t":"back\\slash")"},
        {std::string_view{"\0\x1b[2J\x7f", 6}, R"(t="\u0000\u001b[2J\u007f")",
         R"("t":"\u0000\u001b[2J\u007f")"},
        {"\xff\xfe ", R"(t="\ufffd\ufffd ")", R"("t":"\ufffd\ufffd ")"},
        {"\xc3\xa9 ok", "t=\"\xc3\xa9 ok\"", "\"t\":\"\xc3\xa9 ok\""},
        {"\xed\xa0\x80", R"(t="\ufffd\ufffd\ufffd")", R"("t":"\ufffd\ufffd\ufffd")"},
        {"cut \xe2\x82", R"(t="cut \ufffd\ufffd")", R"("t":"cut \ufffd\ufffd")"},
    };
    for (const auto& row : rows) {
        const std::string human = format(LogFormat::human, {{"t", row.text}});
        EXPECT_TRUE(human.ends_with(row.human)) << human;
        const std::string json = format(LogFormat::json, {{"t", row.text}});
        EXPECT_NE(json.find(row.json), std::string::npos) << json;
    }
    EXPECT_NE(format(LogFormat::json, {{"x", std::numeric_limits<double>::infinity()}})
                  .find("\"x\":null"),
              std::string::npos);
}

TEST_F(LogTest, lets_through_its_level_and_above) {
    capture(Level::warn);
    log(Level::info, "quiet");
    log(Level::warn, "heard", {{"n", 1}});
    log(Level::error, "loud");
    ASSERT_EQ(lines_.size(), 2u);
    EXPECT_EQ(lines_[0], "time=2024-05-01T12:34:56.789Z level=warn event=heard n=1");
    EXPECT_FALSE(log_enabled(Level::info));
    EXPECT_TRUE(log_enabled(Level::error));
}

TEST_F(LogTest, limits_each_event_by_itself_and_tells_how_much_is_missing) {
    capture(Level::info);
    for (int i = 0; i < 50; ++i) log(Level::info, "noisy", {{"i", i}});
    log(Level::info, "rare");
    EXPECT_EQ(lines_.size(), 21u);

    clock_.advance(Duration::seconds(1));
    log(Level::info, "noisy", {{"i", 50}});
    EXPECT_TRUE(lines_.back().ends_with("event=noisy i=50 suppressed=30")) << lines_.back();
    log(Level::info, "noisy");
    EXPECT_TRUE(lines_.back().ends_with("event=noisy")) << lines_.back();

    for (int i = 0; i < 50; ++i) log(Level::info, "noisy");
    flush_log();
    EXPECT_TRUE(lines_.back().ends_with("event=noisy suppressed=32")) << lines_.back();
    const std::size_t count = lines_.size();
    flush_log();
    EXPECT_EQ(lines_.size(), count);
}

TEST_F(LogTest, takes_lines_from_many_threads) {
    capture(Level::info);
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([] {
            for (int i = 0; i < 100; ++i) log(Level::info, "together", {{"i", i}});
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(lines_.size(), 20u);
    flush_log();
    EXPECT_TRUE(lines_.back().ends_with("suppressed=380")) << lines_.back();
}

TEST(log_options, read_the_words_of_the_command_line) {
    EXPECT_EQ(parse_level("warn"), Level::warn);
    EXPECT_EQ(parse_level("WARN"), std::nullopt);
    EXPECT_EQ(parse_log_format("json"), LogFormat::json);
    EXPECT_TRUE(parse_log_format("text").has_value());
    EXPECT_EQ(parse_log_format("xml"), std::nullopt);
}

}  // namespace mitu::trace
