#pragma once
// Actor: one client of the virtual world, doing what its plan says.

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "mitu/broker/testing/peer.hpp"
#include "mitu/client/device_agent.hpp"
#include "sim/link.hpp"
#include "sim/model.hpp"
#include "sim/plan.hpp"
#include "sim/world.hpp"

namespace mitu::sim {

/// What all actors have in common.
/// Lifetime  the world and the model outlive it; it outlives the run of the world.
class Actor {
public:
    virtual ~Actor() = default;
    virtual void perform(const Action& action) = 0;
    /// The storm is over: mend everything, be connected, and stay.
    virtual void heal() = 0;
    /// Nothing that it waits for is open.
    [[nodiscard]] virtual bool is_settled() const = 0;
    /// Ends its session at the server and goes.
    virtual void leave() = 0;
    [[nodiscard]] virtual bool is_gone() const = 0;
    /// The run is over; complains of what the actor was promised and did not get.
    virtual void check_at_end() = 0;
};

[[nodiscard]] std::unique_ptr<Actor> make_actor(World& world, Model& model, const ActorPlan& plan);

}  // namespace mitu::sim
