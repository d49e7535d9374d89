#include "mitu/supervisor/supervisor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/runtime/clock.hpp"
#include "mitu/runtime/service_manager.hpp"
#include "mitu/runtime/unique_fd.hpp"
#include "mitu/supervisor/channel.hpp"
#include "mitu/supervisor/handover.hpp"
#include "mitu/supervisor/worker_process.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::supervisor {

using trace::Level;
using trace::log;

namespace {

/// The program that runs now, even if another has taken its place in the file system.
constexpr const char* own_program = "/proc/self/exe";

constexpr int heard_signals[]{SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD};

/// What a worker says is shown to people: one line of it, of letters that do nothing.
std::string for_people(std::string_view text) {
    std::string shown{text.substr(0, 200)};
    std::replace_if(shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, ' ');
    return shown;
}

}  // namespace

class Supervisor::Impl {
public:
    explicit Impl(SupervisorOptions options)
        : options_{std::move(options)}, policy_{options_.restarts} {}

    int run() {
        log_as("info text");
        hear_signals();
        if (!take_over()) start_worker();
        while (!exit_code_) {
            wait();
            hear();
            keep_deadlines();
        }
        return *exit_code_;
    }

private:
    /// How far an upgrade has come.
    enum class Upgrade : std::uint8_t {
        none,
        checking,  // the next worker reads and checks everything
        draining,  // the one before lets its clients go
        opening,   // the next one is the worker, and begins to serve
    };

    void hear_signals() {
        sigset_t heard;
        sigemptyset(&heard);
        for (const int number : heard_signals) sigaddset(&heard, number);
        MITU_CHECK(::sigprocmask(SIG_BLOCK, &heard, nullptr) == 0);
        signals_ = runtime::UniqueFd{::signalfd(-1, &heard, SFD_NONBLOCK | SFD_CLOEXEC)};
        MITU_CHECK(signals_.is_open());
        struct sigaction ignore{};
        ignore.sa_handler = SIG_IGN;
        MITU_CHECK(::sigaction(SIGPIPE, &ignore, nullptr) == 0);
    }

    void log_as(const std::string& words) {
        const std::size_t space = words.find(' ');
        const std::string_view format =
            std::string_view{words}.substr(std::min(space, words.size()));
        trace::LogOptions options;
        options.clock = &clock_;
        options.level = trace::parse_level(words.substr(0, space)).value_or(Level::info);
        options.format = format == " json"
                             ? trace::LogFormat::json
                             : trace::parse_log_format("text").value_or(trace::LogFormat::logfmt);
        trace::configure_log(options);
        log_words_ = words;
    }

    // --- workers come and go ---

    void start_worker() {
        restart_at_ = Instant::never();
        auto started = WorkerProcess::start(own_program, options_.arguments, clock_.now());
        if (!started) {
            log(Level::error, "worker_not_started", {{"reason", started.error()}});
            return on_death("it could not be started", Duration{});
        }
        worker_.emplace(*std::move(started));
        if (!equip(*worker_, "serve")) worker_->send(SIGKILL);
    }

    /// Hands over what is held. Its socket has room for all that a node can have.
    bool equip(WorkerProcess& worker, std::string_view begin) {
        for (const auto& [name, sockets] : held_) {
            for (std::size_t first = 0; first < sockets.size(); first += Channel::sockets_max) {
                std::vector<int> numbers;
                for (std::size_t i = first;
                     i < std::min(sockets.size(), first + Channel::sockets_max); ++i) {
                    numbers.push_back(sockets[i].get());
                }
                if (!worker.channel.send(Word::socket, name, numbers)) return false;
            }
        }
        return worker.channel.send(Word::begin, begin);
    }

    void reap() {
        int status = 0;
        while (const pid_t pid = ::waitpid(-1, &status, WNOHANG)) {
            if (pid < 0) return;
            if (next_ && next_->pid == pid) {
                on_next_end(describe_end(status));
            } else if (worker_ && worker_->pid == pid) {
                on_worker_end(status);
            }
        }
    }

    void on_worker_end(int status) {
        hear(*worker_);  // its last words
        const WorkerProcess ended = *std::exchange(worker_, std::nullopt);
        const Duration uptime = clock_.now() - ended.started_at;
        const bool is_exit = WIFEXITED(status);
        if (is_stopping_) {
            // One that was still starting dies of what asks it to end.
            const bool is_asked =
                WIFSIGNALED(status) && (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGINT);
            if (!is_exit && !is_asked) {
                log(Level::error, "worker_died_stopping", {{"how", describe_end(status)}});
            }
            exit_code_ = is_exit ? WEXITSTATUS(status) : is_asked ? 0 : EXIT_FAILURE;
            return;
        }
        if (upgrade_ == Upgrade::draining) return on_drained(describe_end(status));
        if (is_exit && WEXITSTATUS(status) == exit_cannot_start) {
            if (has_served_) {
                log(Level::error, "worker_cannot_start",
                    {{"reason", "it says so above"},
                     {"effect", "the server ends"},
                     {"remedy", "correct the configuration and start it: mitud --check-config"}});
            }
            exit_code_ = exit_cannot_start;
            return;
        }
        if (upgrade_ == Upgrade::opening) {
            upgrade_ = Upgrade::none;
            log(Level::error, "upgrade_failed",
                {{"reason", "the new worker ended: " + describe_end(status)},
                 {"effect", "the version before it starts again"}});
        } else if (next_) {
            give_up_upgrade("the worker that serves ended meanwhile");
        }
        on_death(describe_end(status), uptime);
    }

    void on_death(const std::string& how, Duration uptime) {
        const auto delay = policy_.on_death(clock_.now());
        const std::uint32_t deaths = policy_.recent_deaths();
        if (!delay) {
            const std::string text = fmt::format("the worker died {} times within {} s", deaths,
                                                 policy_.limits().window.count_s());
            log(Level::error, "worker_given_up",
                {{"how", how},
                 {"uptime_ms", uptime.count_ms()},
                 {"reason", text},
                 {"effect", "the sockets are closed, and the server ends with exit code 3"},
                 {"remedy", "look for `worker_died` above; systemctl start mitud"}});
            runtime::notify_status("given up: " + text + "; the last by " + how);
            exit_code_ = exit_given_up;
            return;
        }
        log(Level::error, "worker_died",
            {{"how", how},
             {"uptime_ms", uptime.count_ms()},
             {"deaths", deaths},
             {"deaths_max", policy_.limits().deaths_max},
             {"starts_in_ms", delay->count_ms()},
             {"effect", "clients wait in the sockets, which stay open"}});
        runtime::notify_status("the worker died by " + how + "; it starts again");
        restart_at_ = clock_.now() + *delay;
    }

    // --- upgrade ---

    void begin_upgrade() {
        if (is_stopping_) return;
        if (upgrade_ != Upgrade::none || !worker_ || !worker_->is_ready) {
            const std::string_view reason = upgrade_ != Upgrade::none
                                                ? "another one is under way"
                                                : "there is no worker that serves";
            log(Level::warn, "upgrade_refused", {{"reason", reason}});
            if (worker_) worker_->channel.send(Word::failed, reason);
            return;
        }
        log(Level::info, "upgrade_begins", {{"program", options_.program}});
        auto started = WorkerProcess::start(options_.program, options_.arguments, clock_.now());
        if (!started) {
            return upgrade_failed(started.error(), "nothing has changed");
        }
        next_.emplace(*std::move(started));
        upgrade_ = Upgrade::checking;
        upgrade_until_ = clock_.now() + options_.standby_time_max;
        if (!equip(*next_, "stand_by")) next_->send(SIGKILL);
    }

    void on_standing_by() {
        if (upgrade_ != Upgrade::checking || !worker_) return;
        upgrade_ = Upgrade::draining;
        drain_began_at_ = clock_.now();
        upgrade_until_ = drain_began_at_ + options_.drain_time_max;
        log(Level::info, "upgrade_drains",
            {{"checked_ms", (drain_began_at_ - next_->started_at).count_ms()}});
        worker_->send(SIGUSR2);
    }

    /// The worker before has let go of its clients, and of its store.
    void on_drained(const std::string& how) {
        upgrade_until_ = Instant::never();
        drained_ms_ = (clock_.now() - drain_began_at_).count_ms();
        log(Level::info, "upgrade_drained", {{"how", how}, {"ms", drained_ms_}});
        if (!next_) {  // it ended while it waited
            upgrade_ = Upgrade::none;
            return start_worker();
        }
        worker_ = std::exchange(next_, std::nullopt);
        upgrade_ = Upgrade::opening;
        if (!worker_->channel.send(Word::go)) worker_->send(SIGKILL);
    }

    void upgrade_failed(const std::string& why, std::string_view effect) {
        log(Level::error, "upgrade_failed", {{"reason", why}, {"effect", effect}});
        if (worker_) worker_->channel.send(Word::failed, why);
    }

    void on_next_end(const std::string& how) {
        next_.reset();
        const bool drains = upgrade_ == Upgrade::draining;
        upgrade_failed("the new worker ended: " + how,
                       drains ? "the version before it starts again" : "nothing has changed");
        if (drains) return;
        upgrade_ = Upgrade::none;
        upgrade_until_ = Instant::never();
    }

    void give_up_upgrade(const std::string& why) {
        upgrade_failed(why, "the new worker ends; nothing else has changed");
        next_->send(SIGKILL);
        next_.reset();
        upgrade_ = Upgrade::none;
        upgrade_until_ = Instant::never();
    }

    /// The new worker serves: this process becomes the new program too, and stays who it is.
    void finish_upgrade() {
        upgrade_ = Upgrade::none;
        log(Level::info, "upgrade_done", {{"drained_ms", drained_ms_}});
        Handover handover;
        handover.worker_pid = worker_->pid;
        handover.channel = worker_->channel.fd();
        handover.status = status_;
        handover.log = log_words_;
        for (const auto& [name, sockets] : held_) {
            for (const auto& one : sockets) handover.sockets.emplace_back(name, one.get());
        }
        const auto close_on_exec = [&](int flag) {
            ::fcntl(handover.channel, F_SETFD, flag);
            for (const auto& [name, fd] : handover.sockets) ::fcntl(fd, F_SETFD, flag);
        };
        close_on_exec(0);
        ::setenv(handover_variable, handover.to_text().c_str(), 1);
        std::vector<char*> words;
        words.push_back(const_cast<char*>(options_.program.c_str()));
        for (const auto& word : options_.arguments)
            words.push_back(const_cast<char*>(word.c_str()));
        words.push_back(nullptr);
        trace::flush_log();
        ::execv(options_.program.c_str(), words.data());
        log(Level::error, "supervisor_not_upgraded",
            {{"program", options_.program},
             {"reason", std::generic_category().message(errno)},
             {"effect", "the supervisor stays what it was; the worker is the new one"}});
        ::unsetenv(handover_variable);
        close_on_exec(FD_CLOEXEC);
    }

    /// False: nothing was left to this program.
    bool take_over() {
        const char* const text = std::getenv(handover_variable);
        if (text == nullptr) return false;
        auto handover = Handover::parse(text);
        ::unsetenv(handover_variable);
        if (!handover) {
            log(Level::error, "handover_unreadable", {{"effect", "everything starts anew"}});
            return false;
        }
        log_as(handover->log);
        for (const auto& [name, fd] : handover->sockets) {
            ::fcntl(fd, F_SETFD, FD_CLOEXEC);
            held_[name].emplace_back(fd);
        }
        ::fcntl(handover->channel, F_SETFD, FD_CLOEXEC);
        worker_.emplace(WorkerProcess{handover->worker_pid,
                                      Channel{runtime::UniqueFd{handover->channel}}, clock_.now()});
        worker_->is_ready = has_served_ = true;
        status_ = handover->status;
        log(Level::info, "supervisor_upgraded", {{"version", options_.version}});
        runtime::notify_ready(status_);
        reap();  // it may have died on the way
        return true;
    }

    // --- what is heard ---

    void wait() const {
        pollfd heard[3]{{signals_.get(), POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}};
        if (worker_ && !worker_->channel.is_closed()) heard[1].fd = worker_->channel.fd();
        if (next_ && !next_->channel.is_closed()) heard[2].fd = next_->channel.fd();
        int timeout = -1;
        const Instant until = std::min(restart_at_, upgrade_until_);
        if (!until.is_never()) {
            const std::int64_t ms = (until - clock_.now()).count_ms() + 1;
            timeout = static_cast<int>(std::clamp<std::int64_t>(ms, 0, 60'000));
        }
        ::poll(heard, std::size(heard), timeout);
    }

    void hear() {
        // What people want comes before what became of the worker: its end may be of their doing.
        bool has_ended_child = false;
        signalfd_siginfo info{};
        while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
            has_ended_child |= info.ssi_signo == SIGCHLD;
            on_signal(static_cast<int>(info.ssi_signo));
        }
        if (worker_) hear(*worker_);
        if (next_) hear(*next_);
        if (has_ended_child) reap();
    }

    void on_signal(int number) {
        switch (number) {
            case SIGTERM:
            case SIGINT:
                stop(number);
                break;
            case SIGHUP:
                // Who begins to serve has just read everything.
                if (worker_ && worker_->is_ready) worker_->send(SIGHUP);
                break;
            case SIGUSR2:
                begin_upgrade();
                break;
            default:
                break;
        }
    }

    void stop(int number) {
        if (next_) next_->send(SIGKILL);  // it serves nobody yet
        next_.reset();
        upgrade_until_ = restart_at_ = Instant::never();
        // Who asks twice does not want to wait for goodbyes.
        if (worker_) worker_->send(is_stopping_ ? SIGKILL : number);
        is_stopping_ = true;
        if (!worker_) exit_code_ = 0;
    }

    void hear(WorkerProcess& worker) {
        while (auto message = worker.channel.receive(Channel::Wait::no)) on_word(worker, *message);
    }

    void on_word(WorkerProcess& worker, Message& message) {
        switch (message.word) {
            case Word::log:
                return log_as(for_people(message.text));
            case Word::socket:
                // Whoever has taken the worker over has nothing to hang into the door.
                if (worker.is_ready || message.text.find('\n') != std::string::npos) return;
                for (auto& one : message.sockets) {
                    if (held_sockets() >= held_max) return;
                    held_[message.text].push_back(std::move(one));
                }
                return;
            case Word::forget:
                // Of one that serves, too: a listener was turned off. It could shut them all
                // anyway.
                held_.erase(message.text);
                worker.channel.send(Word::forgotten, message.text);
                return;
            case Word::standing_by:
                if (next_ && &worker == &*next_) on_standing_by();
                return;
            case Word::ready:
                return on_ready(worker, for_people(message.text));
            case Word::reloading:
                return runtime::notify_reloading();
            case Word::stopping:
                if (is_stopping_) runtime::notify_stopping();
                return;
            case Word::upgrade:
                return begin_upgrade();
            default:
                return;
        }
    }

    void on_ready(WorkerProcess& worker, std::string status) {
        status_ = std::move(status);
        runtime::notify_ready(status_);
        if (worker.is_ready) return;  // it has read its configuration anew
        worker.is_ready = true;
        log(Level::info, "worker_serves",
            {{"pid", worker.pid}, {"ms", (clock_.now() - worker.started_at).count_ms()}});
        has_served_ = true;
        if (upgrade_ == Upgrade::opening) finish_upgrade();
    }

    void keep_deadlines() {
        const Instant now = clock_.now();
        if (exit_code_) return;
        if (now >= restart_at_) start_worker();
        if (now < upgrade_until_) return;
        upgrade_until_ = Instant::never();
        if (upgrade_ == Upgrade::checking) {
            give_up_upgrade(fmt::format("the new worker was not ready after {} s",
                                        options_.standby_time_max.count_s()));
        } else if (upgrade_ == Upgrade::draining && worker_) {
            log(Level::warn, "upgrade_drain_cut",
                {{"reason", "the worker before it did not end in time"},
                 {"effect", "it is killed"}});
            worker_->send(SIGKILL);
        }
    }

    /// A node has some listeners, each with a socket for every shard.
    static constexpr std::size_t held_max = 16'384;
    [[nodiscard]] std::size_t held_sockets() const noexcept {
        std::size_t count = 0;
        for (const auto& [name, sockets] : held_) count += sockets.size();
        return count;
    }

    SupervisorOptions options_;
    RestartPolicy policy_;
    runtime::SystemClock clock_;
    runtime::UniqueFd signals_;
    std::map<std::string, std::vector<runtime::UniqueFd>> held_;
    std::optional<WorkerProcess> worker_;
    std::optional<WorkerProcess> next_;  // of an upgrade
    Upgrade upgrade_ = Upgrade::none;
    Instant upgrade_until_ = Instant::never();
    Instant drain_began_at_;
    std::int64_t drained_ms_ = 0;
    Instant restart_at_ = Instant::never();
    std::string log_words_;
    std::string status_;
    bool has_served_ = false;
    bool is_stopping_ = false;
    std::optional<int> exit_code_;
};

Supervisor::Supervisor(SupervisorOptions options)
    : impl_{std::make_unique<Impl>(std::move(options))} {}
Supervisor::~Supervisor() = default;
int Supervisor::run() { return impl_->run(); }

}  // namespace mitu::supervisor
