#pragma once
// Swarm: the generator's connections to the broker, one epoll, one write per connection and turn.

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/options.hpp"
#include "bench/out_buffer.hpp"
#include "bench/pattern.hpp"
#include "bench/process_sample.hpp"
#include "bench/wire.hpp"
#include "mitu/base/bytes.hpp"
#include "mitu/base/result.hpp"

namespace mitu::bench {

/// Why a run cannot go on, for people.
using Failure = std::string;

/// One connection to the broker.
struct Link {
    enum class State : std::uint8_t {
        idle,
        connecting,
        opening,  // TLS and WebSocket
        awaits_connack,
        awaits_suback,
        ready,
    };

    int fd = -1;
    std::uint32_t index = 0;
    State state = State::idle;
    bool write_armed = false;          // the kernel was full; EPOLLOUT says when to go on
    bool listed = false;               // has something to flush in this turn
    bool held = false;                 // not read from
    bool slow = false;                 // reads less than it gets
    bool may_end = false;              // it is no failure that a broker closes it
    std::uint32_t read_bytes_max = 0;  // of one turn; 0: what fits into the buffer
    std::uint16_t receive_maximum = 65'535;
    std::string client_id;
    std::string filter;  // empty: subscribes to nothing
    OutBuffer out;
    Bytes rest;                  // the start of a packet whose end has not come yet
    std::unique_ptr<Wire> wire;  // null: MQTT stands on the socket itself

    [[nodiscard]] bool is_opening() const noexcept {
        return state == State::connecting || state == State::opening;
    }
};

/// One that ended and might.
struct Ended {
    std::uint32_t index = 0;
    std::string why;
};

/// Order     flush() writes a link's bytes in the order they were appended.
/// Threading one thread.
class Swarm {
public:
    explicit Swarm(const Options& options);
    ~Swarm();
    Swarm(const Swarm&) = delete;
    Swarm& operator=(const Swarm&) = delete;

    /// Plans one more connection; connect_all() makes it.
    /// Lifetime  links have an address only from connect_all() on.
    void plan(std::string client_id, std::string filter, bool slow = false);

    /// Connects what was planned and is not connected, logs in and subscribes, a few at a time.
    /// Errors  a refusal, a closed connection, or no answer within options.patience.
    [[nodiscard]] Result<void, Failure> connect_all();

    [[nodiscard]] std::size_t size() const noexcept { return links_.size(); }
    [[nodiscard]] Link& operator[](std::size_t index) noexcept { return links_[index]; }

    /// Room for `size` bytes of output, written by the next flush().
    [[nodiscard]] std::uint8_t* append(Link& link, std::size_t size) {
        if (!link.listed) {
            link.listed = true;
            unflushed_.push_back(link.index);
        }
        return link.out.append(size);
    }
    void append(Link& link, ByteView bytes) {
        std::memcpy(append(link, bytes.size()), bytes.data(), bytes.size());
    }
    [[nodiscard]] Result<void, Failure> flush();

    /// Stops reading from a link, or goes on.
    void hold(Link& link, bool held);

    /// Cuts a connection (RST), without a word.
    void cut(Link& link) noexcept;
    /// Connects a link that was cut or ended, and logs it in; its CONNACK comes to the handler of
    /// turn(). Not from within a turn.
    [[nodiscard]] Result<void, Failure> reopen(Link& link);
    /// Those that ended, though they need not, since it was asked last.
    [[nodiscard]] std::vector<Ended> take_ended() { return std::exchange(ended_, {}); }

    [[nodiscard]] WireCounts wire_counts() const {
        return wires_ ? wires_->counts() : WireCounts{};
    }

    /// Waits at most `timeout` for the broker, reads each connection that has something once, and
    /// calls `handler.on_frame(Link&, const Frame&, Instant received)` for each packet; false from
    /// it, or a connection that ends, is a failure.
    template <class Handler>
    [[nodiscard]] Result<void, Failure> turn(Duration timeout, Handler& handler);

private:
    static constexpr std::size_t read_bytes = 262'144;
    static constexpr int events_max = 1024;
    /// Connections that begin to speak in one turn in which nobody else had to be answered.
    static constexpr int beginners_max = 32;
    static constexpr std::uint32_t beginners = 0xFFFFFFFF;  // instead of a link's index

    struct Setup;
    [[nodiscard]] Result<void, Failure> prepare();
    [[nodiscard]] Result<void, Failure> open(Link& link);
    [[nodiscard]] Result<void, Failure> on_connected(Link& link);
    [[nodiscard]] Result<void, Failure> on_opening(Link& link);
    void say_connect(Link& link);
    [[nodiscard]] Result<void, Failure> write_out(Link& link);
    /// A failure, unless the link may end: then it is closed (fd -1), and the run goes on.
    [[nodiscard]] Result<void, Failure> on_end(Link& link, std::string what);
    [[nodiscard]] int wait(Duration timeout) noexcept;
    [[nodiscard]] Result<void, Failure> begin_some();
    void watch(Link& link, std::uint32_t events, int operation) const noexcept;
    [[nodiscard]] Failure broken(const Link& link, const std::string& what) const;

    template <class Handler>
    [[nodiscard]] Result<void, Failure> read_from(Link& link, Handler& handler);

    /// Receives into buffer_ behind `link.rest`; returns all that is there. Empty: nothing came.
    [[nodiscard]] Result<ByteView, Failure> receive(Link& link);

    const Options& options_;
    int epoll_ = -1;
    /// Connections that are not yet set up, in an epoll of their own: a shake of hands that is
    /// under way goes first, as it would if each device had a processor of its own.
    int connecting_ = -1;
    std::size_t connected_ = 0;
    std::vector<std::uint32_t> unflushed_;
    std::vector<Ended> ended_;
    std::unique_ptr<WireMaker> wires_;  // before the links that use it
    std::vector<Link> links_;
    std::array<epoll_event, events_max> events_{};
    Bytes buffer_;
};

template <class Handler>
Result<void, Failure> Swarm::turn(Duration timeout, Handler& handler) {
    const int count = wait(timeout);
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events_[static_cast<std::size_t>(i)];
        if (event.data.u32 == beginners) {
            if (count > 1) continue;
            if (auto done = begin_some(); !done) return done;
            break;
        }
        Link& link = links_[event.data.u32];
        if (link.fd < 0) continue;  // ended in this turn
        if (link.is_opening()) {
            if (auto done = on_opening(link); !done) return done;
            continue;
        }
        if ((event.events & EPOLLOUT) != 0) {
            if (auto done = write_out(link); !done) return done;
        }
        if (link.fd >= 0 && (event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
            if (auto done = read_from(link, handler); !done) return done;
        }
    }
    return {};
}

template <class Handler>
Result<void, Failure> Swarm::read_from(Link& link, Handler& handler) {
    const auto received = receive(link);
    if (!received) return std::unexpected(received.error());
    if (link.fd < 0) return {};
    const Instant now = monotonic_now();
    const std::uint8_t* at = received->data();
    const std::uint8_t* const end = at + received->size();
    Frame frame;
    Frame::Found found{};
    while ((found = find_frame(at, end, frame)) == Frame::Found::whole) {
        if (!handler.on_frame(link, frame, now)) {
            return std::unexpected(broken(link, handler.fault()));
        }
        if (link.fd < 0) return {};  // the handler cut it
        at += frame.size_bytes;
    }
    if (found == Frame::Found::malformed) {
        return std::unexpected(broken(link, "sent a malformed packet length"));
    }
    link.rest.assign(at, end);
    return {};
}

}  // namespace mitu::bench
