#include "bench/swarm.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "bench/encoded.hpp"
#include "mitu/base/check.hpp"
#include "mitu/mqtt/decode.hpp"

namespace mitu::bench {
namespace {

// One source address has some 28,000 ports; a few thousand each leaves those in TIME_WAIT alone.
constexpr std::uint32_t links_per_source = 8'000;
// Who subscribes only listens.
constexpr std::uint16_t keep_alive_of_silent_s = 3'600;
constexpr int slow_receive_bytes = 16'384;
constexpr std::uint32_t never_expires_s = 0xFFFF'FFFF;
constexpr std::size_t other_files = 16;  // standard streams, epoll, /proc, libraries

std::uint32_t interest_of(const Link& link) noexcept {
    return (link.held ? 0u : static_cast<std::uint32_t>(EPOLLIN)) |
           (link.write_armed ? static_cast<std::uint32_t>(EPOLLOUT) : 0u);
}

std::string text_of(int error) { return std::generic_category().message(error); }
std::string errno_text() { return text_of(errno); }

sockaddr_in address_of(std::uint32_t host_order, std::uint16_t port) noexcept {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(host_order);
    return address;
}

}  // namespace

Swarm::Swarm(const Options& options)
    : options_{options},
      epoll_{epoll_create1(EPOLL_CLOEXEC)},
      connecting_{epoll_create1(EPOLL_CLOEXEC)},
      buffer_(read_bytes) {
    MITU_CHECK(epoll_ >= 0 && connecting_ >= 0);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = beginners;
    MITU_CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, connecting_, &event) == 0);
}

Swarm::~Swarm() {
    for (const Link& link : links_) {
        if (link.fd >= 0) ::close(link.fd);
    }
    ::close(connecting_);
    ::close(epoll_);
}

void Swarm::plan(std::string client_id, std::string filter, bool slow) {
    Link link;
    link.slow = slow;
    link.may_end = slow;
    link.index = static_cast<std::uint32_t>(links_.size());
    link.client_id = std::move(client_id);
    link.filter = std::move(filter);
    links_.push_back(std::move(link));
}

Failure Swarm::broken(const Link& link, const std::string& what) const {
    return fmt::format("{}:{}, client {}: {}", options_.host, options_.port, link.client_id, what);
}

void Swarm::watch(Link& link, std::uint32_t events, int operation) const noexcept {
    epoll_event event{};
    event.events = events;
    event.data.u32 = link.index;
    const int epoll = link.state == Link::State::connecting ? connecting_ : epoll_;
    MITU_CHECK(epoll_ctl(epoll, operation, link.fd, &event) == 0);
}

void Swarm::hold(Link& link, bool held) {
    if (link.held == held || link.fd < 0) return;
    link.held = held;
    watch(link, interest_of(link), EPOLL_CTL_MOD);
}

Result<void, Failure> Swarm::on_end(Link& link, std::string what) {
    if (!link.may_end) return std::unexpected(broken(link, what));
    // What a broker may do with a reader that does not read, or with one of very many; who runs
    // the scenario reports it.
    cut(link);
    ended_.push_back({link.index, std::move(what)});
    return {};
}

void Swarm::cut(Link& link) noexcept {
    if (link.fd < 0) return;
    link.wire.reset();
    ::close(link.fd);
    link.fd = -1;
    link.state = Link::State::idle;
    link.write_armed = false;
    link.out = {};
    link.rest.clear();
}

Result<void, Failure> Swarm::reopen(Link& link) {
    MITU_CHECK(link.fd < 0);
    return open(link);
}

Result<void, Failure> Swarm::prepare() {
    if (wires_) return {};
    auto made = WireMaker::create(options_);
    if (!made) return std::unexpected(made.error());
    wires_ = std::move(*made);
    return {};
}

int Swarm::wait(Duration timeout) noexcept {
    const std::int64_t ns = std::max<std::int64_t>(timeout.count_ns(), 0);
    const timespec limit{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
    return epoll_pwait2(epoll_, events_.data(), events_max, &limit, nullptr);
}

Result<void, Failure> Swarm::open(Link& link) {
    link.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link.fd < 0) return std::unexpected(broken(link, "socket: " + errno_text()));
    const int on = 1;
    setsockopt(link.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // Ends with RST, so that thousands of connections of one run do not linger into the next.
    const linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(link.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);

    if (link.slow) {
        // Otherwise the kernel would keep megabytes for it before the broker notices.
        setsockopt(link.fd, SOL_SOCKET, SO_RCVBUF, &slow_receive_bytes, sizeof slow_receive_bytes);
    }

    setsockopt(link.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    const sockaddr_in source = address_of(INADDR_LOOPBACK + link.index / links_per_source, 0);
    if (::bind(link.fd, reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0) {
        return std::unexpected(broken(link, "bind: " + errno_text()));
    }
    in_addr host{};
    if (inet_pton(AF_INET, options_.host.c_str(), &host) != 1) {
        return std::unexpected(broken(link, "the host is not an IPv4 address"));
    }
    const sockaddr_in target = address_of(ntohl(host.s_addr), options_.port);
    if (::connect(link.fd, reinterpret_cast<const sockaddr*>(&target), sizeof target) != 0 &&
        errno != EINPROGRESS) {
        return on_end(link, "connect: " + errno_text());
    }
    link.state = Link::State::connecting;
    watch(link, EPOLLOUT, EPOLL_CTL_ADD);
    return {};
}

Result<void, Failure> Swarm::begin_some() {
    std::array<epoll_event, beginners_max> events{};
    const int count = epoll_wait(connecting_, events.data(), beginners_max, 0);
    for (int i = 0; i < count; ++i) {
        Link& link = links_[events[static_cast<std::size_t>(i)].data.u32];
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(link.fd, SOL_SOCKET, SO_ERROR, &error, &size);
        auto done = error != 0 ? on_end(link, "connect: " + text_of(error)) : on_connected(link);
        if (!done) return done;
    }
    return {};
}

Result<void, Failure> Swarm::on_connected(Link& link) {
    watch(link, 0, EPOLL_CTL_DEL);
    link.state = Link::State::opening;
    watch(link, EPOLLIN, EPOLL_CTL_ADD);
    link.wire = wires_->make(link.fd);
    return on_opening(link);
}

Result<void, Failure> Swarm::on_opening(Link& link) {
    const Wire::Step step = link.wire ? link.wire->open() : Wire::Step::open;
    if (step == Wire::Step::failed) return on_end(link, link.wire->fault());
    const bool wants_write = step == Wire::Step::wants_write;
    if (wants_write != link.write_armed) {
        link.write_armed = wants_write;
        watch(link, interest_of(link), EPOLL_CTL_MOD);
    }
    if (step == Wire::Step::open) say_connect(link);
    return {};
}

void Swarm::say_connect(Link& link) {
    mqtt::Connect connect{
        .version = options_.version,
        .clean_start = !options_.keep_sessions,
        .keep_alive_s = link.filter.empty() ? options_.keep_alive_s : keep_alive_of_silent_s,
        .client_id = link.client_id,
        .user_name = {},
        .password = {},
        .will = {},
        .properties = {}};
    if (options_.keep_sessions) connect.properties.session_expiry_interval_s = never_expires_s;
    append(link, encoded(connect, options_.version));
    link.state = Link::State::awaits_connack;
}

Result<void, Failure> Swarm::write_out(Link& link) {
    if (link.fd < 0) return {};
    const ByteView waiting = link.out.waiting();
    if (link.wire) {
        const auto taken = link.wire->send(waiting);
        if (!taken) return on_end(link, link.wire->fault());
        link.out.consume(*taken);
    } else if (!waiting.empty()) {
        const ssize_t sent =
            ::send(link.fd, waiting.data(), waiting.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) return on_end(link, "send: " + errno_text());
        if (sent > 0) link.out.consume(static_cast<std::size_t>(sent));
    }
    const bool full = !link.out.waiting().empty() || (link.wire && link.wire->has_unsent());
    if (full != link.write_armed) {
        link.write_armed = full;
        watch(link, interest_of(link), EPOLL_CTL_MOD);
    }
    return {};
}

Result<void, Failure> Swarm::flush() {
    for (const std::uint32_t index : unflushed_) {
        Link& link = links_[index];
        link.listed = false;
        if (link.write_armed || link.is_opening()) continue;
        if (auto done = write_out(link); !done) return done;
    }
    unflushed_.clear();
    return {};
}

Result<ByteView, Failure> Swarm::receive(Link& link) {
    const std::size_t kept = link.rest.size();
    if (kept + read_bytes / 2 > buffer_.size()) buffer_.resize(kept + read_bytes);
    if (kept > 0) std::memcpy(buffer_.data(), link.rest.data(), kept);
    if (link.wire) {
        const auto end = link.wire->receive(buffer_, kept);
        if (end) return ByteView{buffer_.data(), *end};
        const auto ended = on_end(link, link.wire->fault());
        if (!ended) return std::unexpected(ended.error());
        return ByteView{};
    }
    std::size_t room = buffer_.size() - kept;
    if (link.read_bytes_max > 0) room = std::min<std::size_t>(room, link.read_bytes_max);
    const ssize_t count = ::recv(link.fd, buffer_.data() + kept, room, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return ByteView{buffer_.data(), kept};
    if (count <= 0) {
        const auto ended =
            on_end(link, count == 0 ? "the broker closed the connection" : "recv: " + errno_text());
        if (!ended) return std::unexpected(ended.error());
        return ByteView{};
    }
    return ByteView{buffer_.data(), kept + static_cast<std::size_t>(count)};
}

/// What the broker answers while connections are set up.
struct Swarm::Setup {
    Swarm& swarm;
    std::size_t ready = 0;
    std::string what;

    [[nodiscard]] const std::string& fault() const noexcept { return what; }

    bool on_frame(Link& link, const Frame& frame, Instant) {
        const ByteView bytes{frame.body + frame.body_bytes - frame.size_bytes, frame.size_bytes};
        const auto decoded = mqtt::decode(
            bytes, {.sender = mqtt::Sender::server, .version = swarm.options_.version});
        if (!decoded || !decoded->has_value()) {
            what = fmt::format("sent a packet that does not decode: {}",
                               decoded ? "incomplete" : decoded.error().rule);
            return false;
        }
        const mqtt::Packet& packet = (*decoded)->packet;
        if (const auto* connack = std::get_if<mqtt::Connack>(&packet)) {
            return on_connack(link, *connack);
        }
        if (const auto* suback = std::get_if<mqtt::Suback>(&packet)) {
            return on_suback(link, *suback);
        }
        what = "sent a packet that nobody asked for while connecting";
        return false;
    }

    bool on_connack(Link& link, const mqtt::Connack& connack) {
        if (mqtt::is_error(connack.reason)) {
            what = fmt::format("CONNACK {}", mqtt::to_text(connack.reason));
            return false;
        }
        link.receive_maximum = connack.properties.receive_maximum.value_or(65'535);
        if (link.filter.empty()) return done(link);
        swarm.append(link, subscribe_packet(1, {&link.filter, 1}, swarm.options_.qos,
                                            swarm.options_.version));
        link.state = Link::State::awaits_suback;
        return true;
    }

    bool on_suback(Link& link, const mqtt::Suback& suback) {
        const auto wanted = static_cast<std::uint8_t>(swarm.options_.qos);
        if (suback.reasons.size() != 1 || suback.reasons[0] != wanted) {
            what = fmt::format("SUBACK did not grant QoS {} for {}", wanted, link.filter);
            return false;
        }
        return done(link);
    }

    bool done(Link& link) {
        link.state = Link::State::ready;
        ++ready;
        return true;
    }
};

Result<void, Failure> Swarm::connect_all() {
    if (auto done = prepare(); !done) return done;
    const std::uint64_t open_files_max = raise_open_files_max();
    if (links_.size() + other_files > open_files_max) {
        return std::unexpected(fmt::format(
            "{} connections need more than the {} files that one process may open here; "
            "raise the limit (ulimit -n) or ask for fewer",
            links_.size(), open_files_max));
    }
    Setup setup{.swarm = *this, .what = {}};
    const std::size_t wanted = links_.size() - connected_;
    std::size_t opened = 0;
    std::size_t ready_before = 0;
    Instant progress = monotonic_now();
    while (setup.ready < wanted) {
        while (opened < wanted && opened - setup.ready < options_.connect_burst) {
            if (auto done = open(links_[connected_ + opened]); !done) return done;
            ++opened;
        }
        if (auto done = flush(); !done) return done;
        if (auto done = turn(Duration::milliseconds(100), setup); !done) return done;
        const Instant now = monotonic_now();
        if (setup.ready > ready_before) progress = now;
        ready_before = setup.ready;
        if (now - progress > options_.patience) {
            return std::unexpected(fmt::format(
                "{}:{}: {} of {} connections were set up, then no answer for {:.1f} s",
                options_.host, options_.port, setup.ready, wanted, options_.patience.as_seconds()));
        }
    }
    connected_ = links_.size();
    return {};
}

}  // namespace mitu::bench
