#include "mitu/http/url.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace mitu::http {
namespace {

constexpr std::size_t url_bytes_max = 8'192;
constexpr std::size_t host_bytes_max = 253;
constexpr std::uint16_t http_port = 80;
constexpr std::uint16_t https_port = 443;

bool is_ip_text(int family, const std::string& text) {
    std::array<unsigned char, sizeof(in6_addr)> address{};
    return ::inet_pton(family, text.c_str(), address.data()) == 1;
}

bool is_host_name(std::string_view text) {
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    };
    return !text.empty() && text.size() <= host_bytes_max && text.front() != '.' &&
           text.front() != '-' && text.find("..") == std::string_view::npos &&
           std::all_of(text.begin(), text.end(), fits);
}

std::string in_lower_case(std::string_view text) {
    std::string lower{text};
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    }
    return lower;
}

/// Takes `authority` apart: "host", "host:port", "[v6]:port".
std::string read_authority(std::string_view authority, Url& url) {
    const bool is_bracketed = authority.starts_with('[');
    const std::size_t host_end =
        is_bracketed ? authority.find(']') : std::min(authority.find(':'), authority.size());
    if (host_end == std::string_view::npos) return "the host's '[' is not closed";
    url.host = in_lower_case(is_bracketed ? authority.substr(1, host_end - 1)
                                          : authority.substr(0, host_end));
    if (is_bracketed && !is_ip_text(AF_INET6, url.host)) {
        return fmt::format("\"{}\" is not an IPv6 address", url.host);
    }
    if (url.host.empty()) return "the host is missing";
    if (!is_bracketed && !is_host_name(url.host)) {
        return "the host is neither a host name nor an address; write an IPv6 address in brackets";
    }
    std::string_view rest = authority.substr(host_end + (is_bracketed ? 1 : 0));
    if (rest.empty()) return {};
    if (rest.front() != ':') return "after the host comes a port, a path or nothing";
    rest.remove_prefix(1);
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), url.port);
    if (error != std::errc{} || end != rest.data() + rest.size() || url.port == 0) {
        return fmt::format("the port of {} is not a number in 1..65535", url.host);
    }
    return {};
}

}  // namespace

bool Url::is_ip_literal() const noexcept {
    return is_ip_text(AF_INET, host) || is_ip_text(AF_INET6, host);
}

std::string Url::authority() const {
    const std::string name = host.find(':') == std::string::npos ? host : fmt::format("[{}]", host);
    const bool is_default = port == (is_https ? https_port : http_port);
    return is_default ? name : fmt::format("{}:{}", name, port);
}

std::string Url::join(std::string_view more) const {
    const std::size_t mark = std::min(more.find('?'), more.size());
    const std::string_view more_path = more.substr(0, mark);
    const std::string_view more_query = more.substr(std::min(mark + 1, more.size()));
    const bool has_two_slashes = path.ends_with('/') && more_path.starts_with('/');
    std::string target = has_two_slashes ? path.substr(0, path.size() - 1) : path;
    target.append(more_path);
    if (target.empty()) target = "/";
    if (!query.empty()) target.append("?").append(query);
    if (!more_query.empty()) target.append(query.empty() ? "?" : "&").append(more_query);
    return target;
}

bool is_target_text(std::string_view text) noexcept {
    return text.size() <= url_bytes_max && std::all_of(text.begin(), text.end(), [](char c) {
               return c > 0x20 && c < 0x7F && c != '#';
           });
}

Result<Url, std::string> parse_url(std::string_view text) {
    Url url;
    if (text.size() > url_bytes_max) {
        return std::unexpected(fmt::format("the URL has more than {} bytes", url_bytes_max));
    }
    const std::size_t colon = std::min(text.find("://"), text.size());
    const std::string scheme = in_lower_case(text.substr(0, colon));
    if (scheme != "http" && scheme != "https") {
        return std::unexpected("the URL does not begin with http:// or https://");
    }
    if (text.find('#') != std::string_view::npos) {
        return std::unexpected("the URL has a fragment ('#'); leave it out");
    }
    if (!is_target_text(text)) {
        return std::unexpected(
            "the URL has a space, a control character or one beyond ASCII; escape it as %XX");
    }
    url.is_https = scheme == "https";
    url.port = url.is_https ? https_port : http_port;
    std::string_view rest = text.substr(colon + 3);
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
    rest.remove_prefix(authority.size());
    if (authority.find('@') != std::string_view::npos) {
        return std::unexpected("the URL has a user name; send it in an Authorization header");
    }
    if (std::string problem = read_authority(authority, url); !problem.empty()) {
        return std::unexpected("the URL cannot be used: " + problem);
    }
    url.path = rest.substr(0, rest.find('?'));
    rest.remove_prefix(url.path.size());
    if (!rest.empty()) url.query = rest.substr(1);
    return url;
}

}  // namespace mitu::http
