#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "mitu/api/audit.hpp"
#include "mitu/api/text.hpp"

namespace mitu::api {
namespace {

std::vector<std::string> lines_of(const std::string& path) {
    std::ifstream file{path};
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
}

}  // namespace

TEST(audit_file, turns_over_when_it_is_full_and_keeps_so_many) {
    std::string pattern = testing::TempDir() + "mitu-audit-XXXXXX";
    const std::string directory = ::mkdtemp(pattern.data());
    const std::string path = directory + "/audit.log";
    {
        const auto file = AuditFile::open({.path = path, .bytes_max = 500, .files_max = 3});
        ASSERT_TRUE(file.has_value()) << file.error();
        AuditEntry entry;
        for (unsigned i = 0; i < 20; ++i) {
            entry.status = i;
            (*file)->record(entry);
        }
    }
    struct stat there{};
    ASSERT_EQ(::stat(path.c_str(), &there), 0);
    EXPECT_EQ(there.st_mode & 0777, 0600u);
    unsigned expected = 20;
    for (const std::string& name : {path, path + ".1", path + ".2"}) {
        auto lines = lines_of(name);
        ASSERT_FALSE(lines.empty()) << name;
        EXPECT_LE(std::filesystem::file_size(name), 500u);
        for (std::size_t i = lines.size(); i-- > 0;) {
            EXPECT_EQ(nlohmann::json::parse(lines[i])["status"], --expected) << name;
        }
    }
    EXPECT_FALSE(std::filesystem::exists(path + ".3"));
    const auto again = AuditFile::open({.path = path, .bytes_max = 500, .files_max = 3});
    ASSERT_TRUE(again.has_value());
    const auto before = lines_of(path).size();
    (*again)->record({});
    EXPECT_GE(lines_of(path).size() + lines_of(path + ".1").size(), before + 1);  // appended
    EXPECT_FALSE(AuditFile::open({.path = directory + "/no/such/place"}).has_value());
    std::filesystem::remove_all(directory);
}

TEST(audit_file, a_line_bears_what_nobody_would_call_text) {
    AuditEntry entry;
    entry.who = std::string(10'000, '\xFF');
    entry.what.emplace_back("topic", "a\n\"\x01");
    const std::string line = to_json(entry);
    EXPECT_LT(line.size(), 2'000u);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_EQ(nlohmann::json::parse(line)["what"]["topic"], "a\n\"\x01");
}

TEST(api_text, times_are_read_as_they_are_written) {
    for (const std::int64_t ms : {0LL, 1'700'000'000'123LL, 951'782'399'999LL}) {
        const auto read = parse_time(time_text({ms}));
        ASSERT_TRUE(read.has_value());
        EXPECT_EQ(read->unix_ms, ms);
    }
    EXPECT_EQ(time_text({951'782'399'999}), "2000-02-28T23:59:59.999Z");
    EXPECT_EQ(parse_time("2024-02-29T00:00:00Z")->unix_ms, 1'709'164'800'000);
    for (const char* const text :
         {"", "Z", "2024-02-30T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01T24:00:00Z",
          "2024-01-01 00:00:00Z", "2024-01-01T00:00:00", "2024-01-01T00:00:00.1Z",
          "2024-01-01T00:00:00+01:00", "20x4-01-01T00:00:00Z", "2024-01-01T00:00:00.Z"}) {
        EXPECT_FALSE(parse_time(text).has_value()) << text;
    }
}

TEST(api_text, cursors_come_back_and_others_do_not_pass) {
    for (const std::vector<std::uint32_t>& numbers :
         {std::vector<std::uint32_t>{0}, {1, 2, 3, 0xFFFF'FFFF}}) {
        EXPECT_EQ(read_cursor(make_cursor(numbers), numbers.size()), numbers);
    }
    for (const char* const text : {"", "c", "x1", "c1", "c1.2.3", "c1.2.3.4.5", "c1.2.3.",
                                   "c1.2.3.100000000", "c1..3.4", "c-1.2.3.4", "c1.2.3.4 "}) {
        EXPECT_FALSE(read_cursor(text, 4).has_value()) << text;
    }
}

}  // namespace mitu::api
