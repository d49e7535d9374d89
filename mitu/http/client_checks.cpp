#include "mitu/http/client_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "mitu/http/url.hpp"

namespace mitu::http {
namespace {

std::string find_header_problem(const Fields& headers) {
    // What says where a message ends, and whom it is for, is not left to two hands.
    static constexpr std::array<std::string_view, 7> own{
        "host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "te"};
    for (const auto& [name, value] : headers) {
        if (!is_token(name)) return "the name of a header has a character that it may not have";
        if (!is_field_value(value)) {
            return fmt::format("the value of header {} has a control character or is too long",
                               name);
        }
        if (std::any_of(own.begin(), own.end(),
                        [&](std::string_view taken) { return equals_in_any_case(taken, name); })) {
            return fmt::format("header {} is set by the client itself; leave it out", name);
        }
    }
    return {};
}

}  // namespace

std::string find_problem(const ClientOptions& options) {
    const auto least = [](std::string_view name, bool is_good) {
        return is_good ? std::string{} : fmt::format("{} is not above 0; use a larger one", name);
    };
    for (const std::string& problem :
         {least("connections_max", options.connections_max > 0),
          least("header_bytes_max", options.header_bytes_max > 0),
          least("connect_timeout", options.connect_timeout > Duration{}),
          least("request_timeout", options.request_timeout > Duration{}),
          least("idle_max", options.idle_max > Duration{}), find_header_problem(options.headers)}) {
        if (!problem.empty()) return problem;
    }
    return {};
}

std::string find_problem(const ClientRequest& request) {
    if (!is_token(request.method)) return "the method is not one";
    if (request.method == "CONNECT") return "CONNECT asks for a tunnel, which this client is not";
    const bool is_below =
        request.target.empty() || request.target.front() == '/' || request.target.front() == '?';
    if (!is_below || !is_target_text(request.target)) {
        return "the target does not begin with '/', or has a character that is not escaped";
    }
    if (!is_field_value(request.content_type)) return "the content type has a control character";
    return find_header_problem(request.headers);
}

}  // namespace mitu::http
