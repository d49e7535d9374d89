#pragma once
// WorkerLink: the worker's end of the channel to its supervisor.

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "mitu/base/result.hpp"
#include "mitu/runtime/held_sockets.hpp"
#include "mitu/supervisor/channel.hpp"

namespace mitu::supervisor {

/// The variable by which a worker knows that it is one; its value is the number of its channel's
/// descriptor. It is taken out of the environment when it has been read.
inline constexpr const char* channel_variable = "MITUD_CHANNEL";

/// Nothing of a peer goes through here: words of our own, in this order. begin, sockets that are
/// kept or forgotten, [standing by], ready; then only that something happens, and sockets that are
/// forgotten without waiting for it.
/// Threading  the owner, but where it says any thread.
class WorkerLink {
public:
    /// Waits for what the supervisor hands over. nullopt: this process has no supervisor.
    /// Errors  a sentence: it says that it has one, which is not there.
    [[nodiscard]] static Result<std::optional<WorkerLink>, std::string> from_environment();

    /// What the supervisor holds. Lifetime: this link.
    [[nodiscard]] runtime::HeldSockets& sockets() noexcept { return *sockets_; }

    /// From now on the kernel ends this process when the supervisor's ends, whatever it is doing.
    /// To be said again by who has become another user, since the kernel forgets it then. Shape
    /// false: the supervisor is gone already.
    [[nodiscard]] bool end_with_supervisor() const noexcept;

    /// Where another worker serves until it has been told to end: says that all is checked, and
    /// waits. At once where there is none.
    /// Shape  false: this one is not wanted any more.
    [[nodiscard]] bool wait_for_turn();

    void say_log(std::string_view level, std::string_view format);
    void say_ready(std::string_view status);
    void say_reloading();
    void say_stopping();
    /// What has failed before is forgotten. Any thread, as the next.
    void ask_for_upgrade();
    /// Why the upgrade that was asked for failed. Empty: it did not, so far.
    [[nodiscard]] std::string upgrade_problem();

private:
    struct Problem {
        std::mutex mutex;
        std::string text;
    };

    explicit WorkerLink(runtime::UniqueFd channel);

    std::shared_ptr<Channel> channel_;
    std::unique_ptr<Problem> problem_ = std::make_unique<Problem>();
    std::unique_ptr<runtime::HeldSockets> sockets_;
    int supervisor_ = 0;
    bool stands_by_ = false;
};

}  // namespace mitu::supervisor
