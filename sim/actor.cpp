#include "sim/actor.hpp"

#include "sim/device_actor.hpp"
#include "sim/protocol_actor.hpp"

namespace mitu::sim {

std::unique_ptr<Actor> make_actor(World& world, Model& model, const ActorPlan& plan) {
    if (plan.role == Role::device) return std::make_unique<DeviceActor>(world, model, plan);
    return std::make_unique<ProtocolActor>(world, model, plan);
}

}  // namespace mitu::sim
