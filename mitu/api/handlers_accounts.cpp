// Users and keys of the API itself, and logging in.

#include <fmt/format.h>

#include <algorithm>

#include "mitu/api/operation.hpp"

namespace mitu::api {
namespace {

Json api_user_json(const ApiUser& user) {
    return {{"name", user.name},
            {"role", to_text(user.role)},
            {"tenant", tenant_json(user.tenant)},
            {"created_at", time_text(user.created_at)},
            {"revision", user.revision}};
}

Json api_key_json(const ApiKey& key) {
    return {{"id", key.id},
            {"name", key.name},
            {"role", to_text(key.role)},
            {"tenant", tenant_json(key.tenant)},
            {"created_by", key.created_by},
            {"created_at", time_text(key.created_at)},
            {"expires_at", key.expires_at ? Json(time_text(*key.expires_at)) : Json(nullptr)}};
}

Json principal_json(const Principal& principal) {
    return {{"name", principal.name},
            {"role", to_text(principal.role)},
            {"tenant", tenant_json(principal.tenant)},
            {"via", to_text(principal.via)}};
}

/// Whether somebody bound to a tenant may know of it.
bool is_seen(const Call& call, const TenantScope& tenant) {
    return !call.principal.tenant || call.principal.tenant == tenant;
}

/// Role and tenant that a body asks for; nobody gives away more than they have.
Answer<Principal> read_grant(Call& call) {
    Principal grant;
    grant.role = *parse_role(call.body["role"].get<std::string>());  // the schema lists them
    std::optional<std::string> named;
    if (call.body.contains("tenant") && call.body["tenant"].is_string()) {
        named = call.body["tenant"].get<std::string>();
    }
    const auto scope = call.scope(named);
    if (!scope) return std::unexpected(scope.error());
    grant.tenant = *scope;
    call.audit.emplace_back("role", std::string{to_text(grant.role)});
    call.audit.emplace_back("tenant", grant.tenant.value_or("all"));
    return grant;
}

Answer<Reply> log_in(Call& call) {
    const auto name = call.body["name"].get<std::string>();
    auto session = call.services.authenticator.login(
        name, call.body["password"].get_ref<const std::string&>(), call.request.peer);
    if (!session) {
        call.refused = session.error();
        return std::unexpected(session.error().error);
    }
    call.principal = session->principal;
    Reply reply;
    reply.body = principal_json(session->principal);
    reply.body["token"] = session->token;
    reply.body["token_type"] = "Bearer";
    reply.body["expires_in_s"] = session->time.count_s();
    reply.headers.emplace_back("Cache-Control", "no-store");
    return reply;
}

Answer<Reply> log_out(Call& call) {
    static_cast<void>(call.services.authenticator.logout(call.request));
    return Reply{204};
}

Answer<Reply> who_am_i(Call& call) { return Reply{200, principal_json(call.principal)}; }

Answer<Reply> list_api_users(Call& call) {
    const auto page = call.page();
    if (!page) return std::unexpected(page.error());
    auto users = call.services.accounts.users();
    std::erase_if(users, [&](const ApiUser& user) { return !is_seen(call, user.tenant); });
    const auto listing = cut(std::move(users), *page);
    if (!listing) return std::unexpected(listing.error());
    return listing_reply(*listing, api_user_json);
}

Answer<Reply> add_api_user(Call& call) {
    const auto name = call.body["name"].get<std::string>();
    call.audit.emplace_back("name", name);
    const auto grant = read_grant(call);
    if (!grant) return std::unexpected(grant.error());
    const auto user = call.services.accounts.add_user(
        name, grant->role, grant->tenant, call.body["password"].get_ref<const std::string&>(),
        call.services.clock.wall());
    if (!user) return std::unexpected(user.error());
    return with_revision(Reply{201, api_user_json(*user)}, user->revision);
}

/// The user of the path, if whoever asks may know of it.
Answer<ApiUser> find_api_user(Call& call) {
    const std::string name = call.param("name");
    auto user = call.services.accounts.user(name);
    if (user && is_seen(call, user->tenant)) return *user;
    return refuse(Code::api_user_unknown, fmt::format("there is no API user {}", name));
}

Answer<Reply> show_api_user(Call& call) {
    const auto user = find_api_user(call);
    if (!user) return std::unexpected(user.error());
    return with_revision(Reply{200, api_user_json(*user)}, user->revision);
}

Answer<Reply> change_api_user(Call& call) {
    const auto user = find_api_user(call);
    if (!user) return std::unexpected(user.error());
    const auto expected = call.expected_revision();
    if (!expected) return std::unexpected(expected.error());
    ApiUserChange change;
    if (call.body.contains("role")) {
        change.role = parse_role(call.body["role"].get<std::string>());
        call.audit.emplace_back("role", std::string{to_text(*change.role)});
    }
    if (call.body.contains("password")) {
        change.password = call.body["password"].get<std::string>();
        call.audit.emplace_back("password", "changed");
    }
    const auto changed = call.services.accounts.change_user(user->name, change, *expected);
    if (!changed) return std::unexpected(changed.error());
    return with_revision(Reply{200, api_user_json(*changed)}, changed->revision);
}

Answer<Reply> remove_api_user(Call& call) {
    const auto user = find_api_user(call);
    if (!user) return std::unexpected(user.error());
    const auto expected = call.expected_revision();
    if (!expected) return std::unexpected(expected.error());
    const auto removed = call.services.accounts.remove_user(user->name, *expected);
    if (!removed) return std::unexpected(removed.error());
    return Reply{204};
}

Answer<Reply> list_api_keys(Call& call) {
    const auto page = call.page();
    if (!page) return std::unexpected(page.error());
    auto keys = call.services.accounts.keys();
    std::erase_if(keys, [&](const ApiKey& key) { return !is_seen(call, key.tenant); });
    const auto listing = cut(std::move(keys), *page);
    if (!listing) return std::unexpected(listing.error());
    return listing_reply(*listing, api_key_json);
}

Answer<Reply> add_api_key(Call& call) {
    ApiKey wish;
    wish.name = call.body["name"].get<std::string>();
    wish.created_by = call.principal.name;
    call.audit.emplace_back("name", wish.name);
    const auto grant = read_grant(call);
    if (!grant) return std::unexpected(grant.error());
    wish.role = grant->role;
    wish.tenant = grant->tenant;
    if (call.body.contains("expires_at")) {
        wish.expires_at = parse_time(call.body["expires_at"].get<std::string>());
        if (!wish.expires_at) {
            return refuse(Code::body_invalid, "expires_at has to look like 2030-12-31T23:59:59Z");
        }
    }
    const auto made = call.services.accounts.add_key(wish, call.services.clock.wall());
    if (!made) return std::unexpected(made.error());
    call.audit.emplace_back("id", made->key.id);
    Reply reply{201, api_key_json(made->key)};
    reply.body["secret"] = made->secret;
    reply.headers.emplace_back("Cache-Control", "no-store");
    return reply;
}

Answer<Reply> remove_api_key(Call& call) {
    const std::string id = call.param("id");
    const auto key = call.services.accounts.key(id);
    if (!key || !is_seen(call, key->tenant)) {
        return refuse(Code::api_key_unknown, fmt::format("there is no API key {}", id));
    }
    const auto removed = call.services.accounts.remove_key(id);
    if (!removed) return std::unexpected(removed.error());
    return Reply{204};
}

}  // namespace

std::vector<Operation> account_operations() {
    return {
        {.method = "POST",
         .path = "/login",
         .id = "log_in",
         .tag = "login",
         .summary = "A session token for a name and password",
         .needs = Needs::nothing,
         .body = "LoginRequest",
         .answer = "Session",
         .errors = {Code::credentials_wrong, Code::too_many_attempts},
         .handler = log_in},
        {.method = "POST",
         .path = "/logout",
         .id = "log_out",
         .tag = "login",
         .summary = "Ends the session whose token the request carries",
         .status = 204,
         .handler = log_out},
        {.method = "GET",
         .path = "/whoami",
         .id = "who_am_i",
         .tag = "login",
         .summary = "As whom the server sees you",
         .answer = "Principal",
         .handler = who_am_i},
        {.method = "GET",
         .path = "/api-users",
         .id = "list_api_users",
         .tag = "accounts",
         .summary = "Users of this API",
         .needs = Needs::admin,
         .query = with_page({}),
         .answer = "ApiUserListing",
         .handler = list_api_users},
        {.method = "POST",
         .path = "/api-users",
         .id = "add_api_user",
         .tag = "accounts",
         .summary = "Adds a user of this API",
         .needs = Needs::admin,
         .body = "ApiUserRequest",
         .status = 201,
         .answer = "ApiUser",
         .errors = {Code::tenant_unknown, Code::exists_already, Code::not_saved},
         .handler = add_api_user},
        {.method = "GET",
         .path = "/api-users/{name}",
         .id = "show_api_user",
         .tag = "accounts",
         .summary = "One user of this API",
         .needs = Needs::admin,
         .answer = "ApiUser",
         .errors = {Code::api_user_unknown},
         .handler = show_api_user},
        {.method = "PATCH",
         .path = "/api-users/{name}",
         .id = "change_api_user",
         .tag = "accounts",
         .summary = "Changes role or password; a new password ends the user's sessions",
         .needs = Needs::admin,
         .body = "ApiUserChange",
         .answer = "ApiUser",
         .errors = {Code::api_user_unknown, Code::revision_conflict, Code::parameter_invalid,
                    Code::last_admin, Code::not_saved},
         .handler = change_api_user},
        {.method = "DELETE",
         .path = "/api-users/{name}",
         .id = "remove_api_user",
         .tag = "accounts",
         .summary = "Removes a user of this API, and their sessions",
         .needs = Needs::admin,
         .status = 204,
         .errors = {Code::api_user_unknown, Code::revision_conflict, Code::parameter_invalid,
                    Code::last_admin, Code::not_saved},
         .handler = remove_api_user},
        {.method = "GET",
         .path = "/api-keys",
         .id = "list_api_keys",
         .tag = "accounts",
         .summary = "API keys, without their secrets",
         .needs = Needs::admin,
         .query = with_page({}),
         .answer = "ApiKeyListing",
         .handler = list_api_keys},
        {.method = "POST",
         .path = "/api-keys",
         .id = "add_api_key",
         .tag = "accounts",
         .summary = "Makes an API key; its secret is in this answer and nowhere else",
         .needs = Needs::admin,
         .body = "ApiKeyRequest",
         .status = 201,
         .answer = "NewApiKey",
         .errors = {Code::tenant_unknown, Code::not_saved},
         .handler = add_api_key},
        {.method = "DELETE",
         .path = "/api-keys/{id}",
         .id = "remove_api_key",
         .tag = "accounts",
         .summary = "Removes an API key",
         .needs = Needs::admin,
         .status = 204,
         .errors = {Code::api_key_unknown, Code::not_saved},
         .handler = remove_api_key},
    };
}

}  // namespace mitu::api
