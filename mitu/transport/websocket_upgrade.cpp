#include "mitu/transport/websocket_upgrade.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <exception>
#include <optional>
#include <string_view>

namespace mitu::transport {
namespace {

namespace http = boost::beast::http;
using Request = http::request<http::empty_body>;

constexpr std::string_view key_suffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455, 1.3

std::string_view to_view(boost::beast::string_view text) { return {text.data(), text.size()}; }

UpgradeAnswer refuse(int status, std::string_view title, std::string_view why,
                     std::string_view headers = {}) {
    UpgradeAnswer answer;
    answer.verdict = UpgradeAnswer::Verdict::refused;
    answer.status = status;
    answer.response = fmt::format(
        "HTTP/1.1 {} {}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: {}\r\n{}\r\n{}\n",
        status, title, why.size() + 1, headers, why);
    return answer;
}

UpgradeAnswer refuse_upgrade(std::string_view why) {
    return refuse(426, "Upgrade Required", why,
                  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
}

/// One header of this name, neither none nor several.
std::optional<std::string_view> only(const Request& request, http::field name) {
    const auto range = request.equal_range(name);
    if (range.first == range.second || std::next(range.first) != range.second) {
        return std::nullopt;
    }
    return to_view(range.first->value());
}

bool has_token(const Request& request, http::field name, std::string_view token) {
    const auto [first, last] = request.equal_range(name);
    return std::any_of(first, last, [&](const auto& field) {
        return http::token_list{field.value()}.exists(
            boost::beast::string_view{token.data(), token.size()});
    });
}

/// 16 bytes in base64: 22 digits and two signs of filling.
bool is_key(std::string_view key) {
    if (key.size() != 24 || !key.ends_with("==")) return false;
    return std::ranges::all_of(key.substr(0, 22), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '+' || c == '/';
    });
}

bool is_listed(const std::vector<std::string>& list, std::string_view text) {
    return std::ranges::find(list, text) != list.end();
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return boost::beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

UpgradeAnswer answer(const Request& request, const WebSocketSettings& settings) {
    std::string_view path = to_view(request.target());
    path = path.substr(0, path.find('?'));
    if (!settings.paths.empty() && !is_listed(settings.paths, path)) {
        return refuse(404, "Not Found", "no WebSocket is served at this path");
    }
    if (request.method() != http::verb::get) {
        return refuse(405, "Method Not Allowed", "a WebSocket begins with GET", "Allow: GET\r\n");
    }
    if (request.version() != 11) {
        return refuse(400, "Bad Request", "a WebSocket begins with HTTP/1.1");
    }
    if (!has_token(request, http::field::connection, "upgrade") ||
        !has_token(request, http::field::upgrade, "websocket")) {
        return refuse_upgrade("this is MQTT over WebSocket: connect with a WebSocket client");
    }
    if (only(request, http::field::sec_websocket_version) != "13") {
        return refuse_upgrade("the WebSocket version must be 13");
    }
    if (!only(request, http::field::host)) {
        return refuse(400, "Bad Request", "the Host header is missing, or there are several");
    }
    const auto key = only(request, http::field::sec_websocket_key);
    if (!key || !is_key(*key)) {
        return refuse(400, "Bad Request", "Sec-WebSocket-Key must be 16 bytes in base64");
    }
    if (request.find(http::field::content_length) != request.end() ||
        request.find(http::field::transfer_encoding) != request.end()) {
        return refuse(400, "Bad Request", "the request must have no body");
    }
    if (request.count(http::field::origin) > 0 && !settings.origins.empty()) {
        const auto origin = only(request, http::field::origin);
        const bool may = origin && std::ranges::any_of(settings.origins, [&](const auto& listed) {
                             return equal_ignoring_case(listed, *origin);
                         });
        if (!may) return refuse(403, "Forbidden", "this origin may not connect");
    }
    for (const std::string& protocol : settings.protocols) {
        if (!has_token(request, http::field::sec_websocket_protocol, protocol)) continue;
        UpgradeAnswer accepted;
        accepted.verdict = UpgradeAnswer::Verdict::accepted;
        accepted.status = 101;
        accepted.response = fmt::format(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
            accept_key(*key), protocol);
        return accepted;
    }
    return refuse(400, "Bad Request", "offer the sub-protocol `mqtt` (Sec-WebSocket-Protocol)");
}

}  // namespace

std::string accept_key(std::string_view key) {
    std::string text{key};
    text += key_suffix;
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned digest_size = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &digest_size, EVP_sha1(), nullptr);
    std::array<unsigned char, 64> encoded{};
    const int size = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(digest_size));
    return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(size)};
}

UpgradeAnswer answer_upgrade(ByteView input, const WebSocketSettings& settings) try {
    // Beast wants the whole head or says need_more; a head is small, and parsed once it is whole.
    const std::string_view text = as_text(input.first(std::min(input.size(), upgrade_bytes_max)));
    const std::size_t end = text.find("\r\n\r\n");
    const std::size_t head = end == std::string_view::npos ? text.size() : end + 4;
    http::request_parser<http::empty_body> parser;
    parser.eager(false);
    parser.header_limit(static_cast<std::uint32_t>(upgrade_bytes_max));
    boost::beast::error_code error;
    parser.put(boost::asio::const_buffer{text.data(), head}, error);
    if (error == http::error::need_more || (!error && !parser.is_header_done())) {
        if (input.size() >= upgrade_bytes_max) {
            return refuse(431, "Request Header Fields Too Large", "the head is above 8 KiB");
        }
        return {};
    }
    if (error == http::error::header_limit) {
        return refuse(431, "Request Header Fields Too Large", "the head is above 8 KiB");
    }
    if (error) return refuse(400, "Bad Request", "this is no HTTP/1.1 request");
    UpgradeAnswer result = answer(parser.get(), settings);
    result.used_bytes = head;
    return result;
} catch (const std::exception&) {
    return refuse(400, "Bad Request", "this is no HTTP/1.1 request");
}

}  // namespace mitu::transport
