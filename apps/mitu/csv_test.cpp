#include "apps/mitu/csv.hpp"

#include <gtest/gtest.h>

namespace mitu::cli {
namespace {

using Record = std::vector<std::string>;

std::vector<Record> all(std::string_view text) {
    CsvReader reader{text};
    std::vector<Record> records;
    Record fields;
    while (reader.next(fields)) records.push_back(fields);
    EXPECT_EQ(reader.error(), "");
    return records;
}

TEST(csv, reads_quotes_commas_and_line_ends_inside_fields) {
    EXPECT_EQ(all("a,\"b,c\",\"d\"\"e\"\r\n\"two\nlines\",,x\n"),
              (std::vector<Record>{{"a", "b,c", "d\"e"}, {"two\nlines", "", "x"}}));
}

TEST(csv, the_last_line_needs_no_end_and_empty_ones_do_not_count) {
    EXPECT_EQ(all("a,b\n\n\r\n1,2"), (std::vector<Record>{{"a", "b"}, {"1", "2"}}));
    EXPECT_TRUE(all("").empty());
    EXPECT_TRUE(all("\n\n").empty());
}

TEST(csv, a_byte_order_mark_is_no_part_of_the_first_name) {
    EXPECT_EQ(all("\xEF\xBB\xBFname\nx\n"), (std::vector<Record>{{"name"}, {"x"}}));
}

TEST(csv, names_the_line_of_a_record_and_of_an_open_quote) {
    CsvReader reader{"a\n\"b\nc\"\nd\n\"open\n"};
    Record fields;
    ASSERT_TRUE(reader.next(fields));
    ASSERT_TRUE(reader.next(fields));
    EXPECT_EQ(reader.line(), 2u);
    ASSERT_TRUE(reader.next(fields));
    EXPECT_EQ(fields, Record{"d"});
    EXPECT_EQ(reader.line(), 4u);
    EXPECT_FALSE(reader.next(fields));
    EXPECT_EQ(reader.error(), "line 5: a quote is opened and never closed");
    EXPECT_FALSE(reader.next(fields)) << "an error is final";
}

TEST(csv, a_record_can_be_read_again_from_its_offset) {
    const std::string text = "h\n\"x,y\",1\nz,2\n";
    CsvReader reader{text};
    Record fields;
    reader.next(fields);
    reader.next(fields);
    CsvReader again{std::string_view{text}.substr(reader.record_offset())};
    Record same;
    ASSERT_TRUE(again.next(same));
    EXPECT_EQ(same, fields);
}

}  // namespace
}  // namespace mitu::cli
