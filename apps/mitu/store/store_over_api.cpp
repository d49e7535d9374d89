// `mitu store` of a server that runs.

#include <filesystem>

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
    return ask(flags, "POST", "/store/check", {}, print_check);
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
