// What actors do, and the answers that they wait for.
#include <fmt/format.h>

#include <algorithm>

#include "mitu/mqtt/encode.hpp"
#include "sim/scenario/performance.hpp"
#include "sim/scenario/values.hpp"

namespace mitu::sim::scenario {

using mqtt::PacketType;
using mqtt::ReasonCode;

// --- actions ---

Verdict Performance::take(const ActStep& step) {
    CastMember& who = *cast_[step.actor];
    if (auto broken = pump()) return broken;
    const bool opens = std::holds_alternative<act::Open>(step.action) ||
                       (std::holds_alternative<act::Connect>(step.action) &&
                        !std::get<act::Connect>(step.action).is_second);
    // To close what the server has closed meanwhile is no mistake: it may have been quicker.
    const bool is_local = std::holds_alternative<act::HoldAcks>(step.action) ||
                          std::holds_alternative<act::ReleaseAcks>(step.action) ||
                          std::holds_alternative<act::Close>(step.action);
    if (opens && who.is_open()) {
        return fmt::format(
            "{} is still connected; close it first ({} close, {} disconnect, "
            "network reset {})",
            who.name(), who.name(), who.name(), who.name());
    }
    if (!opens && !is_local && !who.is_open()) {
        const Arrival* const left = who.first_hard();
        return fmt::format(
            "{} is not connected{}", who.name(),
            left != nullptr ? "; what it got last: " + who.arrivals.back().text() : "");
    }
    return std::visit([&](const auto& action) { return perform(who, action, step.answer); },
                      step.action);
}

Verdict Performance::perform(CastMember& who, const act::Connect& action, const Answer& answer) {
    if (action.is_second) {
        // The same words once more, on the connection that is open.
        who.peer.send_connect();
        return await(who, answer, std::nullopt, 0);
    }
    if (auto problem = who.open(action.options)) return problem;
    who.peer.resends = action.resends;
    who.peer.send_connect();
    return await(who, answer, PacketType::connack, 0);
}

Verdict Performance::perform(CastMember& who, const act::Open& action, const Answer& /*answer*/) {
    ConnectOptions options;
    options.version = action.version;
    return who.open(options);
}

Verdict Performance::perform(CastMember& who, const act::Close& /*action*/,
                             const Answer& /*answer*/) {
    who.close();
    return std::nullopt;
}

Verdict Performance::perform(CastMember& who, const act::Publish& action, const Answer& answer) {
    PublishOptions options = action.options;
    if (action.id.is_given()) {
        const auto id = who.resolve(action.id);
        if (!id) return fmt::format("nothing has the id \"{}\" yet", action.id.name);
        options.packet_id = *id;
    }
    std::vector<std::uint16_t> ids;
    for (std::uint32_t n = 1; n <= action.times; ++n) {
        ids.push_back(who.peer.publish(action.topic, with_number(action.payload, n), options));
    }
    const auto type =
        options.qos == mqtt::QoS::at_least_once ? PacketType::puback : PacketType::pubrec;
    for (const std::uint16_t id : ids) {
        const bool is_answered = options.qos != mqtt::QoS::at_most_once;
        if (auto verdict =
                await(who, answer, is_answered ? std::optional{type} : std::nullopt, id)) {
            return verdict;
        }
        if (!who.is_open() || answer.kind == Answer::Kind::closed) break;
    }
    const bool completes = options.qos == mqtt::QoS::exactly_once && who.peer.acknowledges &&
                           answer.kind != Answer::Kind::later;
    if (!completes) return std::nullopt;
    const bool done = wait_until(answer_deadline(), [&] {
        return !who.is_open() || std::all_of(ids.begin(), ids.end(), [&](std::uint16_t id) {
            const auto outcome = who.peer.outcome(id);
            const bool came =
                std::any_of(who.arrivals.begin(), who.arrivals.end(), [&](const Arrival& arrival) {
                    return arrival.type == PacketType::pubcomp && arrival.packet_id == id;
                });
            return came || (outcome && mqtt::is_error(*outcome));
        });
    });
    return done ? broken_rule_ : broken_rule_ ? broken_rule_ : Verdict{"PUBCOMP never came"};
}

Verdict Performance::perform(CastMember& who, const act::Subscribe& action, const Answer& answer) {
    const std::uint16_t id = who.peer.subscribe(action.filters, action.identifier,
                                                action.user_properties, action.packet_id);
    return await(who, answer, PacketType::suback, id);
}

Verdict Performance::perform(CastMember& who, const act::Unsubscribe& action,
                             const Answer& answer) {
    const std::uint16_t id =
        who.peer.unsubscribe(action.filters, action.user_properties, action.packet_id);
    return await(who, answer, PacketType::unsuback, id);
}

Verdict Performance::perform(CastMember& who, const act::Disconnect& action, const Answer& answer) {
    mqtt::Disconnect disconnect;
    disconnect.reason = action.reason;
    disconnect.session_expiry_interval_s = action.session_expiry_s;
    if (action.reason_string) disconnect.reason_string = *action.reason_string;
    Bytes user;
    for (const auto& [name, value] : action.user_properties) {
        static_cast<void>(mqtt::append_user_property(user, name, value));
    }
    disconnect.user.block = user;
    who.says_goodbye = true;
    who.peer.send(disconnect);
    if (answer.kind == Answer::Kind::reasons) return await(who, answer, std::nullopt, 0);
    if (answer.kind == Answer::Kind::later) return std::nullopt;
    auto verdict = await_end(who);
    who.drop_soft();
    who.close();
    return verdict;
}

Verdict Performance::perform(CastMember& who, const act::Ping& /*action*/, const Answer& answer) {
    who.drop_soft(PacketType::pingresp);
    who.peer.ping();
    return await(who, answer, PacketType::pingresp, 0);
}

Verdict Performance::perform(CastMember& who, const act::Auth& action, const Answer& answer) {
    if (who.peer.options().version != mqtt::ProtocolVersion::v5) {
        return who.name() + " speaks a version without AUTH; connect with v=5, or use raw";
    }
    mqtt::Auth auth;
    auth.reason = action.reason;
    if (action.method) auth.authentication_method = *action.method;
    if (action.data) auth.authentication_data = as_bytes(*action.data);
    who.peer.send(auth);
    return await(who, answer, std::nullopt, 0);
}

Verdict Performance::perform(CastMember& who, const act::Raw& action, const Answer& answer) {
    who.peer.send_bytes(action.bytes);
    return await(who, answer, std::nullopt, 0);
}

Verdict Performance::perform(CastMember& who, const act::Acknowledge& action,
                             const Answer& answer) {
    const auto id = who.resolve(action.id);
    if (!id) return fmt::format("nothing has the id \"{}\" yet", action.id.name);
    Bytes user;
    for (const auto& [name, value] : action.user_properties) {
        static_cast<void>(mqtt::append_user_property(user, name, value));
    }
    const auto with = [&](auto ack) {
        ack.packet_id = *id;
        ack.reason = action.reason;
        if (action.reason_string) ack.properties.reason_string = *action.reason_string;
        ack.properties.user.block = user;
        who.peer.send(ack);
    };
    // PUBREL is answered by PUBCOMP; what answers PUBREC depends on who owns the message.
    std::optional<PacketType> type;
    if (action.type == PacketType::puback) with(mqtt::Puback{});
    if (action.type == PacketType::pubrec) with(mqtt::Pubrec{});
    if (action.type == PacketType::pubcomp) with(mqtt::Pubcomp{});
    if (action.type == PacketType::pubrel) {
        who.drop_soft(PacketType::pubcomp);
        with(mqtt::Pubrel{});
        type = PacketType::pubcomp;
    }
    return await(who, answer, type, *id);
}

Verdict Performance::perform(CastMember& who, const act::HoldAcks& /*action*/,
                             const Answer& /*answer*/) {
    who.peer.acknowledges = false;
    return std::nullopt;
}

Verdict Performance::perform(CastMember& who, const act::ReleaseAcks& /*action*/,
                             const Answer& /*answer*/) {
    who.peer.release_acks();
    return std::nullopt;
}

// --- answers ---

Verdict Performance::judge(const Arrival& arrival, const Answer& answer) {
    if (answer.kind == Answer::Kind::reasons) {
        if (arrival.type == PacketType::pingresp) {
            return "PINGRESP carries no reason; leave out the -> REASON";
        }
        if (arrival.reasons != answer.reasons) {
            std::string wanted;
            for (const ReasonCode reason : answer.reasons) {
                wanted += (wanted.empty() ? "" : " ") + reason_text(reason);
            }
            return fmt::format("the answer is {}, not {}", arrival.text(), wanted);
        }
    } else if (std::any_of(arrival.reasons.begin(), arrival.reasons.end(),
                           [](ReasonCode reason) { return mqtt::is_error(reason); }) ||
               arrival.type == PacketType::disconnect) {
        return fmt::format("the answer is {}", arrival.text());
    }
    for (const Word& field : answer.fields) {
        const auto want = parse_want(*arrival.type, field.name, field.value, field.is_quoted);
        if (!want) return want.error();
        if (const auto differs = difference(arrival.fields, *want)) {
            return fmt::format("the answer is {}: {}", arrival.text(), *differs);
        }
    }
    return std::nullopt;
}

Verdict Performance::await_end(CastMember& who) {
    const bool closed = wait_until(answer_deadline(), [&] { return !who.is_open(); });
    if (broken_rule_) return broken_rule_;
    return closed ? Verdict{} : Verdict{"the server does not close the connection"};
}

Verdict Performance::await(CastMember& who, const Answer& answer, std::optional<PacketType> type,
                           std::uint16_t packet_id) {
    if (answer.kind == Answer::Kind::later) return std::nullopt;
    if (answer.kind == Answer::Kind::closed) {
        who.says_goodbye = true;
        if (auto verdict = await_end(who)) return verdict;
        const Arrival* const last = who.first_hard();
        if (last != nullptr && last->type == PacketType::disconnect) {
            return fmt::format("the server says {} before it closes", last->text());
        }
        return std::nullopt;
    }
    // An action without an answer of its own: its failure is a DISCONNECT, its success is silent.
    if (!type && answer.kind == Answer::Kind::usual && answer.fields.empty()) return std::nullopt;
    const auto is_answer = [&](const Arrival& arrival) {
        if (!arrival.type) return false;
        if (arrival.type == PacketType::disconnect) return true;
        if (!type) return arrival.type == PacketType::connack && !arrival.is_soft;
        return arrival.type == type && (packet_id == 0 || arrival.packet_id == packet_id) &&
               (!arrival.is_soft || type == PacketType::pubcomp);
    };
    auto found = who.arrivals.end();
    static_cast<void>(wait_until(answer_deadline(), [&] {
        found = std::find_if(who.arrivals.begin(), who.arrivals.end(), is_answer);
        return found != who.arrivals.end() || !who.is_open();
    }));
    if (broken_rule_) return broken_rule_;
    if (found == who.arrivals.end()) {
        return who.is_open() ? "the answer never came" : "the connection ended without an answer";
    }
    if (auto verdict = judge(*found, answer)) return verdict;
    const bool ends = found->type == PacketType::disconnect ||
                      (found->type == PacketType::connack && mqtt::is_error(found->reasons[0]));
    if (answer.kind == Answer::Kind::reasons) {
        who.arrivals.erase(found);
    } else {
        found->is_soft = true;
    }
    return ends ? await_end(who) : std::nullopt;
}

}  // namespace mitu::sim::scenario
