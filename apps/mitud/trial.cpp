#include "apps/mitud/trial.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "mitu/runtime/trial.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::daemon {

std::optional<int> begin_trial() {
    const char* const script = std::getenv("MITU_TRIAL");
    if (script == nullptr) return std::nullopt;
    if (std::string_view{script} == "list") {
        std::fputs(runtime::list_of_trial_points().c_str(), stdout);
        return 0;
    }
    auto parsed = runtime::ScriptedTrial::parse(script, runtime::sleep_on_trial);
    if (!parsed) {
        std::fprintf(stderr, "mitud: %s\n", parsed.error().c_str());
        return 2;
    }
    // As long as the process: threads of the engine pass points until its very end.
    static const std::unique_ptr<runtime::ScriptedTrial> trial = *std::move(parsed);
    ports::set_trial(trial.get());
    trace::log(trace::Level::warn, "on_trial",
               {{"script", script}, {"effect", "this server fails as its MITU_TRIAL says"}});
    return std::nullopt;
}

}  // namespace mitu::daemon
