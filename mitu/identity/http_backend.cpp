#include "mitu/identity/http_backend.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "mitu/base/json_depth.hpp"
#include "mitu/identity/access_json.hpp"

namespace mitu::identity {
namespace {

using nlohmann::json;

constexpr std::size_t reply_bytes_max = std::size_t{256} << 10;
constexpr std::size_t error_bytes_max = 256;
constexpr std::size_t get_bytes_max =
    4'096;  // before escaping; servers take URLs of 8 KiB and more

std::size_t bytes_of(const Login& login) {
    return login.client_id.size() + login.user_or_empty().size() + login.password_or_empty().size();
}

/// Names from a CONNECT are UTF-8 by then; from a certificate they may be anything.
void put(json& object, const char* name, std::string_view value) {
    if (!value.empty() && is_utf8(value)) object[name] = value;
}

Result<std::string, std::string> member_name(const json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return std::string{};
    if (!found->is_string()) return std::unexpected(fmt::format("{} is no text", name));
    const auto& text = found->get_ref<const std::string&>();
    if (text.size() > identity_name_bytes_max || !is_utf8(text)) {
        return std::unexpected(fmt::format("{} is no name", name));
    }
    return text;
}

Result<Verdict, std::string> read_allow(const json& object, const Login& login, const Now& now) {
    Identity identity;
    for (const auto& [member, text] :
         {std::pair{"user", &identity.user}, std::pair{"tenant", &identity.tenant},
          std::pair{"client_id", &identity.client_id},
          std::pair{"class", &identity.device_class}}) {
        auto name = member_name(object, member);
        if (!name) return std::unexpected(std::move(name.error()));
        *text = *std::move(name);
    }
    if (identity.user.empty()) identity.user = login.user_or_empty();
    if (const auto acl = object.find("acl"); acl != object.end() && !acl->is_null()) {
        auto access = read_access(*acl);
        if (!access) return std::unexpected("acl: " + access.error());
        identity.access = std::make_shared<const Access>(*std::move(access));
    }
    if (const auto end = object.find("expire_at"); end != object.end() && !end->is_null()) {
        const double seconds = end->is_number() ? end->get<double>() : -1.0;
        if (!(seconds >= 0.0 && seconds <= unix_seconds_max)) {
            return std::unexpected("expire_at is no time in seconds since 1970");
        }
        identity.expires_at = static_cast<UnixSeconds>(seconds);
        if (*identity.expires_at <= now.unix_s) {
            return Deny{{RefusalKind::expired, "the backend says that this login has expired"}};
        }
    }
    if (!identity.client_id.empty() && !login.client_id.empty() &&
        identity.client_id != login.client_id) {
        return Deny{{RefusalKind::client_id,
                     fmt::format("the backend says client id \"{}\"", identity.client_id)}};
    }
    return Allow{std::move(identity)};
}

}  // namespace

namespace {

/// What is told of a login: put(name, value), in the order of the names.
template <class Put>
void tell(const Login& login, bool with_peer, Put put) {
    const auto put_text = [&](const char* name, std::string_view value) {
        if (!value.empty() && is_utf8(value)) put(name, value);
    };
    put_text("client_id", login.client_id);
    put_text("listener", login.listener);
    if (login.password) {
        const std::string_view password = login.password->view();
        if (is_utf8(password)) {
            put("password", password);
        } else {
            put("password_base64", to_base64(password));
        }
    }
    if (with_peer) put_text("peer", login.peer);
    put_text("tenant", login.tenant);
    put_text("user_name", login.user_or_empty());
}

void append_escaped(std::string& out, std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (const char c : text) {
        const bool is_unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                   (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
                                   c == '~';
        if (is_unreserved) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
}

}  // namespace

std::string write_login(const Login& login, bool with_peer) {
    json object = json::object();
    tell(login, with_peer, [&](const char* name, std::string_view value) { object[name] = value; });
    if (login.certificate) {
        json certificate{{"fingerprint", format_fingerprint(login.certificate->fingerprint)}};
        if (!login.certificate->common_names.empty()) {
            put(certificate, "common_name", login.certificate->common_names.front());
        }
        object["certificate"] = std::move(certificate);
    }
    return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string write_query(const Login& login, bool with_peer) {
    std::string query;
    query.reserve(512);  // so that a password is seldom left behind in a smaller one
    const auto put_one = [&](const char* name, std::string_view value) {
        query += query.empty() ? '?' : '&';
        query += name;
        query += '=';
        append_escaped(query, value);
    };
    tell(login, with_peer, put_one);
    if (login.certificate) {
        put_one("certificate_fingerprint", format_fingerprint(login.certificate->fingerprint));
        const auto& names = login.certificate->common_names;
        if (!names.empty() && is_utf8(names.front())) {
            put_one("certificate_common_name", names.front());
        }
    }
    return query;
}

Result<Verdict, std::string> read_reply(const BackendReply& reply, const Login& login,
                                        const Now& now) {
    if (!reply.was_reached) {
        return std::unexpected(reply.error.empty() ? "it could not be reached" : reply.error);
    }
    if (reply.status == 204) {
        Allow allow;
        allow.identity.user = login.user_or_empty();
        return allow;
    }
    if (reply.status == 401 || reply.status == 403) {
        return Deny{{RefusalKind::credentials, fmt::format("the backend says {}", reply.status)}};
    }
    if (reply.status != 200) return std::unexpected(fmt::format("status {}", reply.status));
    if (reply.body.size() > reply_bytes_max) {
        return std::unexpected("the reply has more than 256 KiB");
    }
    if (is_json_deeper_than(reply.body, json_depth_max)) {
        return std::unexpected("the reply nests too deep");
    }
    const json object = json::parse(reply.body, nullptr, false);
    if (!object.is_object()) return std::unexpected("the reply is no JSON object");
    const auto result = member_name(object, "result");
    if (!result) return std::unexpected(result.error());
    if (*result == "allow") return read_allow(object, login, now);
    if (*result == "deny") {
        return Deny{{RefusalKind::credentials, "the backend says deny"}};
    }
    if (*result == "ignore") return Ignore{"the backend says ignore", {}};
    return std::unexpected("the reply's result is not allow, deny or ignore");
}

/// One request on its way. Dropped without a reply, it counts as a failure.
class HttpBackend::Question {
public:
    Question(std::shared_ptr<HttpBackend> backend, const KeyedDigest& key,
             std::shared_ptr<const Login> login, Instant asked_at)
        : backend_{std::move(backend)}, key_{key}, login_{std::move(login)}, asked_at_{asked_at} {}
    Question(const Question&) = delete;
    Question& operator=(const Question&) = delete;
    ~Question() {
        if (!is_answered_) backend_->abandon(asked_at_);
    }

    Verdict finish(const BackendReply& reply, const Now& now) {
        if (std::exchange(is_answered_, true)) {
            return Deny{{RefusalKind::unavailable, "the backend's reply came twice"}};
        }
        return backend_->finish(key_, *login_, reply, now);
    }

private:
    std::shared_ptr<HttpBackend> backend_;
    KeyedDigest key_;
    std::shared_ptr<const Login> login_;
    Instant asked_at_;
    bool is_answered_ = false;
};

std::shared_ptr<HttpBackend> HttpBackend::create(const HttpBackendOptions& options,
                                                 const SecretKey& key) {
    return std::shared_ptr<HttpBackend>{new HttpBackend{options, key}};
}

HttpBackend::HttpBackend(const HttpBackendOptions& options, const SecretKey& key)
    : options_{options}, key_{key}, circuit_{options.circuit}, cache_{options.cache} {}

KeyedDigest HttpBackend::key_of(const Login& login) const {
    // What is asked, and nothing else, decides the answer.
    std::string question = write_login(login, options_.send_peer);
    const KeyedDigest key = keyed_digest(question, key_);
    wipe(question);
    return key;
}

Answer HttpBackend::ask(std::shared_ptr<const Login> login, const Now& now) {
    if (options_.asks_by_get && bytes_of(*login) > get_bytes_max) {
        // No failure of the backend's: it would refuse the URL, and others' logins are good.
        return Deny{{RefusalKind::credentials,
                     "the login is too long for a query (4096 bytes); ask the backend by POST"}};
    }
    const KeyedDigest key = key_of(*login);
    const auto to_answer = [](Verdict verdict) {
        return std::visit([](auto&& one) { return Answer{std::move(one)}; }, std::move(verdict));
    };
    {
        const MutexLock lock{mutex_};
        if (auto known = cache_.find_fresh(key, now)) return to_answer(*std::move(known));
        const Circuit::Permit permit = circuit_.try_acquire(now.instant);
        if (permit != Circuit::Permit::granted) {
            const bool is_busy = permit == Circuit::Permit::busy;
            return to_answer(verdict_when_down(
                key, now, is_busy,
                is_busy ? "too many questions at once" : "it is not asked for a while"));
        }
    }
    BackendWork work;
    if (options_.asks_by_get) {
        work.request.is_get = true;
        work.request.query = write_query(*login, options_.send_peer);
    } else {
        work.request.body = write_login(*login, options_.send_peer);
    }
    auto question =
        std::make_shared<Question>(shared_from_this(), key, std::move(login), now.instant);
    work.finish = [question](const BackendReply& reply, const Now& then) {
        return question->finish(reply, then);
    };
    return work;
}

Verdict HttpBackend::finish(const KeyedDigest& key, const Login& login, const BackendReply& reply,
                            const Now& now) {
    auto verdict = read_reply(reply, login, now);
    const MutexLock lock{mutex_};
    if (!verdict) {
        last_error_ = verdict.error().substr(0, error_bytes_max);
        circuit_.on_failure(now.instant);
        return verdict_when_down(key, now, false, last_error_);
    }
    circuit_.on_success();
    cache_.remember(key, *verdict, now);
    return *std::move(verdict);
}

void HttpBackend::abandon(Instant now) {
    const MutexLock lock{mutex_};
    last_error_ = "a question was dropped before its reply came";
    circuit_.on_failure(now);
}

Verdict HttpBackend::verdict_when_down(const KeyedDigest& key, const Now& now, bool is_busy,
                                       std::string why) {
    if (options_.when_down == WhenDown::allow_cached) {
        if (auto allow = cache_.find_stale(key, now)) return *std::move(allow);
    }
    // Who can overload the backend must not be able to choose the next method.
    if (options_.when_down == WhenDown::ignore && !is_busy) {
        return Ignore{"the backend is down: " + why, {}};
    }
    return Deny{{is_busy ? RefusalKind::busy : RefusalKind::unavailable,
                 "the backend cannot be asked: " + why}};
}

HttpBackend::Status HttpBackend::status(Instant now) const {
    const MutexLock lock{mutex_};
    return {circuit_.state(now), circuit_.in_flight(), cache_.size(), last_error_};
}

void HttpBackend::forget() {
    const MutexLock lock{mutex_};
    cache_.clear();
}

}  // namespace mitu::identity
