#include "mitu/node/gatekeeper.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "mitu/identity/scram.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::node {

using broker::Admission;
using broker::AdmissionOutcome;
using broker::Admitted;
using broker::Profile;
using broker::Refusal;
using identity::Allow;
using identity::Deny;
using identity::RefusalKind;
using mqtt::ReasonCode;

namespace {

/// The values of one attribute of a distinguished name, "CN=a,O=Acme\, Inc." (RFC 4514).
std::vector<std::string> values_of(std::string_view subject, std::string_view attribute) {
    std::vector<std::string> values;
    std::string part;
    const auto end_part = [&] {
        if (part.size() > attribute.size() && part.starts_with(attribute) &&
            part[attribute.size()] == '=') {
            values.push_back(part.substr(attribute.size() + 1));
        }
        part.clear();
    };
    for (std::size_t i = 0; i < subject.size(); ++i) {
        if (subject[i] == '\\' && i + 1 < subject.size()) {
            part += subject[++i];
        } else if (subject[i] == ',' || subject[i] == '+') {
            end_part();
        } else {
            part += subject[i];
        }
    }
    end_part();
    return values;
}

identity::CertificateFacts facts_of(const ports::ClientCertificate& certificate) {
    identity::CertificateFacts facts;
    if (!certificate.common_name.empty()) facts.common_names = {certificate.common_name};
    facts.organizations = values_of(certificate.subject, "O");
    facts.organizational_units = values_of(certificate.subject, "OU");
    facts.san_dns = certificate.dns_names;
    facts.san_uri = certificate.uris;
    facts.san_email = certificate.emails;
    facts.fingerprint = certificate.sha256;
    return facts;
}

identity::Now now_of(const ports::Clock& clock) {
    return {clock.now(), clock.wall().unix_ms / 1'000};
}

/// What the client asked for: of us, or of the proxy that ended its TLS.
const std::string& server_name_of(const ports::PeerFacts& facts) {
    return facts.server_name.empty() && facts.proxy ? facts.proxy->authority : facts.server_name;
}

identity::Login login_of(const Authentication& authentication, const broker::Login& login) {
    identity::Login out;
    out.client_id = login.client_id;
    if (login.user_name) out.user = std::string{*login.user_name};
    if (login.password) out.password.emplace(as_text(*login.password));
    // Without the port: a backend's answer is remembered by all that it was told, and each
    // connection has another port.
    if (!login.peer.is_none()) out.peer = mitu::to_text(login.peer.ip);
    out.is_loopback = login.peer.is_none() || mitu::is_loopback(login.peer.ip);
    if (login.listener_index < authentication.entrances.size()) {
        const Entrance& entrance = authentication.entrances[login.listener_index];
        out.listener = entrance.name;
        out.tenant = entrance.tenant;
        if (login.facts != nullptr) {
            const auto by_name = entrance.tenants_by_sni.find(server_name_of(*login.facts));
            if (by_name != entrance.tenants_by_sni.end()) out.tenant = by_name->second;
        }
    }
    if (login.facts != nullptr && login.facts->certificate) {
        out.certificate = facts_of(*login.facts->certificate);
    }
    if (out.tenant.empty() && out.user) {
        for (const auto& [suffix, tenant] : authentication.suffixes) {
            if (!out.user->ends_with(suffix)) continue;
            out.tenant = tenant;
            break;
        }
    }
    return out;
}

/// What the client hears. Of credentials it learns nothing that it did not know.
Refusal to_refusal(const identity::Refusal& refusal, bool has_credentials) {
    switch (refusal.kind) {
        case RefusalKind::credentials:
        case RefusalKind::unknown_key:
        case RefusalKind::not_yet_valid:
            return {ReasonCode::bad_user_name_or_password, ""};
        case RefusalKind::expired:
            return {ReasonCode::bad_user_name_or_password, "the credentials have expired"};
        case RefusalKind::client_id:
            return {ReasonCode::client_identifier_not_valid, refusal.text};
        case RefusalKind::not_allowed:
            return {ReasonCode::not_authorized, has_credentials ? "" : refusal.text};
        case RefusalKind::unavailable:
            return {ReasonCode::server_unavailable,
                    "logins cannot be checked at the moment; try again in a few seconds"};
        case RefusalKind::busy:
            return {ReasonCode::server_busy, "too many logins at once; try again in a few seconds"};
    }
    return {ReasonCode::not_authorized, ""};
}

std::shared_ptr<const Profile> without_policy(const Authentication& authentication, TenantId tenant,
                                              const std::string& device_class) {
    auto profile = std::make_shared<Profile>();
    profile->tenant = tenant;
    profile->tenant_name = authentication.catalog->tenants()[tenant.value].name;
    profile->device_class = device_class;
    tighten(*profile, authentication.profiles->defaults());
    return profile;
}

/// What a client may do that is no registered device, and whose credential does not say. Null:
/// nothing says.
std::shared_ptr<const Profile> profile_of(const Authentication& authentication, TenantId tenant,
                                          std::string_view user, const std::string& device_class) {
    const fleet::Catalog& catalog = *authentication.catalog;
    const bool is_anonymous = user.empty() && tenant == tenant_default;
    auto profile = is_anonymous ? authentication.profiles->of_group(catalog.group_for_anonymous())
                                : authentication.profiles->of_class(tenant, device_class);
    if (!authentication.acl && !authentication.denies_by_default) return profile;
    if (!profile) profile = without_policy(authentication, tenant, device_class);
    static const identity::Access nothing;
    const auto access =
        authentication.acl
            ? authentication.acl->access_of(user.empty() ? std::nullopt
                                                         : std::optional<std::string_view>{user})
            : nullptr;
    return Profiles::with_access(*profile, access ? *access : nothing, user,
                                 Profile::Rules::acl_file);
}

/// From who the client is to what it may do here.
AdmissionOutcome admit(const std::shared_ptr<const Authentication>& basis,
                       const identity::Identity& identity, const identity::Login& login,
                       const ports::Clock& clock) {
    const Authentication& authentication = *basis;
    const fleet::Catalog& catalog = *authentication.catalog;
    const auto tenant =
        identity.tenant.empty() ? tenant_default : catalog.find_tenant(identity.tenant);
    if (!tenant) {
        trace::log(trace::Level::warn, "login_of_unknown_tenant",
                   {{"user", identity.user}, {"tenant", identity.tenant}});
        return Refusal{ReasonCode::not_authorized, ""};
    }
    Admitted admitted;
    admitted.basis = basis;
    admitted.tenant = *tenant;
    admitted.client_id = identity.client_id.empty() ? login.client_id : identity.client_id;
    const auto device = catalog.find(*tenant, admitted.client_id);
    if (device && identity.client_id.empty() && identity.user != admitted.client_id) {
        return Refusal{ReasonCode::client_identifier_not_valid,
                       "this is the id of a registered device: log in as it"};
    }
    admitted.profile =
        device ? authentication.profiles->of_group(device->group)
               : profile_of(authentication, *tenant, identity.user, identity.device_class);
    if (identity.access) {
        const auto base = admitted.profile
                              ? admitted.profile
                              : without_policy(authentication, *tenant, identity.device_class);
        admitted.profile = Profiles::with_access(*base, *identity.access, identity.user,
                                                 Profile::Rules::credential);
    }
    if (!admitted.profile) {
        trace::log(trace::Level::warn, "login_without_rules",
                   {{"user", identity.user},
                    {"tenant", catalog.tenants()[tenant->value].name},
                    {"class", identity.device_class},
                    {"remedy", "add a policy that selects tenant and class, or an ACL file"}});
        return Refusal{ReasonCode::not_authorized, ""};
    }
    if (identity.expires_at) {
        const std::int64_t left_s = *identity.expires_at - clock.wall().unix_ms / 1'000;
        admitted.valid_until = clock.now() + Duration::seconds(std::max<std::int64_t>(left_s, 0));
    }
    admitted.user = identity.user;
    return admitted;
}

void log_refusal(const identity::Login& login, const identity::Refusal& refusal,
                 const identity::Attempt& attempt) {
    std::string passed;
    for (const identity::Passed& one : attempt.passed()) {
        passed += fmt::format("{}{}: {}", passed.empty() ? "" : "; ", one.method, one.why);
    }
    trace::log(trace::Level::info, "login_refused",
               {{"client", login.client_id},
                {"user", login.user_or_empty()},
                {"tenant", login.tenant},
                {"listener", login.listener},
                {"peer", login.peer},
                {"method", attempt.method()},
                {"reason", refusal.text},
                {"passed", passed}});
}

/// A refusal says whose client it would have been, where listener, server name or user tell.
template <class Outcome>
Outcome marked(Outcome outcome, const Authentication& authentication,
               const identity::Login& login) {
    const auto mark = [&](auto& decided) {
        auto* const refusal = std::get_if<Refusal>(&decided);
        if (refusal == nullptr || login.tenant.empty()) return;
        refusal->tenant = authentication.catalog->find_tenant(login.tenant);
    };
    if constexpr (requires { outcome->index(); }) {
        if (outcome) mark(*outcome);
    } else {
        mark(outcome);
    }
    return outcome;
}

/// One login that is not decided at once: goes from thread to thread with its work.
class Pursuit : public std::enable_shared_from_this<Pursuit> {
public:
    Pursuit(const ports::Clock& clock, const GatekeeperOptions& options,
            std::shared_ptr<const Authentication> authentication, broker::AdmissionTicket ticket,
            std::shared_ptr<const identity::Login> login)
        : clock_{clock},
          options_{options},
          authentication_{std::move(authentication)},
          ticket_{ticket},
          login_{std::move(login)},
          attempt_{authentication_->chains.find(login_->listener, login_->tenant), login_} {}

    /// nullopt: the answer comes later, by options.answer.
    [[nodiscard]] std::optional<AdmissionOutcome> begin() {
        return marked(follow(attempt_.begin(now_of(clock_))), *authentication_, *login_);
    }

private:
    [[nodiscard]] std::optional<AdmissionOutcome> follow(identity::Step step) {
        if (const auto* const allow = std::get_if<Allow>(&step)) {
            return admit(authentication_, allow->identity, *login_, clock_);
        }
        if (const auto* const deny = std::get_if<Deny>(&step)) {
            log_refusal(*login_, deny->refusal, attempt_);
            return to_refusal(deny->refusal, login_->user || login_->password);
        }
        if (auto* const slow = std::get_if<identity::SlowWork>(&step)) {
            auto job = [self = shared_from_this(), run = std::move(slow->run)] {
                self->go_on(run());
            };
            if (options_.run_later(std::move(job))) return std::nullopt;
            return to_refusal({RefusalKind::busy, ""}, true);
        }
        return ask(std::get<identity::BackendWork>(std::move(step)));
    }

    [[nodiscard]] std::optional<AdmissionOutcome> ask(identity::BackendWork work) {
        const auto found = authentication_->backends.find(attempt_.method());
        if (found == authentication_->backends.end()) {
            return to_refusal({RefusalKind::unavailable, ""}, true);
        }
        found->second(std::move(work.request),
                      [self = shared_from_this(),
                       finish = std::move(work.finish)](const identity::BackendReply& reply) {
                          self->go_on(finish(reply, now_of(self->clock_)));
                      });
        return std::nullopt;
    }

    void go_on(identity::Verdict verdict) {
        auto outcome = marked(follow(attempt_.resume(std::move(verdict), now_of(clock_))),
                              *authentication_, *login_);
        if (outcome) options_.answer(Admission{ticket_, std::move(*outcome)});
    }

    const ports::Clock& clock_;
    const GatekeeperOptions& options_;
    std::shared_ptr<const Authentication> authentication_;
    broker::AdmissionTicket ticket_;
    std::shared_ptr<const identity::Login> login_;
    identity::Attempt attempt_;
};

/// SCRAM-SHA-256 over CONNECT and AUTH.
class ScramExchange final : public broker::Exchange {
public:
    ScramExchange(const ports::Clock& clock, std::shared_ptr<const Authentication> authentication,
                  identity::Login login, std::string nonce, const identity::SecretKey& decoy_key)
        : clock_{clock},
          authentication_{std::move(authentication)},
          login_{std::move(login)},
          chain_{authentication_->chains.find(login_.listener, login_.tenant)},
          nonce_{std::move(nonce)},
          decoy_key_{decoy_key} {}

    [[nodiscard]] Step step(ByteView data) override {
        return marked(is_challenged_ ? finish(as_text(data)) : challenge(as_text(data)),
                      *authentication_, login_);
    }

private:
    [[nodiscard]] Step challenge(std::string_view message) {
        const auto user = server_.on_client_first(message);
        if (!user) return refuse(user.error());
        std::optional<identity::ScramVerifier> verifier;
        if (auto found = chain_->find_scram(login_.tenant, *user)) {
            verifier = std::move(found->verifier);
            identity_ = std::move(found->identity);
        }
        is_challenged_ = true;
        return broker::Challenge{
            server_.challenge(std::move(verifier), identity::make_scram_nonce(nonce_), decoy_key_)};
    }

    [[nodiscard]] Step finish(std::string_view message) {
        auto final = server_.on_client_final(message);
        if (!final) return refuse(final.error());
        const identity::Verdict verdict = chain_->settle(identity_, login_);
        if (const auto* const deny = std::get_if<Deny>(&verdict)) {
            return to_refusal(deny->refusal, true);
        }
        auto outcome = admit(authentication_, std::get<Allow>(verdict).identity, login_, clock_);
        if (auto* const refusal = std::get_if<Refusal>(&outcome)) return std::move(*refusal);
        auto& admitted = std::get<Admitted>(outcome);
        admitted.authentication_data = std::move(*final);
        return std::move(admitted);
    }

    [[nodiscard]] Step refuse(identity::ScramError error) const {
        trace::log(trace::Level::info, "login_refused",
                   {{"client", login_.client_id},
                    {"user", server_.user()},
                    {"tenant", login_.tenant},
                    {"listener", login_.listener},
                    {"peer", login_.peer},
                    {"method", identity::scram_method},
                    {"reason", identity::server_error_value(error)}});
        return Refusal{ReasonCode::not_authorized,
                       std::string{identity::server_error_value(error)}};
    }

    const ports::Clock& clock_;
    std::shared_ptr<const Authentication> authentication_;
    identity::Login login_;
    std::shared_ptr<const identity::Chain> chain_;
    std::string nonce_;
    const identity::SecretKey& decoy_key_;
    identity::ScramServer server_;
    identity::Identity identity_;
    bool is_challenged_ = false;
};

}  // namespace

Gatekeeper::Gatekeeper(const ports::Clock& clock,
                       std::shared_ptr<const Authentication> authentication,
                       GatekeeperOptions options)
    : clock_{clock}, options_{std::move(options)}, authentication_{std::move(authentication)} {
    if (!options_.random) return;
    const std::string key = options_.random(decoy_key_.size());
    std::copy(key.begin(), key.end(), decoy_key_.begin());
}

void Gatekeeper::replace(std::shared_ptr<const Authentication> authentication) {
    const MutexLock lock{mutex_};
    authentication_ = std::move(authentication);
}

std::shared_ptr<const Authentication> Gatekeeper::authentication() const {
    const MutexLock lock{mutex_};
    return authentication_;
}

broker::Gate::Verdict Gatekeeper::judge(const broker::AdmissionTicket& ticket,
                                        const broker::Login& login) {
    auto authentication = this->authentication();
    auto own = std::make_shared<const identity::Login>(login_of(*authentication, login));
    const auto pursuit = std::make_shared<Pursuit>(clock_, options_, std::move(authentication),
                                                   ticket, std::move(own));
    auto outcome = pursuit->begin();
    if (!outcome) return broker::Pending{};
    if (auto* const admitted = std::get_if<Admitted>(&*outcome)) return std::move(*admitted);
    return std::get<Refusal>(std::move(*outcome));
}

Result<std::unique_ptr<broker::Exchange>, Refusal> Gatekeeper::begin(const broker::Login& login) {
    auto authentication = this->authentication();
    if (!authentication->offers_scram || !options_.random ||
        login.authentication_method != identity::scram_method) {
        return std::unexpected(Refusal{ReasonCode::bad_authentication_method,
                                       authentication->offers_scram
                                           ? "offered is SCRAM-SHA-256"
                                           : "no enhanced authentication is offered here"});
    }
    identity::Login own = login_of(*authentication, login);
    if (!authentication->chains.find(own.listener, own.tenant)) {
        return std::unexpected(Refusal{ReasonCode::not_authorized, ""});
    }
    return std::make_unique<ScramExchange>(clock_, std::move(authentication), std::move(own),
                                           options_.random(identity::scram_nonce_bytes),
                                           decoy_key_);
}

std::shared_ptr<const broker::Profile> Gatekeeper::current(const broker::Admitted& admitted) const {
    if (admitted.basis == authentication()) return admitted.profile;
    return renewed(admitted.tenant, admitted.client_id, admitted.profile);
}

std::shared_ptr<const broker::Profile> Gatekeeper::renewed(
    TenantId tenant, std::string_view client_id,
    const std::shared_ptr<const broker::Profile>& now) const {
    const auto authentication = this->authentication();
    const fleet::Catalog& catalog = *authentication->catalog;
    if (tenant.value >= catalog.tenants().size()) return nullptr;
    const auto device = catalog.find(tenant, client_id);
    if (now->rules == Profile::Rules::credential) {
        // Its rules are in the credential, which stays; what else holds may have changed.
        auto base = device ? authentication->profiles->of_group(device->group)
                           : profile_of(*authentication, tenant, now->user, now->device_class);
        if (!base) base = without_policy(*authentication, tenant, now->device_class);
        auto renewed = std::make_shared<Profile>(*base);
        renewed->publish = now->publish;
        renewed->subscribe = now->subscribe;
        renewed->rules = now->rules;
        renewed->user = now->user;
        return renewed;
    }
    if (device) return authentication->profiles->of_group(device->group);
    if (now->rules == Profile::Rules::policy && now->device_class == fleet::class_anonymous) {
        return profile_of(*authentication, tenant, {}, {});
    }
    return profile_of(*authentication, tenant, now->user, now->device_class);
}

}  // namespace mitu::node
