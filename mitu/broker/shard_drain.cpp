// Shard: letting clients go one after the other, so that another process may go on with them.

#include <algorithm>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/broker/session.hpp"
#include "mitu/broker/shard.hpp"

namespace mitu::broker {

void Shard::begin_drain(const Drain& drain, Instant now) {
    now_ = now;
    MITU_CHECK(drain.clients_per_s > 0);
    drain_.emplace();
    drain_->interval = Duration::seconds(1) / drain.clients_per_s;
    drain_->settle_time = drain.settle_time;
    drain_->next_at = now + drain.settle_time;
}

/// A PUBLISH that is not taken is not acknowledged: its client sends it to whoever serves next.
/// What was acknowledged is delivered before anybody is told to go.
bool Shard::holds_back(const Connection& connection, ByteView bytes) const noexcept {
    return drain_ && connection.state == Connection::State::attached && !bytes.empty() &&
           bytes.front() >> 4 == static_cast<std::uint8_t>(mqtt::PacketType::publish);
}

void Shard::drain_some() {
    if (!drain_ || is_shutting_down_) return;
    while (now_ >= drain_->next_at) {
        if (drain_->waiting.empty()) {
            // Round after round: they come, become attached, and get what is queued for them.
            connections_.for_each([&](const Connection& connection) {
                if (connection.state == Connection::State::free ||
                    connection.state == Connection::State::closing) {
                    return;
                }
                drain_->waiting.push_back(connection.id);
            });
            std::reverse(drain_->waiting.begin(), drain_->waiting.end());
            ++drain_->round;
            if (drain_->waiting.empty()) {
                drain_->next_at = now_ + drain_->settle_time;
                return;
            }
        }
        Connection* const connection = find(drain_->waiting.back());
        drain_->waiting.pop_back();
        const bool has_gone = connection != nullptr && let_go(*connection);
        if (has_gone) drain_->next_at = drain_->next_at + drain_->interval;
        // Between rounds there is time for what is under way.
        if (drain_->waiting.empty()) {
            drain_->next_at = std::max(drain_->next_at, now_ + drain_->settle_time);
        }
    }
}

/// False: it stays for another round.
bool Shard::let_go(Connection& connection) {
    if (connection.state == Connection::State::closing) return false;
    const bool is_first_round = drain_->round == 1;
    if (connection.state != Connection::State::attached) {
        if (is_first_round) return false;
        close(connection);
        return true;
    }
    Session* const session = sessions_.get(session_of(connection));
    if (session == nullptr) return false;
    if (is_first_round && session->queued_count() + session->inflight_count() != 0) return false;
    refuse(*session, &connection, mqtt::ReasonCode::server_shutting_down,
           "the server is being upgraded: come back", Parting::shutdown);
    return true;
}

}  // namespace mitu::broker
