#include "sim/checkers/checkers.hpp"

#include <fmt/format.h>

namespace mitu::sim {

std::string describe(const MessageRecord& m) {
    return fmt::format("m{} ({} -> {}, QoS {}{}{})", m.number, to_text(m.publisher), m.topic,
                       static_cast<int>(m.qos), m.retain ? ", retained" : "",
                       m.will == MessageRecord::Will::none ? "" : ", will");
}

std::string describe(const ConnectionRecord& c) {
    return fmt::format("connection {} ({})", c.serial, to_text(c.key));
}

std::vector<std::unique_ptr<Checker>> all_checkers(World& world, Model& model) {
    std::vector<std::unique_ptr<Checker>> all;
    for (const auto make : {check_qos1_at_least_once,
                            check_qos2_exactly_once,
                            check_order_per_publisher_topic_and_qos,
                            check_shared_to_one_member,
                            check_only_to_subscribers,
                            check_receive_maximum,
                            check_packet_size,
                            check_packet_ids,
                            check_acknowledgements_in_order,
                            check_one_live_session,
                            check_session_state_as_acknowledged,
                            check_keep_alive,
                            check_closes_only_for_a_reason,
                            check_everything_is_answered,
                            check_connack_comes_first,
                            check_broken_session_is_told,
                            check_will_when_due_and_only_then,
                            check_message_expiry,
                            check_last_retained_wins,
                            check_bans_hold,
                            check_quotas_hold,
                            check_rates_hold,
                            check_rights_hold,
                            check_credentials_end,
                            check_refused_for_a_cause,
                            check_nobody_starves,
                            check_quotas_are_counted}) {
        all.push_back(make(world, model));
        model.add(*all.back());
    }
    return all;
}

}  // namespace mitu::sim
