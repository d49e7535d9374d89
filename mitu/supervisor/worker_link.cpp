#include "mitu/supervisor/worker_link.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>

namespace mitu::supervisor {

Result<std::optional<WorkerLink>, std::string> WorkerLink::from_environment() {
    const char* const value = std::getenv(channel_variable);
    if (value == nullptr) return std::nullopt;
    const std::string_view text{value};
    int fd = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fd);
    const auto refuse = [&](std::string_view why) {
        return std::unexpected(
            fmt::format("{} is \"{}\": {}; it is for the server's own use: unset it",
                        channel_variable, text, why));
    };
    if (error != std::errc{} || end != text.data() + text.size() || fd <= STDERR_FILENO) {
        return refuse("no descriptor has that number");
    }
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return refuse("that descriptor is not open");
    ::unsetenv(channel_variable);
    WorkerLink link{runtime::UniqueFd{fd}};
    while (auto message = link.channel_->receive(Channel::Wait::yes)) {
        if (message->word == Word::socket) {
            link.sockets_->add(message->text, std::move(message->sockets));
        } else if (message->word == Word::begin) {
            link.stands_by_ = message->text == "stand_by";
            return std::optional{std::move(link)};
        }
    }
    return refuse("nobody is at the other end");
}

WorkerLink::WorkerLink(runtime::UniqueFd channel)
    : channel_{std::make_shared<Channel>(std::move(channel))}, supervisor_{::getppid()} {
    // Not by `this`: a link is moved.
    const auto to = channel_;
    sockets_ = std::make_unique<runtime::HeldSockets>(runtime::HeldSockets::Holder{
        [to](const std::string& name, std::span<const runtime::UniqueFd> sockets) {
            for (std::size_t first = 0; first < sockets.size(); first += Channel::sockets_max) {
                std::vector<int> numbers;
                const auto count = std::min(sockets.size() - first, Channel::sockets_max);
                for (const auto& one : sockets.subspan(first, count)) numbers.push_back(one.get());
                to->send(Word::socket, name, numbers);
            }
        },
        [to](const std::string& name) {
            if (!to->send(Word::forget, name)) return;
            while (const auto message = to->receive(Channel::Wait::yes)) {
                if (message->word == Word::forgotten && message->text == name) return;
            }
        },
        [to](const std::string& name) { to->send(Word::forget, name); }});
}

bool WorkerLink::end_with_supervisor() const noexcept {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    return ::getppid() == supervisor_;  // else it ended before the kernel was told
}

bool WorkerLink::wait_for_turn() {
    if (!stands_by_) return true;
    channel_->send(Word::standing_by);
    while (const auto message = channel_->receive(Channel::Wait::yes)) {
        if (message->word == Word::go) return true;
    }
    return false;
}

void WorkerLink::say_log(std::string_view level, std::string_view format) {
    channel_->send(Word::log, fmt::format("{} {}", level, format));
}
void WorkerLink::say_ready(std::string_view status) { channel_->send(Word::ready, status); }
void WorkerLink::say_reloading() { channel_->send(Word::reloading); }
void WorkerLink::say_stopping() { channel_->send(Word::stopping); }
void WorkerLink::ask_for_upgrade() {
    static_cast<void>(upgrade_problem());  // of one before
    const std::lock_guard lock{problem_->mutex};
    problem_->text.clear();
    channel_->send(Word::upgrade);
}

std::string WorkerLink::upgrade_problem() {
    const std::lock_guard lock{problem_->mutex};
    while (auto message = channel_->receive(Channel::Wait::no)) {
        if (message->word == Word::failed) problem_->text = std::move(message->text);
    }
    return problem_->text;
}

}  // namespace mitu::supervisor
