#pragma once
// Link: one TCP connection between a client and the server, over a network that may be bad.

#include <cstdint>
#include <deque>
#include <memory>

#include "mitu/base/random.hpp"
#include "mitu/broker/testing/virtual_network.hpp"
#include "sim/observer.hpp"
#include "sim/wire.hpp"

namespace mitu::sim {

class World;

/// The client's end of a link.
class LinkClient {
public:
    virtual ~LinkClient() = default;
    virtual void on_bytes(ByteView bytes) = 0;
    /// The server has closed, or is not there; nothing follows.
    virtual void on_closed() = 0;
};

struct LinkConditions {
    Duration delay_min = Duration::microseconds(100);
    Duration delay_max = Duration::microseconds(100);
    /// What the network holds for a client that does not take it.
    std::size_t window_bytes = std::size_t{1} << 20;
};

/// The network after a storm. A queue behind a slow link and an inflight of 1 would take hours.
inline constexpr LinkConditions calm_link{};

/// Bytes arrive in order, each after a delay of its own, in pieces that need not be those in which
/// they were sent. A cut stops a direction without a word to anybody: what is on its way waits, as
/// TCP would resend it, until the cut is healed.
/// Lifetime  shared with the world until the broker has closed; the client says forget() before it
///           goes.
class Link final : public broker::testing::SocketTap, public std::enable_shared_from_this<Link> {
public:
    Link(World& world, ConnectionSerial serial, std::string_view actor, LinkClient& client,
         const LinkConditions& conditions, Prng prng, const IpAddress& from = {});

    // --- the client's side ---
    void send(ByteView bytes);
    void close();  // in good order: behind what was sent
    void reset();  // at once: what the server has not read is lost
    enum class Farewell : std::uint8_t { silent, reset };
    /// The client is not told anything any more, and perhaps does not tell the server either.
    void forget(Farewell farewell);
    [[nodiscard]] bool is_open() const noexcept { return is_open_; }
    [[nodiscard]] ConnectionSerial serial() const noexcept { return serial_; }

    // --- the storm's side ---
    void cut_up(bool is_cut);    // to the broker
    void cut_down(bool is_cut);  // to the client
    void mend();                 // both
    void set_window(std::size_t bytes);
    /// No cut, no narrow window, no long delay any more.
    void calm();

    // --- the world's side ---
    /// The SYN has arrived.
    void arrive();
    /// Moves what the broker has written onto its way.
    void drain();
    /// The server's process is gone.
    void lose_server();
    /// The broker does not know this connection any more.
    [[nodiscard]] bool is_over() const noexcept { return server_closed_ || server_gone_; }

    // --- SocketTap ---
    void on_read(ByteView bytes) override;
    void on_written(ByteView bytes, bool may_have_waited) override;
    void on_held_up(bool is_held_up) override;
    void on_closed(bool by_broker) override;

private:
    enum class Kind : std::uint8_t { data, end, reset };
    struct Piece {
        Instant ready;
        Kind kind = Kind::data;
        Bytes bytes;
    };

    void put(std::deque<Piece>& way, Kind kind, ByteView bytes, bool is_up);
    void pump_up();
    void pump_down();

    World& world_;
    ConnectionSerial serial_;
    std::string actor_;
    LinkClient* client_;
    LinkConditions conditions_;
    Prng prng_;
    std::shared_ptr<broker::testing::VirtualSocket> socket_;
    std::deque<Piece> up_;
    std::deque<Piece> down_;
    std::size_t down_bytes_ = 0;
    bool has_arrived_ = false;
    bool is_open_ = true;         // as the client knows
    bool server_closed_ = false;  // the broker has closed; what it wrote is still on its way
    bool end_is_sent_ = false;    // down_ has its end
    bool server_gone_ = false;
    bool up_is_cut_ = false;
    bool down_is_cut_ = false;
    mqtt::ProtocolVersion version_ = mqtt::ProtocolVersion::v5;
    PacketStream read_{mqtt::Sender::client};
    PacketStream written_{mqtt::Sender::server};
};

}  // namespace mitu::sim
