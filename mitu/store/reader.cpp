#include "mitu/store/reader.hpp"

#include <algorithm>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/store/codec.hpp"

namespace mitu::store {

Range whole(Family family) { return {family}; }

Range row_of(Family family, ByteView key) {
    Bytes behind = to_bytes(key);
    behind.push_back(0);
    return {family, to_bytes(key), std::move(behind)};
}

Range session_row(Name name) { return row_of(Family::sessions, key_of(name)); }

Range of_session(Family family, SessionId session) {
    const Bytes key = key_of(session.value);
    return {family, key, end_of_prefix(key)};
}

Range queue_from(SessionId session, Position from) {
    return {Family::queue, key_of(session.value, from), end_of_prefix(key_of(session.value))};
}

Range stream_from(StreamId stream, Position from) {
    return {Family::streams, key_of(stream.value, from), end_of_prefix(key_of(stream.value))};
}

Range values_of(std::string_view space) {
    Bytes key = key_of(Name{space, {}});
    return {Family::values, key, end_of_prefix(key)};
}

Range end_of_queue(SessionId session) {
    Range range = of_session(Family::queue, session);
    range.last_only = true;
    return range;
}

std::vector<Range> resumption_of(SessionId session) {
    std::vector<Range> ranges;
    for (const Family family : {Family::subscriptions, Family::wills, Family::inbound,
                                Family::flight, Family::cursors, Family::queue}) {
        ranges.push_back(of_session(family, session));
    }
    return ranges;
}

Chunk::Row Chunk::operator[](std::size_t index) const noexcept {
    const Part& part = rows_[index];
    const ByteView bytes = bytes_;
    return {part.family, bytes.subspan(part.at, part.key_bytes),
            bytes.subspan(part.at + part.key_bytes, part.value_bytes),
            bytes.subspan(part.message_at, part.message_bytes)};
}

namespace {

bool has_messages(Family family) noexcept {
    return family == Family::queue || family == Family::streams;
}

Error damaged(Family family, ByteView key) {
    std::string detail{to_text(family)};
    detail += ": a row cannot be read, key ";
    for (const std::uint8_t byte : key.first(std::min<std::size_t>(key.size(), 32))) {
        constexpr std::string_view digits = "0123456789abcdef";
        detail += digits[byte >> 4];
        detail += digits[byte & 15];
    }
    return {ErrorKind::damaged, std::move(detail)};
}

}  // namespace

/// Fills one chunk from the ranges of a request.
class ChunkWriter {
public:
    ChunkWriter(Engine& engine, const ReadRequest& request, WallTime wall)
        : engine_{engine}, request_{request}, wall_{wall} {
        chunk_.token = request.token;
    }

    Chunk write() {
        for (range_at_ = 0; range_at_ < request_.ranges.size(); ++range_at_) {
            const Range& range = request_.ranges[range_at_];
            if (!(range.last_only ? add_last(range) : add_rows(range))) break;
        }
        return std::move(chunk_);
    }

private:
    /// False: the chunk ends here.
    bool add_rows(const Range& range) {
        const auto rows = engine_.scan(range.family, range.from, range.to);
        while (rows->next()) {
            if (is_full(rows->key().size() + rows->value().size())) {
                return stop_at(range, to_bytes(rows->key()));
            }
            if (has_messages(range.family)) {
                if (!add_entry(range, rows->key(), rows->value())) return false;
            } else {
                add_row(range.family, rows->key(), rows->value(), 0, {});
            }
        }
        chunk_.error = rows->error();
        return !chunk_.error;
    }

    bool add_last(const Range& range) {
        const auto key = engine_.last(range.family, range.from, range.to);
        if (!key) {
            chunk_.error = key.error();
            return false;
        }
        if (!*key) return true;
        const auto value = engine_.get(range.family, **key);
        if (!value) {
            chunk_.error = value.error();
            return false;
        }
        if (*value) add_row(range.family, **key, **value, 0, {});
        return true;
    }

    bool add_entry(const Range& range, ByteView key, ByteView value) {
        const auto entry = decode_queue_entry(value);
        if (!entry) {
            chunk_.error = damaged(range.family, key);
            Bytes behind = to_bytes(key);
            behind.push_back(0);
            return stop_at(range, std::move(behind));
        }
        if (entry->expires_at <= wall_ && !range.gives_expired) {
            skip(range, key, entry->message, chunk_.expired);
            return true;
        }
        if (entry->message.value == 0) {
            add_row(range.family, key, value, entry->body.size(), {});
            return true;
        }
        const auto found = engine_.get(Family::messages, key_of(entry->message.value));
        if (!found) {
            chunk_.error = found.error();
            return stop_at(range, to_bytes(key));
        }
        if (*found) {
            add_row(range.family, key, value, 0, **found);
        } else {
            skip(range, key, entry->message, chunk_.missing);
        }
        return true;
    }

    /// Rows of streams go by themselves, when all cursors have passed them.
    static void skip(const Range& range, ByteView key, MessageId message,
                     std::vector<Chunk::Skipped>& to) {
        if (range.family == Family::queue) to.push_back({to_bytes(key), message});
    }

    /// The message is the last `body_bytes` of the value, or `shared`.
    void add_row(Family family, ByteView key, ByteView value, std::size_t body_bytes,
                 ByteView shared) {
        Bytes& bytes = chunk_.bytes_;
        const std::size_t at = bytes.size();
        append(bytes, key);
        append(bytes, value);
        const std::size_t end = bytes.size();
        append(bytes, shared);
        chunk_.rows_.push_back(
            {family, at, key.size(), value.size(), end - body_bytes, body_bytes + shared.size()});
    }

    [[nodiscard]] bool is_full(std::size_t more_bytes) const noexcept {
        if (chunk_.rows_.empty()) return false;
        return chunk_.rows_.size() >= request_.rows_max ||
               chunk_.bytes_.size() + more_bytes > request_.bytes_max;
    }

    bool stop_at(const Range& range, Bytes from) {
        chunk_.rest.push_back({range.family, std::move(from), range.to, range.gives_expired});
        for (std::size_t i = range_at_ + 1; i < request_.ranges.size(); ++i) {
            chunk_.rest.push_back(request_.ranges[i]);
        }
        return false;
    }

    Engine& engine_;
    const ReadRequest& request_;
    WallTime wall_;
    std::size_t range_at_ = 0;
    Chunk chunk_;
};

Chunk read(Engine& engine, const ReadRequest& request, WallTime wall) {
    return ChunkWriter{engine, request, wall}.write();
}

void take_out_skipped(const Chunk& chunk, Batch& batch, std::span<const Position> on_their_way) {
    for (const auto* skipped : {&chunk.expired, &chunk.missing}) {
        for (const Chunk::Skipped& each : *skipped) {
            const auto session = id_of(each.key);
            const auto position = second_id_of(each.key);
            if (!session || !position) continue;
            if (std::ranges::binary_search(on_their_way, *position)) continue;
            batch.dequeue(SessionId{*session}, *position, each.message);
            batch.erase_flight(SessionId{*session}, *position);
        }
    }
}

Reader::Reader(Engine& engine, const Committer* committer, const Options& options,
               std::function<void(ShardId)> wake_shard, std::function<void()> wake_reader)
    : engine_{engine},
      committer_{committer},
      options_{options},
      wake_shard_{std::move(wake_shard)},
      wake_reader_{std::move(wake_reader)},
      asked_{options.requests_max} {
    for (std::uint16_t i = 0; i < options.shards; ++i) {
        answers_.push_back(std::make_unique<ports::Inbox<Chunk>>());
    }
}

bool Reader::ask(ReadRequest&& request) {
    MITU_CHECK(request.shard.value < answers_.size());
    if (!asked_.try_push(std::move(request))) return false;
    if (wake_reader_) wake_reader_();
    return true;
}

void Reader::poll(ShardId shard, std::vector<Chunk>& chunks) {
    MITU_CHECK(shard.value < answers_.size());
    answers_[shard.value]->drain(chunks);
}

bool Reader::may_answer(const ReadRequest& request) const noexcept {
    return committer_ == nullptr || request.after <= committer_->written_through(request.shard);
}

bool Reader::step(WallTime wall) {
    asked_.drain(scratch_);
    for (ReadRequest& request : scratch_) waiting_.push_back(std::move(request));
    scratch_.clear();
    const auto found = std::ranges::find_if(
        waiting_, [this](const ReadRequest& request) { return may_answer(request); });
    if (found == waiting_.end()) return false;
    const ReadRequest request = std::move(*found);
    waiting_.erase(found);
    MITU_CHECK(answers_[request.shard.value]->try_push(store::read(engine_, request, wall)));
    if (wake_shard_) wake_shard_(request.shard);
    return true;
}

}  // namespace mitu::store
