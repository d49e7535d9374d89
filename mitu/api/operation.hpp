#pragma once
// Internal: one row of the API: its path, who may, what goes in and out, and the function that
// answers. Routing, authorisation, checking of bodies and the OpenAPI document all read it.

#include <array>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/api/accounts.hpp"
#include "mitu/api/administration.hpp"
#include "mitu/api/authenticator.hpp"
#include "mitu/api/principal.hpp"
#include "mitu/http/server.hpp"

namespace mitu::api {

using Json = nlohmann::ordered_json;

inline constexpr std::string_view path_prefix = "/api/v1";
inline constexpr std::string_view any_reply = "";

/// Who may call.
enum class Needs : std::uint8_t { nothing, viewer, operator_role, admin };
/// What it is about: a tenant, or the whole node, which those bound to a tenant do not see.
enum class Reach : std::uint8_t { tenant, node };

struct Parameter {
    std::string_view name;
    std::string_view type;  // of JSON schema
    std::string_view summary;
};

/// What the functions below work with. Outlives them.
struct Services {
    Backends backends;
    Accounts& accounts;
    Authenticator& authenticator;
    const ports::Clock& clock;
};

/// What an operation answers.
struct Reply {
    unsigned status = 200;
    Json body{};  // null: none
    http::Fields headers{};
    std::string text{};  // instead of `body`, with its content type
    std::string content_type{};
    std::shared_ptr<http::BodyStream> stream{};  // instead of both, with its content type
};

/// One request on its way.
struct Call {
    const http::Request& request;
    Services& services;
    Principal principal;
    Json body{};                                               // as its schema wants it
    std::vector<std::pair<std::string, std::string>> audit{};  // what the log should say
    std::optional<Refused> refused{};                          // login: why, beside the error

    /// The path's parameter, noted for the log.
    std::string param(std::string_view name);
    /// The path's tenant. Errors: tenant_unknown, also for those of others.
    Answer<TenantName> tenant();
    /// A tenant that was named, or not. Those bound to one get theirs.
    /// Errors  tenant_unknown, also for those of others
    Answer<TenantScope> scope(std::optional<std::string_view> named);
    /// From `limit` and `cursor`. Errors: parameter_invalid
    Answer<Page> page();
    /// From If-Match. Errors: parameter_invalid
    Answer<std::optional<std::uint64_t>> expected_revision();
};

using Handler = Answer<Reply> (*)(Call&);

struct Operation {
    std::string_view method;
    std::string_view path;  // below path_prefix
    std::string_view id;
    std::string_view tag;
    std::string_view summary;
    Needs needs = Needs::viewer;
    Reach reach = Reach::tenant;
    std::vector<Parameter> query{};
    std::string_view body{};  // the schema of the request; empty: none
    unsigned status = 200;
    std::string_view answer{};   // the schema of the success; empty: no JSON
    std::vector<Code> errors{};  // its own; those of every operation are added
    Handler handler = nullptr;

    [[nodiscard]] bool is_change() const noexcept { return method != "GET"; }
    [[nodiscard]] bool is_paged() const noexcept {
        for (const Parameter& parameter : query) {
            if (parameter.name == "cursor") return true;
        }
        return false;
    }
    /// Every error that it can answer.
    [[nodiscard]] std::vector<Code> all_errors() const;
};

/// The whole table, in the order of the document.
[[nodiscard]] const std::vector<Operation>& operations();

// Each file of handlers has its rows.
[[nodiscard]] std::vector<Operation> client_operations();   // handlers_clients.cpp
[[nodiscard]] std::vector<Operation> message_operations();  // handlers_messages.cpp
[[nodiscard]] std::vector<Operation> ban_operations();      // handlers_bans.cpp
[[nodiscard]] std::vector<Operation> trace_operations();    // handlers_trace.cpp
[[nodiscard]] std::vector<Operation> user_operations();     // handlers_users.cpp
[[nodiscard]] std::vector<Operation> account_operations();  // handlers_accounts.cpp
[[nodiscard]] std::vector<Operation> node_operations();     // handlers_node.cpp
[[nodiscard]] std::vector<Operation> store_operations();    // handlers_store.cpp

inline const std::vector<Parameter> page_parameters{
    {"limit", "integer", "items at most, 1..1000 (100)"},
    {"cursor", "string", "next_cursor of the answer before"}};
[[nodiscard]] std::vector<Parameter> with_page(std::vector<Parameter> query);

/// {"items":[...],"next_cursor":...,"silent_shards":[...]}
template <class T, class ToJson>
[[nodiscard]] Reply listing_reply(const Listing<T>& listing, ToJson to_json) {
    Json items = Json::array();
    for (const T& item : listing.items) items.push_back(to_json(item));
    Reply reply;
    reply.body = Json{
        {"items", std::move(items)},
        {"next_cursor", listing.next_cursor.empty() ? Json(nullptr) : Json(listing.next_cursor)},
        {"silent_shards", listing.silent_shards}};
    return reply;
}
/// A piece of what is all there; the cursor is a place in it.
template <class T>
[[nodiscard]] Answer<Listing<T>> cut(std::vector<T> all, const Page& page);

[[nodiscard]] Json tenant_json(const TenantScope& tenant);
[[nodiscard]] Reply with_revision(Reply reply, std::uint64_t revision);
[[nodiscard]] std::unexpected<Error> not_available(std::string_view what);

/// The OpenAPI document, and a page for people. openapi.cpp
[[nodiscard]] const std::string& openapi_document();
[[nodiscard]] const std::string& docs_page();

/// Checks JSON against a schema of schemas.json. Errors: where, which value. schemas.cpp
/// Threading  any thread.
[[nodiscard]] std::optional<std::string> schema_problem(std::string_view schema, const Json& value);
[[nodiscard]] const Json& schemas();

}  // namespace mitu::api

#include "mitu/api/text.hpp"

namespace mitu::api {

template <class T>
Answer<Listing<T>> cut(std::vector<T> all, const Page& page) {
    std::size_t begin = 0;
    if (!page.cursor.empty()) {
        const auto numbers = read_cursor(page.cursor, 1);
        if (!numbers) return refuse(Code::cursor_invalid, "cursor is not one of this listing");
        begin = std::min<std::size_t>(numbers->front(), all.size());
    }
    const std::size_t end = std::min(all.size(), begin + page.limit);
    Listing<T> listing;
    listing.items.assign(std::make_move_iterator(all.begin() + static_cast<std::ptrdiff_t>(begin)),
                         std::make_move_iterator(all.begin() + static_cast<std::ptrdiff_t>(end)));
    if (end < all.size()) listing.next_cursor = make_cursor({static_cast<std::uint32_t>(end)});
    return listing;
}

}  // namespace mitu::api
