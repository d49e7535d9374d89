#include "mitu/store/batch.hpp"

#include "mitu/base/check.hpp"
#include "mitu/store/codec.hpp"

namespace mitu::store {
namespace {

// op, family, bytes of the key, bytes of the value
constexpr std::size_t operation_head_bytes = 1 + 1 + 4 + 4;

void write_size(std::uint8_t* at, std::size_t size) noexcept {
    const auto value = static_cast<std::uint32_t>(size);
    std::memcpy(at, &value, sizeof value);  // within one process: any byte order
}

std::uint32_t read_size(const std::uint8_t* at) noexcept {
    std::uint32_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
}

}  // namespace

void Batch::add_operation(Op op, Family family, ByteView key, ByteView value) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + operation_head_bytes);
    bytes_[at] = static_cast<std::uint8_t>(op);
    bytes_[at + 1] = static_cast<std::uint8_t>(family);
    write_size(&bytes_[at + 2], key.size());
    write_size(&bytes_[at + 6], value.size());
    store::append(bytes_, key);
    store::append(bytes_, value);
}

template <class Record>
void Batch::put_record(Family family, ByteView key, const Record& record) {
    const std::size_t at = bytes_.size();
    add_operation(Op::put, family, key, {});
    const std::size_t value_at = bytes_.size();
    encode(record, bytes_);
    write_size(&bytes_[at + 6], bytes_.size() - value_at);
}

std::optional<Operation> OperationReader::next() noexcept {
    if (rest_.empty()) return std::nullopt;
    MITU_CHECK(rest_.size() >= operation_head_bytes);
    const std::size_t key_bytes = read_size(&rest_[2]);
    const std::size_t value_bytes = read_size(&rest_[6]);
    MITU_CHECK(rest_.size() - operation_head_bytes >= key_bytes + value_bytes);
    const Operation operation{static_cast<Op>(rest_[0]), static_cast<Family>(rest_[1]),
                              rest_.subspan(operation_head_bytes, key_bytes),
                              rest_.subspan(operation_head_bytes + key_bytes, value_bytes)};
    rest_ = rest_.subspan(operation_head_bytes + key_bytes + value_bytes);
    return operation;
}

void Batch::clear(std::size_t capacity_bytes_max) {
    bytes_.clear();
    if (bytes_.capacity() > capacity_bytes_max) bytes_ = Bytes{};
    durability_ = Durability::none;
}

void Batch::append(const Batch& other) {
    store::append(bytes_, other.bytes_);
    require(other.durability_);
}

void Batch::add(Family family, ByteView key, std::int64_t delta) {
    add_operation(Op::add, family, key, encode_count(delta));
}

void Batch::put_session(Name name, const SessionRecord& record) {
    put_record(Family::sessions, key_of(name), record);
}

void Batch::end_session(Name name, SessionId session) {
    erase(Family::sessions, key_of(name));
    put(Family::discards, key_of(session.value), {});
}

void Batch::put_subscription(SessionId session, std::string_view filter,
                             const SubscriptionRecord& record) {
    put_record(Family::subscriptions, key_of(session, filter), record);
}

void Batch::erase_subscription(SessionId session, std::string_view filter) {
    erase(Family::subscriptions, key_of(session, filter));
}

void Batch::put_will(SessionId session, WillId will, const WillRecord& record) {
    put_record(Family::wills, key_of(session, will), record);
}

void Batch::put_will_due(SessionId session, WillId will, WallTime since) {
    put(Family::wills, key_of_due(session, will), encode_count(since.unix_ms));
}

void Batch::erase_will(SessionId session, WillId will) {
    erase(Family::wills, key_of(session, will));
    erase(Family::wills, key_of_due(session, will));
}

void Batch::put_inbound(SessionId session, std::uint16_t packet_id) {
    put(Family::inbound, key_of(session, packet_id), {});
}

void Batch::erase_inbound(SessionId session, std::uint16_t packet_id) {
    erase(Family::inbound, key_of(session, packet_id));
}

void Batch::put_message(MessageId message, const MessageRecord& record) {
    put_record(Family::messages, key_of(message.value), record);
}

void Batch::enqueue(SessionId session, Position position, const QueueEntry& entry) {
    put_record(Family::queue, key_of(session.value, position), entry);
    if (entry.message.value != 0) {
        put(Family::references, key_of(entry.message.value, session.value), {});
    }
}

void Batch::dequeue(SessionId session, Position position, MessageId message) {
    erase(Family::queue, key_of(session.value, position));
    if (message.value == 0) return;
    erase(Family::references, key_of(message.value, session.value));
    put(Family::released, key_of(message.value), {});
}

void Batch::put_flight(SessionId session, Position position, const FlightRecord& record) {
    put_record(Family::flight, key_of(session.value, position), record);
}

void Batch::erase_flight(SessionId session, Position position) {
    erase(Family::flight, key_of(session.value, position));
}

void Batch::put_stream(Name filter, StreamId stream) {
    put(Family::stream_names, key_of(filter), key_of(stream.value));
}

void Batch::append_to_stream(StreamId stream, Position position, const QueueEntry& entry) {
    put_record(Family::streams, key_of(stream.value, position), entry);
    if (entry.message.value != 0) {
        put(Family::references, key_of(entry.message.value, stream.value), {});
    }
}

void Batch::join_stream(SessionId session, StreamId stream, Position at) {
    put(Family::cursors, key_of(session.value, stream.value), key_of(at));
    put(Family::stream_order, key_of(stream.value, at, session.value), {});
}

void Batch::move_cursor(SessionId session, StreamId stream, Position from, Position to) {
    erase(Family::stream_order, key_of(stream.value, from, session.value));
    join_stream(session, stream, to);
}

void Batch::leave_stream(SessionId session, StreamId stream, Position at) {
    erase(Family::cursors, key_of(session.value, stream.value));
    erase(Family::stream_order, key_of(stream.value, at, session.value));
}

void Batch::put_retained(Name topic, const MessageRecord& record) {
    put_record(Family::retained, key_of(topic), record);
}

void Batch::erase_retained(Name topic) { erase(Family::retained, key_of(topic)); }

void Batch::put_value(std::string_view space, std::string_view key, ByteView value) {
    put(Family::values, key_of(Name{space, key}), value);
}

void Batch::erase_value(std::string_view space, std::string_view key) {
    erase(Family::values, key_of(Name{space, key}));
}

}  // namespace mitu::store
