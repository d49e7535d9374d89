#pragma once
// Chains of methods as the configuration wants them, from the files that it names.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/config/config.hpp"
#include "mitu/http/client.hpp"
#include "mitu/identity/http_backend.hpp"
#include "mitu/node/authentication.hpp"
#include "mitu/node/key_sources.hpp"

namespace mitu::node {

/// What outlives one reading of the files: connections to backends with what they have answered,
/// proved passwords of devices, keys that were fetched.
/// Threading  build(): one thread at a time. The rest: any thread.
class AuthenticationSources {
public:
    /// `key`: random, for the digests in caches. Lifetime: `clock` outlives it.
    AuthenticationSources(const ports::Clock& clock, const identity::SecretKey& key);
    ~AuthenticationSources();
    AuthenticationSources(const AuthenticationSources&) = delete;
    AuthenticationSources& operator=(const AuthenticationSources&) = delete;

    /// Reads every file anew.
    /// Errors  a sentence: method, file, line, remedy. What was built before stays good.
    [[nodiscard]] Result<std::shared_ptr<const Authentication>, std::string> build(
        const config::Config& config, const std::shared_ptr<const fleet::Catalog>& catalog);

    /// Fetches keys of tokens that are due. To be called about once a second.
    void tick() { key_sources_.tick(); }
    [[nodiscard]] std::vector<KeyStatus> key_status() const { return key_sources_.status(); }
    /// The built-in users alone, for the methods that were built before: no other file is read.
    /// Errors  a sentence; they stay as they were.
    [[nodiscard]] std::optional<std::string> set_users(const std::vector<config::User>& users);

    /// Ends the connections to backends: their questions are answered as not reached.
    void stop();

private:
    struct Backend {
        std::shared_ptr<identity::HttpBackend> state;
        std::shared_ptr<http::Client> client;
        config::HttpBackend from;
    };
    class Builder;
    class LiveUsers;

    const identity::SecretKey key_;
    KeySources key_sources_;
    const std::shared_ptr<LiveUsers> users_;
    std::map<std::string, Backend, std::less<>> backends_;  // by the name of the method
    /// Of backends that were configured otherwise: logins that began with them go on, and a client
    /// must not end on its own thread, which the last of them may run on.
    std::vector<std::shared_ptr<http::Client>> retired_;
    std::shared_ptr<const fleet::Catalog> catalog_;
    identity::MethodPtr registry_;  // of catalog_
};

}  // namespace mitu::node
