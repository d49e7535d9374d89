#pragma once
// A packet as named texts: what scenarios expect, and what a trace shows.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/mqtt/packet.hpp"

namespace mitu::sim::scenario {

/// One field of a packet.
struct Field {
    std::string name;
    std::string value;       // "none" if it is absent
    bool is_absent = false;  // the packet does not carry it
    bool is_usual = false;   // a trace need not show it
    bool is_text = false;    // any bytes: shown in quotes
};
using Fields = std::vector<Field>;

/// Every field that a packet of its type has, in a fixed order.
[[nodiscard]] Fields fields_of(const mqtt::Packet& packet);
[[nodiscard]] mqtt::PacketType type_of(const mqtt::Packet& packet) noexcept;
/// `publish topic="a/b" payload="x" qos=1 id=3`: the type, and what is not usual.
[[nodiscard]] std::string text_of(mqtt::PacketType type, const Fields& fields);
/// nullptr: there is no such field.
[[nodiscard]] const Field* find_field(const Fields& fields, std::string_view name) noexcept;

/// How the text of a field is written.
enum class FieldKind : std::uint8_t { text, number, flag, seconds, reasons, pairs };
struct FieldName {
    std::string_view name;
    FieldKind kind;
};
/// The fields that a scenario may expect of packets that a server sends. Empty: it sends none.
[[nodiscard]] std::span<const FieldName> field_names(mqtt::PacketType type) noexcept;

/// What a scenario wants of one field.
struct Want {
    enum class How : std::uint8_t { equal, absent, present, between, contains, json };
    std::string name;
    std::string value;  // as fields_of() writes it
    How how = How::equal;
    std::uint64_t least = 0;  // between
    std::uint64_t most = 0;
    FieldKind kind = FieldKind::text;
};

/// `name=value` of an expectation on a packet of that type.
/// Shape   value, `none` and `any` (but not in quotes), `A..B` (numbers and seconds), `a,b`
/// (reasons, identifiers);
///         `payload_has="part"`, `reason_string_has="part"`; `json.a.b=1`: a member of a JSON
///         payload; `user.NAME=value`: one user property of several.
/// Errors  a sentence: what is wrong with it and what to use.
[[nodiscard]] Result<Want, std::string> parse_want(mqtt::PacketType type, std::string_view name,
                                                   std::string_view value, bool is_quoted);

/// Errors  nullopt: it is as wanted; else "qos is 0, not 1".
[[nodiscard]] std::optional<std::string> difference(const Fields& fields, const Want& want);
[[nodiscard]] std::string text_of(const Want& want);

}  // namespace mitu::sim::scenario
