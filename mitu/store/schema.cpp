#include "mitu/store/schema.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "mitu/store/codec.hpp"
#include "mitu/store/ids.hpp"
#include "mitu/store/key.hpp"
#include "mitu/store/record.hpp"

namespace mitu::store {
namespace {

constexpr std::uint64_t step_bytes_max = 1U << 20;

Result<std::uint64_t, Error> number_at(Engine& engine, std::string_view name,
                                       std::uint64_t otherwise) {
    const auto value = engine.get(Family::meta, as_bytes(name));
    if (!value) return std::unexpected(value.error());
    if (!*value) return otherwise;
    const auto number = id_of(**value);
    if (!number) {
        return std::unexpected(
            Error{ErrorKind::damaged, "meta: " + std::string{name} + " is no number"});
    }
    return *number;
}

void put_number(Batch& batch, std::string_view name, std::uint64_t value) {
    batch.put(Family::meta, as_bytes(name), key_of(value));
}

Result<void, Error> write(Engine& engine, Batch& batch, bool sync) {
    const auto written = engine.write(batch.bytes(), sync);
    batch.clear();
    return written;
}

/// The fields of a session's row as they were in version 1, and the will behind them.
std::optional<ByteView> will_of_v1(ByteView row) noexcept {
    Decoder decoder{row};
    (void)decoder.number();  // id
    (void)decoder.byte();    // protocol version
    (void)decoder.number();  // expiry interval
    (void)decoder.number();  // expires at
    (void)decoder.number();  // last seen
    (void)decoder.bytes();   // extra
    if (!decoder.is_sound() || decoder.is_at_end()) return std::nullopt;
    return decoder.rest();
}

/// Writes what is gathered once it is enough.
Result<void, Error> write_if_large(Engine& engine, Batch& batch) {
    if (batch.size_bytes() < step_bytes_max) return {};
    return write(engine, batch, false);
}

/// A row for each holder instead of a count, from the entries of queues and streams, which both
/// begin with whose they are. Done twice it changes nothing.
Result<void, Error> migrate_references(Engine& engine) {
    Batch batch;
    for (const Family family : {Family::queue, Family::streams}) {
        const auto rows = engine.scan(family, {}, {});
        while (rows->next()) {
            const auto entry = decode_queue_entry(rows->value());
            const auto holder = id_of(rows->key());
            if (!entry || !holder || entry->message.value == 0) continue;
            batch.put(Family::references, key_of(entry->message.value, *holder), {});
            if (const auto written = write_if_large(engine, batch); !written) return written;
        }
        if (auto error = rows->error()) return std::unexpected(*error);
    }
    const auto rows = engine.scan(Family::references, {}, {});
    while (rows->next()) {
        if (rows->key().size() != 8) continue;
        batch.erase(Family::references, rows->key());
        if (const auto written = write_if_large(engine, batch); !written) return written;
    }
    if (auto error = rows->error()) return std::unexpected(*error);
    return batch.is_empty() ? Result<void, Error>{} : write(engine, batch, false);
}

/// Cut off in the middle, some rows are new and some old: the new ones have nothing behind their
/// fields.
Result<void, Error> migrate_wills(Engine& engine) {
    Batch batch;
    const auto rows = engine.scan(Family::sessions, {}, {});
    while (rows->next()) {
        const auto will = will_of_v1(rows->value());
        const auto session = decode_session(rows->value());
        if (!will || !session) continue;  // what cannot be read stays, for `check` to name
        batch.put(Family::wills, key_of(session->id.value), *will);
        batch.put(Family::sessions, rows->key(),
                  rows->value().first(rows->value().size() - will->size()));
        if (const auto written = write_if_large(engine, batch); !written) return written;
    }
    if (auto error = rows->error()) return std::unexpected(*error);
    return batch.is_empty() ? Result<void, Error>{} : write(engine, batch, false);
}

Result<void, Error> migrate_1_to_2(Engine& engine) {
    if (const auto migrated = migrate_references(engine); !migrated) return migrated;
    return migrate_wills(engine);
}

/// The will's number is that of its session, or counts from 1: neither is ever drawn for another.
class WillMover {
public:
    explicit WillMover(Engine& engine) : engine_{engine} {}

    Result<void, Error> move() {
        if (const auto counted = count_moved(); !counted) return counted;
        // Those whose session is there; then what is left is nobody's.
        for (const auto& [family, step] : {std::pair{Family::sessions, &WillMover::move_of_session},
                                           std::pair{Family::values, &WillMover::move_by_name},
                                           std::pair{Family::wills, &WillMover::drop}}) {
            const auto rows = engine_.scan(family, {}, {});
            while (rows->next()) {
                if (const auto done = (this->*step)(rows->key(), rows->value()); !done) return done;
                if (batch_.size_bytes() < step_bytes_max) continue;
                if (const auto done = write(engine_, batch_, false); !done) return done;
            }
            if (auto error = rows->error()) return std::unexpected(*error);
            if (batch_.is_empty()) continue;
            if (const auto done = write(engine_, batch_, false); !done) return done;
        }
        return {};
    }

private:
    static constexpr std::string_view prefix = "wills/";  // of the space: then the tenant

    /// What an attempt before this one has moved by name.
    Result<void, Error> count_moved() {
        const auto rows = engine_.scan(Family::wills, key_of(0), key_of(1));
        while (rows->next()) {
            if (rows->key().size() == will_key_bytes) {
                last_number_ = second_id_of(rows->key()).value_or(0);
            }
        }
        if (auto error = rows->error()) return std::unexpected(*error);
        return {};
    }

    /// False: it cannot be read, and stays for `check` to name.
    bool put(SessionId session, WillId number, Name owner, ByteView row_of_v2) {
        Decoder decoder{row_of_v2};
        WillRecord will;
        will.tenant = owner.tenant;
        will.client_id = owner.name;
        will.delay_s = static_cast<std::uint32_t>(decoder.number_up_to(0xFFFF'FFFF));
        (void)decoder.number();  // due at; it never was
        const auto message = decode_message(decoder.rest());
        if (!decoder.is_sound() || !message) return false;
        will.message = *message;
        batch_.put_will(session, number, will);
        return true;
    }

    Result<void, Error> move_of_session(ByteView key, ByteView value) {
        const auto name = name_of(key);
        const auto session = decode_session(value);
        if (!name || !session) return {};
        const Bytes old_key = key_of(session->id.value);
        const auto will = engine_.get(Family::wills, old_key);
        if (!will) return std::unexpected(will.error());
        if (*will && put(session->id, WillId{session->id.value}, *name, **will)) {
            batch_.erase(Family::wills, old_key);
        }
        return {};
    }

    Result<void, Error> move_by_name(ByteView key, ByteView value) {
        const auto name = name_of(key);
        if (!name || !name->tenant.starts_with(prefix)) return {};
        const Name owner{name->tenant.substr(prefix.size()), name->name};
        if (put(SessionId{0}, WillId{last_number_ + 1}, owner, value)) {
            ++last_number_;
            batch_.erase(Family::values, key);
        }
        return {};
    }

    Result<void, Error> drop(ByteView key, ByteView /*value*/) {
        if (key.size() == sizeof(std::uint64_t)) batch_.erase(Family::wills, key);
        return {};
    }

    Engine& engine_;
    Batch batch_;
    std::uint64_t last_number_ = 0;
};

Result<void, Error> migrate_2_to_3(Engine& engine) { return WillMover{engine}.move(); }

bool has_rows(Engine& engine) {
    return engine.scan(Family::sessions, {}, {})->next() ||
           engine.scan(Family::retained, {}, {})->next();
}

/// The last generation of which anything is found. A damaged table may have taken the count of
/// starts along; counted anew, a session or a will would get a number that another has had, and
/// with it what is that one's.
Result<std::uint32_t, Error> last_generation_found(Engine& engine, bool looks_at_sessions) {
    std::uint32_t found = 0;
    const auto note = [&found](std::uint64_t id) {
        found = std::max(found, IdMint::generation_of(id));
    };
    for (const Family family :
         {Family::subscriptions, Family::queue, Family::flight, Family::inbound, Family::wills,
          Family::cursors, Family::discards}) {
        const auto last = engine.last(family, {}, {});
        if (!last) return std::unexpected(last.error());
        if (*last) note(id_of(**last).value_or(0));
    }
    if (!looks_at_sessions) return found;
    const auto rows = engine.scan(Family::sessions, {}, {});
    while (rows->next()) {
        if (const auto session = decode_session(rows->value())) note(session->id.value);
    }
    if (auto error = rows->error()) return std::unexpected(*error);
    // A will may be younger than its session, or belong to none.
    const auto wills = engine.scan(Family::wills, {}, {});
    while (wills->next()) note(second_id_of(wills->key()).value_or(0));
    if (auto error = wills->error()) return std::unexpected(*error);
    return found;
}

}  // namespace

Result<Identity, Error> read_identity(Engine& engine) {
    // The number was not written before version 2.
    const auto schema =
        number_at(engine, "schema", has_rows(engine) ? 1 : std::uint64_t{schema_version});
    if (!schema) return std::unexpected(schema.error());
    if (*schema > schema_version || *schema == 0) {
        return std::unexpected(Error{ErrorKind::unsupported,
                                     "the store has schema " + std::to_string(*schema) +
                                         ", this program knows 1 to " +
                                         std::to_string(schema_version) + "; use a newer one"});
    }
    const auto generation = number_at(engine, "generation", 0);
    if (!generation) return std::unexpected(generation.error());
    const auto node = number_at(engine, "node", 0);
    if (!node) return std::unexpected(node.error());
    return Identity{static_cast<std::uint32_t>(*schema), static_cast<std::uint32_t>(*generation),
                    *node, 0};
}

Result<Identity, Error> begin_generation(Engine& engine, std::uint64_t node, bool has_lost) {
    auto identity = read_identity(engine);
    if (!identity) return identity;
    if (identity->schema < schema_version) {
        identity->migrated_from = identity->schema;
        constexpr std::array steps{migrate_1_to_2, migrate_2_to_3};
        static_assert(steps.size() == schema_version - 1);
        for (; identity->schema < schema_version; ++identity->schema) {
            if (const auto migrated = steps[identity->schema - 1](engine); !migrated) {
                return std::unexpected(migrated.error());
            }
            Batch batch;
            put_number(batch, "schema", identity->schema + 1);
            if (const auto written = write(engine, batch, true); !written) {
                return std::unexpected(written.error());
            }
        }
    }
    const auto found = last_generation_found(engine, has_lost || identity->generation == 0);
    if (!found) return std::unexpected(found.error());
    identity->generation = std::max(identity->generation, *found) + 1;
    if (identity->node == 0) identity->node = node;
    Batch batch;
    put_number(batch, "schema", identity->schema);
    put_number(batch, "generation", identity->generation);
    put_number(batch, "node", identity->node);
    if (const auto written = write(engine, batch, true); !written) {
        return std::unexpected(written.error());
    }
    return identity;
}

}  // namespace mitu::store
