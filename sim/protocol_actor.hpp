#pragma once
// ProtocolActor: a client that speaks MQTT as its plan says, by way of a scripted Peer.

#include <map>
#include <set>

#include "sim/actor.hpp"

namespace mitu::sim {

class ProtocolActor final : public Actor, private LinkClient {
public:
    ProtocolActor(World& world, Model& model, const ActorPlan& plan);
    ~ProtocolActor() override;

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
    [[nodiscard]] bool is_connected() const noexcept;
    void connect(broker::testing::ConnectOptions options);
    void reconnect_later();
    void publish(const Action& action);
    void ping_later();
    void send_garbage();
    void exceed();
    void take_in_messages();
    void on_connected();

    World& world_;
    Model& model_;
    ActorPlan plan_;
    Prng prng_;
    broker::testing::Peer peer_;
    std::shared_ptr<Link> link_;
    broker::testing::ConnectOptions last_;  // what it connected with last
    /// What it wants to be subscribed to, and what of that was said before CONNACK.
    std::map<std::string, broker::testing::SubscribeOptions> wanted_;
    std::set<std::string> unsaid_;
    std::string alias_topic_;    // that alias 1 stands for on this connection
    std::uint32_t hurries_ = 0;  // so many more times it comes back at once
    bool has_wrong_password_ = false;
    bool is_silent_ = false;
    bool sent_garbage_ = false;
    bool exceeded_ = false;
    bool is_healed_ = false;
    bool is_leaving_ = false;
    bool reconnect_is_due_ = false;
    std::uint64_t connection_number_ = 0;  // tells timers of an older connection apart
};

}  // namespace mitu::sim
