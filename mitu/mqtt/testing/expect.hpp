#pragma once
// For tests: tables of packets, each row with the rule that it is about.

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/testing/wire_text.hpp"

namespace mitu::mqtt::testing {

inline constexpr ProtocolVersion v5 = ProtocolVersion::v5;
inline constexpr ProtocolVersion v3 = ProtocolVersion::v3_1_1;

/// A copy that ends where its memory ends, so that a sanitizer sees a read beyond it.
class ExactCopy {
public:
    explicit ExactCopy(ByteView bytes) : size_{bytes.size()}, data_{new std::uint8_t[size_]} {
        if (size_ != 0) std::memcpy(data_.get(), bytes.data(), size_);
    }
    [[nodiscard]] ByteView view() const { return {data_.get(), size_}; }

private:
    std::size_t size_;
    std::unique_ptr<std::uint8_t[]> data_;
};

struct Row {
    const char* rule;     // a normative id ("MQTT-3.1.2-3"), or the section that says it
    const char* promise;  // what the packet shows
    Sender sender;
    ProtocolVersion version;
    Bytes packet;
    ReasonCode expected;  // success: it is decoded
};

inline constexpr ReasonCode valid = ReasonCode::success;
inline constexpr ReasonCode malformed = ReasonCode::malformed_packet;
inline constexpr ReasonCode protocol_error = ReasonCode::protocol_error;

/// The fault names the row's normative id, unless it is one of the two that every packet with too
/// few or too many bytes has, whichever field was meant to be there.
inline void expect_named(std::string_view id, std::string_view fault) {
    if (!id.starts_with("MQTT-") || fault == "a field runs past the end of its packet" ||
        fault == "the packet is longer than its fields") {
        return;
    }
    EXPECT_NE(fault.find("[" + std::string{id} + "]"), std::string_view::npos) << fault;
}

/// Each row decodes, or fails with its reason code, a rule that names its id, and a place within
/// the packet; and no prefix says anything else than "incomplete" or that same fault.
inline void expect_rows(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        SCOPED_TRACE(::testing::Message() << row.rule << ": " << row.promise << "\n"
                                          << hex(row.packet));
        const DecodeOptions options{row.sender, row.version};
        const ExactCopy whole{row.packet};
        const auto decoded = decode(whole.view(), options);
        if (row.expected == valid) {
            ASSERT_TRUE(decoded.has_value()) << decoded.error().rule;
            ASSERT_TRUE(decoded->has_value()) << "incomplete";
            EXPECT_EQ((*decoded)->size_bytes, row.packet.size());
        } else {
            ASSERT_FALSE(decoded.has_value()) << (decoded->has_value() ? "decoded" : "incomplete");
            EXPECT_EQ(to_text(decoded.error().reason), to_text(row.expected))
                << decoded.error().rule;
            EXPECT_LE(decoded.error().offset_bytes, row.packet.size());
            expect_named(row.rule, decoded.error().rule);
        }
        for (std::size_t size = 0; size < row.packet.size(); ++size) {
            const ExactCopy part{ByteView{row.packet}.first(size)};
            const auto early = decode(part.view(), options);
            if (early.has_value()) {
                EXPECT_FALSE(early->has_value()) << "a prefix of " << size << " bytes decoded";
            } else {
                ASSERT_FALSE(decoded.has_value()) << "a prefix of " << size << " bytes failed";
                EXPECT_STREQ(early.error().rule, decoded.error().rule);
                EXPECT_EQ(early.error().offset_bytes, decoded.error().offset_bytes);
            }
        }
    }
}

}  // namespace mitu::mqtt::testing
