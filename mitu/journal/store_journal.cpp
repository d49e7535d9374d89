#include "mitu/journal/store_journal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/ports/trial.hpp"
#include "mitu/store/codec.hpp"
#include "mitu/store/key.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::journal {

using broker::KeptSession;
using broker::MessageView;
using broker::StoredMessageId;
using broker::StoredSessionId;
using broker::StoredWillId;
using store::SessionId;
using store::WillId;

namespace {

// Numbers in use of one session, either way: two bytes can name no more.
constexpr std::uint32_t flights_max = 2 * 65'536;
// Of what was on its way when the client went, which was in memory then.
constexpr std::uint64_t on_its_way_bytes_max = 256u << 20;

// So far ahead the mark in the store goes, that no message's number is above.
constexpr std::uint64_t mark_ahead_us = 60'000'000;

/// The same as in SUBSCRIBE.
std::uint8_t options_of(const broker::KeptSubscription& entry) noexcept {
    return static_cast<std::uint8_t>(static_cast<unsigned>(entry.qos) | (entry.no_local ? 4U : 0U) |
                                     (entry.retain_as_published ? 8U : 0U));
}

std::string filter_with_group(std::string_view filter, std::string_view group) {
    if (group.empty()) return std::string{filter};
    std::string whole{"$share/"};
    whole.append(group).append("/").append(filter);
    return whole;
}

store::MessageId shared_message(StoredMessageId message) noexcept {
    return store::MessageId{MessageNumber::is_shared(message) ? message : 0};
}

}  // namespace

StoreJournal::StoreJournal(ShardId shard, const JournalTerms& terms, store::Committer& committer,
                           store::Reader& reader, const ports::Clock& clock)
    : shard_{shard},
      terms_{terms},
      committer_{committer},
      reader_{reader},
      clock_{clock},
      ids_{terms.generation, shard},
      last_message_us_{terms.first_microsecond},
      marked_us_{terms.first_microsecond} {}

WallTime StoreJournal::wall_of(Instant at) const noexcept {
    if (at.is_never()) return store::wall_never;
    return WallTime{clock_.wall().unix_ms + (at - clock_.now()).count_ms()};
}

Instant StoreJournal::instant_of(WallTime at) const noexcept {
    if (at == store::wall_never) return Instant::never();
    return clock_.now() + Duration::milliseconds(at.unix_ms - clock_.wall().unix_ms);
}

StoredSessionId StoreJournal::next_session() { return ids_.next<SessionId>().value; }

StoredWillId StoreJournal::next_will(StoredSessionId session) {
    return {session, ids_.next<WillId>().value};
}

StoredMessageId StoreJournal::next_message(bool is_shared) {
    const auto wall_us = static_cast<std::uint64_t>(clock_.wall().unix_ms) * 1'000;
    last_message_us_ = std::max(last_message_us_ + 1, wall_us);
    if (last_message_us_ > marked_us_) {
        marked_us_ = last_message_us_ + mark_ahead_us;
        batch_.put_value("journal", "clock/" + std::to_string(shard_.value),
                         store::key_of(marked_us_));
    }
    return last_message_us_ * MessageNumber::step | (std::uint64_t{shard_.value & 0xFFU} << 1) |
           (is_shared ? 1U : 0U);
}

store::MessageRecord StoreJournal::record_of(const MessageView& message, std::string& key) const {
    store::MessageRecord record;
    if (message.publisher_key != 0) key = fmt::format("{:016x}", message.publisher_key);
    record.topic = message.topic;
    record.properties = message.properties;
    record.payload = message.payload;
    record.qos = static_cast<std::uint8_t>(message.qos);
    record.retain = message.retain;
    record.publisher = key;
    record.stored_at = clock_.wall();
    record.expires_at = wall_of(message.expires_at);
    return record;
}

// --- sessions ---

void StoreJournal::put_session(const KeptSession& session) {
    store::SessionRecord record;
    record.id = SessionId{session.id};
    record.protocol_version = static_cast<std::uint8_t>(session.version);
    record.expiry_interval_s = session.expiry_s;
    const bool is_connected = session.detached_at.is_never();
    record.last_seen_at = is_connected ? clock_.wall() : wall_of(session.detached_at);
    record.extra = is_connected ? connected_mark : ByteView{};
    batch_.put_session({terms_.of(session.tenant).name, session.client_id}, record);
}

void StoreJournal::erase_session(StoredSessionId session, TenantId tenant,
                                 std::string_view client_id) {
    batch_.end_session({terms_.of(tenant).name, client_id}, SessionId{session});
}

void StoreJournal::put_subscription(StoredSessionId session,
                                    const broker::KeptSubscription& entry) {
    store::SubscriptionRecord record;
    record.options = options_of(entry);
    record.identifier = entry.identifier;
    batch_.put_subscription(SessionId{session}, filter_with_group(entry.filter, entry.group),
                            record);
}

void StoreJournal::erase_subscription(StoredSessionId session, std::string_view filter,
                                      std::string_view group) {
    batch_.erase_subscription(SessionId{session}, filter_with_group(filter, group));
}

void StoreJournal::put_will(const broker::KeptWill& will) {
    std::string key;
    store::WillRecord record;
    record.tenant = terms_.of(will.tenant).name;
    record.client_id = will.client_id;
    record.delay_s = will.delay_s;
    record.message = record_of(will.message, key);
    // It counts from when it is due.
    record.message.expires_at =
        will.expiry_s ? WallTime{std::int64_t{*will.expiry_s} * 1'000} : store::wall_never;
    batch_.put_will(SessionId{will.id.session}, WillId{will.id.number}, record);
}

void StoreJournal::put_will_due(const StoredWillId& will) {
    batch_.put_will_due(SessionId{will.session}, WillId{will.number}, clock_.wall());
}

void StoreJournal::erase_will(const StoredWillId& will) {
    batch_.erase_will(SessionId{will.session}, WillId{will.number});
}

// --- messages ---

void StoreJournal::put_message(const MessageView& message, std::uint32_t rows) {
    MITU_CHECK(MessageNumber::is_shared(message.stored_id) == (rows > 1));
    std::string key;
    if (rows > 1) {
        batch_.put_message(store::MessageId{message.stored_id}, record_of(message, key));
    }
}

void StoreJournal::put_row(StoredSessionId session, const MessageView& message,
                           const broker::QueueRow& row) {
    store::QueueEntry entry;
    entry.qos = static_cast<std::uint8_t>(row.qos);
    entry.retain = row.retain;
    entry.expires_at = wall_of(message.expires_at);
    entry.identifiers = row.identifiers;
    entry.message = shared_message(message.stored_id);
    std::string key;
    if (entry.message.value == 0) entry.body = record_of(message, key);
    batch_.enqueue(SessionId{session}, message.stored_id, entry);
}

void StoreJournal::number_row(StoredSessionId session, StoredMessageId message,
                              std::uint16_t packet_id) {
    batch_.put_flight(SessionId{session}, message, {packet_id, store::FlightState::sent});
}

void StoreJournal::erase_row(StoredSessionId session, StoredMessageId message, bool has_number) {
    batch_.dequeue(SessionId{session}, message, shared_message(message));
    if (has_number) batch_.erase_flight(SessionId{session}, message);
}

void StoreJournal::release_row(StoredSessionId session, StoredMessageId message,
                               std::uint16_t packet_id) {
    batch_.dequeue(SessionId{session}, message, shared_message(message));
    batch_.erase_flight(SessionId{session}, message);
    batch_.put_flight(SessionId{session}, position_of_released(packet_id),
                      {packet_id, store::FlightState::released});
}

void StoreJournal::erase_released(StoredSessionId session, std::uint16_t packet_id) {
    batch_.erase_flight(SessionId{session}, position_of_released(packet_id));
}

void StoreJournal::put_incoming(StoredSessionId session, std::uint16_t packet_id) {
    batch_.put_inbound(SessionId{session}, packet_id);
}

void StoreJournal::erase_incoming(StoredSessionId session, std::uint16_t packet_id) {
    batch_.erase_inbound(SessionId{session}, packet_id);
}

void StoreJournal::put_retained(const MessageView& message) {
    std::string key;
    batch_.put_retained({terms_.of(message.tenant).name, message.topic}, record_of(message, key));
}

void StoreJournal::erase_retained(TenantId tenant, std::string_view topic) {
    batch_.erase_retained({terms_.of(tenant).name, topic});
}

// --- how far it has come ---

void StoreJournal::hand_over(bool sync) {
    while (!unasked_.empty() && reader_.ask(std::move(unasked_.front()))) unasked_.pop_front();
    if (sync) batch_.require(store::Durability::sync);
    if (batch_.is_empty()) return;
    batch_.require(store::Durability::async);
    // Refused: so much is in flight already. It goes on growing, and publishers wait.
    ports::pass_trial(ports::TrialPoint::shard_before_hand_over);
    if (const auto ticket = committer_.submit(shard_, batch_)) submitted_ = *ticket;
    ports::pass_trial(ports::TrialPoint::shard_handed_over);
}

broker::Journal::Progress StoreJournal::progress() const noexcept {
    committer_.poll(shard_, reports_);
    if (!reports_.empty()) done_ = reports_.back().through;
    return {done_, done_};
}

// --- reading ---

void StoreJournal::ask(store::ReadRequest&& request) {
    request.shard = shard_;
    request.after = batch_.is_empty() ? submitted_ : submitted_ + 1;
    if (!unasked_.empty() || !reader_.ask(std::move(request))) {
        unasked_.push_back(std::move(request));
    }
}

/// First what is on its way, then what is not.
void StoreJournal::read_queue(StoredSessionId session, StoredMessageId after,
                              std::uint32_t messages_max, std::uint32_t bytes_max,
                              std::uint32_t ticket) {
    reading_[ticket] = {session, after, messages_max, bytes_max, false, {}, {}};
    store::ReadRequest request;
    request.token = ticket;
    request.ranges.push_back(store::of_session(store::Family::flight, SessionId{session}));
    request.rows_max = flights_max;
    request.bytes_max = std::uint64_t{flights_max} * 64;
    ask(std::move(request));
}

bool StoreJournal::has_chunk() const noexcept {
    return chunk_at_ < chunks_.size() || !recalled_.empty() || !counted_.empty() ||
           reader_.has_answer(shard_);
}

const broker::QueueChunk* StoreJournal::take_chunk() {
    for (;;) {
        if (chunk_at_ == chunks_.size()) {
            chunk_at_ = 0;
            reader_.poll(shard_, chunks_);
            if (chunks_.empty()) return nullptr;
        }
        chunk_ = std::move(chunks_[chunk_at_++]);
        if (take_recall() || take_counted()) continue;
        const auto it = reading_.find(static_cast<std::uint32_t>(chunk_.token));
        MITU_CHECK(it != reading_.end());
        if (!it->second.has_flights) {
            if (take_flights(it->first, it->second)) continue;
            chunk_view_ = {};
            chunk_view_.session = it->second.session;
            chunk_view_.ticket = it->first;
            chunk_view_.is_failed = true;
            reading_.erase(it);
            return &chunk_view_;
        }
        const Reading reading = std::move(it->second);
        reading_.erase(it);
        make_chunk(static_cast<std::uint32_t>(chunk_.token), reading);
        return &chunk_view_;
    }
}

bool StoreJournal::take_flights(std::uint32_t ticket, Reading& reading) {
    // Without them a number could be given that is in use.
    if (chunk_.error || !chunk_.rest.empty()) {
        trace::log(trace::Level::error, "numbers_not_read",
                   {{"session", reading.session},
                    {"reason", chunk_.error ? chunk_.error->detail : "there are too many"}});
        return false;
    }
    reading.has_flights = true;
    for (std::size_t i = 0; i < chunk_.size(); ++i) {
        const auto position = store::second_id_of(chunk_[i].key);
        const auto flight = store::decode_flight(chunk_[i].value);
        if (!position || !flight) continue;
        if (flight->state == store::FlightState::released) {
            reading.released.push_back(flight->packet_id);
        } else {
            reading.numbers.emplace_back(*position, flight->packet_id);
        }
    }
    store::ReadRequest request;
    request.token = ticket;
    request.rows_max = reading.messages_max;
    request.bytes_max = reading.bytes_max;
    // All that is on its way comes at once, because its numbers are taken.
    if (reading.after == 0 && !reading.numbers.empty()) {
        for (const auto& [position, packet_id] : reading.numbers) {
            store::Range row =
                store::row_of(store::Family::queue, store::key_of(reading.session, position));
            row.gives_expired = true;  // it was begun, and its number is in use
            request.ranges.push_back(std::move(row));
        }
        request.rows_max += static_cast<std::uint32_t>(reading.numbers.size());
        request.bytes_max = on_its_way_bytes_max;
    }
    request.ranges.push_back(store::queue_from(SessionId{reading.session}, reading.after + 1));
    ask(std::move(request));
    return true;
}

/// What the store gave, as the broker takes it.
void StoreJournal::make_chunk(std::uint32_t ticket, const Reading& reading) {
    messages_.clear();
    identifiers_.clear();
    if (reading.after == 0) {
        for (const std::uint16_t packet_id : reading.released) {
            broker::QueuedMessage queued;
            queued.is_released = true;
            queued.row.qos = mqtt::QoS::exactly_once;
            queued.row.packet_id = packet_id;
            messages_.push_back(queued);
        }
    }
    std::vector<std::size_t> identifier_at;
    std::vector<store::Position> met;  // of the numbers, in order
    bool is_behind_flights = reading.after != 0 || reading.numbers.empty();
    store::Position last = 0;
    // Not 0 again: what is on its way is read once.
    store::Position up_to = std::max<store::Position>(reading.after, 1);
    for (std::size_t i = 0; i < chunk_.size(); ++i) {
        const store::Chunk::Row row = chunk_[i];
        const auto position = store::second_id_of(row.key);
        if (!position) continue;
        const auto number = std::ranges::lower_bound(reading.numbers, *position, {},
                                                     [](const auto& pair) { return pair.first; });
        const bool has_number = number != reading.numbers.end() && number->first == *position;
        // The range behind the single rows begins anew, and meets them again.
        if (!has_number || *position <= last) is_behind_flights = true;
        last = *position;
        if (is_behind_flights) up_to = last;
        if (has_number && is_behind_flights) continue;
        if (has_number) met.push_back(*position);
        const auto entry = store::decode_queue_entry(row.value);
        const auto record = store::decode_message(row.message);
        if (!entry || !record) {
            trace::log(trace::Level::error, "queue_row_damaged",
                       {{"session", reading.session}, {"message", *position}});
            erase_row(reading.session, *position, has_number);
            continue;
        }
        broker::QueuedMessage queued;
        queued.row.qos = static_cast<mqtt::QoS>(entry->qos);
        queued.row.retain = entry->retain;
        queued.row.packet_id = has_number ? number->second : std::uint16_t{0};
        queued.message = view_of(*record);
        queued.message.stored_id = *position;
        queued.message.expires_at = instant_of(entry->expires_at);
        identifier_at.push_back(messages_.size());
        identifiers_.emplace_back(entry->identifiers.begin(),
                                  entry->identifiers.begin() + entry->identifier_count);
        messages_.push_back(queued);
    }
    take_out_what_is_not_there(reading);
    if (reading.after == 0 && !chunk_.error) {
        for (const auto& [position, packet_id] : reading.numbers) {
            // In the order of the rows, up to where the chunk ends.
            if (!is_behind_flights && !chunk_.rest.empty() &&
                (met.empty() || position > met.back())) {
                break;
            }
            if (!std::ranges::binary_search(met, position)) {
                keep_lone_number(reading.session, position, packet_id);
            }
        }
    }
    for (std::size_t i = 0; i < identifier_at.size(); ++i) {
        messages_[identifier_at[i]].row.identifiers = identifiers_[i];
    }
    const bool is_damaged = chunk_.error && chunk_.error->kind == store::ErrorKind::damaged;
    chunk_view_ = {};
    chunk_view_.session = reading.session;
    chunk_view_.ticket = ticket;
    chunk_view_.messages = messages_;
    chunk_view_.up_to = up_to;
    chunk_view_.is_end = chunk_.rest.empty() && !chunk_.error;
    chunk_view_.is_failed = chunk_.error && !is_damaged && messages_.empty();
}

/// A number whose message is gone: its client may know of it, so it stays in use until both have
/// said that they are done with it (PUBREL, PUBCOMP).
void StoreJournal::keep_lone_number(StoredSessionId session, store::Position position,
                                    std::uint16_t packet_id) {
    release_row(session, position, packet_id);
    broker::QueuedMessage queued;
    queued.is_released = true;
    queued.row.qos = mqtt::QoS::exactly_once;
    queued.row.packet_id = packet_id;
    messages_.push_back(queued);
}

/// Rows that have expired, whose message is gone, or that cannot be read: else each read would meet
/// them again.
void StoreJournal::take_out_what_is_not_there(const Reading& reading) {
    std::vector<store::Position> on_their_way;
    for (const auto& [position, packet_id] : reading.numbers) on_their_way.push_back(position);
    store::take_out_skipped(chunk_, batch_, on_their_way);
    if (!chunk_.error) return;
    trace::log(trace::Level::error, "queue_not_read",
               {{"session", reading.session}, {"reason", chunk_.error->detail}});
    if (chunk_.error->kind != store::ErrorKind::damaged || chunk_.rest.empty()) return;
    const store::Range& behind = chunk_.rest.front();
    const auto position = store::second_id_of(behind.from);
    if (behind.family == store::Family::queue && position && behind.from.size() == 17) {
        erase_row(reading.session, *position, true);
    }
}

KeptSession kept_session(const store::SessionRecord& record, Instant last_seen) noexcept {
    KeptSession kept;
    kept.id = record.id.value;
    kept.expiry_s = record.expiry_interval_s;
    kept.version = static_cast<mqtt::ProtocolVersion>(record.protocol_version);
    const bool was_connected = std::ranges::equal(record.extra, connected_mark);
    if (!was_connected) kept.detached_at = last_seen;
    return kept;
}

std::optional<broker::KeptWill> kept_will(ByteView key, const store::WillRecord& record,
                                          TenantId tenant) noexcept {
    const auto session = store::id_of(key);
    const auto number = store::second_id_of(key);
    if (!session || !number) return std::nullopt;
    broker::KeptWill will;
    will.id = {*session, *number};
    will.tenant = tenant;
    will.client_id = record.client_id;
    will.message = view_of(record.message);
    will.message.tenant = tenant;
    will.delay_s = record.delay_s;
    if (record.message.expires_at != store::wall_never) {
        will.expiry_s = static_cast<std::uint32_t>(record.message.expires_at.unix_ms / 1'000);
    }
    return will;
}

MessageView view_of(const store::MessageRecord& record) noexcept {
    MessageView view;
    view.topic = record.topic;
    view.properties = record.properties;
    view.payload = record.payload;
    view.qos = static_cast<mqtt::QoS>(record.qos);
    view.retain = record.retain;
    std::from_chars(record.publisher.data(), record.publisher.data() + record.publisher.size(),
                    view.publisher_key, 16);
    return view;
}

}  // namespace mitu::journal
