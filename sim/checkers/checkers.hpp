#pragma once
// The checkers of a run, each named for its promise.

#include <memory>
#include <vector>

#include "sim/model.hpp"
#include "sim/world.hpp"

namespace mitu::sim {

// delivery.cpp
std::unique_ptr<Checker> check_qos1_at_least_once(World& world, Model& model);
std::unique_ptr<Checker> check_qos2_exactly_once(World& world, Model& model);
std::unique_ptr<Checker> check_order_per_publisher_topic_and_qos(World& world, Model& model);
std::unique_ptr<Checker> check_shared_to_one_member(World& world, Model& model);
std::unique_ptr<Checker> check_only_to_subscribers(World& world, Model& model);

// flow.cpp
std::unique_ptr<Checker> check_receive_maximum(World& world, Model& model);
std::unique_ptr<Checker> check_packet_size(World& world, Model& model);
std::unique_ptr<Checker> check_packet_ids(World& world, Model& model);
std::unique_ptr<Checker> check_acknowledgements_in_order(World& world, Model& model);

// session.cpp
std::unique_ptr<Checker> check_one_live_session(World& world, Model& model);
std::unique_ptr<Checker> check_session_state_as_acknowledged(World& world, Model& model);
std::unique_ptr<Checker> check_keep_alive(World& world, Model& model);
std::unique_ptr<Checker> check_closes_only_for_a_reason(World& world, Model& model);
std::unique_ptr<Checker> check_everything_is_answered(World& world, Model& model);
std::unique_ptr<Checker> check_connack_comes_first(World& world, Model& model);
std::unique_ptr<Checker> check_broken_session_is_told(World& world, Model& model);

// message.cpp
std::unique_ptr<Checker> check_will_when_due_and_only_then(World& world, Model& model);
std::unique_ptr<Checker> check_message_expiry(World& world, Model& model);
std::unique_ptr<Checker> check_last_retained_wins(World& world, Model& model);

// admission.cpp
std::unique_ptr<Checker> check_bans_hold(World& world, Model& model);
std::unique_ptr<Checker> check_quotas_hold(World& world, Model& model);
std::unique_ptr<Checker> check_rates_hold(World& world, Model& model);
std::unique_ptr<Checker> check_rights_hold(World& world, Model& model);
std::unique_ptr<Checker> check_credentials_end(World& world, Model& model);

// refusal.cpp
std::unique_ptr<Checker> check_refused_for_a_cause(World& world, Model& model);
std::unique_ptr<Checker> check_nobody_starves(World& world, Model& model);
std::unique_ptr<Checker> check_quotas_are_counted(World& world, Model& model);

/// All of them.
std::vector<std::unique_ptr<Checker>> all_checkers(World& world, Model& model);

/// What a checker is given, and how it reports.
class CheckerBase : public Checker {
public:
    CheckerBase(const char* promise, World& world, Model& model)
        : promise_{promise}, world_{world}, model_{model} {}

protected:
    void broken(std::string what) { world_.report(promise_, std::move(what)); }

    const char* promise_;
    World& world_;
    Model& model_;
};

/// "m12 (default/p1 -> t/1, QoS 2)": a message for people.
[[nodiscard]] std::string describe(const MessageRecord& message);
/// "connection 7 (default/w0)".
[[nodiscard]] std::string describe(const ConnectionRecord& connection);

}  // namespace mitu::sim
