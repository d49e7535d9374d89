#include "apps/mitu/screen.hpp"

#include <poll.h>
#include <unistd.h>

#include <cstdio>

#include "apps/mitu/system.hpp"

namespace mitu::cli {

namespace {

// Home, and clear what is below: drawing over the old text flickers less than clearing first.
constexpr const char* home = "\x1B[H";
constexpr const char* clear_below = "\x1B[J";
constexpr const char* clear_line_end = "\x1B[K";

void show(const std::string& text, bool in_place) {
    if (!in_place) {
        std::fputs(text.c_str(), stdout);
    } else {
        std::string drawn = home;
        for (const char c : text) {
            if (c == '\n') drawn += clear_line_end;
            drawn += c;
        }
        drawn += clear_below;
        std::fputs(drawn.c_str(), stdout);
    }
    std::fflush(stdout);
}

}  // namespace

ExitCode watch(Duration interval, const std::function<Result<std::string, std::string>()>& draw) {
    const bool in_place = is_terminal(STDOUT_FILENO);
    SignalWatch signals;
    bool is_first = true;
    while (!signals.interrupted()) {
        const Instant next = monotonic_now() + interval;
        const auto text = draw();
        if (!text && is_first) return complain(ExitCode::connection, text.error());
        if (is_first && in_place) std::fputs("\x1B[2J", stdout);
        is_first = false;
        show(text ? *text : text.error() + "\n", in_place);
        while (monotonic_now() < next && !signals.interrupted()) {
            pollfd wait{.fd = signals.fd(), .events = POLLIN, .revents = 0};
            if (::poll(&wait, 1, wait_ms(monotonic_now(), next)) > 0) signals.poll();
        }
    }
    return ExitCode::ok;
}

}  // namespace mitu::cli
