#include "mitu/journal/restore.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mitu/broker/placement.hpp"
#include "mitu/mqtt/topic.hpp"
#include "mitu/ports/trial.hpp"
#include "mitu/store/key.hpp"
#include "mitu/store/schema.hpp"

namespace mitu::journal {

using broker::KeptSession;
using broker::SessionRef;
using store::Family;

namespace {

constexpr std::string_view space = "journal";
constexpr std::uint32_t never_expires_s = 0xFFFF'FFFF;

// Each puts a file aside; there are not as many that one start has to meet.
constexpr int mendings_max = 64;

bool may_be_mended(const store::Error& error, int mendings) noexcept {
    return error.kind == store::ErrorKind::damaged && mendings < mendings_max;
}

/// Goes through a range of a family; `visit(key, value)`. What does not hold against its checksum
/// shows when it is read: the engine puts it aside, and this goes on behind what it has seen.
template <class Visit>
Result<void, store::Error> for_each(store::Engine& engine, Family family, ByteView begin,
                                    ByteView end, Visit visit) {
    Bytes from = to_bytes(begin);
    for (int mendings = 0;; ++mendings) {
        std::optional<store::Error> error;
        {
            const auto rows = engine.scan(family, from, end);
            while (rows->next()) {
                visit(rows->key(), rows->value());
                from.assign(rows->key().begin(), rows->key().end());
                from.push_back(0);
                ports::pass_trial(ports::TrialPoint::start_row_restored);
            }
            error = rows->error();
        }
        if (!error) return {};
        if (!may_be_mended(*error, mendings)) return std::unexpected(*error);
        if (const auto mended = engine.recover(); !mended) return mended;
    }
}

class Restorer {
public:
    Restorer(store::Engine& engine, const JournalTerms& terms,
             std::span<broker::Shard* const> shards, const ports::Clock& clock,
             const RestoreOptions& options)
        : engine_{engine},
          shards_{shards},
          options_{options},
          now_{clock.now()},
          wall_{clock.wall()} {
        report_.sweep.emplace();
        report_.sweep->generation = terms.generation & 0xF'FFFFU;
        for (std::size_t i = 0; i < terms.tenants.size(); ++i) {
            if (terms.tenants[i].durability == broker::Durability::none) continue;
            tenants_.emplace(terms.tenants[i].name, TenantId{static_cast<std::uint16_t>(i)});
        }
    }

    Result<RestoreReport, store::Error> run() {
        const auto step = [this](Family family, void (Restorer::*take)(ByteView, ByteView)) {
            return for_each(engine_, family, {}, {},
                            [&](ByteView key, ByteView value) { (this->*take)(key, value); });
        };
        for (const auto& [family, take] :
             {std::pair{Family::retained, &Restorer::take_retained},
              std::pair{Family::sessions, &Restorer::take_session},
              std::pair{Family::subscriptions, &Restorer::take_subscription},
              std::pair{Family::inbound, &Restorer::take_incoming},
              std::pair{Family::wills, &Restorer::take_will}}) {
            if (const auto done = step(family, take); !done) return std::unexpected(done.error());
            ports::pass_trial(ports::TrialPoint::start_family_restored);
            if (family == Family::sessions) {
                std::ranges::sort(sessions_, {}, &Taken::id);
                std::ranges::sort(absent_, {}, &Absent::id);
            }
        }
        settle_will(std::nullopt);
        for (const Taken& taken : sessions_) shard(taken.session).restored(taken.session);
        if (report_.sweep) std::ranges::sort(report_.sweep->sessions);
        publish_due();
        if (!expired_.is_empty()) {
            if (const auto done = engine_.write(expired_.bytes(), false); !done) {
                return std::unexpected(done.error());
            }
        }
        return report_;
    }

private:
    /// A session that is in its shard. Millions of them stand in one block, which is given back.
    struct Taken {
        broker::StoredSessionId id;
        SessionRef session;
        TenantId tenant;
    };

    enum class Absence : std::uint8_t { over, left };
    struct Absent {
        broker::StoredSessionId id;
        Absence why;
    };

    template <class T>
    [[nodiscard]] static const T* find(const std::vector<T>& all, broker::StoredSessionId id) {
        const auto it = std::ranges::lower_bound(all, id, {}, &T::id);
        return it != all.end() && it->id == id ? &*it : nullptr;
    }
    /// Null: it is not in any shard.
    [[nodiscard]] const Taken* find(std::optional<broker::StoredSessionId> id) const {
        return id ? find(sessions_, *id) : nullptr;
    }
    [[nodiscard]] std::uint16_t shard_count() const noexcept {
        return static_cast<std::uint16_t>(shards_.size());
    }
    [[nodiscard]] broker::Shard& shard(const SessionRef& ref) const noexcept {
        return *shards_[ref.shard.value];
    }
    [[nodiscard]] std::optional<TenantId> tenant_of(std::string_view name) const {
        const auto it = tenants_.find(std::string{name});
        if (it == tenants_.end()) return std::nullopt;
        return it->second;
    }
    [[nodiscard]] Instant instant_of(WallTime at) const noexcept {
        if (at == store::wall_never) return Instant::never();
        return now_ + Duration::milliseconds(at.unix_ms - wall_.unix_ms);
    }

    void take_retained(ByteView key, ByteView value) {
        const auto name = store::name_of(key);
        const auto tenant = name ? tenant_of(name->tenant) : std::nullopt;
        const auto record = store::decode_message(value);
        if (!tenant || !record) return leave();
        if (record->expires_at <= wall_) {
            ++report_.expired;
            return expired_.erase_retained(*name);
        }
        broker::MessageView message = view_of(*record);
        message.tenant = *tenant;
        message.expires_at = instant_of(record->expires_at);
        const ShardId home = broker::topic_home(*tenant, message.topic, shard_count());
        if (!shards_[home.value]->restore_retained(message)) return leave();
        ++report_.retained;
    }

    void take_session(ByteView key, ByteView value) {
        const auto name = store::name_of(key);
        const auto tenant = name ? tenant_of(name->tenant) : std::nullopt;
        const auto record = store::decode_session(value);
        if (!record) {
            report_.sweep.reset();
            return leave();
        }
        if (report_.sweep) report_.sweep->sessions.push_back(record->id.value);
        if (!tenant) return leave();
        const bool ends = record->expiry_interval_s != never_expires_s;
        const std::int64_t ends_ms =
            record->last_seen_at.unix_ms + std::int64_t{record->expiry_interval_s} * 1'000;
        // Time that passed while the server was away counts for who was not connected.
        KeptSession kept = kept_session(*record, instant_of(record->last_seen_at));
        kept.tenant = *tenant;
        kept.client_id = name->name;
        const bool was_connected = kept.detached_at.is_never();
        if (ends && !was_connected && ends_ms <= wall_.unix_ms) {
            ++report_.expired;
            absent_.push_back({kept.id, Absence::over});
            return expired_.end_session(*name, record->id);
        }
        const ShardId home = broker::session_home(*tenant, kept.client_id, shard_count());
        const auto ref = shards_[home.value]->restore(kept, now_);
        if (!ref) {
            absent_.push_back({kept.id, Absence::left});
            return leave();
        }
        sessions_.push_back({kept.id, *ref, *tenant});
        ++report_.sessions;
    }

    void take_subscription(ByteView key, ByteView value) {
        const Taken* const taken = find(store::id_of(key));
        const auto record = store::decode_subscription(value);
        if (taken == nullptr || !record) return leave();
        const auto& [id, session, tenant] = *taken;
        const std::string_view whole = as_text(key.subspan(8));
        const auto shared = mqtt::parse_shared(whole);
        broker::KeptSubscription entry;
        entry.filter = shared ? shared->filter : whole;
        entry.group = shared ? shared->group : std::string_view{};
        entry.qos = static_cast<mqtt::QoS>(std::min(record->options & 3, 2));
        entry.no_local = (record->options & 4) != 0;
        entry.retain_as_published = (record->options & 8) != 0;
        entry.identifier = record->identifier;
        if (!shard(session).restore_filter(session, whole)) return leave();
        const auto home = broker::filter_home(tenant, entry.filter, shard_count());
        for (std::uint16_t i = 0; i < shard_count(); ++i) {
            if (home && home->value != i) continue;
            shards_[i]->restore_subscription(tenant, entry, session, id);
        }
        ++report_.subscriptions;
    }

    void take_incoming(ByteView key, ByteView /*value*/) {
        const Taken* const taken = find(store::id_of(key));
        if (taken == nullptr || key.size() != 10) return leave();
        const auto packet_id = static_cast<std::uint16_t>((key[8] << 8) | key[9]);
        shard(taken->session).restore_incoming(taken->session, packet_id);
    }

    // --- wills ---

    struct WillRow {
        Bytes key;
        Bytes value;
        WallTime due_at = store::wall_never;
    };

    /// That a will is due stands right behind it.
    void take_will(ByteView key, ByteView value) {
        if (key.size() == store::due_key_bytes)
            return settle_will(WillRow{to_bytes(key), to_bytes(value)});
        settle_will(std::nullopt);
        last_will_ = WillRow{to_bytes(key), to_bytes(value)};
    }

    void settle_will(const std::optional<WillRow>& due) {
        if (!last_will_) return;
        WillRow row = std::move(*last_will_);
        last_will_.reset();
        if (due && store::second_id_of(due->key) == store::second_id_of(row.key)) {
            row.due_at = WallTime{store::decode_count(due->value).value_or(wall_.unix_ms)};
            due_.push_back(std::move(row));
            return;
        }
        const auto will = read(row);
        if (!will) return leave();
        if (const Absent* const absent = find(absent_, will->id.session)) {
            if (absent->why == Absence::left) return leave();
            row.due_at = wall_;  // at the latest
            expired_.put_will_due(store::SessionId{will->id.session},
                                  store::WillId{will->id.number}, wall_);
            due_.push_back(std::move(row));
            return;
        }
        if (const Taken* const taken = find(will->id.session)) {
            const SessionRef& ref = taken->session;
            if (!shard(ref).restore_will(ref, *will, options_.will_grace)) leave();
            return;
        }
        const ShardId home = broker::session_home(will->tenant, will->client_id, shard_count());
        if (!shards_[home.value]->restore_will(*will, options_.will_grace, now_)) return leave();
        ++report_.wills;
    }

    /// Nullopt: it is damaged, or of a tenant that is not there or keeps nothing.
    [[nodiscard]] std::optional<broker::KeptWill> read(const WillRow& row) const {
        const auto record = store::decode_will(row.value);
        const auto tenant = record ? tenant_of(record->tenant) : std::nullopt;
        return tenant ? kept_will(row.key, *record, *tenant) : std::nullopt;
    }

    void publish_due() {
        for (const WillRow& row : due_) {
            auto will = read(row);
            if (!will) {
                leave();
                continue;
            }
            if (will->expiry_s) {
                will->message.expires_at =
                    instant_of(row.due_at) + Duration::seconds(*will->expiry_s);
            }
            if (will->message.expires_at <= now_) {
                ++report_.expired;
                expired_.erase_will(store::SessionId{will->id.session},
                                    store::WillId{will->id.number});
                continue;
            }
            const ShardId home =
                broker::topic_home(will->tenant, will->message.topic, shard_count());
            shards_[home.value]->publish_will(*will, now_);
            ++report_.due;
        }
    }

    void leave() noexcept { ++report_.left; }

    store::Engine& engine_;
    std::span<broker::Shard* const> shards_;
    RestoreOptions options_;
    Instant now_;
    WallTime wall_;
    std::unordered_map<std::string, TenantId> tenants_;
    std::vector<Taken> sessions_;  // by id, once all are there
    std::vector<Absent> absent_;   // so too: of whom there is a row
    std::optional<WillRow> last_will_;
    std::vector<WillRow> due_;
    store::Batch expired_;
    RestoreReport report_;
};

}  // namespace

Result<void, store::Error> begin_run(store::Engine& engine, JournalTerms& terms, std::uint64_t node,
                                     bool has_lost) {
    auto identity = store::begin_generation(engine, node, has_lost);
    for (int mendings = 0; !identity && may_be_mended(identity.error(), mendings); ++mendings) {
        if (const auto mended = engine.recover(); !mended) return mended;
        identity = store::begin_generation(engine, node, true);
    }
    if (!identity) return std::unexpected(identity.error());
    terms.generation = identity->generation;
    terms.first_microsecond = 0;
    const auto take_clock = [&terms](ByteView /*key*/, ByteView value) {
        terms.first_microsecond =
            std::max(terms.first_microsecond, store::id_of(value).value_or(0));
    };
    return for_each(engine, Family::values, store::key_of(store::Name{space, "clock/"}),
                    store::key_of(store::Name{space, "clock0"}), take_clock);
}

Result<RestoreReport, store::Error> restore(store::Engine& engine, const JournalTerms& terms,
                                            std::span<broker::Shard* const> shards,
                                            const ports::Clock& clock,
                                            const RestoreOptions& options) {
    return Restorer{engine, terms, shards, clock, options}.run();
}

}  // namespace mitu::journal
