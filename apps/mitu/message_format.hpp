#pragma once
// How `mitu sub` prints a message.

#include <string>
#include <string_view>

#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/mqtt/packet.hpp"

namespace mitu::cli {

/// When a message came.
struct Arrival {
    std::int64_t unix_ns = 0;
};

/// Expands a format such as "%t %p": the letters are those of mosquitto_sub, and are listed by
/// format_help().
class MessageFormat {
public:
    /// Errors  a text that names the letter which means nothing.
    [[nodiscard]] static Result<MessageFormat, std::string> parse(std::string_view text);
    void append(std::string& line, const mqtt::Publish& message, Arrival arrival) const;

private:
    explicit MessageFormat(std::string text) : text_{std::move(text)} {}
    std::string text_;  // checked, with its backslash escapes replaced
};

[[nodiscard]] std::string_view format_help() noexcept;

/// One JSON object in one line, without the end of line: time, topic, qos, retain, payload, and
/// what properties there are. A payload that is not UTF-8 becomes "payload_hex". `payload_is_json`
/// the payload is put in as JSON where it is JSON.
[[nodiscard]] std::string message_json(const mqtt::Publish& message, Arrival arrival,
                                       bool payload_is_json);

}  // namespace mitu::cli
