#include "apps/mitu/admin/api_client.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "apps/mitu/text.hpp"

namespace mitu::cli {

namespace {

constexpr Duration answer_time_max = Duration::seconds(15);

std::string base64(const std::string& text) {
    std::string encoded((text.size() + 2) / 3 * 4 + 1, '\0');
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
    encoded.resize(static_cast<std::size_t>(size));
    return encoded;
}

}  // namespace

std::string cell_of(const Json& value) {
    if (value.is_null()) return "-";
    if (value.is_string()) return visible(value.get_ref<const std::string&>());
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    if (value.is_number_float()) return fmt::format("{:.1f}", value.get<double>());
    return value.dump();
}

void add_api_server_options(CLI::App& command, ApiFlags& flags) {
    command.add_option("--url,--http", flags.url,
                       "the server: http(s)://HOST:PORT, HOST:PORT or unix:PATH; or MITU_API_URL "
                       "(127.0.0.1:9880)");
    command.add_option("--token", flags.token,
                       "session token or API key; better: the variable MITU_API_TOKEN");
    command.add_option("--user", flags.user, "API user; its password: MITU_API_PASSWORD");
    command
        .add_option("--ca-file", flags.ca_file,
                    "PEM file: who may have signed the server's certificate (the system's)")
        ->check(CLI::ExistingFile);
}

void add_api_options(CLI::App& command, ApiFlags& flags) {
    add_api_server_options(command, flags);
    command.add_flag("--json", flags.json, "print the answer as JSON");
}

void add_limit_option(CLI::App& command, std::size_t& items_max) {
    command.add_option("--limit", items_max, fmt::format("items at most ({})", items_max))
        ->check(CLI::PositiveNumber);
}

Result<ApiClient, std::string> ApiClient::make(const ApiFlags& flags) {
    // Of the environment only what no option says.
    const auto of_environment = [](const char* name) {
        const char* const value = std::getenv(name);
        return std::string{value != nullptr ? value : ""};
    };
    std::string url = flags.url.empty() ? of_environment("MITU_API_URL") : flags.url;
    if (url.empty()) url = "127.0.0.1";
    auto server = parse_http_server(url, "--url");
    if (!server) return std::unexpected(server.error());
    server->ca_file = flags.ca_file;
    if (!flags.token.empty() && !flags.user.empty()) {
        return std::unexpected("--token and --user are two ways to log in; use one");
    }
    ApiClient client;
    client.server_ = std::move(*server);
    const std::string token =
        flags.token.empty() && flags.user.empty() ? of_environment("MITU_API_TOKEN") : flags.token;
    if (!token.empty()) client.authorization_ = "Bearer " + token;
    if (!flags.user.empty()) {
        const std::string password = of_environment("MITU_API_PASSWORD");
        if (password.empty()) {
            return std::unexpected(
                "--user needs a password in the variable MITU_API_PASSWORD; or "
                "`mitu login`, and MITU_API_TOKEN");
        }
        client.authorization_ = "Basic " + base64(flags.user + ":" + password);
    }
    return client;
}

HttpRequest ApiClient::request(const std::string& method, const std::string& path,
                               const Json& body) const {
    HttpRequest request;
    request.method = method;
    request.target = "/api/v1" + path;
    if (!body.is_null()) request.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (!authorization_.empty()) request.headers.emplace_back("Authorization", authorization_);
    return request;
}

Result<std::string, ApiFailure> ApiClient::send(const std::string& method, const std::string& path,
                                                const Json& body) const {
    const auto response = http_exchange(server_, request(method, path, body), answer_time_max);
    if (auto failure = failure_of(response)) return std::unexpected(std::move(*failure));
    return response->body;
}

Result<void, ApiFailure> ApiClient::follow(
    const std::string& path, const Json& body,
    const std::function<bool(std::string_view)>& on_piece) const {
    const auto response =
        http_follow(server_, request("POST", path, body), answer_time_max, on_piece);
    if (auto failure = failure_of(response)) return std::unexpected(std::move(*failure));
    return {};
}

std::optional<ApiFailure> ApiClient::failure_of(
    const Result<HttpResponse, HttpFailure>& response) const {
    if (!response) {
        return ApiFailure{
            response.error().timed_out ? ExitCode::timed_out : ExitCode::connection,
            response.error().text + "; is mitud running? --url says where its HTTP port is"};
    }
    if (response->status < 300) return std::nullopt;
    const Json answer = Json::parse(response->body, nullptr, false);
    const bool is_error =
        answer.is_object() && answer.contains("code") && answer.contains("message");
    return ApiFailure{
        ExitCode::failed,
        is_error ? fmt::format("{} (error {})", cell_of(answer["message"]), cell_of(answer["code"]))
                 : fmt::format("{} answered {}; is that the HTTP port of mitud?", server_.text(),
                               response->status)};
}

Result<Json, ApiFailure> ApiClient::call(const std::string& method, const std::string& path,
                                         const Json& body) const {
    const auto text = send(method, path, body);
    if (!text) return std::unexpected(text.error());
    if (text->empty()) return Json::object();
    Json answer = Json::parse(*text, nullptr, false);
    if (answer.is_object()) return answer;
    return std::unexpected(ApiFailure{
        ExitCode::failed,
        fmt::format("{} does not answer as mitud does; is that its HTTP port?", server_.text())});
}

Result<Json, ApiFailure> ApiClient::list(const std::string& path, std::size_t items_max) const {
    Json all{{"items", Json::array()}, {"silent_shards", Json::array()}, {"complete", true}};
    std::string cursor;
    do {
        const std::size_t left = items_max - all["items"].size();
        const auto page =
            call("GET", fmt::format("{}{}limit={}{}", path, path.find('?') != path.npos ? '&' : '?',
                                    std::min<std::size_t>(left, 1'000),
                                    cursor.empty() ? "" : "&cursor=" + escape(cursor)));
        if (!page) return page;
        for (const Json& item : page->at("items")) all["items"].push_back(item);
        for (const Json& shard : page->at("silent_shards")) all["silent_shards"].push_back(shard);
        const Json& next = page->at("next_cursor");
        cursor = next.is_string() ? next.get<std::string>() : "";
    } while (!cursor.empty() && all["items"].size() < items_max);
    all["complete"] = cursor.empty() && all["silent_shards"].empty();
    return all;
}

std::string escape(std::string_view segment) {
    std::string escaped;
    for (const char c : segment) {
        const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
                              c == '~';
        if (is_plain) {
            escaped += c;
        } else {
            escaped += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return escaped;
}

std::string query_of(const std::vector<std::pair<std::string, std::string>>& parameters) {
    std::string query;
    for (const auto& [name, value] : parameters) {
        if (value.empty()) continue;
        query += fmt::format("{}{}={}", query.empty() ? '?' : '&', name, escape(value));
    }
    return query;
}

ExitCode show_list(const ApiFlags& flags, const std::string& path, std::size_t items_max,
                   const std::vector<Column>& columns) {
    const auto client = ApiClient::make(flags);
    if (!client) return complain(ExitCode::usage, client.error());
    const auto listing = client->list(path, items_max);
    if (!listing) return complain(listing.error().exit_code, listing.error().text);
    if (flags.json) {
        fmt::print("{}\n", listing->dump());
        return ExitCode::ok;
    }
    std::vector<std::string> heading;
    for (const Column& column : columns) heading.push_back(column.heading);
    TextTable table{heading};
    for (const Json& item : listing->at("items")) {
        std::vector<std::string> row;
        for (const Column& column : columns) {
            row.push_back(item.contains(column.key) ? cell_of(item[column.key]) : "-");
        }
        table.add(std::move(row));
    }
    fmt::print("{}", table.print());
    for (const Json& shard : listing->at("silent_shards")) {
        fmt::print(stderr, "mitu: shard {} did not answer; what it has is missing\n", shard.dump());
    }
    const bool is_cut = listing->at("items").size() >= items_max && !listing->at("complete");
    if (is_cut) fmt::print(stderr, "mitu: there is more; --limit says how much is shown\n");
    return ExitCode::ok;
}

ExitCode show_object(const ApiFlags& flags, const std::string& path) {
    const auto client = ApiClient::make(flags);
    if (!client) return complain(ExitCode::usage, client.error());
    const auto answer = client->call("GET", path);
    if (!answer) return complain(answer.error().exit_code, answer.error().text);
    if (flags.json) {
        fmt::print("{}\n", answer->dump());
    } else {
        print_object(*answer);
    }
    return ExitCode::ok;
}

void print_object(const Json& object) {
    std::size_t width = 0;
    for (const auto& [key, value] : object.items()) width = std::max(width, key.size());
    for (const auto& [key, value] : object.items()) {
        if (!value.is_object()) {
            fmt::print("{:<{}}  {}\n", key, width, cell_of(value));
            continue;
        }
        fmt::print("{:<{}}  {}\n", key, width, value.empty() ? "none" : "");
        for (const auto& [name, one] : value.items()) {
            fmt::print("  {:<{}}  {}\n", name, std::max<std::size_t>(width, 2) - 2, cell_of(one));
        }
    }
}

ExitCode change(const ApiFlags& flags, const std::string& method, const std::string& path,
                const Json& body, const std::string& done) {
    const auto client = ApiClient::make(flags);
    if (!client) return complain(ExitCode::usage, client.error());
    const auto answer = client->call(method, path, body);
    if (!answer) return complain(answer.error().exit_code, answer.error().text);
    if (flags.json) {
        fmt::print("{}\n", answer->dump());
    } else {
        fmt::print("ok  {}\n", done);
    }
    return ExitCode::ok;
}

}  // namespace mitu::cli
