#include "mitu/api/operation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace mitu::api {

const std::vector<Operation>& operations() {
    static const std::vector<Operation> all = [] {
        std::vector<Operation> table;
        for (auto part :
             {client_operations(), message_operations(), ban_operations(), trace_operations(),
              user_operations(), account_operations(), node_operations(), store_operations()}) {
            std::move(part.begin(), part.end(), std::back_inserter(table));
        }
        return table;
    }();
    return all;
}

std::vector<Code> Operation::all_errors() const {
    std::vector<Code> all = errors;
    if (needs != Needs::nothing) {
        all.insert(all.end(),
                   {Code::credentials_missing, Code::credentials_wrong, Code::too_many_attempts});
        if (needs != Needs::viewer) all.insert(all.end(), {Code::role_too_low, Code::read_only});
        if (reach == Reach::node) all.push_back(Code::node_wide);
        if (is_change()) all.push_back(Code::cross_site);
    }
    if (!body.empty()) all.insert(all.end(), {Code::body_not_json, Code::body_invalid});
    const bool names_tenant =
        path.find("{tenant}") != path.npos ||
        std::any_of(query.begin(), query.end(), [](const auto& q) { return q.name == "tenant"; });
    if (names_tenant) all.push_back(Code::tenant_unknown);
    if (is_paged()) all.insert(all.end(), {Code::parameter_invalid, Code::cursor_invalid});
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

std::vector<Parameter> with_page(std::vector<Parameter> query) {
    query.insert(query.end(), page_parameters.begin(), page_parameters.end());
    return query;
}

std::string Call::param(std::string_view name) {
    std::string value{request.param(name)};
    audit.emplace_back(name, value);
    return value;
}

Answer<TenantScope> Call::scope(std::optional<std::string_view> named) {
    if (!named) return principal.tenant;
    TenantName name{*named};
    const auto unknown = refuse(Code::tenant_unknown, fmt::format("there is no tenant {}", name));
    // Before it is looked up: what others have and what nobody has look the same.
    if (principal.tenant && *principal.tenant != name) return unknown;
    for (const TenantInfo& tenant : services.backends.broker->tenants()) {
        if (tenant.name == name) return TenantScope{std::move(name)};
    }
    return unknown;
}

Answer<TenantName> Call::tenant() {
    auto found = scope(param("tenant"));
    if (!found) return std::unexpected(found.error());
    return **found;
}

Answer<Page> Call::page() {
    Page page;
    if (const auto limit = request.query("limit")) {
        const auto [end, error] =
            std::from_chars(limit->data(), limit->data() + limit->size(), page.limit);
        const bool is_number = error == std::errc{} && end == limit->data() + limit->size();
        if (!is_number || page.limit < 1 || page.limit > 1'000) {
            return refuse(Code::parameter_invalid,
                          fmt::format("limit is \"{}\"; use 1..1000", *limit));
        }
    }
    page.cursor = request.query("cursor").value_or("");
    return page;
}

Answer<std::optional<std::uint64_t>> Call::expected_revision() {
    const auto given = request.header("If-Match");
    if (!given || *given == "*") return std::nullopt;
    std::string_view text = *given;
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        text = text.substr(1, text.size() - 2);
    }
    std::uint64_t revision = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), revision);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return refuse(Code::parameter_invalid,
                      fmt::format("If-Match is {}; use the ETag of an answer", *given));
    }
    return revision;
}

Json tenant_json(const TenantScope& tenant) { return tenant ? Json(*tenant) : Json(nullptr); }

Reply with_revision(Reply reply, std::uint64_t revision) {
    reply.headers.emplace_back("ETag", fmt::format("\"{}\"", revision));
    return reply;
}

std::unexpected<Error> not_available(std::string_view what) {
    return refuse(Code::not_available, fmt::format("this server has no {}", what));
}

}  // namespace mitu::api
