#include "apps/mitud/trial.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "mitu/runtime/trial.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::daemon {

bool lists_trial_points() {
    const char* const script = std::getenv("MITU_TRIAL");
    if (script == nullptr || std::string_view{script} != "list") return false;
    std::fputs(runtime::list_of_trial_points().c_str(), stdout);
    return true;
}

std::optional<std::string> begin_trial() {
    const char* const script = std::getenv("MITU_TRIAL");
    if (script == nullptr) return std::nullopt;
    auto parsed = runtime::ScriptedTrial::parse(script, runtime::sleep_on_trial);
    if (!parsed) return parsed.error();
    // As long as the process: threads of the engine pass points until its very end.
    static const std::unique_ptr<runtime::ScriptedTrial> trial = *std::move(parsed);
    ports::set_trial(trial.get());
    trace::log(trace::Level::warn, "on_trial",
               {{"script", script}, {"effect", "this server fails as its MITU_TRIAL says"}});
    return std::nullopt;
}

}  // namespace mitu::daemon
