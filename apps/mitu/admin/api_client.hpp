#pragma once
// What the commands about a server share: where it is, who asks, and how its answers are shown.

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/mitu/commands.hpp"
#include "apps/mitu/http_client.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the name is CLI11's
class App;
}

namespace mitu::cli {

using Json = nlohmann::ordered_json;

struct ApiFlags {
    std::string url;
    std::string token;
    std::string user;
    std::string ca_file;
    bool json = false;
};

/// --url, --token, --user, --ca-file and --json.
void add_api_options(CLI::App& command, ApiFlags& flags);
/// All but --json, for commands that have one of their own; --url is also --http there.
void add_api_server_options(CLI::App& command, ApiFlags& flags);

struct ApiFailure {
    ExitCode exit_code = ExitCode::failed;
    std::string text;
};

/// One server, asked as one person.
class ApiClient {
public:
    /// Errors  usage: which option, which value, what to do.
    [[nodiscard]] static Result<ApiClient, std::string> make(const ApiFlags& flags);

    /// `path` below /api/v1.
    /// Errors  no connection, no answer, or what the API says: number, name of the error, remedy.
    [[nodiscard]] Result<Json, ApiFailure> call(const std::string& method, const std::string& path,
                                                const Json& body = {}) const;
    /// The same, with the body as it came.
    [[nodiscard]] Result<std::string, ApiFailure> send(const std::string& method,
                                                       const std::string& path,
                                                       const Json& body = {}) const;
    /// POSTs, and gives the body of the answer away as it comes, until `on_piece` says false.
    [[nodiscard]] Result<void, ApiFailure> follow(
        const std::string& path, const Json& body,
        const std::function<bool(std::string_view)>& on_piece) const;
    /// All items of a listing, page by page, up to so many.
    [[nodiscard]] Result<Json, ApiFailure> list(const std::string& path,
                                                std::size_t items_max) const;

private:
    [[nodiscard]] HttpRequest request(const std::string& method, const std::string& path,
                                      const Json& body) const;
    [[nodiscard]] std::optional<ApiFailure> failure_of(
        const Result<HttpResponse, HttpFailure>& response) const;
    HttpServer server_;
    std::string authorization_;  // empty: none
};

/// A segment of a path: what is not plain is escaped.
[[nodiscard]] std::string escape(std::string_view segment);
/// "?a=1&b=2" of those that are not empty.
[[nodiscard]] std::string query_of(
    const std::vector<std::pair<std::string, std::string>>& parameters);

struct Column {
    std::string heading;
    std::string key;
};
/// Runs a command that lists: a table, or JSON.
ExitCode show_list(const ApiFlags& flags, const std::string& path, std::size_t items_max,
                   const std::vector<Column>& columns);
/// One that shows an object: "key  value" lines, or JSON.
ExitCode show_object(const ApiFlags& flags, const std::string& path);
void print_object(const Json& object);
/// A value as one cell of a table; "-": null.
[[nodiscard]] std::string cell_of(const Json& value);
/// One that changes something: says `done`, or the answer as JSON.
ExitCode change(const ApiFlags& flags, const std::string& method, const std::string& path,
                const Json& body, const std::string& done);

/// What a server runs by: YAML with its revision, or JSON. Secrets are ***.
ExitCode show_server_config(const ApiFlags& flags);

/// --limit for listings.
void add_limit_option(CLI::App& command, std::size_t& items_max);

}  // namespace mitu::cli
