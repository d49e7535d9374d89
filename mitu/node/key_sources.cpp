#include "mitu/node/key_sources.hpp"

#include <utility>

#include "mitu/trace/log.hpp"

namespace mitu::node {
namespace {

constexpr std::size_t document_bytes_max = std::size_t{256} << 10;

bool asks_the_same(const config::Jwt& a, const config::Jwt& b) {
    return a.jwks_url == b.jwks_url && a.jwks_ca_file == b.jwks_ca_file && a.refresh == b.refresh &&
           a.jwks_stale_max == b.jwks_stale_max;
}

std::string header_of(const http::ClientResponse& response, std::string_view name) {
    return std::string{response.header(name).value_or(std::string_view{})};
}

FetchKeys fetch_by(const std::shared_ptr<http::Client>& client) {
    return [client](const identity::KeyRequest& request,
                    std::function<void(identity::KeyReply)> done) {
        http::ClientRequest out;
        out.headers.push_back({"Accept", "application/jwk-set+json, application/json"});
        if (!request.etag.empty()) out.headers.push_back({"If-None-Match", request.etag});
        client->send(std::move(out), [done = std::move(done)](auto answer) {
            identity::KeyReply reply;
            if (answer) {
                reply.was_reached = true;
                reply.status = static_cast<int>(answer->status);
                reply.etag = header_of(*answer, "ETag");
                reply.cache_control = header_of(*answer, "Cache-Control");
                reply.age = header_of(*answer, "Age");
                reply.body = std::move(answer->body);
            } else {
                reply.error = answer.error().text();
            }
            done(std::move(reply));
        });
    };
}

}  // namespace

Result<KeySources::Entry, std::string> KeySources::find(const std::string& method,
                                                        const config::Jwt& jwt) {
    {
        const MutexLock lock{mutex_};
        const auto known = known_.find(method);
        if (known != known_.end() && asks_the_same(known->second.from, jwt)) {
            return known->second.entry;
        }
    }
    http::ClientOptions options;
    options.url = jwt.jwks_url;
    options.ca_file = jwt.jwks_ca_file;
    options.connections_max = 1;
    options.body_bytes_max = document_bytes_max;
    auto client = std::make_shared<http::Client>(std::move(options));
    if (auto started = client->start(); !started) return std::unexpected(started.error());
    if (jwt.jwks_url.starts_with("http://")) {
        trace::log(trace::Level::warn, "jwt_keys_without_tls",
                   {{"method", method},
                    {"effect", "whoever sits between can make tokens of his own"},
                    {"remedy", "use https, unless the issuer is on this machine"}});
    }
    identity::KeySourceOptions source;
    source.refresh = jwt.refresh;
    source.stale_max = jwt.jwks_stale_max;
    auto keys = std::make_shared<identity::KeySource>(source);
    Known fresh;
    fresh.entry.source = keys;
    fresh.entry.fetcher = std::make_shared<KeyFetcher>(KeyFetcher::Options{.method = method},
                                                       clock_, std::move(keys), fetch_by(client));
    fresh.client = std::move(client);
    fresh.from = jwt;
    fresh.entry.fetcher->tick();
    const Entry entry = fresh.entry;
    const MutexLock lock{mutex_};
    if (const auto known = known_.find(method); known != known_.end()) {
        retired_.push_back(std::move(known->second.client));
    }
    known_[method] = std::move(fresh);
    return entry;
}

void KeySources::tick() {
    std::vector<std::shared_ptr<KeyFetcher>> fetchers;
    {
        const MutexLock lock{mutex_};
        for (const auto& [method, known] : known_) fetchers.push_back(known.entry.fetcher);
    }
    for (const auto& fetcher : fetchers) fetcher->tick();
}

std::vector<KeyStatus> KeySources::status() const {
    const MutexLock lock{mutex_};
    std::vector<KeyStatus> all;
    for (const auto& [method, known] : known_) {
        all.push_back({method, known.entry.fetcher->status()});
    }
    return all;
}

void KeySources::stop() {
    std::vector<std::shared_ptr<http::Client>> clients;
    {
        const MutexLock lock{mutex_};
        for (const auto& [method, known] : known_) clients.push_back(known.client);
        clients.insert(clients.end(), retired_.begin(), retired_.end());
    }
    for (const auto& client : clients) client->stop();
}

}  // namespace mitu::node
