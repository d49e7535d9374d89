#pragma once
// Narrator: tells a run line by line, for people who chase a seed.

#include <functional>
#include <string>
#include <string_view>

#include "sim/model.hpp"
#include "sim/plan.hpp"
#include "sim/world.hpp"

namespace mitu::sim {

class Narrator final : public Checker {
public:
    using Tell = std::function<void(const std::string&)>;
    Narrator(const World& world, const Tell& tell) : world_{world}, tell_{tell} {}

    /// "storm  p3.12  publish t/1 ..."
    void on_action(const ActorPlan& actor, std::uint32_t actor_index, std::uint32_t action_index,
                   const Action& action);
    void say(std::string_view text);

    void on_read(const ConnectionRecord& c, const Sighting& s) override;
    void on_written(const ConnectionRecord& c, const Sighting& s) override;
    void on_closed(const ConnectionRecord& c, bool by_broker, Instant at) override;
    void on_session_broke(const SessionBreak& broken) override;
    void on_session_buried(const SessionBreak& broken, bool is_whole) override;

private:
    void line(Instant at, std::string_view text);

    const World& world_;
    const Tell& tell_;
};

}  // namespace mitu::sim
