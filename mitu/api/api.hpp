#pragma once
// Api: everything under /api/v1. Knows no shard and no socket: it asks its backends.

#include <memory>

#include "mitu/api/accounts.hpp"
#include "mitu/api/administration.hpp"
#include "mitu/api/audit.hpp"
#include "mitu/api/authenticator.hpp"
#include "mitu/http/server.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::api {

/// What an API works with. All outlive it; `audit` null: nothing is kept.
struct ApiParts {
    Backends backends;
    Accounts& accounts;
    Authenticator& authenticator;
    const ports::Clock& clock;
    AuditLog* audit = nullptr;
};

/// A request goes: who is it, may they, is the body what its schema says, do it, write the audit
/// log, answer. Every answer but that of /docs is JSON; an error is {"code","message","details"}.
/// Threading  any thread, several at once.
class Api {
public:
    explicit Api(const ApiParts& parts);
    ~Api();
    Api(const Api&) = delete;
    Api& operator=(const Api&) = delete;

    /// Adds every operation, and the shape of the server's own errors below /api/.
    /// Lifetime  the API outlives the server.
    void add_to(http::Server& server);

    /// As the server would; for tests.
    [[nodiscard]] http::Response answer(const http::Request& request);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace mitu::api
