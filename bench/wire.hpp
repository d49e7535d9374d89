#pragma once
// Wire: what stands between a link's socket and its MQTT packets: TLS, WebSocket, or the one in the
// other. What it costs is the generator's; the broker's side is what a run measures.

#include <cstdint>
#include <memory>
#include <string>

#include "bench/options.hpp"
#include "mitu/base/bytes.hpp"
#include "mitu/base/result.hpp"

struct ssl_st;
struct ssl_ctx_st;
struct wslay_frame_context;

namespace mitu::bench {

/// How the handshakes of a generator went.
struct WireCounts {
    std::uint64_t handshakes = 0;
    std::uint64_t resumed = 0;  // of those
    std::string cipher;         // of the last one: protocol and cipher suite
};

class WireMaker;

/// Lifetime  the socket stays the link's; its maker outlives the wire.
/// Threading one thread.
class Wire {
public:
    enum class Step : std::uint8_t { wants_read, wants_write, open, failed };

    Wire(WireMaker& maker, int fd);
    ~Wire();
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    /// Goes on with handshake and upgrade. To be called again when the socket has what it wants.
    [[nodiscard]] Step open();

    /// Writes what it can of `bytes`, in front of which goes what it took before.
    /// Shape    how many of them it took; the rest is to be offered again, unchanged.
    /// Errors   the connection is over; fault() says why.
    [[nodiscard]] Result<std::size_t, int> send(ByteView bytes);
    /// Bytes that it took and the kernel did not.
    [[nodiscard]] bool has_unsent() const noexcept { return unsent_begin_ < unsent_.size(); }

    /// Reads all that has come to `buffer` from `end` on, which grows as needed.
    /// Shape    where the bytes end now.
    /// Errors   the connection is over; fault() says why.
    [[nodiscard]] Result<std::size_t, int> receive(Bytes& buffer, std::size_t end);

    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

private:
    friend struct FrameCalls;
    static constexpr int over = -1;
    static constexpr int blocked = 0;

    [[nodiscard]] Step shake_hands();
    [[nodiscard]] Step upgrade();
    [[nodiscard]] int fail(std::string why);
    [[nodiscard]] int write_some(ByteView bytes);
    [[nodiscard]] int read_some(std::uint8_t* to, std::size_t size);
    [[nodiscard]] bool flush_unsent();
    [[nodiscard]] bool unframe(ByteView bytes, Bytes& buffer, std::size_t& end);

    WireMaker& maker_;
    int fd_;
    ssl_st* tls_ = nullptr;               // null: none
    wslay_frame_context* web_ = nullptr;  // null: none
    bool has_shaken_ = false;
    bool is_open_ = false;
    Bytes unsent_;  // the request, then frames
    std::size_t unsent_begin_ = 0;
    ByteView input_;      // of unframe()
    std::string answer_;  // to the request, until it is whole
    std::string fault_;
};

/// Makes wires of the kind that the options ask for.
/// Lifetime  `options` outlive it.
class WireMaker {
public:
    /// Errors  what OpenSSL cannot use, for people.
    [[nodiscard]] static Result<std::unique_ptr<WireMaker>, std::string> create(
        const Options& options);
    ~WireMaker();
    WireMaker(const WireMaker&) = delete;
    WireMaker& operator=(const WireMaker&) = delete;

    /// Null: MQTT stands on the socket itself.
    [[nodiscard]] std::unique_ptr<Wire> make(int fd);
    [[nodiscard]] const WireCounts& counts() const noexcept { return counts_; }

private:
    friend class Wire;
    friend struct SessionKeeper;
    explicit WireMaker(const Options& options) : options_{options} {}

    const Options& options_;
    ssl_ctx_st* context_ = nullptr;
    /// The last one that a broker gave, as bytes: OpenSSL spoils the object itself when one of the
    /// connections that resume it gets a newer one.
    Bytes session_;
    WireCounts counts_;
    Bytes scratch_;  // what is not yet unframed
};

}  // namespace mitu::bench
