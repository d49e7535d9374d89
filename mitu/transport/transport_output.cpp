// Bytes on their way out, and the end of a connection.

#include <algorithm>
#include <utility>

#include "mitu/transport/channel.hpp"
#include "mitu/transport/transport_network.hpp"

namespace mitu::transport {

using ports::ConnectionId;
using Phase = Channel::Phase;

namespace {

// Plaintext that is encoded at once: what the socket then does not take has to be kept. Four full
// TLS records, less the header of a frame.
constexpr std::size_t stage_bytes = 4 * TlsStream::record_bytes_max - 16;
constexpr std::size_t scratch_bytes_max = 1'048'576;

std::size_t size_of(std::span<const ByteView> parts) noexcept {
    std::size_t bytes = 0;
    for (const ByteView& part : parts) bytes += part.size();
    return bytes;
}

/// Goes through parts in stages.
class Stages {
public:
    Stages(std::span<const ByteView> parts, Bytes& staged) : parts_{parts}, staged_{staged} {}
    /// The next bytes; empty: none left. Lifetime  until the next call.
    ByteView next() {
        skip_empty();
        if (parts_.empty()) return {};
        // One part that fills the stage, or the last one, needs no copy.
        if (left().size() >= stage_bytes || parts_.size() == 1) {
            return advance(std::min(left().size(), stage_bytes));
        }
        staged_.clear();
        for (skip_empty(); !parts_.empty() && staged_.size() < stage_bytes; skip_empty()) {
            const ByteView some = advance(std::min(left().size(), stage_bytes - staged_.size()));
            staged_.insert(staged_.end(), some.begin(), some.end());
        }
        return staged_;
    }

private:
    [[nodiscard]] ByteView left() const noexcept { return parts_.front().subspan(used_); }
    ByteView advance(std::size_t count) noexcept {
        const ByteView bytes = left().first(count);
        used_ += count;
        return bytes;
    }
    void skip_empty() noexcept {
        while (!parts_.empty() && used_ == parts_.front().size()) {
            parts_ = parts_.subspan(1);
            used_ = 0;
        }
    }

    std::span<const ByteView> parts_;
    std::size_t used_ = 0;  // of the first
    Bytes& staged_;
};

}  // namespace

std::size_t TransportNetwork::write(ConnectionId connection, std::span<const ByteView> parts) {
    if (!is_ours(connection)) return inner_->write(connection, parts);
    Channel* const channel = find_open(connection);
    if (channel == nullptr || channel->is_closed_for_writing) return 0;
    const std::size_t offered = size_of(parts);
    if (offered == 0) return 0;
    std::size_t taken = 0;
    if (channel->unsent.empty()) {
        Stages stages{parts, staged_};
        for (ByteView stage = stages.next(); !stage.empty(); stage = stages.next()) {
            if (!encode(*channel, stage)) {
                end(*channel, true);
                return 0;
            }
            taken += stage.size();
            if (!flush_output(*channel)) break;
        }
    }
    channel->owes_writable |= taken < offered;
    return taken;
}

/// Puts payload behind output_, in the form in which it leaves. False: it cannot leave any more.
bool TransportNetwork::encode(Channel& channel, ByteView plaintext) {
    if (!channel.websocket) {
        if (channel.tls) return channel.tls->write(plaintext, output_);
        output_.insert(output_.end(), plaintext.begin(), plaintext.end());
        return true;
    }
    framed_.clear();
    frames_.append_binary(plaintext, framed_);
    return send_framed(channel);
}

/// What stands in framed_ is payload for TLS, or leaves as it is.
bool TransportNetwork::send_framed(Channel& channel) {
    if (channel.tls) return channel.tls->write(framed_, output_);
    output_.insert(output_.end(), framed_.begin(), framed_.end());
    return true;
}

/// Gives output_ to the socket; what it does not take is kept. True: it has taken everything.
bool TransportNetwork::flush_output(Channel& channel) {
    if (output_.empty()) return channel.unsent.empty();
    std::size_t taken = 0;
    if (channel.unsent.empty()) {
        const ByteView part = output_;
        taken = inner_->write(channel.id, std::span{&part, 1});
    }
    channel.unsent.insert(channel.unsent.end(),
                          output_.begin() + static_cast<std::ptrdiff_t>(taken), output_.end());
    output_.clear();
    if (output_.capacity() > scratch_bytes_max) output_.shrink_to_fit();
    if (channel.unsent.size() > options_.limits.unsent_bytes_max && !channel.is_ended) {
        // Answers to pings, or to key updates, that are asked for and not fetched.
        counters_.output_overrun_total.add();
        end(channel, true);
    }
    return channel.unsent.empty();
}

void TransportNetwork::flush_unsent(Channel& channel) {
    if (channel.unsent.empty()) return;
    const ByteView part = channel.unsent;
    const std::size_t taken = inner_->write(channel.id, std::span{&part, 1});
    if (taken == channel.unsent.size()) {
        channel.unsent = Bytes{};  // an idle connection has no buffer
    } else {
        channel.unsent.erase(channel.unsent.begin(),
                             channel.unsent.begin() + static_cast<std::ptrdiff_t>(taken));
    }
}

/// Nobody knows the id any more. What was taken goes out, then a goodbye in each layer, then the
/// socket's end.
void TransportNetwork::start_closing(Channel& channel) {
    if (channel.websocket && channel.phase == Phase::open && !channel.is_closed_for_writing) {
        framed_.clear();
        frames_.append_close(WebSocketClose::normal, framed_);
        static_cast<void>(send_framed(channel));
    }
    if (channel.tls) channel.tls->finish(output_);
    channel.phase = Phase::closing;
    channel.is_ended = true;
    if (flush_output(channel)) {
        finish_closing(channel);
    } else {
        set_deadline(channel, closings_, options_.limits.close_time_max);
    }
}

void TransportNetwork::finish_closing(Channel& channel) {
    inner_->close(channel.id);
    const std::unique_ptr<Channel> gone = take(channel);
}

}  // namespace mitu::transport
