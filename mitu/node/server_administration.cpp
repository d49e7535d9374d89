// Listeners and configuration over the API.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "mitu/config/documents.hpp"
#include "mitu/node/administration.hpp"

namespace mitu::node {

using api::Answer;
using api::Code;
using api::refuse;

Answer<std::vector<api::ListenerInfo>> NodeListeners::list() {
    return live_.undisturbed([&] { return running_.listeners(); });
}

Answer<api::ListenerInfo> NodeListeners::set_enabled(const std::string& name, bool enabled) {
    const auto find = [&]() -> Answer<api::ListenerInfo> {
        auto all = live_.undisturbed([&] { return running_.listeners(); });
        for (api::ListenerInfo& listener : all) {
            if (listener.name == name) return std::move(listener);
        }
        return refuse(Code::listener_unknown, fmt::format("there is no listener {}", name));
    };
    const auto before = find();
    if (!before || before->enabled == enabled) return before;
    const auto change = [&](config::ManagedFile& managed,
                            const config::FromFiles& now) -> std::optional<api::Error> {
        const auto& listeners = now.loaded.config.listeners;
        const auto at = std::find_if(listeners.begin(), listeners.end(),
                                     [&](const auto& one) { return one.name == name; });
        if (at == listeners.end()) {
            return api::Error{Code::set_in_file,
                              fmt::format("listener {} is not in the configuration any more; it "
                                          "goes at the next start",
                                          name)};
        }
        const std::string path = fmt::format("listeners[{}].enabled", at - listeners.begin());
        for (const config::Origin& origin :
             {now.loaded.origins.of(path), now.loaded.origins.near(path)}) {
            using Kind = config::Origin::Kind;
            const bool is_own = origin.kind == Kind::by_default || origin.kind == Kind::managed;
            const bool is_around = origin != now.loaded.origins.of(path);
            // A file that has the listener and says nothing of `enabled` leaves it to us.
            if (is_own || (is_around && origin.kind == Kind::file)) continue;
            return api::Error{Code::set_in_file,
                              fmt::format("listener {} is set by {}, which wins; change it there",
                                          name, config::to_text(origin))};
        }
        managed.set_listener_enabled(name, enabled ? std::nullopt : std::optional{false});
        return std::nullopt;
    };
    const auto take = [&](const config::Config&) { return running_.take_listener(name, enabled); };
    if (const auto done = live_.edit(change, take); !done) return std::unexpected(done.error());
    return find();
}

Answer<api::ConfigView> NodeConfiguration::view() {
    const auto now = live_.now();
    const auto shown = nlohmann::ordered_json::parse(
        config::show(now->loaded, {.origins = false, .as_json = true, .only_set = false}));
    return api::ConfigView{now->loaded.revision, shown.at("config").dump()};
}

Answer<api::ReloadReport> NodeConfiguration::reload() {
    auto done = live_.reload();
    if (!done) return refuse(Code::body_invalid, done.error());
    return api::ReloadReport{done->revision, std::move(done->applied.live),
                             std::move(done->applied.on_restart)};
}

}  // namespace mitu::node
