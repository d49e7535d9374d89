// MQTT users of the built-in database.

#include <fmt/format.h>

#include "mitu/api/operation.hpp"

namespace mitu::api {
namespace {

Json user_json(const User& user) {
    return {{"tenant", user.tenant},
            {"name", user.name},
            {"enabled", user.enabled},
            {"revision", user.revision}};
}

/// The database, and the tenant that the path names.
struct UserPlace {
    Users& users;
    TenantName tenant;
};
Answer<UserPlace> user_place_of(Call& call) {
    Users* const users = call.services.backends.users;
    if (users == nullptr) return not_available("user database");
    auto tenant = call.tenant();
    if (!tenant) return std::unexpected(tenant.error());
    return UserPlace{*users, *std::move(tenant)};
}

Answer<Reply> list_users(Call& call) {
    Users* const users = call.services.backends.users;
    if (users == nullptr) return not_available("user database");
    const auto scope = call.scope(call.request.query("tenant"));
    if (!scope) return std::unexpected(scope.error());
    const auto page = call.page();
    if (!page) return std::unexpected(page.error());
    const auto listing = users->list(*scope, *page);
    if (!listing) return std::unexpected(listing.error());
    return listing_reply(*listing, user_json);
}

Answer<Reply> show_user(Call& call) {
    const auto place = user_place_of(call);
    if (!place) return std::unexpected(place.error());
    const auto user = place->users.find(place->tenant, call.param("name"));
    if (!user) return std::unexpected(user.error());
    return with_revision(Reply{200, user_json(*user)}, user->revision);
}

Answer<Reply> add_user(Call& call) {
    const auto place = user_place_of(call);
    if (!place) return std::unexpected(place.error());
    const auto name = call.body["name"].get<std::string>();
    call.audit.emplace_back("name", name);
    const auto user =
        place->users.add(place->tenant, name, call.body["password"].get<std::string>(),
                         call.body.value("enabled", true));
    if (!user) return std::unexpected(user.error());
    return with_revision(Reply{201, user_json(*user)}, user->revision);
}

Answer<Reply> change_user(Call& call) {
    const auto place = user_place_of(call);
    if (!place) return std::unexpected(place.error());
    const auto expected = call.expected_revision();
    if (!expected) return std::unexpected(expected.error());
    UserChange change;
    if (call.body.contains("password")) {
        change.password = call.body["password"].get<std::string>();
        call.audit.emplace_back("password", "changed");
    }
    if (call.body.contains("enabled")) {
        change.enabled = call.body["enabled"].get<bool>();
        call.audit.emplace_back("enabled", *change.enabled ? "true" : "false");
    }
    const auto user = place->users.change(place->tenant, call.param("name"), change, *expected);
    if (!user) return std::unexpected(user.error());
    return with_revision(Reply{200, user_json(*user)}, user->revision);
}

Answer<Reply> remove_user(Call& call) {
    const auto place = user_place_of(call);
    if (!place) return std::unexpected(place.error());
    const auto expected = call.expected_revision();
    if (!expected) return std::unexpected(expected.error());
    const auto removed = place->users.remove(place->tenant, call.param("name"), *expected);
    if (!removed) return std::unexpected(removed.error());
    return Reply{204};
}

}  // namespace

std::vector<Operation> user_operations() {
    return {
        {.method = "GET",
         .path = "/users",
         .id = "list_users",
         .tag = "users",
         .summary = "MQTT users of the built-in database",
         .needs = Needs::admin,
         .query = with_page({{"tenant", "string", "of this tenant only"}}),
         .answer = "UserListing",
         .errors = {Code::not_available},
         .handler = list_users},
        {.method = "POST",
         .path = "/users/{tenant}",
         .id = "add_user",
         .tag = "users",
         .summary = "Adds an MQTT user",
         .needs = Needs::admin,
         .body = "UserRequest",
         .status = 201,
         .answer = "User",
         .errors = {Code::exists_already, Code::cannot_apply, Code::quota_exceeded, Code::not_saved,
                    Code::not_available},
         .handler = add_user},
        {.method = "GET",
         .path = "/users/{tenant}/{name}",
         .id = "show_user",
         .tag = "users",
         .summary = "One MQTT user",
         .needs = Needs::admin,
         .answer = "User",
         .errors = {Code::user_unknown, Code::not_available},
         .handler = show_user},
        {.method = "PATCH",
         .path = "/users/{tenant}/{name}",
         .id = "change_user",
         .tag = "users",
         .summary = "Changes password or state of an MQTT user; If-Match guards against others",
         .needs = Needs::admin,
         .body = "UserChange",
         .answer = "User",
         .errors = {Code::user_unknown, Code::set_in_file, Code::cannot_apply,
                    Code::revision_conflict, Code::parameter_invalid, Code::not_saved,
                    Code::not_available},
         .handler = change_user},
        {.method = "DELETE",
         .path = "/users/{tenant}/{name}",
         .id = "remove_user",
         .tag = "users",
         .summary = "Removes an MQTT user",
         .needs = Needs::admin,
         .status = 204,
         .errors = {Code::user_unknown, Code::set_in_file, Code::cannot_apply,
                    Code::revision_conflict, Code::parameter_invalid, Code::not_saved,
                    Code::not_available},
         .handler = remove_user},
    };
}

}  // namespace mitu::api
