#include "sim/scenario/runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "mitu/mqtt/encode.hpp"
#include "sim/scenario/cast_member.hpp"
#include "sim/scenario/values.hpp"

namespace mitu::sim::scenario {
namespace {

using mqtt::PacketType;
using mqtt::ReasonCode;

/// What is wrong; nullopt: nothing.
using Verdict = std::optional<std::string>;

/// How long the server may take for any answer.
constexpr Duration answer_time_max = Duration::seconds(5);
constexpr std::uint32_t waits_max = 10'000'000;

std::string with_number(std::string text, std::uint32_t n) {
    const std::size_t at = text.find("{n}");
    if (at != std::string::npos) text.replace(at, 3, fmt::format("{}", n));
    return text;
}

class Runner {
public:
    Runner(const Scenario& scenario, Stage& stage) : scenario_{scenario}, stage_{stage} {
        for (const Actor& actor : scenario.actors) {
            cast_.push_back(std::make_unique<CastMember>(
                actor, stage,
                [this](const CastMember& who, std::string_view what) { note(who.name(), what); }));
        }
    }
    Outcome run();

private:
    Verdict take(const ActStep& step);
    Verdict take(const ExpectStep& step);
    Verdict take(const NetworkStep& step);
    Verdict take(const ServerStep& step);
    Verdict take(const WaitStep& step);

    Verdict perform(CastMember& who, const act::Connect& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Open& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Close& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Publish& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Subscribe& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Unsubscribe& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Disconnect& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Ping& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Auth& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Raw& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::Acknowledge& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::HoldAcks& action, const Answer& answer);
    Verdict perform(CastMember& who, const act::ReleaseAcks& action, const Answer& answer);

    /// Waits for the answer of that type and id, and judges it. No type: only a DISCONNECT (before
    /// CONNACK: that) would be one.
    Verdict await(CastMember& who, const Answer& answer, std::optional<PacketType> type,
                  std::uint16_t packet_id);
    static Verdict judge(const Arrival& arrival, const Answer& answer);
    Verdict await_end(CastMember& who);
    Verdict expect_once(const ExpectStep& step, std::uint32_t n, Instant deadline);
    Verdict expect_nothing(const ExpectStep& step);
    Verdict mismatch(const CastMember& who, const Arrival& arrival, const ExpectStep& step,
                     std::uint32_t n) const;
    bool fetch(CastMember& who, const ExpectStep& step, std::uint32_t n);
    std::string never_came(const ExpectStep& step, std::uint32_t n) const;

    /// Lets everybody take what came; a rule that the server broke is a verdict.
    Verdict pump();
    /// Waits until `done()`. Returns false at `deadline`, or when a rule was broken.
    template <class Done>
    bool wait_until(Instant deadline, Done done);
    Instant answer_deadline() { return stage_.now() + answer_time_max + stage_.patience(); }

    void note(std::string_view who, std::string_view what) {
        trace_.push_back(
            fmt::format("{:9.3f}s  {:<8} {}", (stage_.now() - start_).as_seconds(), who, what));
    }

    const Scenario& scenario_;
    Stage& stage_;
    std::vector<std::unique_ptr<CastMember>> cast_;
    Instant start_;
    Trace trace_;
    Verdict broken_rule_;
};

// --- time passes ---

Verdict Runner::pump() {
    for (const auto& who : cast_) {
        who->pump();
        if (broken_rule_ || who->complaint().empty()) continue;
        broken_rule_ =
            fmt::format("the server broke a rule towards {}: {}", who->name(), who->complaint());
    }
    return broken_rule_;
}

template <class Done>
bool Runner::wait_until(Instant deadline, Done done) {
    for (std::uint32_t waits = 0; waits < waits_max; ++waits) {
        if (pump()) return false;
        if (done()) return true;
        if (stage_.now() >= deadline) return false;
        stage_.wait(deadline);
    }
    return false;
}

// --- actions ---

Verdict Runner::take(const ActStep& step) {
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

Verdict Runner::perform(CastMember& who, const act::Connect& action, const Answer& answer) {
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

Verdict Runner::perform(CastMember& who, const act::Open& action, const Answer& /*answer*/) {
    ConnectOptions options;
    options.version = action.version;
    return who.open(options);
}

Verdict Runner::perform(CastMember& who, const act::Close& /*action*/, const Answer& /*answer*/) {
    who.close();
    return std::nullopt;
}

Verdict Runner::perform(CastMember& who, const act::Publish& action, const Answer& answer) {
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

Verdict Runner::perform(CastMember& who, const act::Subscribe& action, const Answer& answer) {
    const std::uint16_t id = who.peer.subscribe(action.filters, action.identifier,
                                                action.user_properties, action.packet_id);
    return await(who, answer, PacketType::suback, id);
}

Verdict Runner::perform(CastMember& who, const act::Unsubscribe& action, const Answer& answer) {
    const std::uint16_t id =
        who.peer.unsubscribe(action.filters, action.user_properties, action.packet_id);
    return await(who, answer, PacketType::unsuback, id);
}

Verdict Runner::perform(CastMember& who, const act::Disconnect& action, const Answer& answer) {
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

Verdict Runner::perform(CastMember& who, const act::Ping& /*action*/, const Answer& answer) {
    who.drop_soft(PacketType::pingresp);
    who.peer.ping();
    return await(who, answer, PacketType::pingresp, 0);
}

Verdict Runner::perform(CastMember& who, const act::Auth& action, const Answer& answer) {
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

Verdict Runner::perform(CastMember& who, const act::Raw& action, const Answer& answer) {
    who.peer.send_bytes(action.bytes);
    return await(who, answer, std::nullopt, 0);
}

Verdict Runner::perform(CastMember& who, const act::Acknowledge& action, const Answer& answer) {
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

Verdict Runner::perform(CastMember& who, const act::HoldAcks& /*action*/,
                        const Answer& /*answer*/) {
    who.peer.acknowledges = false;
    return std::nullopt;
}

Verdict Runner::perform(CastMember& who, const act::ReleaseAcks& /*action*/,
                        const Answer& /*answer*/) {
    who.peer.release_acks();
    return std::nullopt;
}

// --- answers ---

Verdict Runner::judge(const Arrival& arrival, const Answer& answer) {
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

Verdict Runner::await_end(CastMember& who) {
    const bool closed = wait_until(answer_deadline(), [&] { return !who.is_open(); });
    if (broken_rule_) return broken_rule_;
    return closed ? Verdict{} : Verdict{"the server does not close the connection"};
}

Verdict Runner::await(CastMember& who, const Answer& answer, std::optional<PacketType> type,
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

// --- expectations ---

Verdict Runner::mismatch(const CastMember& who, const Arrival& arrival, const ExpectStep& step,
                         std::uint32_t n) const {
    if (step.kind == ExpectStep::Kind::closed) {
        return arrival.type ? Verdict{"it is a packet"} : std::nullopt;
    }
    if (arrival.type != step.type) return "it is another packet";
    for (Want want : step.wants) {
        if (want.name == "payload") want.value = with_number(std::move(want.value), n);
        if (auto differs = difference(arrival.fields, want)) return differs;
    }
    const auto known = who.ids.find(step.id_name);
    if (!step.id_name.empty() && known != who.ids.end() && known->second != arrival.packet_id) {
        return fmt::format("id is {}, not {} ({})", arrival.packet_id, known->second, step.id_name);
    }
    return std::nullopt;
}

/// Takes the arrival that the step wants from the front of the queue, soft ones passed over.
bool Runner::fetch(CastMember& who, const ExpectStep& step, std::uint32_t n) {
    for (auto it = who.arrivals.begin(); it != who.arrivals.end(); ++it) {
        if (!mismatch(who, *it, step, n)) {
            if (!step.id_name.empty()) who.ids[step.id_name] = it->packet_id;
            who.arrivals.erase(it);
            return true;
        }
        if (!it->is_soft && !step.in_any_order) return false;
    }
    return false;
}

std::string Runner::never_came(const ExpectStep& step, std::uint32_t n) const {
    std::string text = fmt::format("it did not come within {}", duration_text(step.time));
    for (const std::size_t actor : step.actors) {
        const CastMember& who = *cast_[actor];
        const Arrival* nearest = who.first_hard();
        // Where the order is free, one of the same kind says more than the first of any kind.
        for (const Arrival& arrival : who.arrivals) {
            if (step.in_any_order && !arrival.is_soft && arrival.type == step.type) {
                nearest = &arrival;
                break;
            }
        }
        if (nearest != nullptr) {
            text += fmt::format("; what came to {} is {}: {}", who.name(), nearest->text(),
                                mismatch(who, *nearest, step, n).value_or(""));
        } else if (!who.is_open()) {
            text += fmt::format("; {} is not connected", who.name());
        }
    }
    return text;
}

Verdict Runner::expect_once(const ExpectStep& step, std::uint32_t n, Instant deadline) {
    Verdict wrong;
    const bool fetched = wait_until(deadline, [&] {
        for (const std::size_t actor : step.actors) {
            if (fetch(*cast_[actor], step, n)) return true;
        }
        // One actor, in order: what is at the front will not go away.
        if (step.actors.size() != 1 || step.in_any_order) return false;
        const CastMember& who = *cast_[step.actors[0]];
        const Arrival* const first = who.first_hard();
        if (first == nullptr) return false;
        wrong = fmt::format("what came is {}: {}", first->text(),
                            mismatch(who, *first, step, n).value_or(""));
        return true;
    });
    if (broken_rule_) return broken_rule_;
    if (wrong) return wrong;
    return fetched ? Verdict{} : never_came(step, n);
}

Verdict Runner::expect_nothing(const ExpectStep& step) {
    Verdict wrong;
    static_cast<void>(wait_until(stage_.now() + step.time, [&] {
        for (const std::size_t actor : step.actors) {
            if (const Arrival* const first = cast_[actor]->first_hard()) {
                wrong = fmt::format("{} came to {}", first->text(), cast_[actor]->name());
            }
        }
        return wrong.has_value();
    }));
    return broken_rule_ ? broken_rule_ : wrong;
}

Verdict Runner::take(const ExpectStep& step) {
    if (step.kind == ExpectStep::Kind::nothing) return expect_nothing(step);
    const Instant deadline = stage_.now() + step.time + stage_.patience();
    for (std::uint32_t n = 1; n <= step.times; ++n) {
        auto verdict = expect_once(step, n, deadline);
        if (!verdict) continue;
        return step.times == 1 ? std::move(*verdict)
                               : fmt::format("number {} of {}: {}", n, step.times, *verdict);
    }
    return std::nullopt;
}

// --- the rest ---

Verdict Runner::take(const NetworkStep& step) {
    using Kind = NetworkStep::Kind;
    for (const std::size_t actor : step.actors) {
        CastMember& who = *cast_[actor];
        if (!who.is_open()) return fmt::format("{} is not connected", who.name());
        if (step.kind == Kind::reset) {
            who.reset();
            continue;
        }
        const Flow flow = step.kind == Kind::cut    ? Flow::cut
                          : step.kind == Kind::slow ? Flow::slow
                                                    : Flow::open;
        note(who.name(), flow == Flow::cut    ? "-- is cut off"
                         : flow == Flow::slow ? "-- reads no more"
                                              : "-- is well again");
        who.set_flow(flow);
    }
    return std::nullopt;
}

Verdict Runner::take(const ServerStep& step) {
    using Kind = ServerStep::Kind;
    Verdict problem;
    if (step.kind == Kind::stop || step.kind == Kind::restart) {
        note("server", "-- stops");
        problem = stage_.stop_server();
    }
    if (step.kind == Kind::kill) {
        note("server", "-- is killed");
        stage_.kill_server();
    }
    if (problem) return problem;
    if (auto broken = pump()) return broken;
    if (step.kind == Kind::start || step.kind == Kind::restart) {
        note("server", "-- starts");
        problem = stage_.start_server(scenario_.server);
    }
    return problem;
}

Verdict Runner::take(const WaitStep& step) {
    static_cast<void>(wait_until(stage_.now() + step.time, [] { return false; }));
    return broken_rule_;
}

Outcome Runner::run() {
    Outcome outcome;
    start_ = stage_.now();
    if (auto problem = stage_.start_server(scenario_.server)) {
        outcome.problem = "the server does not start: " + *problem;
        return outcome;
    }
    start_ = stage_.now();
    outcome.passed = true;
    for (const Step& step : scenario_.steps) {
        const auto verdict = std::visit([&](const auto& what) { return take(what); }, step.what);
        if (!verdict) continue;
        outcome.passed = false;
        outcome.line = step.line;
        outcome.problem = fmt::format("{}\n  {}", step.text, *verdict);
        break;
    }
    const auto ended = stage_.stop_server();
    if (ended && outcome.passed) {
        outcome.passed = false;
        outcome.problem = *ended;
    } else if (ended) {
        outcome.problem += "\n  and then: " + *ended;
    }
    outcome.took = stage_.now() - start_;
    outcome.trace = std::move(trace_);
    return outcome;
}

}  // namespace

Outcome run_scenario(const Scenario& scenario, Stage& stage) {
    return Runner{scenario, stage}.run();
}

std::string report(const Scenario& scenario, const Outcome& outcome, std::size_t lines_max) {
    std::string text = scenario.file;
    if (outcome.line != 0) text += fmt::format(":{}", outcome.line);
    text += ": " + outcome.problem + '\n';
    const std::size_t shown = std::min(lines_max, outcome.trace.size());
    if (shown < outcome.trace.size()) {
        text += fmt::format("  ({} lines before)\n", outcome.trace.size() - shown);
    }
    for (std::size_t i = outcome.trace.size() - shown; i < outcome.trace.size(); ++i) {
        text += "  " + outcome.trace[i] + '\n';
    }
    return text;
}

}  // namespace mitu::sim::scenario
