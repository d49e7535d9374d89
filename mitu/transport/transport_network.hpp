#pragma once
// The byte filters between a shard's sockets and its codec: PROXY headers, TLS, WebSocket.

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "mitu/ports/clock.hpp"
#include "mitu/ports/network.hpp"
#include "mitu/runtime/server_network.hpp"
#include "mitu/transport/doorkeeper.hpp"
#include "mitu/transport/fair_queue.hpp"
#include "mitu/transport/options.hpp"
#include "mitu/transport/read_scratch.hpp"
#include "mitu/transport/transport_counters.hpp"
#include "mitu/transport/websocket_stream.hpp"

namespace mitu::transport {

struct Channel;
enum class HandshakeFailure : std::uint8_t;

/// A ServerNetwork around another one. Connections of listeners without filters pass through. Of
/// the others the owner hears when all is done: `opened` comes after PROXY header, handshake and
/// upgrade, with the client's true address; then `received` brings plaintext, write() takes it.
///
/// Handshakes are the dearest thing that a stranger can have us do. So each waits, with nothing
/// but its ClientHello, in the queue of its group; the groups take turns; a bounded number is under
/// way, and a bounded time of each poll goes to them.
///
/// Owns the network inside. Ids are those of the network inside.
/// Threading  shard-local; wake() any thread; counters may be read by any thread.
/// Order      as ports::Network has it, and at most one `received` per connection and poll.
/// Cost       a connection without filters: one look at a table per event and call. With them: one
///            copy and one encryption per byte, one write to the network inside per 64 KiB.
class TransportNetwork final : public runtime::ServerNetwork {
public:
    /// `clock` and `doorkeeper` (null: everybody may try) outlive the network.
    TransportNetwork(std::unique_ptr<runtime::ServerNetwork> inner, const ports::Clock& clock,
                     TransportOptions options, Doorkeeper* doorkeeper = nullptr);
    ~TransportNetwork() override;

    void poll(Instant deadline, std::vector<ports::NetworkEvent>& events) override;
    [[nodiscard]] std::size_t write(ports::ConnectionId connection,
                                    std::span<const ByteView> parts) override;
    void pause_reading(ports::ConnectionId connection) override;
    void resume_reading(ports::ConnectionId connection) override;
    /// A WebSocket gets a close frame (1000), TLS its close_notify, behind what write() took.
    void close(ports::ConnectionId connection) override;
    void settle(ports::ConnectionId connection) override { inner_->settle(connection); }
    [[nodiscard]] ports::DetachedConnection detach(ports::ConnectionId connection) override;
    [[nodiscard]] ports::ConnectionId attach(ports::DetachedConnection connection) override;
    [[nodiscard]] const ports::PeerFacts* facts(ports::ConnectionId connection) override;
    void wake() noexcept override { inner_->wake(); }
    void stop_accepting() override { inner_->stop_accepting(); }
    bool replace_listener(std::uint16_t index, runtime::UniqueFd socket) override {
        return inner_->replace_listener(index, std::move(socket));
    }
    [[nodiscard]] const runtime::NetworkCounters& counters() const noexcept override {
        return inner_->counters();
    }
    [[nodiscard]] const TransportCounters& transport_counters() const noexcept { return counters_; }

private:
    using Events = std::vector<ports::NetworkEvent>;
    /// Channels by ConnectionId::index. One that is gone still says that its id was ours, so that
    /// an event of it that is on its way does not pass through.
    struct Place {
        std::unique_ptr<Channel> channel;
        std::uint32_t generation = 0;
    };
    /// Connections whose time runs out, in the order in which it does: all have the same span.
    struct Deadlines {
        [[nodiscard]] Instant next() const noexcept {
            return queue.empty() ? Instant::never() : queue.front().deadline;
        }
        struct Entry {
            Instant deadline;
            ports::ConnectionId id;
        };
        std::deque<Entry> queue;  // stale entries too: whose channel has another deadline
    };

    // --- transport_network.cpp: the port ---
    [[nodiscard]] Channel* find(ports::ConnectionId id) noexcept;
    [[nodiscard]] Channel* find_open(ports::ConnectionId id) noexcept;
    [[nodiscard]] bool is_ours(ports::ConnectionId id) const noexcept;
    Channel& put(std::unique_ptr<Channel> channel, ports::ConnectionId id);
    std::unique_ptr<Channel> take(Channel& channel);
    void on_event(const ports::NetworkEvent& event, Events& events);
    void on_bytes(Channel& channel, ByteView bytes, Events& events);
    void deliver(Channel& channel, ByteView bytes, Events& events);
    void deliver_frames(Channel& channel, ByteView frames, Events& events);
    void end(Channel& channel, bool is_breach);
    void on_closed(Channel& channel, Events& events);
    void tell_owed(Events& events);
    void owe(Channel& channel);
    [[nodiscard]] const ListenerTransport* settings_of(std::uint16_t listener_index) const;
    [[nodiscard]] bool has_backlog() const noexcept;

    // --- transport_output.cpp: bytes on their way out ---
    [[nodiscard]] bool encode(Channel& channel, ByteView plaintext);
    bool send_framed(Channel& channel);
    [[nodiscard]] bool flush_output(Channel& channel);
    void flush_unsent(Channel& channel);
    void start_closing(Channel& channel);
    void finish_closing(Channel& channel);

    // --- transport_opening.cpp: from accept to `opened` ---
    void on_opened(const ports::NetworkEvent& event, Events& events);
    /// Goes on with what stands in `input`. The channel may be gone afterwards.
    void advance(Channel& channel, ByteView input, Events& events);
    [[nodiscard]] bool read_proxy_header(Channel& channel, ByteView& input);
    void read_client_hello(Channel& channel, ByteView input);
    [[nodiscard]] bool step_tls(Channel& channel, ByteView& input);
    [[nodiscard]] bool read_upgrade(Channel& channel, ByteView& input);
    [[nodiscard]] bool admit(Channel& channel);
    void tell_arrival(Channel& channel, bool is_open);
    void begin_filters(Channel& channel);
    void open(Channel& channel, ByteView input, Events& events);
    void keep(Channel& channel, ByteView input, std::size_t bytes_max);
    void fail(Channel& channel, HandshakeFailure why, std::string_view text);
    void leave_phase(Channel& channel);
    void start_handshakes(Events& events);
    void run_deferred(Events& events);
    void make_room();
    void expire(Deadlines& deadlines);
    void set_deadline(Channel& channel, Deadlines& deadlines, Duration span);
    [[nodiscard]] bool is_out_of_time() const noexcept;

    const std::unique_ptr<runtime::ServerNetwork> inner_;
    const ports::Clock& clock_;
    const TransportOptions options_;
    Doorkeeper* const doorkeeper_;
    TransportCounters counters_;

    std::vector<Place> places_;
    Instant now_;
    Duration handshake_time_;  // of this poll
    std::uint32_t active_ = 0;
    FairQueue<ports::ConnectionId> waiting_;
    std::deque<ports::ConnectionId> deferred_;
    std::vector<ports::ConnectionId> owed_;
    std::vector<ports::ConnectionId> owed_now_;
    Deadlines headers_;
    Deadlines waits_;
    Deadlines handshakes_;
    Deadlines closings_;

    // Scratch memory of the shard: empty between turns, so that no connection holds a buffer.
    Events inner_events_;
    ReadScratch reads_;
    Bytes plain_;   // between TLS and WebSocket
    Bytes staged_;  // parts of a write, gathered
    Bytes framed_;  // frames on their way into TLS
    Bytes output_;  // on its way to the socket
    FrameWriter frames_;
    ports::PeerFacts facts_;
};

}  // namespace mitu::transport
