#pragma once
// Where `mitu pub` takes its messages from.

#include <cstdint>
#include <optional>
#include <string>

#include "mitu/base/bytes.hpp"
#include "mitu/base/result.hpp"

namespace mitu::cli {

/// Hands out one payload after another: one that is known from the start, a number of times; or the
/// lines of standard input as they come.
class MessageSource {
public:
    [[nodiscard]] static MessageSource once(Bytes payload, std::uint64_t repeat);
    /// Sets standard input to non-blocking.
    [[nodiscard]] static MessageSource stdin_lines();

    /// The descriptor to wait on when next() has nothing; -1: there is nothing to wait for.
    [[nodiscard]] int wait_fd() const noexcept;
    /// Reads what standard input has. Errors: a text for people.
    [[nodiscard]] Result<void, std::string> fill();
    /// The message that is due, until pop().
    [[nodiscard]] std::optional<ByteView> next() noexcept;
    void pop() noexcept;
    /// Nothing is due and nothing will be.
    [[nodiscard]] bool is_exhausted() const noexcept;

private:
    bool reads_lines_ = false;
    bool at_end_ = false;
    std::uint64_t left_ = 0;  // of a payload that is known
    Bytes buffer_;            // the payload, or what was read
    std::size_t offset_ = 0;
    std::size_t line_bytes_ = 0;  // with its end of line; 0: no whole line is known
};

}  // namespace mitu::cli
