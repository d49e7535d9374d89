// Bans.

#include <fmt/format.h>

#include "mitu/api/operation.hpp"

namespace mitu::api {
namespace {

constexpr std::array<std::pair<BanKind, std::string_view>, 4> kinds{
    {{BanKind::client_id, "client_id"},
     {BanKind::user, "user"},
     {BanKind::address, "address"},
     {BanKind::network, "network"}}};

Json ban_json(const Ban& ban) {
    return {{"id", ban.id},
            {"kind", kinds[static_cast<std::size_t>(ban.kind)].second},
            {"value", ban.value},
            {"tenant", tenant_json(ban.tenant)},
            {"reason", ban.reason},
            {"created_by", ban.created_by},
            {"created_at", ban.created_at ? Json(time_text(*ban.created_at)) : Json(nullptr)},
            {"expires_at", ban.expires_at ? Json(time_text(*ban.expires_at)) : Json(nullptr)}};
}

Answer<Reply> list_bans(Call& call) {
    Bans* const bans = call.services.backends.bans;
    if (bans == nullptr) return not_available("bans");
    const auto scope = call.scope(call.request.query("tenant"));
    if (!scope) return std::unexpected(scope.error());
    const auto page = call.page();
    if (!page) return std::unexpected(page.error());
    const auto listing = bans->list(*scope, *page);
    if (!listing) return std::unexpected(listing.error());
    return listing_reply(*listing, ban_json);
}

Answer<Reply> add_ban(Call& call) {
    Bans* const bans = call.services.backends.bans;
    if (bans == nullptr) return not_available("bans");
    Ban ban;
    const auto kind = call.body["kind"].get<std::string>();
    for (const auto& [one, name] : kinds) {
        if (name == kind) ban.kind = one;
    }
    ban.value = call.body["value"].get<std::string>();
    ban.reason = call.body.value("reason", "");
    call.audit.emplace_back("kind", kind);
    call.audit.emplace_back("value", ban.value);
    std::optional<std::string> named;
    if (call.body.contains("tenant") && call.body["tenant"].is_string()) {
        named = call.body["tenant"].get<std::string>();
        call.audit.emplace_back("tenant", *named);
    }
    const auto scope = call.scope(named);
    if (!scope) return std::unexpected(scope.error());
    ban.tenant = *scope;
    ban.created_by = call.principal.name;
    const WallTime now = call.services.clock.wall();
    ban.created_at = now;
    if (call.body.contains("expires_at")) {
        ban.expires_at = parse_time(call.body["expires_at"].get<std::string>());
        if (!ban.expires_at || *ban.expires_at <= now) {
            return refuse(Code::body_invalid,
                          "expires_at has to be in the future, as 2030-12-31T23:59:59Z");
        }
    }
    if (call.body.contains("duration_s")) {
        if (ban.expires_at) return refuse(Code::body_invalid, "expires_at or duration_s, not both");
        ban.expires_at =
            WallTime{now.unix_ms + 1'000 * call.body["duration_s"].get<std::int64_t>()};
    }
    const auto added = bans->add(ban);
    if (!added) return std::unexpected(added.error());
    call.audit.emplace_back("id", added->id);
    Reply reply{201, ban_json(*added)};
    reply.headers.emplace_back("Location", fmt::format("{}/bans/{}", path_prefix, added->id));
    return reply;
}

Answer<Reply> remove_ban(Call& call) {
    Bans* const bans = call.services.backends.bans;
    if (bans == nullptr) return not_available("bans");
    const std::string id = call.param("id");
    if (call.principal.tenant) {
        const auto ban = bans->find(id);
        if (!ban) return std::unexpected(ban.error());
        if (ban->tenant != call.principal.tenant) {
            return refuse(Code::ban_unknown, fmt::format("there is no ban {}", id));
        }
    }
    const auto removed = bans->remove(id);
    if (!removed) return std::unexpected(removed.error());
    return Reply{204};
}

}  // namespace

std::vector<Operation> ban_operations() {
    return {
        {.method = "GET",
         .path = "/bans",
         .id = "list_bans",
         .tag = "bans",
         .summary = "Who may not connect",
         .query = with_page({{"tenant", "string", "of this tenant only"}}),
         .answer = "BanListing",
         .errors = {Code::not_available},
         .handler = list_bans},
        {.method = "POST",
         .path = "/bans",
         .id = "add_ban",
         .tag = "bans",
         .summary = "Bans a client id, user, address or network, for a time or for good",
         .needs = Needs::operator_role,
         .body = "BanRequest",
         .status = 201,
         .answer = "Ban",
         .errors = {Code::tenant_unknown, Code::node_wide, Code::exists_already, Code::cannot_apply,
                    Code::quota_exceeded, Code::not_saved, Code::not_available},
         .handler = add_ban},
        {.method = "DELETE",
         .path = "/bans/{id}",
         .id = "remove_ban",
         .tag = "bans",
         .summary = "Lifts a ban",
         .needs = Needs::operator_role,
         .status = 204,
         .errors = {Code::ban_unknown, Code::set_in_file, Code::cannot_apply, Code::not_saved,
                    Code::not_available},
         .handler = remove_ban},
    };
}

}  // namespace mitu::api
