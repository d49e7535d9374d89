#include "mitu/identity/chain.hpp"

#include <fmt/format.h>

#include "mitu/base/check.hpp"
#include "mitu/identity/password_hash.hpp"

namespace mitu::identity {
namespace {

Deny deny(RefusalKind kind, std::string text) { return {{kind, std::move(text)}}; }

}  // namespace

Verdict Chain::settle(Identity identity, const Login& login) const {
    if (!identity.tenant.empty() && !login.tenant.empty() && identity.tenant != login.tenant) {
        return deny(RefusalKind::not_allowed,
                    fmt::format("the identity is tenant \"{}\"'s, and the login tenant \"{}\"'s",
                                identity.tenant, login.tenant));
    }
    if (identity.tenant.empty()) identity.tenant = login.tenant;
    if (!identity.client_id.empty() && !login.client_id.empty() &&
        identity.client_id != login.client_id) {
        return deny(RefusalKind::client_id,
                    fmt::format("the identity may only use client id \"{}\"", identity.client_id));
    }
    if (!identity.access && options_.acl) {
        identity.access = options_.acl->access_of(
            identity.user.empty() ? std::nullopt : std::optional<std::string_view>{identity.user});
    }
    return Allow{std::move(identity)};
}

Verdict Chain::conclude(const Login& login) const {
    // Whoever shows a credential wants to be somebody, and is not let in as nobody.
    if (login.user || login.password) {
        return deny(RefusalKind::credentials, "no method knows this login");
    }
    const bool may_be_anonymous =
        options_.anonymous == AnonymousRule::always ||
        (options_.anonymous == AnonymousRule::loopback && login.is_loopback);
    if (may_be_anonymous) return settle(Identity{}, login);
    return deny(RefusalKind::not_allowed,
                options_.anonymous == AnonymousRule::loopback
                    ? "anonymous clients are allowed from this machine only"
                    : "anonymous clients are not allowed");
}

std::optional<ScramUser> Chain::find_scram(std::string_view tenant, std::string_view user) const {
    for (const MethodPtr& method : options_.methods) {
        if (auto found = method->find_scram(tenant, user)) return found;
    }
    return std::nullopt;
}

Attempt::Attempt(std::shared_ptr<const Chain> chain, std::shared_ptr<const Login> login)
    : chain_{std::move(chain)}, login_{std::move(login)} {
    MITU_CHECK(login_ != nullptr);
}

Step Attempt::begin(const Now& now) {
    if (!chain_) return deny(RefusalKind::not_allowed, "no chain of methods is configured");
    return advance(now);
}

Step Attempt::resume(Verdict verdict, const Now& now) {
    MITU_CHECK(chain_ != nullptr);
    if (auto step = take(std::move(verdict))) return *std::move(step);
    return advance(now);
}

std::string_view Attempt::method() const noexcept {
    const bool is_inside = chain_ && index_ < chain_->methods().size();
    return is_inside ? chain_->methods()[index_]->name() : std::string_view{};
}

std::optional<Step> Attempt::take(Verdict verdict) {
    if (auto* denied = std::get_if<Deny>(&verdict)) return Step{std::move(*denied)};
    if (auto* allowed = std::get_if<Allow>(&verdict)) {
        Verdict settled = chain_->settle(std::move(allowed->identity), *login_);
        if (auto* refused = std::get_if<Deny>(&settled)) return Step{std::move(*refused)};
        return Step{std::get<Allow>(std::move(settled))};
    }
    auto& ignored = std::get<Ignore>(verdict);
    passed_.push_back({std::string{method()}, std::move(ignored.why)});
    if (decoy_hash_.empty()) decoy_hash_ = std::move(ignored.decoy_hash);
    ++index_;
    return std::nullopt;
}

Step Attempt::advance(const Now& now) {
    while (index_ < chain_->methods().size()) {
        Answer answer = chain_->methods()[index_]->ask(login_, now);
        if (auto* slow = std::get_if<SlowWork>(&answer)) return std::move(*slow);
        if (auto* backend = std::get_if<BackendWork>(&answer)) return std::move(*backend);
        Verdict verdict =
            std::holds_alternative<Allow>(answer)  ? Verdict{std::get<Allow>(std::move(answer))}
            : std::holds_alternative<Deny>(answer) ? Verdict{std::get<Deny>(std::move(answer))}
                                                   : Verdict{std::get<Ignore>(std::move(answer))};
        if (auto step = take(std::move(verdict))) return *std::move(step);
    }
    Verdict end = chain_->conclude(*login_);
    if (auto* allowed = std::get_if<Allow>(&end)) return std::move(*allowed);
    if (decoy_hash_.empty()) return std::get<Deny>(std::move(end));
    // Whether a user exists must not show in how long the refusal takes.
    return SlowWork{
        [login = login_, hash = std::exchange(decoy_hash_, {}), refusal = std::move(end)] {
            (void)verify_password(hash, login->password_or_empty());
            return refusal;
        }};
}

void Chains::set(std::string listener, std::string tenant, std::shared_ptr<const Chain> chain) {
    chains_[{std::move(listener), std::move(tenant)}] = std::move(chain);
}

std::shared_ptr<const Chain> Chains::find(std::string_view listener,
                                          std::string_view tenant) const {
    const std::pair<std::string_view, std::string_view> places[] = {
        {listener, tenant}, {"", tenant}, {listener, ""}, {"", ""}};
    for (const auto& [l, t] : places) {
        const auto found = chains_.find({std::string{l}, std::string{t}});
        if (found != chains_.end()) return found->second;
    }
    return nullptr;
}

}  // namespace mitu::identity
