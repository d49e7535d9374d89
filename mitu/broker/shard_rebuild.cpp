// Sessions that broke come back: their memory is gone, and what was written down of them is read.
//
// The broken session keeps its place and its reference, so that filters at other shards still lead
// to it, and what comes for it stays in the store. It is read behind a fence: what it had published
// is settled everywhere, and its numbers are written down. Who connects meanwhile waits.

#include <algorithm>

#include "mitu/base/hash.hpp"
#include "mitu/broker/shard.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::broker {

namespace {

// What keeps a session from being read or from having its memory may last: a full disk, a pool
// without room. Nobody is helped by asking all the time.
constexpr Duration again_min = Duration::milliseconds(50);
constexpr Duration again_max = Duration::seconds(30);
constexpr std::uint32_t doublings_max = 10;

}  // namespace

/// What a broken session says of its name, if that is what it was called. Empty: it is not.
std::string Shard::believed_name(const SessionRef& ref) {
    const Session& session = sessions_.broken(ref);
    const TenantId tenant = sessions_.notes(ref).tenant;
    std::string_view name;
    std::uint64_t hash = 0;
    const auto fault = memory::in_fault_zone([&] {
        name = session.client_id();
        hash = hash_bytes(name, tenant.value);
    });
    if (fault || hash != sessions_.name_hash(ref)) return {};
    return std::string{name};
}

/// None: it has none, or what it says is not its own.
StoredWillId Shard::believed_will(const SessionRef& ref) {
    const Session& session = sessions_.broken(ref);
    SessionRef owner;
    StoredWillId id;
    const auto fault = memory::in_fault_zone([&] {
        const StoredWill* const will = session.will();
        if (will == nullptr) return;
        owner = will->session;
        id = will->id;
    });
    return fault || owner != ref ? StoredWillId{} : id;
}

void Shard::begin_rebuild(const SessionRef& ref) {
    if (is_shutting_down_) {  // what is in the store is for the next process
        if (const auto it = rebuilds_.find(ref.index); it != rebuilds_.end()) {
            recalls_.erase(it->second.ticket);
            rebuilds_.erase(it);
        }
        sessions_.erase(ref);
        return;
    }
    const auto [it, is_first] = rebuilds_.try_emplace(ref.index);
    Rebuild& rebuild = it->second;
    SessionNotes& notes = sessions_.notes(ref);
    if (is_first) {
        rebuild.session = ref;
        rebuild.client_id = believed_name(ref);
    }
    rebuild.subscriptions = std::max(rebuild.subscriptions, notes.subscription_count);
    notes.subscription_count = 0;
    sessions_.empty(ref);
    if (is_first) {
        ask_for_rebuild(rebuild);
    } else {
        rebuild_later(rebuild);
    }
}

void Shard::rebuild_later(Rebuild& rebuild) {
    const std::int64_t times = std::int64_t{1} << std::min(rebuild.attempts, doublings_max);
    rebuild.again_at = now_ + std::min(again_min * times, again_max);
    rebuild.ticket = 0;
}

/// What the session has published is on its way to the store, perhaps on other shards: its numbers
/// are read when they have said that it is there.
void Shard::ask_for_rebuild(Rebuild& rebuild) {
    rebuild.ticket = next_ticket();
    rebuild.again_at = Instant::never();
    rebuild.awaited = static_cast<std::uint32_t>(peers_.size());
    ++rebuild.attempts;
    recalls_[rebuild.ticket] = rebuild.session.index;
    ask_announce(rebuild.ticket);
}

Instant Shard::next_rebuild() const noexcept {
    Instant next = Instant::never();
    for (const auto& [index, rebuild] : rebuilds_) next = std::min(next, rebuild.again_at);
    return next;
}

void Shard::run_rebuilds() {
    for (auto& [index, rebuild] : rebuilds_) {
        if (rebuild.again_at <= now_) ask_for_rebuild(rebuild);
    }
}

void Shard::on_recalled(const RecalledSession& recalled) {
    const auto asked = recalls_.find(recalled.ticket);
    if (asked == recalls_.end()) return;  // nobody wants it any more
    const std::uint32_t index = asked->second;
    recalls_.erase(asked);
    Rebuild& rebuild = rebuilds_.at(index);
    using Outcome = RecalledSession::Outcome;
    if (recalled.outcome == Outcome::not_now) return rebuild_later(rebuild);
    if (recalled.outcome == Outcome::gone) {
        // It broke before anything was written down of it.
        auto visitors = std::move(rebuild.visitors);
        give_up_rebuild(index);
        return let_in_visitors(std::move(visitors));
    }
    if (rebuild.client_id.empty()) rebuild.client_id = recalled.as_kept.client_id;
    if (!bring_back(rebuild, recalled)) {
        bury_broken();  // it may have broken again
        const auto still = rebuilds_.find(index);
        if (still != rebuilds_.end() && still->second.ticket == recalled.ticket) {
            rebuild_later(still->second);
        }
        return;
    }
    const SessionRef self = rebuild.session;
    auto visitors = std::move(rebuild.visitors);
    trace::log(trace::Level::info, "session_rebuilt",
               {{"client", rebuild.client_id},
                {"subscriptions", recalled.filters.size()},
                {"attempts", rebuild.attempts},
                {"shard", id_.value}});
    rebuilds_.erase(index);
    counters_.sessions_rebuilt_total.add();
    arm(*sessions_.get(self));
    let_in_visitors(std::move(visitors));
}

/// False: there was no memory for it, or it broke again.
bool Shard::bring_back(Rebuild& rebuild, const RecalledSession& recalled) {
    const SessionRef self = rebuild.session;
    Session* const session = sessions_.renew(self, rebuild.client_id);
    if (session == nullptr) return false;
    const auto will = recalled.will ? stored_will(*recalled.will, self) : std::nullopt;
    const bool is_sound = guarded(self, [&] {
        session->restore(recalled.as_kept, now_);
        if (will) session->restore_will(*will);
        for (const std::string_view filter : recalled.filters) session->restore_filter(filter);
        for (const std::uint16_t packet_id : recalled.incoming) {
            session->restore_incoming(packet_id);
        }
    });
    if (!is_sound) return false;
    SessionNotes& notes = sessions_.notes(self);
    note_subscriptions(*session, notes);
    keep_session(*session, notes);  // that it has no connection any more
    return true;
}

/// The session's end: there is nothing of it in the store.
void Shard::give_up_rebuild(std::uint32_t session_index) {
    const Rebuild rebuild = std::move(rebuilds_.at(session_index));
    rebuilds_.erase(session_index);
    recalls_.erase(rebuild.ticket);
    const SessionNotes& notes = sessions_.notes(rebuild.session);
    journal_->erase_session(notes.kept, notes.tenant, rebuild.client_id);
    if (rebuild.subscriptions != 0) lose_subscriptions(rebuild.session);
    sessions_.erase(rebuild.session);
}

// --- who comes meanwhile ---

Shard::Rebuild* Shard::find_rebuild(TenantId tenant, std::string_view client_id) {
    for (auto& [index, rebuild] : rebuilds_) {
        const bool is_it = sessions_.notes(rebuild.session).tenant == tenant &&
                           (rebuild.client_id.empty() ? sessions_.name_hash(rebuild.session) ==
                                                            hash_bytes(client_id, tenant.value)
                                                      : rebuild.client_id == client_id);
        if (is_it) return &rebuild;
    }
    return nullptr;
}

/// As one whose login is being proved.
void Shard::wait_for_rebuild(Rebuild& rebuild, Connection& connection, ByteView packet,
                             const Admitted& admitted) {
    const std::uint32_t serial = next_admission_serial_++;
    connection.state = Connection::State::admitting;
    Connection::Work& work = work_of(connection);
    work.admission_serial = serial;
    work.connect = to_bytes(packet);
    pause(connection);
    rebuild.visitors.push_back({{id_, connection.id, serial}, admitted});
}

void Shard::let_in_visitors(std::vector<Rebuild::Visitor> visitors) {
    for (Rebuild::Visitor& visitor : visitors) {
        on_admission({visitor.ticket, std::move(visitor.admitted)}, now_);
    }
}

}  // namespace mitu::broker
