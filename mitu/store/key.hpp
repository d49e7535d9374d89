#pragma once
// Keys of rows, and the ranges that share a prefix.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/store/ids.hpp"

namespace mitu::store {

/// Something that a tenant has, by its name: a client id, a topic, a filter; or a key of a space.
/// Shape  neither part holds U+0000 in the first place: MQTT forbids it, so it can divide them.
struct Name {
    std::string_view tenant;
    std::string_view name;
    auto operator<=>(const Name&) const noexcept = default;
};

[[nodiscard]] Bytes key_of(Name name);
[[nodiscard]] Bytes key_of(std::uint64_t id);
[[nodiscard]] Bytes key_of(std::uint64_t id, std::uint64_t second);
[[nodiscard]] Bytes key_of(std::uint64_t id, std::uint64_t second, std::uint64_t third);
[[nodiscard]] Bytes key_of(SessionId session, std::string_view filter);
[[nodiscard]] Bytes key_of(SessionId session, std::uint16_t packet_id);
/// `session` 0: the client's is not kept.
[[nodiscard]] Bytes key_of(SessionId session, WillId will);
/// Right behind the will's own row: it is due.
[[nodiscard]] Bytes key_of_due(SessionId session, WillId will);
inline constexpr std::size_t will_key_bytes = 16;
inline constexpr std::size_t due_key_bytes = will_key_bytes + 1;

/// What keys say; nullopt: no such key.
[[nodiscard]] std::optional<Name> name_of(ByteView key) noexcept;
[[nodiscard]] std::optional<std::uint64_t> id_of(ByteView key) noexcept;  // the first eight bytes
[[nodiscard]] std::optional<std::uint64_t> second_id_of(ByteView key) noexcept;

/// The first key behind all that begin with `prefix`; empty: there is none.
[[nodiscard]] Bytes end_of_prefix(ByteView prefix);

}  // namespace mitu::store
