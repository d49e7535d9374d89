#include "mitu/journal/restore.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

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
              std::pair{Family::values, &Restorer::take_will}}) {
            if (const auto done = step(family, take); !done) return std::unexpected(done.error());
            ports::pass_trial(ports::TrialPoint::start_family_restored);
        }
        for (const auto& [id, found] : sessions_) shard(found).restored(found);
        if (!expired_.is_empty()) {
            if (const auto done = engine_.write(expired_.bytes(), false); !done) {
                return std::unexpected(done.error());
            }
        }
        return report_;
    }

private:
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
        if (!tenant || !record) return leave();
        const bool was_connected = std::ranges::equal(record->extra, connected_mark);
        const bool ends = record->expiry_interval_s != never_expires_s;
        const std::int64_t ends_ms =
            record->last_seen_at.unix_ms + std::int64_t{record->expiry_interval_s} * 1'000;
        KeptSession kept;
        kept.id = record->id.value;
        kept.tenant = *tenant;
        kept.client_id = name->name;
        kept.expiry_s = record->expiry_interval_s;
        kept.version = static_cast<mqtt::ProtocolVersion>(record->protocol_version);
        // Time that passed while the server was away counts for who was not connected.
        if (!was_connected) kept.detached_at = instant_of(record->last_seen_at);
        broker::MessageView will;
        Bytes will_bytes;
        if (const auto found = engine_.get(Family::wills, store::key_of(kept.id));
            found && *found) {
            will_bytes = **found;
            add_will(kept, will, will_bytes);
            if (was_connected) {  // that it was cut is the server's doing
                kept.will_delay_s = std::max(
                    kept.will_delay_s, static_cast<std::uint32_t>(options_.will_grace.count_s()));
            }
        }
        const bool is_over = ends && !was_connected && ends_ms <= wall_.unix_ms;
        if (is_over && kept.will == nullptr) {
            ++report_.expired;
            return expired_.end_session(*name, record->id);
        }
        const ShardId home = broker::session_home(*tenant, kept.client_id, shard_count());
        const auto ref = shards_[home.value]->restore(kept, now_);
        if (!ref) return leave();
        sessions_.emplace(kept.id, *ref);
        tenant_of_session_.emplace(kept.id, *tenant);
        ++report_.sessions;
    }

    void add_will(KeptSession& kept, broker::MessageView& will, ByteView value) const {
        const auto record = store::decode_will(value);
        if (!record) return;
        will = view_of(record->message);
        will.tenant = kept.tenant;
        kept.will = &will;
        kept.will_delay_s = record->delay_s;
        if (record->message.expires_at != store::wall_never) {
            kept.will_expiry_s =
                static_cast<std::uint32_t>(record->message.expires_at.unix_ms / 1'000);
        }
    }

    void take_subscription(ByteView key, ByteView value) {
        const auto id = store::id_of(key);
        const auto record = store::decode_subscription(value);
        const auto it = id ? sessions_.find(*id) : sessions_.end();
        if (it == sessions_.end() || !record) return leave();
        const std::string_view whole = as_text(key.subspan(8));
        const auto shared = mqtt::parse_shared(whole);
        broker::KeptSubscription entry;
        entry.filter = shared ? shared->filter : whole;
        entry.group = shared ? shared->group : std::string_view{};
        entry.qos = static_cast<mqtt::QoS>(std::min(record->options & 3, 2));
        entry.no_local = (record->options & 4) != 0;
        entry.retain_as_published = (record->options & 8) != 0;
        entry.identifier = record->identifier;
        if (!shard(it->second).restore_filter(it->second, whole)) return leave();
        const TenantId tenant = tenant_of_session_.at(*id);
        const auto home = broker::filter_home(tenant, entry.filter, shard_count());
        for (std::uint16_t i = 0; i < shard_count(); ++i) {
            if (home && home->value != i) continue;
            shards_[i]->restore_subscription(tenant, entry, it->second, *id);
        }
        ++report_.subscriptions;
    }

    void take_incoming(ByteView key, ByteView /*value*/) {
        const auto id = store::id_of(key);
        const auto it = id ? sessions_.find(*id) : sessions_.end();
        if (it == sessions_.end() || key.size() != 10) return leave();
        const auto packet_id = static_cast<std::uint16_t>((key[8] << 8) | key[9]);
        shard(it->second).restore_incoming(it->second, packet_id);
    }

    void take_will(ByteView key, ByteView value) {
        constexpr std::string_view prefix = "wills/";
        const auto name = store::name_of(key);
        if (!name || !name->tenant.starts_with(prefix)) return;
        const auto tenant = tenant_of(name->tenant.substr(prefix.size()));
        if (!tenant) return leave();
        KeptSession kept;
        kept.tenant = *tenant;
        kept.client_id = name->name;
        broker::MessageView will;
        add_will(kept, will, value);
        const ShardId home = broker::session_home(*tenant, kept.client_id, shard_count());
        if (kept.will == nullptr ||
            !shards_[home.value]->restore_will(kept, options_.will_grace, now_)) {
            return leave();
        }
        ++report_.wills;
    }

    void leave() noexcept { ++report_.left; }

    store::Engine& engine_;
    std::span<broker::Shard* const> shards_;
    RestoreOptions options_;
    Instant now_;
    WallTime wall_;
    std::unordered_map<std::string, TenantId> tenants_;
    std::unordered_map<broker::StoredSessionId, SessionRef> sessions_;
    std::unordered_map<broker::StoredSessionId, TenantId> tenant_of_session_;
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
