#include "mitu/transport/client_hello.hpp"

#include <algorithm>
#include <cstdint>

namespace mitu::transport {
namespace {

constexpr std::uint8_t record_handshake = 22;
constexpr std::uint8_t message_client_hello = 1;
constexpr std::size_t record_header_bytes = 5;
constexpr std::size_t record_bytes_max = 16'384;
constexpr std::uint16_t extension_server_name = 0;
constexpr std::uint8_t name_type_host = 0;

/// Reads from the front; once something was missing, everything is.
class Reader {
public:
    explicit Reader(ByteView bytes) : rest_{bytes} {}
    [[nodiscard]] std::size_t number(std::size_t bytes) noexcept {
        std::size_t value = 0;
        for (const std::uint8_t byte : take(bytes)) value = value << 8 | byte;
        return value;
    }
    [[nodiscard]] ByteView take(std::size_t count) noexcept {
        if (count > rest_.size()) {
            rest_ = {};
            failed_ = true;
            return {};
        }
        const ByteView taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }
    /// A length of `bytes` bytes, and as many bytes as it says.
    [[nodiscard]] ByteView vector(std::size_t bytes) noexcept { return take(number(bytes)); }
    [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }
    [[nodiscard]] bool failed() const noexcept { return failed_; }

private:
    ByteView rest_;
    bool failed_ = false;
};

std::string server_name_of(ByteView hello) {
    Reader reader{hello};
    static_cast<void>(reader.take(2 + 32));  // version, random
    static_cast<void>(reader.vector(1));     // session id
    static_cast<void>(reader.vector(2));     // cipher suites
    static_cast<void>(reader.vector(1));     // compression methods
    Reader extensions{reader.vector(2)};
    while (!extensions.empty()) {
        const std::size_t type = extensions.number(2);
        const ByteView content = extensions.vector(2);
        if (extensions.failed()) return {};
        if (type != extension_server_name) continue;
        Reader list{Reader{content}.vector(2)};
        const std::size_t name_type = list.number(1);
        const ByteView name = list.vector(2);
        if (list.failed() || name_type != name_type_host || name.size() > 255) return {};
        const bool is_printable =
            std::ranges::all_of(name, [](std::uint8_t c) { return c > 0x20 && c < 0x7F; });
        return is_printable ? mitu::to_text(name) : std::string{};
    }
    return {};
}

}  // namespace

Result<std::optional<std::string>, NotTls> peek_server_name(ByteView bytes) {
    // The message may be spread over records: what is in them is put together.
    Bytes message;
    for (ByteView rest = bytes; !rest.empty();) {
        if (rest[0] != record_handshake) return std::unexpected(NotTls{});
        if (rest.size() > 1 && rest[1] != 3) return std::unexpected(NotTls{});
        if (rest.size() < record_header_bytes) break;
        const std::size_t size = std::size_t{rest[3]} << 8 | rest[4];
        if (size == 0 || size > record_bytes_max) return std::unexpected(NotTls{});
        const ByteView content = rest.subspan(record_header_bytes);
        const ByteView present = content.first(std::min(size, content.size()));
        message.insert(message.end(), present.begin(), present.end());
        if (!message.empty() && message[0] != message_client_hello)
            return std::unexpected(NotTls{});
        if (message.size() >= 4) {
            const std::size_t wanted = Reader{ByteView{message}.subspan(1)}.number(3);
            if (wanted > client_hello_bytes_max) return std::unexpected(NotTls{});
            if (message.size() >= 4 + wanted) {
                return std::optional{server_name_of(ByteView{message}.subspan(4, wanted))};
            }
        }
        if (present.size() < size) break;
        rest = content.subspan(size);
    }
    // Records of one byte each would let it grow fivefold.
    if (bytes.size() > 2 * client_hello_bytes_max) return std::unexpected(NotTls{});
    return std::optional<std::string>{};
}

}  // namespace mitu::transport
