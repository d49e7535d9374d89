#include "mitu/node/shard_host.hpp"

#include <fmt/format.h>

#include "mitu/runtime/fault_signals.hpp"
#include "mitu/runtime/process.hpp"
#include "mitu/runtime/thread_trace.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::node {
namespace {

/// Before the shard touches its memory: what it touches first comes from where it runs.
void bind(ShardId id, const runtime::ShardPlace& place) {
    if (place.processor == runtime::ShardPlace::any) return;
    const runtime::Binding binding = runtime::bind_thread(place);
    const auto or_none = [](std::uint32_t number) {
        return number == runtime::ShardPlace::any ? std::string{"none"} : std::to_string(number);
    };
    trace::log(trace::Level::info, "shard_placed",
               {{"shard", id.value},
                {"processor", or_none(place.processor)},
                {"node", or_none(place.node)},
                {"shares_core", place.shares_core}});
    for (const std::string& problem : {binding.processor_problem, binding.memory_problem}) {
        if (problem.empty()) continue;
        trace::log(trace::Level::warn, "shard_not_placed",
                   {{"shard", id.value}, {"reason", problem}});
    }
}

}  // namespace

ShardHost::ShardHost(ShardId id, const broker::Limits& limits, broker::Mailroom& mailroom,
                     broker::Gate& gate, std::shared_ptr<const fleet::Catalog> catalog,
                     std::unique_ptr<runtime::ServerNetwork> network, admission::Control* admission,
                     std::unique_ptr<DoorAdmission> door, broker::Journal* journal)
    : id_{id},
      door_{std::move(door)},
      network_{std::move(network)},
      status_{catalog->groups().size()},
      things_{std::move(catalog), clock_, status_},
      mailroom_{mailroom},
      shard_{id, limits,
             broker::ShardPorts{mailroom, *network_, entropy_, faults_, gate, &things_, admission,
                                journal}} {
    if (!door_) return;
    door_->report_to([this](const ports::PeerAddress& peer, const admission::Bound& bound,
                            Instant now) { shard_.note_refused_at_door(peer, bound, now); });
}

ShardHost::~ShardHost() { join(); }

void ShardHost::start(const runtime::ShardPlace& place) {
    mailroom_.connect(id_, network_.get());
    thread_ =
        std::thread{[this, place] { run(place); }};  // tidy-allow(threads): the shard's own thread
}

void ShardHost::request_stop() {
    stop_requested_.store(true, std::memory_order_relaxed);
    network_->wake();
}

void ShardHost::request_drain(const broker::Shard::Drain& drain) {
    post([this, drain](broker::Shard& shard, Instant now) {
        network_->stop_accepting();
        shard.begin_drain(drain, now);
    });
}

void ShardHost::ask_for_turn(Instant now) {
    pulse_.ask(now);
    network_->wake();
}

void ShardHost::join() {
    if (thread_.joinable()) thread_.join();
    mailroom_.connect(id_, nullptr);
}

void ShardHost::post(broker::Admission admission) {
    static_cast<void>(admissions_.try_push(std::move(admission)));  // unbounded: never refused
    network_->wake();
}

void ShardHost::post(Question question) {
    static_cast<void>(questions_.try_push(std::move(question)));
    network_->wake();
}

void ShardHost::replace_listener(std::uint16_t index, runtime::UniqueFd socket) {
    // A question can be copied, a socket not.
    auto shared = std::make_shared<runtime::UniqueFd>(std::move(socket));
    post([this, index, shared](broker::Shard&, Instant) {
        if (network_->replace_listener(index, std::move(*shared))) return;
        trace::log(trace::Level::error, "listener_not_watched",
                   {{"shard", id_.value}, {"listener", index}});
    });
}

void ShardHost::run(const runtime::ShardPlace& place) {
    runtime::name_thread(fmt::format("shard-{}", id_.value));
    pulse_.begin(runtime::own_thread_number());
    const runtime::FaultStack fault_stack;
    bind(id_, place);
    std::vector<ports::NetworkEvent> events;
    std::vector<broker::Admission> admissions;
    std::vector<Question> questions;
    bool is_stopping = false;
    while (!shard_.finished()) {
        Instant deadline = shard_.next_deadline();
        if (!admissions_.is_empty() || !questions_.is_empty()) deadline = Instant{};
        network_->poll(deadline, events);
        const Instant now = clock_.now();
        pulse_.beat(now);
        admissions_.drain(admissions);
        for (auto& admission : admissions) shard_.on_admission(std::move(admission), now);
        questions_.drain(questions);
        for (const auto& question : questions) question(shard_, now);
        if (!is_stopping && stop_requested_.load(std::memory_order_relaxed)) {
            is_stopping = true;
            network_->stop_accepting();
            shard_.begin_shutdown(now);
        }
        shard_.turn(now, events);
    }
    // What was closed drains: a client whose bytes are unread would get a reset instead of the
    // reason. The network bounds it (NetworkLimits::linger_time_max).
    while (network_->counters().lingering.read() != 0) {
        network_->poll(clock_.now() + Duration::milliseconds(50), events);
    }
}

}  // namespace mitu::node
