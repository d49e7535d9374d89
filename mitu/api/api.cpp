#include "mitu/api/api.hpp"

#include <fmt/format.h>

#include "mitu/api/operation.hpp"
#include "mitu/base/json_depth.hpp"
#include "mitu/http/routes.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::api {
namespace {

http::Response to_response(const Reply& reply) {
    http::Response response;
    response.status = reply.status;
    response.headers = reply.headers;
    response.content_type = reply.content_type.empty() ? "application/json" : reply.content_type;
    response.stream = reply.stream;
    if (!reply.text.empty()) {
        response.body = reply.text;
    } else if (!reply.body.is_null()) {
        // Whatever a client named itself: what is not UTF-8 is replaced.
        response.body = reply.body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    }
    return response;
}

http::Response to_response(const Error& error) {
    Json details = Json::object();
    for (const auto& [name, value] : error.details) details[name] = value;
    return to_response(Reply{status_of(error.code), Json{{"code", static_cast<int>(error.code)},
                                                         {"message", error.message},
                                                         {"details", std::move(details)}}});
}

/// Beyond what it says itself: headers that go with a status.
http::Response to_response(const Refused& refused) {
    http::Response response = to_response(refused.error);
    if (response.status == 401) {
        // Not Basic: a browser that knows a password would send it along for any site.
        response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"mitu\"");
    }
    if (refused.retry_after) {
        response.headers.emplace_back("Retry-After",
                                      std::to_string(refused.retry_after->count_s() + 1));
    }
    return response;
}

Code code_of_status(unsigned status) {
    switch (status) {
        case 400:
            return Code::request_malformed;
        case 404:
            return Code::path_unknown;
        case 405:
            return Code::method_not_allowed;
        case 413:
            return Code::body_too_large;
        case 431:
            return Code::header_too_large;
        case 503:
            return Code::overloaded;
        default:
            return Code::internal;
    }
}

/// A browser says where a request comes from; programs do not.
bool is_cross_site(const http::Request& request) {
    if (const auto site = request.header("Sec-Fetch-Site")) {
        if (*site != "same-origin" && *site != "none") return true;
    }
    const auto origin = request.header("Origin");
    if (!origin) return false;
    const auto scheme_end = origin->find("://");
    return scheme_end == origin->npos ||
           origin->substr(scheme_end + 3) != request.header("Host").value_or("");
}

std::optional<Error> check_role(const Operation& operation, const Principal& principal) {
    const auto needed = static_cast<int>(operation.needs) - static_cast<int>(Needs::viewer);
    if (static_cast<int>(principal.role) < needed) {
        if (principal.via == Via::loopback) {
            return Error{Code::read_only,
                         "nobody is set up yet, so from this machine one may only look; make a "
                         "user through the server's Unix socket: mitu api-user add"};
        }
        return Error{Code::role_too_low, fmt::format("{} is a {}; this needs another role",
                                                     principal.name, to_text(principal.role))};
    }
    if (operation.reach == Reach::node && principal.tenant) {
        return Error{Code::node_wide, "this is about the whole server, beyond your tenant"};
    }
    return std::nullopt;
}

Answer<Json> read_body(const Operation& operation, const http::Request& request) {
    if (operation.body.empty()) return Json{};
    if (is_json_deeper_than(request.body, json_depth_max)) {
        return refuse(
            Code::body_invalid,
            fmt::format("body: it nests deeper than {} levels; use fewer", json_depth_max));
    }
    Json body = Json::parse(request.body, nullptr, /*allow_exceptions=*/false);
    if (body.is_discarded() || !request.content_type.starts_with("application/json")) {
        return refuse(Code::body_not_json,
                      "the body has to be JSON, with Content-Type: application/json");
    }
    if (auto problem = schema_problem(operation.body, body)) {
        return refuse(Code::body_invalid, *problem);
    }
    return body;
}

}  // namespace

class Api::Impl {
public:
    explicit Impl(const ApiParts& parts)
        : services_{parts.backends, parts.accounts, parts.authenticator, parts.clock},
          audit_{parts.audit} {
        for (const Operation& operation : operations()) {
            routes_.add(operation.method, pattern(operation),
                        {[this, &operation](const http::Request& request) {
                             return run(operation, request);
                         },
                         http::Runs::on_pool});
        }
    }

    void add_to(http::Server& server) {
        for (const Operation& operation : operations()) {
            server.handle(
                operation.method, pattern(operation),
                [this, &operation](const http::Request& request) {
                    return run(operation, request);
                },
                http::Runs::on_pool);
        }
        server.set_error_answer([](unsigned status, std::string_view what, std::string_view path) {
            if (path.starts_with("/api/")) return error_of_status(status, what);
            return http::Response{status, "text/plain; charset=utf-8", fmt::format("{}\n", what)};
        });
    }

    http::Response answer(const http::Request& request) {
        http::Request routed = request;
        const auto match = routes_.find(request.method, request.target);
        if (match.entry == nullptr) {
            return match.allowed.empty() ? error_of_status(404, "not found")
                                         : error_of_status(405, "method not allowed");
        }
        routed.params = match.params;
        return match.entry->handler(routed);
    }

private:
    static std::string pattern(const Operation& operation) {
        return std::string{path_prefix} + std::string{operation.path};
    }
    static http::Response error_of_status(unsigned status, std::string_view what) {
        http::Response response = to_response(Error{code_of_status(status), std::string{what}});
        response.status = status;
        return response;
    }

    http::Response run(const Operation& operation, const http::Request& request) {
        Call call{request, services_, {}};
        http::Response response;
        std::optional<Error> error;
        try {
            response = carry_out(operation, call, error);
        } catch (const std::exception& exception) {  // JSON's, and what nobody has foreseen
            trace::log(trace::Level::error, "api_handler_threw",
                       {{"operation", operation.id}, {"what", exception.what()}});
            error = Error{Code::internal, "internal error"};
            response = to_response(*error);
        }
        response.headers.emplace_back("X-Content-Type-Options", "nosniff");
        note(operation, call, response.status, error);
        return response;
    }

    http::Response carry_out(const Operation& operation, Call& call, std::optional<Error>& error) {
        if (operation.needs != Needs::nothing) {
            auto principal = services_.authenticator.identify(call.request);
            if (!principal) {
                call.refused = principal.error();
                error = principal.error().error;
                return to_response(principal.error());
            }
            call.principal = std::move(*principal);
            error = check_role(operation, call.principal);
        }
        if (!error && operation.is_change() && is_cross_site(call.request)) {
            error = Error{Code::cross_site, "a browser sends this on behalf of another site"};
        }
        if (error) return to_response(*error);
        auto body = read_body(operation, call.request);
        if (!body) {
            error = body.error();
            return to_response(*error);
        }
        call.body = std::move(*body);
        const auto reply = operation.handler(call);
        if (reply) return to_response(*reply);
        error = reply.error();
        return call.refused ? to_response(*call.refused) : to_response(*error);
    }

    /// Every request that changes something or wants to, and credentials that are wrong.
    void note(const Operation& operation, const Call& call, unsigned status,
              const std::optional<Error>& error) {
        if (audit_ == nullptr) return;
        const bool is_attempt = call.refused && call.refused->is_attempt;
        // Who has no credentials at all has not tried anything; who is held off has been noted.
        const bool is_nobody = call.refused && !is_attempt;
        if (!is_attempt && (is_nobody || !operation.is_change())) return;
        AuditEntry entry;
        entry.when = services_.clock.wall();
        entry.who = call.refused ? call.refused->who : call.principal.name;
        entry.via = to_text(call.principal.via);
        entry.from = call.request.peer.address;
        entry.operation = operation.id;
        entry.what = call.audit;
        entry.status = status;
        entry.code = error ? static_cast<unsigned>(error->code) : 0;
        audit_->record(entry);
    }

    Services services_;
    AuditLog* audit_;
    http::Routes routes_;
};

Api::Api(const ApiParts& parts) : impl_{std::make_unique<Impl>(parts)} {}
Api::~Api() = default;
void Api::add_to(http::Server& server) { impl_->add_to(server); }
http::Response Api::answer(const http::Request& request) { return impl_->answer(request); }

}  // namespace mitu::api
