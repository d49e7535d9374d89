#pragma once
// Reader: answers a shard's questions to the store, in bounded chunks, so that no shard waits for
// the disk and no answer is larger than its asker can take.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "mitu/base/strong_id.hpp"
#include "mitu/ports/inbox.hpp"
#include "mitu/store/committer.hpp"
#include "mitu/store/engine.hpp"

namespace mitu::store {

/// From `from` to `to`, which is not met; an empty `to`: to the end of the family.
struct Range {
    Family family = Family::meta;
    Bytes from{};
    Bytes to{};
    bool gives_expired = false;  // queue rows whose message has expired are given like others
    bool last_only = false;      // just the last row of it, with its key: where counting goes on
};

// What is asked for most.
[[nodiscard]] Range whole(Family family);
[[nodiscard]] Range row_of(Family family, ByteView key);
[[nodiscard]] Range session_row(Name name);
/// All of one session in a family whose keys begin with it.
[[nodiscard]] Range of_session(Family family, SessionId session);
[[nodiscard]] Range queue_from(SessionId session, Position from);
[[nodiscard]] Range stream_from(StreamId stream, Position from);
[[nodiscard]] Range values_of(std::string_view space);
/// The last entry of a session's queue: new ones go above it.
[[nodiscard]] Range end_of_queue(SessionId session);
/// Everything a session needs to go on, small things first, the queue last.
[[nodiscard]] std::vector<Range> resumption_of(SessionId session);

struct ReadRequest {
    std::uint64_t token = 0;  // the asker's own
    ShardId shard{};
    std::vector<Range> ranges{};  // read one after the other
    std::uint32_t rows_max = 256;
    std::uint64_t bytes_max = 262'144;  // one row is given however large it is
    Ticket after = 0;  // not before this batch of the same shard is written; 0: now
};

/// Rows, and where to go on. Owns its bytes.
class Chunk {
public:
    /// `message` is empty in other families, and where only the last row was asked for.
    struct Row {
        Family family;
        ByteView key;
        ByteView value;
        ByteView message;  // queue and stream rows: the encoded message, wherever it is stored
    };

    std::uint64_t token = 0;
    std::vector<Range> rest;     // ask for these; empty: that was all
    std::optional<Error> error;  // reading stopped here; the rows before it are good
    /// Entries that are not among the rows, to be taken out of their queue: see take_out_skipped().
    struct Skipped {
        Bytes key;
        MessageId message;
    };
    std::vector<Skipped> expired;
    std::vector<Skipped> missing;  // what they named is gone: a crash, or it has expired

    [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
    /// Lifetime  the chunk's.
    [[nodiscard]] Row operator[](std::size_t index) const noexcept;
    [[nodiscard]] std::uint64_t size_bytes() const noexcept { return bytes_.size(); }

private:
    friend class ChunkWriter;
    struct Part {
        Family family;
        std::size_t at;
        std::size_t key_bytes;
        std::size_t value_bytes;
        std::size_t message_at;
        std::size_t message_bytes;
    };
    Bytes bytes_;
    std::vector<Part> rows_;
};

/// Answers one request at once: what a Reader does, for those that may wait themselves.
/// Cost  the rows that are given, and a lookup for each shared message; nothing of other sessions.
[[nodiscard]] Chunk read(Engine& engine, const ReadRequest& request, WallTime wall);

/// Adds to `batch` what removes the entries that a reading of queues has skipped, but for those at
/// `on_their_way`, whose numbers are in use.
/// Shape  in order.
void take_out_skipped(const Chunk& chunk, Batch& batch,
                      std::span<const Position> on_their_way = {});

/// Threading  ask, poll: the shard that is named; step: the reader's thread.
/// Order      that of the questions, but those that wait for a batch come behind.
class Reader {
public:
    struct Options {
        std::uint16_t shards = 1;
        std::size_t requests_max = 65'536;
    };
    /// `committer` may be null: nothing waits. Lifetime  both outlive it.
    Reader(Engine& engine, const Committer* committer, const Options& options,
           std::function<void(ShardId)> wake_shard = {}, std::function<void()> wake_reader = {});

    /// False: too many questions; nothing changed, ask again later.
    [[nodiscard]] bool ask(ReadRequest&& request);
    /// Replaces `chunks`, oldest first.
    void poll(ShardId shard, std::vector<Chunk>& chunks);
    [[nodiscard]] bool has_answer(ShardId shard) const noexcept {
        return !answers_[shard.value]->is_empty();
    }

    /// One question. False: there is none that could be answered now.
    bool step(WallTime wall);

private:
    [[nodiscard]] bool may_answer(const ReadRequest& request) const noexcept;

    Engine& engine_;
    const Committer* committer_;
    Options options_;
    std::function<void(ShardId)> wake_shard_;
    std::function<void()> wake_reader_;
    ports::Inbox<ReadRequest> asked_;
    std::vector<std::unique_ptr<ports::Inbox<Chunk>>> answers_;
    std::deque<ReadRequest> waiting_;
    std::vector<ReadRequest> scratch_;
};

}  // namespace mitu::store
