// mitu-bench: the load generator. Reads flags, runs one scenario, prints one line of JSON.

#include <arpa/inet.h>
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>

#include "bench/comeback_run.hpp"
#include "bench/connect_run.hpp"
#include "bench/filters_run.hpp"
#include "bench/handshake_run.hpp"
#include "bench/kept_run.hpp"
#include "bench/offline_run.hpp"
#include "bench/options.hpp"
#include "bench/process_sample.hpp"
#include "bench/report.hpp"
#include "bench/retained_run.hpp"
#include "bench/storm_run.hpp"
#include "bench/traffic.hpp"

namespace {

constexpr int exit_unsound = 1;
constexpr int exit_usage = 2;

bool is_loopback(const std::string& host) noexcept {
    in_addr address{};
    return inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

mitu::bench::Report run(const mitu::bench::Options& options) {
    switch (options.scenario) {
        case mitu::bench::Scenario::connect:
            return mitu::bench::run_connect(options);
        case mitu::bench::Scenario::filters:
            return mitu::bench::FiltersRun{options}.run();
        case mitu::bench::Scenario::retained:
            return mitu::bench::RetainedRun{options}.run();
        case mitu::bench::Scenario::handshake:
            return mitu::bench::HandshakeRun{options}.run();
        case mitu::bench::Scenario::queued:
        case mitu::bench::Scenario::set_retained:
            return mitu::bench::KeptRun{options}.run();
        case mitu::bench::Scenario::offline:
            return mitu::bench::OfflineRun{options}.run();
        case mitu::bench::Scenario::comeback:
            return mitu::bench::ComebackRun{options}.run();
        case mitu::bench::Scenario::storm:
            return mitu::bench::StormRun{options}.run();
        default:
            return mitu::bench::Traffic{options}.run();
    }
}

}  // namespace

int main(int argc, char** argv) {
    const auto options = mitu::bench::parse_options(argc, argv);
    if (!options) return options.error();
    if (!is_loopback(options->host)) {
        std::fprintf(stderr,
                     "mitu-bench: --host %s is not in 127.0.0.0/8; load is offered to this machine "
                     "only\n",
                     options->host.c_str());
        return exit_usage;
    }
    // Without this the kernel may wake us 50 us late, which would count as latency of the broker.
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);

    std::signal(SIGTERM, [](int) { mitu::bench::request_end(); });
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL

    const mitu::bench::Report report = run(*options);
    std::puts(mitu::bench::to_json(*options, report).c_str());
    if (!report.failure.empty()) {
        std::fprintf(stderr, "mitu-bench: %s\n", report.failure.c_str());
    }
    return report.sound() ? 0 : exit_unsound;
}
