// `mitu store` of a server that runs.

#include <chrono>
#include <filesystem>
#include <thread>

#include "apps/mitu/store/store_actions.hpp"

namespace mitu::cli {
namespace {

template <class Print>
ExitCode ask(const StoreFlags& flags, const char* method, const char* path, const Json& body,
             Print print) {
    const auto client = ApiClient::make(flags.api);
    if (!client) return complain(ExitCode::usage, client.error());
    const auto answer = client->call(method, path, body);
    if (!answer) return complain(answer.error().exit_code, answer.error().text);
    return print(*answer, flags.api.json);
}

}  // namespace

ExitCode check_server(const StoreFlags& flags) {
    const auto client = ApiClient::make(flags.api);
    if (!client) return complain(ExitCode::usage, client.error());
    auto check = client->call("POST", "/store/check");
    // A store may be large: the server goes on by itself, and is asked now and then.
    while (check && check->at("state") == "running") {
        std::this_thread::sleep_for(std::chrono::milliseconds{200});
        check = client->call("GET", "/store/check");
    }
    if (!check) return complain(check.error().exit_code, check.error().text);
    if (check->at("state") == "failed") {
        return complain(ExitCode::failed, cell_of(check->at("error")));
    }
    return print_check(check->at("report"), flags.api.json);
}

ExitCode show_server_store(const StoreFlags& flags) {
    return ask(flags, "GET", "/store", {}, print_stats);
}

ExitCode back_up_server(const StoreFlags& flags) {
    if (!std::filesystem::path{flags.target}.is_absolute()) {
        return complain(ExitCode::usage,
                        "TARGET is " + flags.target +
                            "; it is the server that makes it, so write the whole path on its "
                            "machine, beginning with /");
    }
    return ask(flags, "POST", "/store/backup", Json{{"directory", flags.target}}, print_backup);
}

}  // namespace mitu::cli
