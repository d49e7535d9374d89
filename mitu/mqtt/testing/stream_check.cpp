#include "mitu/mqtt/testing/stream_check.hpp"

#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "mitu/base/check.hpp"
#include "mitu/mqtt/encode.hpp"
#include "mitu/mqtt/packet.hpp"
#include "mitu/mqtt/testing/packet_equal.hpp"

namespace mitu::mqtt::testing {
namespace {

/// Prefixes up to this length are decoded from memory that ends with them; copying longer ones
/// would make the check quadratic in memory traffic and find nothing that short ones do not.
constexpr std::size_t exact_prefix_bytes_max = 192;

/// What became of the packet at one offset of the stream.
struct Step {
    std::size_t offset = 0;
    std::size_t size_bytes = 0;
    std::optional<DecodeError> fault;
};

bool same(const DecodeError& a, const DecodeError& b) noexcept {
    return a.reason == b.reason && a.offset_bytes == b.offset_bytes &&
           std::string_view{a.rule} == b.rule;
}

void check_fault(const DecodeError& fault, std::size_t packet_bytes) {
    MITU_CHECK(is_error(fault.reason));
    MITU_CHECK(fault.offset_bytes <= packet_bytes);
    MITU_CHECK(fault.rule != nullptr && *fault.rule != '\0');
}

/// The way of encode_publish_header() gives the same packet too.
void check_outgoing(const Publish& publish, ProtocolVersion version) {
    std::vector<std::uint32_t> identifiers;
    ByteView rest = publish.properties.subscription_identifiers;
    while (const auto identifier = next_subscription_identifier(rest)) {
        identifiers.push_back(*identifier);
    }
    Bytes forwarded(forwarded_properties_size(publish.properties));
    MITU_CHECK(encode_forwarded_properties(publish.properties, forwarded) == forwarded.size());
    OutgoingPublish outgoing;
    outgoing.dup = publish.dup;
    outgoing.qos = publish.qos;
    outgoing.retain = publish.retain;
    outgoing.packet_id = publish.packet_id;
    outgoing.topic_alias = publish.properties.topic_alias.value_or(0);
    outgoing.topic = publish.topic;
    outgoing.message_expiry_interval_s = publish.properties.message_expiry_interval_s;
    outgoing.subscription_identifiers = identifiers;
    outgoing.forwarded_properties = forwarded;
    outgoing.payload = publish.payload;
    const PublishSize size = publish_size(outgoing, version);
    Bytes out(size.header_bytes);
    MITU_CHECK(encode_publish_header(outgoing, version, out) == size.header_bytes);
    out.insert(out.end(), publish.payload.begin(), publish.payload.end());
    MITU_CHECK(out.size() == size.packet_bytes);
    const auto decoded = decode(out, {Sender::server, version});
    MITU_CHECK(decoded.has_value() && decoded->has_value());
    MITU_CHECK(equal((*decoded)->packet, publish));
}

void check_encoding(const Decoded& decoded, const DecodeOptions& options) {
    const std::uint32_t size = encoded_size(decoded.packet, options.version);
    // The one packet that grows: an older server's refusal, understood in 5.0 (decode_connack()).
    const std::uint32_t more = std::holds_alternative<Connack>(decoded.packet) ? 1 : 0;
    MITU_CHECK(size != 0 && size <= decoded.size_bytes + more);
    Bytes out(size);
    MITU_CHECK(encode(decoded.packet, options.version, out) == size);
    const auto again = decode(out, options);
    MITU_CHECK(again.has_value() && again->has_value());
    MITU_CHECK((*again)->size_bytes == size);
    MITU_CHECK(equal((*again)->packet, decoded.packet));
    if (const auto* publish = std::get_if<Publish>(&decoded.packet)) {
        check_outgoing(*publish, options.version);
    }
}

std::vector<Step> read_at_once(ByteView bytes, const DecodeOptions& options) {
    std::vector<Step> steps;
    for (std::size_t offset = 0; offset < bytes.size();) {
        const ByteView rest = bytes.subspan(offset);
        const auto decoded = decode(rest, options);
        if (!decoded.has_value()) {
            check_fault(decoded.error(), rest.size());
            steps.push_back({offset, 0, decoded.error()});
            break;
        }
        if (!decoded->has_value()) break;
        MITU_CHECK((*decoded)->size_bytes >= 2 && (*decoded)->size_bytes <= rest.size());
        check_encoding(**decoded, options);
        steps.push_back({offset, (*decoded)->size_bytes, std::nullopt});
        offset += (*decoded)->size_bytes;
    }
    return steps;
}

Result<std::optional<std::size_t>, DecodeError> decode_prefix(ByteView bytes,
                                                              const DecodeOptions& options) {
    const auto size_of =
        [&options](ByteView view) -> Result<std::optional<std::size_t>, DecodeError> {
        const auto decoded = decode(view, options);
        if (!decoded.has_value()) return std::unexpected(decoded.error());
        if (!decoded->has_value()) return std::optional<std::size_t>{};
        return std::optional<std::size_t>{(*decoded)->size_bytes};
    };
    if (bytes.size() > exact_prefix_bytes_max) return size_of(bytes);
    const std::unique_ptr<std::uint8_t[]> copy{new std::uint8_t[bytes.size()]};
    if (!bytes.empty()) std::memcpy(copy.get(), bytes.data(), bytes.size());
    return size_of({copy.get(), bytes.size()});
}

std::vector<Step> read_byte_by_byte(ByteView bytes, const DecodeOptions& options) {
    std::vector<Step> steps;
    std::size_t start = 0;
    for (std::size_t end = 1; end <= bytes.size(); ++end) {
        const auto decoded = decode_prefix(bytes.subspan(start, end - start), options);
        if (!decoded.has_value()) {
            steps.push_back({start, 0, decoded.error()});
            break;
        }
        if (!decoded->has_value()) continue;
        steps.push_back({start, **decoded, std::nullopt});
        start = end;
    }
    return steps;
}

void check_limit(ByteView bytes, DecodeOptions options) {
    const auto free = decode(bytes, options);
    options.packet_bytes_max = 16;
    const auto limited = decode(bytes, options);
    if (!limited.has_value() && limited.error().reason == ReasonCode::packet_too_large) return;
    MITU_CHECK(free.has_value() == limited.has_value());
    if (!free.has_value()) {
        MITU_CHECK(same(free.error(), limited.error()));
        return;
    }
    MITU_CHECK(free->has_value() == limited->has_value());
    if (free->has_value()) MITU_CHECK((*limited)->size_bytes <= 16);
}

}  // namespace

void check_stream(ByteView bytes, Sender sender) {
    for (const ProtocolVersion version :
         {ProtocolVersion::v5, ProtocolVersion::v3_1_1, ProtocolVersion::v3_1}) {
        const DecodeOptions options{sender, version};
        const std::vector<Step> at_once = read_at_once(bytes, options);
        const std::vector<Step> in_bytes = read_byte_by_byte(bytes, options);
        MITU_CHECK(at_once.size() == in_bytes.size());
        for (std::size_t i = 0; i < at_once.size(); ++i) {
            MITU_CHECK(at_once[i].offset == in_bytes[i].offset);
            MITU_CHECK(at_once[i].size_bytes == in_bytes[i].size_bytes);
            MITU_CHECK(at_once[i].fault.has_value() == in_bytes[i].fault.has_value());
            if (at_once[i].fault) MITU_CHECK(same(*at_once[i].fault, *in_bytes[i].fault));
        }
        check_limit(bytes, options);
    }
}

}  // namespace mitu::mqtt::testing
