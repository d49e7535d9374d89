#include "mitu/store/key.hpp"

#include "mitu/store/codec.hpp"

namespace mitu::store {

Bytes key_of(Name name) {
    Bytes key;
    key.reserve(name.tenant.size() + name.name.size() + 1);
    append(key, as_bytes(name.tenant));
    key.push_back(0);
    append(key, as_bytes(name.name));
    return key;
}

Bytes key_of(std::uint64_t id) {
    Bytes key;
    append_big_endian(key, id);
    return key;
}

Bytes key_of(std::uint64_t id, std::uint64_t second) {
    Bytes key = key_of(id);
    append_big_endian(key, second);
    return key;
}

Bytes key_of(std::uint64_t id, std::uint64_t second, std::uint64_t third) {
    Bytes key = key_of(id, second);
    append_big_endian(key, third);
    return key;
}

Bytes key_of(SessionId session, std::string_view filter) {
    Bytes key = key_of(session.value);
    append(key, as_bytes(filter));
    return key;
}

Bytes key_of(SessionId session, WillId will) { return key_of(session.value, will.value); }

Bytes key_of_due(SessionId session, WillId will) {
    Bytes key = key_of(session, will);
    key.push_back(1);
    return key;
}

Bytes key_of(SessionId session, std::uint16_t packet_id) {
    Bytes key = key_of(session.value);
    append_big_endian(key, packet_id);
    return key;
}

std::optional<Name> name_of(ByteView key) noexcept {
    const std::string_view text = as_text(key);
    const std::size_t zero = text.find('\0');
    if (zero == std::string_view::npos) return std::nullopt;
    return Name{text.substr(0, zero), text.substr(zero + 1)};
}

std::optional<std::uint64_t> id_of(ByteView key) noexcept {
    if (key.size() < 8) return std::nullopt;
    return read_big_endian<std::uint64_t>(key.data());
}

std::optional<std::uint64_t> second_id_of(ByteView key) noexcept {
    if (key.size() < 16) return std::nullopt;
    return read_big_endian<std::uint64_t>(key.data() + 8);
}

Bytes end_of_prefix(ByteView prefix) {
    Bytes end = to_bytes(prefix);
    while (!end.empty() && end.back() == 0xFF) end.pop_back();
    if (!end.empty()) ++end.back();
    return end;
}

}  // namespace mitu::store
