#pragma once
// DeviceActor: a device of the fleet, the product's own DeviceAgent on a virtual link.

#include "mitu/client/backoff.hpp"
#include "sim/actor.hpp"

namespace mitu::sim {

class DeviceActor final : public Actor, private LinkClient {
public:
    DeviceActor(World& world, Model& model, const ActorPlan& plan);
    ~DeviceActor() override;

    void perform(const Action& action) override;
    void heal() override;
    [[nodiscard]] bool is_settled() const override;
    void leave() override;
    [[nodiscard]] bool is_gone() const override { return is_leaving_ && !is_open(); }
    void check_at_end() override;

private:
    void on_bytes(ByteView bytes) override;
    void on_closed() override;

    [[nodiscard]] bool is_open() const noexcept { return link_ && link_->is_open(); }
    void connect();
    void connect_later();
    /// Carries out what the agent's last call asked for.
    void act();
    void on_event(const client::AgentEvent& event);
    void on_subscribed(const client::SubscribeDone& done);
    void publish_telemetry();
    void wake_later();

    World& world_;
    Model& model_;
    ActorPlan plan_;
    Prng prng_;
    client::Backoff backoff_{Duration::milliseconds(200), Duration::seconds(20)};
    client::DeviceAgent agent_;
    client::AgentOutput out_;
    std::shared_ptr<Link> link_;
    Instant wake_at_ = Instant::never();
    std::int64_t revision_ = 0;
    bool telemetry_is_due_ = false;
    bool lacks_memory_ = false;  // on this connection: its session had no room for the filters
    bool connect_is_due_ = false;
    bool is_leaving_ = false;
    bool is_healed_ = false;
};

}  // namespace mitu::sim
