#pragma once
// Chain: the methods of a listener or tenant, in their order; Attempt: one login on its way along
// them. This is the header for whoever lets clients in.
//
//     Attempt attempt{chains.find(login->listener, login->tenant), login};
//     Step step = attempt.begin(now);
//     // Allow, Deny: done. SlowWork: somewhere else, step = attempt.resume(work.run(), now).
//     // BackendWork: send work.request; step = attempt.resume(work.finish(reply, now), now).

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "mitu/identity/acl_file.hpp"
#include "mitu/identity/login.hpp"
#include "mitu/identity/method.hpp"

namespace mitu::identity {

/// Whether a client without user name and password comes in where no method knows it.
enum class AnonymousRule : std::uint8_t { never, loopback, always };

struct ChainOptions {
    std::vector<MethodPtr> methods;
    AnonymousRule anonymous = AnonymousRule::never;
    /// Says what clients may do whose method does not say. Null: their policy does.
    std::shared_ptr<const AclFile> acl;
};

/// Threading  immutable; any thread.
class Chain {
public:
    explicit Chain(ChainOptions options) : options_{std::move(options)} {}

    [[nodiscard]] const std::vector<MethodPtr>& methods() const noexcept {
        return options_.methods;
    }

    /// The last word on who has proved to be `identity`: it fits the login's tenant and client id,
    /// and has its access rules. For SCRAM, which ends without an Attempt, too.
    [[nodiscard]] Verdict settle(Identity identity, const Login& login) const;

    /// What the chain says where no method has: anonymous, or refused.
    [[nodiscard]] Verdict conclude(const Login& login) const;

    /// From the first method that has a verifier of that user.
    [[nodiscard]] std::optional<ScramUser> find_scram(std::string_view tenant,
                                                      std::string_view user) const;

private:
    ChainOptions options_;
};

/// What an Attempt wants: it is decided, or somebody has to work.
using Step = std::variant<Allow, Deny, SlowWork, BackendWork>;

/// What one method said, for `mitu why` and the log.
struct Passed {
    std::string method;
    std::string why;
};

/// Order      begin() once; then resume() once for every SlowWork and BackendWork, until it is
///            decided.
/// Threading  one thread at a time; it may go from one to another.
class Attempt {
public:
    Attempt(std::shared_ptr<const Chain> chain, std::shared_ptr<const Login> login);

    [[nodiscard]] Step begin(const Now& now);
    [[nodiscard]] Step resume(Verdict verdict, const Now& now);

    /// The method that has decided, or works; empty: the end of the chain.
    [[nodiscard]] std::string_view method() const noexcept;
    /// Methods that have left it to the next one.
    [[nodiscard]] const std::vector<Passed>& passed() const noexcept { return passed_; }

private:
    [[nodiscard]] Step advance(const Now& now);
    /// nullopt: on to the next method.
    [[nodiscard]] std::optional<Step> take(Verdict verdict);

    std::shared_ptr<const Chain> chain_;
    std::shared_ptr<const Login> login_;
    std::size_t index_ = 0;  // of the method that is asked
    std::string decoy_hash_;
    std::vector<Passed> passed_;
};

/// Which chain serves whom.
/// Threading  immutable once it is filled.
class Chains {
public:
    /// An empty name: any.
    void set(std::string listener, std::string tenant, std::shared_ptr<const Chain> chain);
    /// The chain of both, of the tenant, of the listener, of anybody, in this order; so a tenant's
    /// own rules hold wherever its clients come in. Null: nobody may come in.
    [[nodiscard]] std::shared_ptr<const Chain> find(std::string_view listener,
                                                    std::string_view tenant) const;

private:
    std::map<std::pair<std::string, std::string>, std::shared_ptr<const Chain>> chains_;
};

}  // namespace mitu::identity
