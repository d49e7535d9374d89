#include "mitu/api/error.hpp"

#include <algorithm>
#include <array>

namespace mitu::api {
namespace {

struct Row {
    Code code;
    unsigned status;
    std::string_view name;
};

constexpr auto rows = std::to_array<Row>({
    {Code::request_malformed, 400, "request_malformed"},
    {Code::parameter_invalid, 400, "parameter_invalid"},
    {Code::body_not_json, 400, "body_not_json"},
    {Code::body_invalid, 400, "body_invalid"},
    {Code::cursor_invalid, 400, "cursor_invalid"},
    {Code::topic_invalid, 400, "topic_invalid"},
    {Code::filter_invalid, 400, "filter_invalid"},
    {Code::body_too_large, 413, "body_too_large"},
    {Code::header_too_large, 431, "header_too_large"},
    {Code::credentials_missing, 401, "credentials_missing"},
    {Code::credentials_wrong, 401, "credentials_wrong"},
    {Code::too_many_attempts, 429, "too_many_attempts"},
    {Code::role_too_low, 403, "role_too_low"},
    {Code::node_wide, 403, "node_wide"},
    {Code::topic_reserved, 403, "topic_reserved"},
    {Code::read_only, 403, "read_only"},
    {Code::cross_site, 403, "cross_site"},
    {Code::path_unknown, 404, "path_unknown"},
    {Code::tenant_unknown, 404, "tenant_unknown"},
    {Code::client_unknown, 404, "client_unknown"},
    {Code::retained_unknown, 404, "retained_unknown"},
    {Code::ban_unknown, 404, "ban_unknown"},
    {Code::user_unknown, 404, "user_unknown"},
    {Code::api_user_unknown, 404, "api_user_unknown"},
    {Code::api_key_unknown, 404, "api_key_unknown"},
    {Code::listener_unknown, 404, "listener_unknown"},
    {Code::method_not_allowed, 405, "method_not_allowed"},
    {Code::exists_already, 409, "exists_already"},
    {Code::revision_conflict, 412, "revision_conflict"},
    {Code::client_not_connected, 409, "client_not_connected"},
    {Code::last_admin, 409, "last_admin"},
    {Code::set_in_file, 409, "set_in_file"},
    {Code::cannot_apply, 409, "cannot_apply"},
    {Code::quota_exceeded, 507, "quota_exceeded"},
    {Code::too_many_traces, 429, "too_many_traces"},
    {Code::internal, 500, "internal"},
    {Code::shard_silent, 503, "shard_silent"},
    {Code::not_available, 501, "not_available"},
    {Code::overloaded, 503, "overloaded"},
    {Code::not_saved, 500, "not_saved"},
});

const Row& row_of(Code code) noexcept {
    const auto* const found =
        std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.code == code; });
    static constexpr Row fallback{Code::internal, 500, "internal"};
    return found != rows.end() ? *found : fallback;
}

}  // namespace

unsigned status_of(Code code) noexcept { return row_of(code).status; }
std::string_view name_of(Code code) noexcept { return row_of(code).name; }

}  // namespace mitu::api
