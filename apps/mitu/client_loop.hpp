#pragma once
// One MQTT client over one TCP connection, for commands that have nothing else to wait for.

#include <cstdint>
#include <string>
#include <vector>

#include "apps/mitu/connection_options.hpp"
#include "apps/mitu/system.hpp"
#include "mitu/base/random.hpp"
#include "mitu/client/backoff.hpp"
#include "mitu/client/session.hpp"

namespace mitu::cli {

/// Owns the socket and the session. One turn: write what is to be written, wait, read.
///
///     while (loop.turn(deadline)) for (size_t i = 0; i < loop.out().events.size(); ++i) ...
///
/// Events are walked by index, since what a command does with one may append another.
class ClientLoop {
public:
    ClientLoop(Connection connection, bool reconnects);

    /// Connects and says CONNECT. Errors: a text for people.
    [[nodiscard]] Result<void, std::string> open();

    /// Forgets the events of the last turn, then waits for something to happen: network, signal,
    /// `deadline`, or `extra_fd` being readable (-1: none). False: the connection is closed and
    /// none will follow.
    bool turn(Instant deadline, int extra_fd = -1);
    [[nodiscard]] bool extra_is_readable() const noexcept { return extra_is_readable_; }
    [[nodiscard]] bool interrupted() const noexcept { return signals_.interrupted(); }

    [[nodiscard]] client::ClientSession& session() noexcept { return session_; }
    [[nodiscard]] client::Output& out() noexcept { return out_; }
    /// As of the last turn.
    [[nodiscard]] Instant now() const noexcept { return now_; }
    /// Bytes that the network has not taken yet.
    [[nodiscard]] std::size_t pending_bytes() const noexcept {
        return pending_.size() - pending_offset_ + out_.bytes.size();
    }
    [[nodiscard]] const Endpoint& endpoint() const noexcept { return connection_.endpoint; }

    /// Says DISCONNECT and waits until the server has taken everything, at most two seconds.
    void close(const client::DisconnectRequest& request = {});

private:
    void take_output();
    void flush();
    void receive();
    void drop_connection();

    Connection connection_;
    bool reconnects_;
    client::ClientSession session_;
    client::Output out_;
    SignalWatch signals_;
    FileDescriptor socket_;
    Bytes pending_;
    std::size_t pending_offset_ = 0;
    bool close_when_written_ = false;
    bool extra_is_readable_ = false;
    Bytes receive_buffer_;
    Instant now_;
    Instant reconnect_at_ = Instant::never();
    Prng prng_;
    client::Backoff backoff_{Duration::milliseconds(500), Duration::seconds(30)};
};

}  // namespace mitu::cli
