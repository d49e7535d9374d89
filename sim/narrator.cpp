#include "sim/narrator.hpp"

#include <fmt/format.h>

#include "sim/packet_text.hpp"

namespace mitu::sim {

void Narrator::line(Instant at, std::string_view text) {
    const Duration since = at - world_start;
    tell_(fmt::format("{:>12.6f} {:>7}  {}", since.as_seconds(), world_.step_count(), text));
}

void Narrator::say(std::string_view text) {
    if (tell_) line(world_.now(), fmt::format("== {}", text));
}

void Narrator::on_action(const ActorPlan& actor, std::uint32_t actor_index,
                         std::uint32_t action_index, const Action& action) {
    if (!tell_) return;
    std::string what;
    if (!action.topic.empty()) what = fmt::format(" {}", action.topic);
    if (action.act == Act::publish) {
        what += fmt::format(" qos={}{}{}", static_cast<int>(action.publish.qos),
                            action.publish.retain ? " retain" : "",
                            action.count > 1 ? fmt::format(" x{}", action.count) : "");
    }
    if (action.act == Act::connect) {
        const auto& o = action.connect;
        what = fmt::format(" v={} clean={:d} expiry={}s receive_maximum={} keep_alive={}s",
                           static_cast<int>(o.version), o.clean_start, o.session_expiry_s,
                           o.receive_maximum, o.keep_alive_s);
    }
    line(world_.now(),
         fmt::format("-- {}.{} {} {}/{}: {}{}", actor_index, action_index, to_text(actor.role),
                     actor.tenant, actor.client_id, to_text(action.act), what));
}

void Narrator::on_read(const ConnectionRecord& c, const Sighting& s) {
    line(s.at, fmt::format("{:>3} {:<14} -> {}", c.serial, c.actor, packet_text(s.packet)));
}

void Narrator::on_written(const ConnectionRecord& c, const Sighting& s) {
    line(s.at, fmt::format("{:>3} {:<14} <- {}", c.serial, c.actor, packet_text(s.packet)));
}

void Narrator::on_session_broke(const SessionBreak& broken) {
    line(broken.at, fmt::format("{:>3} {:<14} session breaks: {}", broken.connection,
                                broken.key.client_id, broken.fault));
}

void Narrator::on_session_buried(const SessionBreak& broken, bool is_whole) {
    line(broken.at, fmt::format("    {:<14} session is put away{}", broken.key.client_id,
                                is_whole ? "" : ", unread"));
}

void Narrator::on_closed(const ConnectionRecord& c, bool by_broker, Instant at) {
    line(at, fmt::format("{:>3} {:<14} {}", c.serial, c.actor,
                         by_broker ? "closed by the broker" : "is gone"));
}

}  // namespace mitu::sim
