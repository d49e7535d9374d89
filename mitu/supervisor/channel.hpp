#pragma once
// Channel: what the supervisor and a worker say to each other, with the sockets that they hand
// over.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/runtime/unique_fd.hpp"

namespace mitu::supervisor {

/// Both ends may be of different versions for as long as an upgrade takes: letters keep their
/// meaning, and who does not know one ignores it.
enum class Word : char {
    // both ways
    socket = 'S',  // text: its name; with descriptors
    // to the worker
    begin = 'B',      // text: "serve" or "stand_by"; the sockets have been said
    forgotten = 'D',  // what it wanted forgotten is closed
    go = 'G',         // to who stands by: serve
    failed = 'X',     // text: why the upgrade did not come to be
    // to the supervisor
    log = 'L',          // text: "json info": how to log
    forget = 'F',       // text: the name of a socket that nobody serves any more
    standing_by = 'C',  // all is checked; waits for `go`
    ready = 'R',        // text: what systemd shows. It serves
    reloading = 'r',
    stopping = 's',
    upgrade = 'U',  // an administrator wants it
};

struct Message {
    Word word{};
    std::string text{};
    std::vector<runtime::UniqueFd> sockets{};
};

/// One end of a pair of Unix sockets; each message is one packet.
class Channel {
public:
    static constexpr std::size_t text_bytes_max = 1'024;
    static constexpr std::size_t sockets_max = 128;  // in one message; the kernel takes 253

    explicit Channel(runtime::UniqueFd fd) noexcept : fd_{std::move(fd)} {}
    /// Both ends close on exec.
    [[nodiscard]] static Result<std::pair<Channel, Channel>, std::string> create();

    /// Never waits. A text that is too long is cut.
    /// Shape  false: the other end is gone, or does not read.
    bool send(Word word, std::string_view text = {}, std::span<const int> sockets = {}) noexcept;

    enum class Wait : bool { no, yes };
    /// Shape   nullopt: nothing is there, or (see is_closed()) never will be.
    /// Errors  a packet that is no message counts as the end.
    [[nodiscard]] std::optional<Message> receive(Wait wait);
    [[nodiscard]] bool is_closed() const noexcept { return is_closed_; }
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

private:
    runtime::UniqueFd fd_;
    bool is_closed_ = false;
};

}  // namespace mitu::supervisor
