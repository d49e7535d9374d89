#include "mitu/supervisor/handover.hpp"

#include <fmt/format.h>

#include <charconv>

namespace mitu::supervisor {
namespace {

constexpr std::string_view first_line = "mitud-handover-1";

/// The number in front of `text`, which it and one space are taken from.
std::optional<int> take_number(std::string_view& text) {
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.starts_with(' ')) text.remove_prefix(1);
    return number;
}

bool take_line(std::string_view line, Handover& handover) {
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) return false;
    const std::string_view word = line.substr(0, space);
    std::string_view rest = line.substr(space + 1);
    if (word == "status") {
        handover.status = rest;
        return true;
    }
    if (word == "log") {
        handover.log = rest;
        return true;
    }
    const auto number = take_number(rest);
    if (!number) return false;
    if (word == "worker") {
        const auto channel = take_number(rest);
        if (!channel) return false;
        handover.worker_pid = *number;
        handover.channel = *channel;
    } else if (word == "socket") {
        handover.sockets.emplace_back(rest, *number);
    }
    return true;  // a word that is not known is from a later version
}

}  // namespace

std::string Handover::to_text() const {
    std::string text = fmt::format("{}\nworker {} {}\nstatus {}\nlog {}\n", first_line, worker_pid,
                                   channel, status, log);
    for (const auto& [name, fd] : sockets) text += fmt::format("socket {} {}\n", fd, name);
    return text;
}

std::optional<Handover> Handover::parse(std::string_view text) {
    Handover handover;
    bool is_first = true;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (end == std::string_view::npos) return std::nullopt;
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end + 1);
        if (is_first ? line != first_line : !take_line(line, handover)) return std::nullopt;
        is_first = false;
    }
    if (handover.worker_pid <= 0 || handover.channel < 0) return std::nullopt;
    return handover;
}

}  // namespace mitu::supervisor
