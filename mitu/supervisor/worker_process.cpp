#include "mitu/supervisor/worker_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "mitu/supervisor/worker_link.hpp"

namespace mitu::supervisor {
namespace {

constexpr int exit_cannot_run = 127;  // as a shell says it

/// In the child, which has one thread.
[[noreturn]] void become_worker(const std::string& program, const std::vector<std::string>& words,
                                int channel, pid_t supervisor) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != supervisor) ::_exit(exit_cannot_run);
    ::fcntl(channel, F_SETFD, 0);
    ::setenv(channel_variable, fmt::format("{}", channel).c_str(), 1);
    std::vector<char*> arguments;
    static char title[] = "mitud: worker";
    arguments.push_back(title);
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    // The supervisor hears signals by a descriptor; a program expects them as they come.
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execv(program.c_str(), arguments.data());
    std::fprintf(stderr, "mitud: cannot run %s: %s\n", program.c_str(), std::strerror(errno));
    ::_exit(exit_cannot_run);
}

}  // namespace

Result<WorkerProcess, std::string> WorkerProcess::start(const std::string& program,
                                                        const std::vector<std::string>& arguments,
                                                        Instant now) {
    auto ends = Channel::create();
    if (!ends) return std::unexpected(ends.error());
    const pid_t supervisor = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) {
        return std::unexpected("cannot start a process: " + std::generic_category().message(errno));
    }
    if (pid == 0) become_worker(program, arguments, ends->second.fd(), supervisor);
    return WorkerProcess{pid, std::move(ends->first), now};
}

void WorkerProcess::send(int signal) const noexcept { ::kill(pid, signal); }

std::string describe_end(int wait_status) {
    if (WIFEXITED(wait_status)) return fmt::format("exit code {}", WEXITSTATUS(wait_status));
    if (!WIFSIGNALED(wait_status)) return fmt::format("wait status {}", wait_status);
    const int number = WTERMSIG(wait_status);
    const char* const name = ::sigdescr_np(number);
    return fmt::format("signal {} ({}){}", number, name != nullptr ? name : "unknown",
                       WCOREDUMP(wait_status) ? ", core dumped" : "");
}

}  // namespace mitu::supervisor
