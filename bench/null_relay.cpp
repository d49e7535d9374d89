// mitu-null-relay: the least a broker could do, as a yardstick for those that do more.
//
// Fixed CONNACK and SUBACK, no sessions, no matching, no checks: a PUBLISH whose topic starts with
// 'p' (pair/...) goes to the subscriber whose client id ends in the publisher's number, one with
// 's' (shared/...) to the subscribers in turn, any other to all of them. QoS flows are answered by
// rote. One epoll loop; per turn one read from each connection that has something and one write to
// each that is owed something. What it spends per message is, within a little, what this kernel
// charges for moving the bytes.
//
// It trusts its peer, the load generator: no use for anything else.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "bench/out_buffer.hpp"
#include "bench/pattern.hpp"
#include "mitu/base/check.hpp"

namespace mitu::bench {
namespace {

using mqtt::PacketType;
using mqtt::ProtocolVersion;
using mqtt::QoS;

constexpr std::size_t read_bytes = 262'144;
constexpr int events_max = 1024;
/// A subscriber that has more than this waiting is slow, and is left out.
constexpr std::size_t waiting_bytes_max = 16 << 20;
constexpr std::uint32_t nobody = UINT32_MAX;

struct Peer {
    int fd = -1;
    std::uint32_t number = nobody;  // what its client id ends in
    ProtocolVersion version = ProtocolVersion::v3_1_1;
    bool subscribes = false;
    bool write_armed = false;
    bool listed = false;
    std::uint16_t packet_id = 0;  // of the last message that was sent to it alone
    OutBuffer out;
    Bytes rest;
};

class NullRelay {
public:
    NullRelay();
    /// Listens on 127.0.0.1; 0: on any free port.
    /// Shape  the port; nullopt: errno says why not.
    [[nodiscard]] std::optional<std::uint16_t> listen(std::uint16_t port);
    [[noreturn]] void serve();

private:
    void accept_all();
    void read_from(std::uint32_t index);
    /// Shape  where the packets end that were whole; nullptr: the peer makes no sense.
    std::uint8_t* relay(std::uint32_t index, std::uint8_t* at, std::uint8_t* end);
    bool answer(std::uint32_t index, const Frame& frame);
    void on_connect(Peer& peer, const Frame& frame);
    void on_subscribe(std::uint32_t index, const Frame& frame);
    /// Readies one PUBLISH for its receivers; true: it is for all of them.
    bool readdress(std::uint32_t index, const Frame& frame);
    [[nodiscard]] std::uint32_t partner_of(const Peer& publisher) const noexcept;
    [[nodiscard]] std::uint32_t next_member() noexcept;
    void put(std::uint32_t index, ByteView bytes);
    void flush();
    void write_out(std::uint32_t index);
    /// Writes `bytes` now; returns how many the kernel took.
    static std::size_t write_now(const Peer& peer, ByteView bytes);
    void arm(std::uint32_t index, bool write);
    void drop(std::uint32_t index);

    int epoll_;
    int listener_ = -1;
    std::vector<Peer> peers_;  // by file descriptor
    std::vector<std::uint32_t> subscribers_;
    std::vector<std::uint32_t> partners_;  // subscriber of each number
    std::uint32_t member_ = 0;             // of subscribers_, whose turn was last
    std::vector<std::uint32_t> unflushed_;
    Bytes to_all_;  // what this turn owes every subscriber
    std::uint16_t packet_id_to_all_ = 0;
    std::array<epoll_event, events_max> events_{};
    Bytes buffer_;
};

std::string errno_text() { return std::generic_category().message(errno); }

void next_packet_id(std::uint16_t& id) noexcept { id = id == 65'535 ? 1 : id + 1; }

NullRelay::NullRelay() : epoll_{epoll_create1(EPOLL_CLOEXEC)}, buffer_(read_bytes) {
    MITU_CHECK(epoll_ >= 0);
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        peers_.reserve(std::min<std::size_t>(files.rlim_max, 1'000'000));
    }
}

std::optional<std::uint16_t> NullRelay::listen(std::uint16_t port) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener_ < 0) return std::nullopt;
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 4'096) != 0 ||
        ::getsockname(listener_, generic, &size) != 0) {
        return std::nullopt;
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<std::uint32_t>(listener_);
    MITU_CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event) == 0);
    return ntohs(address.sin_port);
}

void NullRelay::serve() {
    for (;;) {
        const int count = epoll_wait(epoll_, events_.data(), events_max, -1);
        for (int i = 0; i < count; ++i) {
            const epoll_event event = events_[static_cast<std::size_t>(i)];
            const std::uint32_t index = event.data.u32;
            if (static_cast<int>(index) == listener_) {
                accept_all();
                continue;
            }
            if ((event.events & EPOLLOUT) != 0) write_out(index);
            if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_from(index);
        }
        flush();
    }
}

void NullRelay::accept_all() {
    for (int taken = 0; taken < events_max; ++taken) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const auto index = static_cast<std::uint32_t>(fd);
        if (index >= peers_.size()) peers_.resize(index + 1);
        peers_[index] = Peer{};
        peers_[index].fd = fd;
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u32 = index;
        MITU_CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
    }
}

void NullRelay::read_from(std::uint32_t index) {
    Peer& peer = peers_[index];
    if (peer.fd < 0) return;
    const std::size_t kept = peer.rest.size();
    if (kept + read_bytes / 2 > buffer_.size()) buffer_.resize(kept + read_bytes);
    std::copy(peer.rest.begin(), peer.rest.end(), buffer_.begin());
    const ssize_t count = ::recv(peer.fd, buffer_.data() + kept, buffer_.size() - kept, 0);
    if (count <= 0) {
        if (count == 0 || errno != EAGAIN) drop(index);
        return;
    }
    std::uint8_t* const end = buffer_.data() + kept + count;
    const std::uint8_t* const done = relay(index, buffer_.data(), end);
    if (done == nullptr) {
        drop(index);
    } else {
        peer.rest.assign(done, static_cast<const std::uint8_t*>(end));
    }
}

std::uint8_t* NullRelay::relay(std::uint32_t index, std::uint8_t* at, std::uint8_t* end) {
    std::uint8_t* run = at;  // a run of packets that all go to all, copied at once
    const auto end_run = [&](std::uint8_t* next) {
        if (run != at) to_all_.insert(to_all_.end(), run, at);
        run = next;
    };
    Frame frame;
    Frame::Found found{};
    while ((found = find_frame(at, end, frame)) == Frame::Found::whole) {
        std::uint8_t* const next = at + frame.size_bytes;
        const bool publish = frame.type() == PacketType::publish;
        if (!publish || !readdress(index, frame)) end_run(next);
        if (!publish && !answer(index, frame)) return nullptr;
        at = next;
    }
    end_run(at);
    return found == Frame::Found::malformed ? nullptr : at;
}

bool NullRelay::readdress(std::uint32_t index, const Frame& frame) {
    const std::uint8_t rule = frame.body[2];
    const bool to_all = rule != 'p' && rule != 's';
    std::uint32_t partner = nobody;
    if (rule == 'p') partner = partner_of(peers_[index]);
    if (rule == 's') partner = next_member();
    if (frame.qos() != QoS::at_most_once) {
        // The packets lie in our own buffer: the publisher's id is answered, ours takes its place.
        auto* id = const_cast<std::uint8_t*>(frame.body) + 2 + read_u16(frame.body);
        const std::uint8_t first = frame.qos() == QoS::at_least_once ? 0x40 : 0x50;
        put(index, std::array<std::uint8_t, 4>{first, 2, id[0], id[1]});
        std::uint16_t* ours = &packet_id_to_all_;
        if (partner != nobody) ours = &peers_[partner].packet_id;
        next_packet_id(*ours);
        id[0] = static_cast<std::uint8_t>(*ours >> 8);
        id[1] = static_cast<std::uint8_t>(*ours);
    }
    if (partner != nobody) {
        put(partner, {frame.body + frame.body_bytes - frame.size_bytes, frame.size_bytes});
    }
    return to_all;
}

std::uint32_t NullRelay::partner_of(const Peer& publisher) const noexcept {
    return publisher.number < partners_.size() ? partners_[publisher.number] : nobody;
}

std::uint32_t NullRelay::next_member() noexcept {
    if (subscribers_.empty()) return nobody;
    if (++member_ >= subscribers_.size()) member_ = 0;
    return subscribers_[member_];
}

bool NullRelay::answer(std::uint32_t index, const Frame& frame) {
    const auto echo_id = [&](std::uint8_t first) {
        put(index, std::array<std::uint8_t, 4>{first, 2, frame.body[0], frame.body[1]});
    };
    switch (frame.type()) {
        case PacketType::connect:
            on_connect(peers_[index], frame);
            break;
        case PacketType::subscribe:
            on_subscribe(index, frame);
            break;
        case PacketType::pubrec:
            echo_id(0x62);
            break;
        case PacketType::pubrel:
            echo_id(0x70);
            break;
        case PacketType::puback:
        case PacketType::pubcomp:
            return true;
        case PacketType::pingreq:
            put(index, std::array<std::uint8_t, 2>{0xD0, 0});
            break;
        default:
            return false;
    }
    return true;
}

void NullRelay::on_connect(Peer& peer, const Frame& frame) {
    const auto index = static_cast<std::uint32_t>(peer.fd);
    // "MQTT" with its length, then level, flags and keep-alive: 10 bytes; version 5: properties.
    std::uint32_t at = 10;
    peer.version = static_cast<ProtocolVersion>(frame.body[6]);
    if (peer.version == ProtocolVersion::v5) at += 1u + frame.body[10];
    const std::string_view id = as_text({frame.body + at + 2, read_u16(frame.body + at)});
    const std::size_t digits = id.find_first_of("0123456789");
    if (digits != std::string_view::npos) {
        std::from_chars(id.data() + digits, id.data() + id.size(), peer.number);
    }
    if (peer.version == ProtocolVersion::v5) {
        put(index, std::array<std::uint8_t, 5>{0x20, 3, 0, 0, 0});
    } else {
        put(index, std::array<std::uint8_t, 4>{0x20, 2, 0, 0});
    }
}

void NullRelay::on_subscribe(std::uint32_t index, const Frame& frame) {
    Peer& peer = peers_[index];
    const auto granted = static_cast<std::uint8_t>(frame.body[frame.body_bytes - 1] & 3);
    if (peer.version == ProtocolVersion::v5) {
        put(index, std::array<std::uint8_t, 6>{0x90, 4, frame.body[0], frame.body[1], 0, granted});
    } else {
        put(index, std::array<std::uint8_t, 5>{0x90, 3, frame.body[0], frame.body[1], granted});
    }
    if (!peer.subscribes) subscribers_.push_back(index);
    peer.subscribes = true;
    if (peer.number == nobody) return;
    if (peer.number >= partners_.size()) partners_.resize(peer.number + 1, nobody);
    partners_[peer.number] = index;
}

void NullRelay::put(std::uint32_t index, ByteView bytes) {
    Peer& peer = peers_[index];
    peer.out.append(bytes);
    if (!peer.listed) {
        peer.listed = true;
        unflushed_.push_back(index);
    }
}

void NullRelay::flush() {
    if (!to_all_.empty()) {
        for (const std::uint32_t index : subscribers_) {
            Peer& peer = peers_[index];
            if (peer.out.empty() && !peer.write_armed) {
                const std::size_t written = write_now(peer, to_all_);
                if (written < to_all_.size()) put(index, ByteView{to_all_}.subspan(written));
            } else if (peer.out.waiting().size() < waiting_bytes_max) {
                put(index, to_all_);
            }
        }
        to_all_.clear();
    }
    for (std::size_t i = 0; i < unflushed_.size(); ++i) {
        const std::uint32_t index = unflushed_[i];
        peers_[index].listed = false;
        if (!peers_[index].write_armed) write_out(index);
    }
    unflushed_.clear();
}

std::size_t NullRelay::write_now(const Peer& peer, ByteView bytes) {
    const ssize_t sent = ::send(peer.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);  // a broken peer is found by reading
}

void NullRelay::write_out(std::uint32_t index) {
    Peer& peer = peers_[index];
    if (peer.fd < 0) return;
    if (!peer.out.empty()) peer.out.consume(write_now(peer, peer.out.waiting()));
    if (peer.write_armed == peer.out.empty()) arm(index, !peer.out.empty());
}

void NullRelay::arm(std::uint32_t index, bool write) {
    peers_[index].write_armed = write;
    epoll_event event{};
    event.events = write ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.u32 = index;
    MITU_CHECK(epoll_ctl(epoll_, EPOLL_CTL_MOD, peers_[index].fd, &event) == 0);
}

void NullRelay::drop(std::uint32_t index) {
    Peer& peer = peers_[index];
    if (peer.subscribes) std::erase(subscribers_, index);
    if (peer.number < partners_.size() && partners_[peer.number] == index) {
        partners_[peer.number] = nobody;
    }
    ::close(peer.fd);
    peer.fd = -1;
    peer.subscribes = false;
    peer.out = {};
    peer.rest = {};
}

int run(int argc, char** argv) {
    std::uint16_t port = 0;
    const char* port_file = nullptr;
    for (int i = 1; i < argc; i += 2) {
        const std::string_view flag = argv[i];
        if (i + 1 < argc && flag == "--port") {
            const std::string_view text = argv[i + 1];
            if (std::from_chars(text.data(), text.data() + text.size(), port).ec != std::errc{}) {
                std::fprintf(stderr, "mitu-null-relay: --port %s: use 0..65535\n", argv[i + 1]);
                return 2;
            }
        } else if (i + 1 < argc && flag == "--port-file") {
            port_file = argv[i + 1];
        } else {
            std::fputs("mitu-null-relay [--port PORT] [--port-file FILE]\n", stderr);
            return 2;
        }
    }
    NullRelay relay;
    const auto listening = relay.listen(port);
    if (!listening) {
        std::fprintf(stderr, "mitu-null-relay: 127.0.0.1:%u: %s\n", port, errno_text().c_str());
        return 2;
    }
    if (port_file != nullptr) {
        // Written whole, then named: who waits for the file never reads half of it.
        const std::string partial = std::string{port_file} + ".partial";
        std::FILE* file = std::fopen(partial.c_str(), "w");
        if (file == nullptr || std::fprintf(file, "{\"mqtt\":%u}\n", *listening) < 0 ||
            std::fclose(file) != 0 || std::rename(partial.c_str(), port_file) != 0) {
            std::fprintf(stderr, "mitu-null-relay: %s: %s\n", port_file, errno_text().c_str());
            return 2;
        }
    }
    relay.serve();
}

}  // namespace
}  // namespace mitu::bench

int main(int argc, char** argv) { return mitu::bench::run(argc, argv); }
