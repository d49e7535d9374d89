#pragma once
// Batch: what a shard wants stored, noted during its turn and handed over at the end of it.

#include <cstdint>
#include <optional>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/store/family.hpp"
#include "mitu/store/ids.hpp"
#include "mitu/store/key.hpp"
#include "mitu/store/record.hpp"

namespace mitu::store {

/// How long an acknowledgement waits.
enum class Durability : std::uint8_t {
    none,   // for nothing
    async,  // until the system has it: a kill of the process loses nothing, a loss of power at most
            // what the bounded delay holds (CommitterOptions::async_delay)
    sync,   // until the device has it
};

enum class Op : std::uint8_t {
    put,
    erase,
    erase_range,  // from key to value, which is not erased
    add,          // to a count, which is 0 where there is none; see encode_count()
};

/// One thing to do to one row. Borrows.
struct Operation {
    Op op = Op::put;
    Family family = Family::meta;
    ByteView key;
    ByteView value;
};

/// A sequence of operations that are done wholly or not at all, as plain bytes.
/// Threading  its owner's; movable to another.
/// Cost       one copy of what is stored into a buffer that keeps its capacity.
class Batch {
public:
    // ---- sessions
    // --------------------------------------------------------------------------------
    void put_session(Name name, const SessionRecord& record);
    /// Its rows are cleared away later, bit by bit (housekeeping.hpp): the cost here is two rows,
    /// however much is queued. The id is never used again.
    void end_session(Name name, SessionId session);
    void put_subscription(SessionId session, std::string_view filter,
                          const SubscriptionRecord& record);
    void erase_subscription(SessionId session, std::string_view filter);
    /// Wills outlast their sessions: one that is due goes when its message is stored.
    void put_will(SessionId session, WillId will, const WillRecord& record);
    void put_will_due(SessionId session, WillId will, WallTime since);
    void erase_will(SessionId session, WillId will);
    void put_inbound(SessionId session, std::uint16_t packet_id);
    void erase_inbound(SessionId session, std::uint16_t packet_id);

    // ---- messages for sessions
    // -------------------------------------------------------------------
    /// A message that several entries name: written once, and away when none of them is left.
    void put_message(MessageId message, const MessageRecord& record);
    /// Shape  position: above all that the session has had.
    void enqueue(SessionId session, Position position, const QueueEntry& entry);
    /// `message`: the one that the entry names, if it does.
    void dequeue(SessionId session, Position position, MessageId message = {});
    void put_flight(SessionId session, Position position, const FlightRecord& record);
    void erase_flight(SessionId session, Position position);

    // ---- streams
    // --------------------------------------------------------------------------------- For a
    // filter with many stored sessions: one row a message, and a cursor a session.
    void put_stream(Name filter, StreamId stream);
    void append_to_stream(StreamId stream, Position position, const QueueEntry& entry);
    /// The session needs what is at `at` and above.
    void join_stream(SessionId session, StreamId stream, Position at);
    void move_cursor(SessionId session, StreamId stream, Position from, Position to);
    void leave_stream(SessionId session, StreamId stream, Position at);

    // ---- the rest
    // --------------------------------------------------------------------------------
    void put_retained(Name topic, const MessageRecord& record);
    void erase_retained(Name topic);
    void put_value(std::string_view space, std::string_view key, ByteView value);
    void erase_value(std::string_view space, std::string_view key);

    // ---- rows as they are
    // ------------------------------------------------------------------------
    void put(Family family, ByteView key, ByteView value) {
        add_operation(Op::put, family, key, value);
    }
    void erase(Family family, ByteView key) { add_operation(Op::erase, family, key, {}); }
    void erase_range(Family family, ByteView from, ByteView to) {
        add_operation(Op::erase_range, family, from, to);
    }
    void add(Family family, ByteView key, std::int64_t delta);

    /// The whole batch waits for the strictest that anything in it asked for.
    void require(Durability durability) noexcept {
        if (durability > durability_) durability_ = durability;
    }
    [[nodiscard]] Durability durability() const noexcept { return durability_; }

    [[nodiscard]] ByteView bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::uint64_t size_bytes() const noexcept { return bytes_.size(); }
    [[nodiscard]] bool is_empty() const noexcept { return bytes_.empty(); }
    /// Keeps its capacity, if that is no more than `capacity_bytes_max`.
    void clear(std::size_t capacity_bytes_max = 1'048'576);
    /// The operations of `other` behind those that are here.
    void append(const Batch& other);

private:
    void add_operation(Op op, Family family, ByteView key, ByteView value);
    /// Room for the value is what `encode` appends.
    template <class Record>
    void put_record(Family family, ByteView key, const Record& record);

    Bytes bytes_;
    Durability durability_ = Durability::none;
};

/// Goes through the operations of a batch's bytes.
/// Lifetime  borrows the bytes, which Batch made: they are sound.
class OperationReader {
public:
    explicit OperationReader(ByteView bytes) noexcept : rest_{bytes} {}
    [[nodiscard]] std::optional<Operation> next() noexcept;

private:
    ByteView rest_;
};

}  // namespace mitu::store
