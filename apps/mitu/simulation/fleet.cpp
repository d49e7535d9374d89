#include "apps/mitu/simulation/fleet.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <utility>

#include "apps/mitu/explain.hpp"
#include "apps/mitu/simulation/fleet_device.hpp"

namespace mitu::cli {

namespace {

constexpr std::uint32_t signal_index = 0xFFFF'FFFF;
constexpr std::size_t receive_bytes_max = std::size_t{64} * 1'024;
constexpr int events_per_turn_max = 512;
// A replay that is through waits this long for policies that are still being applied or reported.
constexpr Duration settle_time = Duration::seconds(3);

}  // namespace

Result<void, std::string> raise_file_limit(std::uint64_t needed) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
        ::getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (needed <= limit.rlim_cur) return {};
    return std::unexpected(
        fmt::format("{} files would be open and this process may open {}; use fewer devices, or "
                    "raise the limit (ulimit -n)",
                    needed, static_cast<std::uint64_t>(limit.rlim_cur)));
}

FleetSimulation::FleetSimulation(SimulationOptions options, std::vector<SimulatedDevice> devices,
                                 std::optional<Replay> replay)
    : options_{std::move(options)},
      replay_{std::move(replay)},
      timers_{devices.size()},
      receive_buffer_(receive_bytes_max),
      is_terminal_{is_terminal(STDERR_FILENO)} {
    Prng seeds{options_.seed};
    devices_.reserve(devices.size());
    for (SimulatedDevice& one : devices) {
        client::ConnectOptions connect = options_.connection.options;
        connect.client_id = one.id;
        if (one.user_name) connect.user_name = std::move(one.user_name);
        if (one.password) connect.password = to_bytes(as_bytes(*one.password));
        devices_.emplace_back(client::DeviceAgent{std::move(connect), options_.agent,
                                                  std::move(one.id), seeds.next()},
                              client::Backoff{options_.reconnect_first, options_.reconnect_most},
                              TelemetryGenerator{telemetry_kind(one.class_name), seeds.next()},
                              seeds.split());
    }
    statistics_.devices = devices_.size();
    if (replay_) {
        statistics_.rows_total = replay_->row_count();
        for (std::size_t i = 0; i < devices_.size(); ++i) {
            devices_[i].next_row = i == 0 ? devices_.size() : i;  // row number modulo devices
        }
    }
}

FleetSimulation::~FleetSimulation() = default;

Result<void, std::string> FleetSimulation::prepare() {
    if (auto raised = raise_file_limit(devices_.size() + 32); !raised) return raised;
    auto addresses = resolve(options_.connection.endpoint);
    if (!addresses) {
        return std::unexpected(cannot_connect(options_.connection.endpoint, addresses.error()));
    }
    addresses_ = std::move(*addresses);
    if (replay_ && options_.speedup > 0) {
        auto times = replay_->times_s();
        if (!times) return std::unexpected("--speedup: " + times.error());
        row_times_s_ = std::move(*times);
    }
    epoll_ = FileDescriptor{::epoll_create1(EPOLL_CLOEXEC)};
    epoll_event event{.events = EPOLLIN, .data = {.u32 = signal_index}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, signals_.fd(), &event);
    return {};
}

ExitCode FleetSimulation::run() {
    if (const auto ready = prepare(); !ready) return complain(ExitCode::usage, ready.error());
    started_at_ = now_ = last_advance_at_ = monotonic_now();
    next_progress_ = started_at_ + options_.progress_interval;
    for (std::uint32_t i = 0; i < devices_.size(); ++i) {
        devices_[i].connect_at = started_at_ + Duration::from_seconds(i / options_.ramp_per_s);
        reschedule(i);
    }
    const bool is_paced = options_.rate_per_s > 0 || options_.speedup > 0;
    if (replay_ && !is_paced) rows_released_ = replay_->row_count();

    std::optional<ExitCode> over;
    while (!(over = is_over())) turn();
    statistics_.elapsed = now_ - started_at_;
    statistics_.devices_in_step = count_in_step();
    progress(true);
    leave();
    return *over;
}

void FleetSimulation::turn() {
    now_ = monotonic_now();
    while (const auto index = timers_.pop(now_)) run_timer(*index);
    pace();
    if (now_ >= next_progress_) progress(false);

    Instant wake = std::min({timers_.next(), next_pace(), next_progress_, finish_by_});
    if (options_.duration > Duration{}) wake = std::min(wake, started_at_ + options_.duration);
    // is_over() has to look at what no event announces: stalls, policies that settle.
    wake = std::min(wake, now_ + Duration::milliseconds(100));
    epoll_event events[events_per_turn_max];
    const int count =
        ::epoll_wait(epoll_.get(), events, events_per_turn_max, wait_ms(monotonic_now(), wake));
    now_ = monotonic_now();
    for (int i = 0; i < count; ++i) {
        if (events[i].data.u32 == signal_index) {
            signals_.poll();
        } else {
            on_network(events[i].data.u32, events[i].events);
        }
    }
}

// --- one device's connection -------------------------------------------------------------------

void FleetSimulation::reschedule(std::uint32_t index) {
    const Device& device = devices_[index];
    switch (device.phase) {
        case Device::Phase::offline:
        case Device::Phase::connecting:
            timers_.set(index, device.connect_at);
            break;
        case Device::Phase::open:
            timers_.set(index, device.agent.next_deadline());
            break;
    }
}

void FleetSimulation::run_timer(std::uint32_t index) {
    Device& device = devices_[index];
    switch (device.phase) {
        case Device::Phase::offline:
            if (now_ >= device.connect_at && !is_leaving_) start_connecting(index);
            break;
        case Device::Phase::connecting:
            if (now_ >= device.connect_at) connect_failed(index, "no answer");
            break;
        case Device::Phase::open:
            device.agent.on_deadline(now_, output_);
            settle(index);
            break;
    }
    reschedule(index);
}

void FleetSimulation::start_connecting(std::uint32_t index) {
    Device& device = devices_[index];
    ++statistics_.connects_tried;
    device.phase = Device::Phase::connecting;
    auto socket = start_connect(addresses_[device.address % addresses_.size()]);
    if (!socket) {
        connect_failed(index, socket.error());
        return;
    }
    device.socket = std::move(*socket);
    device.connect_at = now_ + options_.connection.connect_timeout;
    device.wants_writable = true;
    epoll_event event{.events = EPOLLIN | EPOLLOUT, .data = {.u32 = index}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, device.socket.get(), &event);
}

void FleetSimulation::connect_failed(std::uint32_t index, const std::string& why) {
    last_connect_error_ = why;
    count_error("cannot connect: " + why);
    ++devices_[index].address;
    go_offline(index);
}

void FleetSimulation::on_connected(std::uint32_t index) {
    Device& device = devices_[index];
    device.phase = Device::Phase::open;
    if (!device.agent.on_open(now_, output_)) {
        // make_connection() has checked what all devices share; a client id above 64 KiB is left.
        count_error("CONNECT cannot be written");
        ++failed_devices_;
        device.has_failed = true;
        go_offline(index);
    }
}

void FleetSimulation::on_network(std::uint32_t index, std::uint32_t events) {
    Device& device = devices_[index];
    if (device.phase == Device::Phase::offline) return;
    if (device.phase == Device::Phase::connecting) {
        if (const auto error = socket_error(device.socket)) {
            connect_failed(index, *error);
            reschedule(index);
            return;
        }
        if ((events & EPOLLOUT) == 0) return;
        on_connected(index);
        settle(index);
        reschedule(index);
        return;
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        receive(index);
    } else if ((events & EPOLLOUT) != 0) {
        settle(index);
    }
    reschedule(index);
}

void FleetSimulation::receive(std::uint32_t index) {
    Device& device = devices_[index];
    const ssize_t count =
        ::recv(device.socket.get(), receive_buffer_.data(), receive_buffer_.size(), 0);
    if (count > 0) {
        statistics_.bytes_received_total += static_cast<std::uint64_t>(count);
        device.agent.on_bytes(ByteView{receive_buffer_}.first(static_cast<std::size_t>(count)),
                              now_, output_);
        settle(index);
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
        device.agent.on_close(output_);
        settle(index);
        go_offline(index);
    }
}

void FleetSimulation::go_offline(std::uint32_t index) {
    Device& device = devices_[index];
    if (device.phase == Device::Phase::offline) return;
    device.socket.reset();  // which takes it out of epoll
    device.phase = Device::Phase::offline;
    device.pending = {};
    device.pending_offset = 0;
    device.close_when_written = false;
    device.wants_writable = false;
    device.connect_at = device.has_failed || is_leaving_ ? Instant::never()
                                                         : now_ + device.backoff.next(device.prng);
}

void FleetSimulation::want_writable(std::uint32_t index, bool wanted) {
    Device& device = devices_[index];
    if (device.wants_writable == wanted) return;
    device.wants_writable = wanted;
    epoll_event event{.events = EPOLLIN, .data = {.u32 = index}};
    if (wanted) event.events |= EPOLLOUT;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, device.socket.get(), &event);
}

void FleetSimulation::write(std::uint32_t index) {
    Device& device = devices_[index];
    Bytes& fresh = output_.transport.bytes;
    device.close_when_written |= output_.transport.close;
    // What is fresh is copied only if the network does not take it at once.
    const bool has_pending = !device.pending.empty();
    if (has_pending) device.pending.insert(device.pending.end(), fresh.begin(), fresh.end());
    const ByteView all =
        has_pending ? ByteView{device.pending}.subspan(device.pending_offset) : ByteView{fresh};
    std::size_t written = 0;
    while (written < all.size()) {
        const ssize_t count =
            ::send(device.socket.get(), all.data() + written, all.size() - written, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno != EAGAIN) {
            // recv() will report the end; until then there is nobody to write to.
            written = all.size();
            break;
        }
        if (count < 0) break;
        written += static_cast<std::size_t>(count);
        statistics_.bytes_sent_total += static_cast<std::uint64_t>(count);
    }
    if (written == all.size()) {
        device.pending = {};
        device.pending_offset = 0;
    } else if (has_pending) {
        device.pending_offset += written;
    } else {
        device.pending.assign(fresh.begin() + static_cast<std::ptrdiff_t>(written), fresh.end());
    }
    if (device.pending.empty() && device.close_when_written) {
        go_offline(index);
    } else {
        want_writable(index, !device.pending.empty());
    }
}

// --- what the devices do -----------------------------------------------------------------------

void FleetSimulation::settle(std::uint32_t index) {
    Device& device = devices_[index];
    // By index: what is done with an event may append another.
    std::size_t session_at = 0;
    std::size_t agent_at = 0;
    const auto handle_all = [&] {
        while (session_at < output_.transport.events.size() || agent_at < output_.events.size()) {
            if (session_at < output_.transport.events.size()) {
                const client::Event event = output_.transport.events[session_at++];
                handle_session_event(device, event);
            } else {
                const client::AgentEvent event = output_.events[agent_at++];
                handle_agent_event(device, event);
            }
        }
    };
    handle_all();
    bool goes_on = true;
    while (goes_on) {
        const std::uint64_t row_before = device.next_row;
        if (replay_) send_rows(device);
        handle_all();
        if (device.phase == Device::Phase::open) write(index);
        output_.transport.bytes.clear();
        // QoS 0 is held back by the network only: as long as it takes what is written, rows follow.
        goes_on =
            device.next_row != row_before && device.next_row <= rows_released_ && has_room(device);
    }
    output_.clear();
}

void FleetSimulation::handle_session_event(Device& device, const client::Event& event) {
    if (const auto* done = std::get_if<client::PublishDone>(&event)) {
        if (done->token != 0) handle_publish_done(*done);
    } else if (std::holds_alternative<client::MessageReceived>(event)) {
        ++statistics_.messages_received_total;
    } else if (const auto* connected = std::get_if<client::Connected>(&event)) {
        ++statistics_.connected_total;
        ++statistics_.connected_now;
        statistics_.connected_peak =
            std::max(statistics_.connected_peak, statistics_.connected_now);
        if (device.was_connected) ++statistics_.reconnected_total;
        if (connected->session_present) ++statistics_.resumed_total;
        device.was_connected = device.is_connected = true;
        device.backoff.reset();
        last_advance_at_ = now_;
    } else if (const auto* ended = std::get_if<client::ConnectionEnded>(&event)) {
        if (std::exchange(device.is_connected, false)) --statistics_.connected_now;
        if (ended->cause == client::EndCause::disconnected_by_client) return;
        if (ended->cause == client::EndCause::refused) {
            ++statistics_.refused_total;
            last_refusal_ = explain(*ended, options_.connection.endpoint);
            count_error(fmt::format("refused: {}", explain(ended->reason)));
            if (is_final(ended->reason) && !std::exchange(device.has_failed, true)) {
                ++failed_devices_;
            }
            return;
        }
        ++statistics_.lost_total;
        count_error(ended->reason == mqtt::ReasonCode::success
                        ? fmt::format("lost: {}", client::to_text(ended->cause))
                        : fmt::format("lost: {}: {}", client::to_text(ended->cause),
                                      explain(ended->reason)));
    }
}

void FleetSimulation::handle_publish_done(const client::PublishDone& done) {
    if (replay_) ++statistics_.rows_done;
    last_advance_at_ = now_;
    if (done.outcome == client::PublishOutcome::acknowledged) {
        ++statistics_.acknowledged_total;
        const Duration latency = now_ - Instant::from_ns(static_cast<std::int64_t>(done.token));
        statistics_.latency.record(latency);
        recent_.record(latency);
        return;
    }
    ++statistics_.failed_total;
    switch (done.outcome) {
        case client::PublishOutcome::refused:
            count_error(fmt::format("publish refused: {}", explain(done.reason)));
            break;
        case client::PublishOutcome::not_sent:
            count_error(fmt::format("publish not sent: {}", explain(done.reason)));
            break;
        default:
            count_error("publish lost with its session");
    }
}

void FleetSimulation::handle_agent_event(Device& device, const client::AgentEvent& event) {
    using Kind = client::AgentEvent::Kind;
    switch (event.kind) {
        case Kind::telemetry_due:
            if (!replay_ && options_.rate_per_s <= 0) send_generated(device, now_);
            break;
        case Kind::heartbeat_sent:
            ++statistics_.heartbeats_total;
            break;
        case Kind::policy_applied:
            ++statistics_.policies_applied_total;
            break;
        case Kind::policy_reported:
            ++statistics_.policies_reported_total;
            statistics_.policy_latency.record(event.took);
            break;
        case Kind::policy_none:
            ++statistics_.policies_none_total;
            break;
        case Kind::policy_rejected:
            ++statistics_.policies_failed_total;
            count_error(fmt::format("policy rejected: {} {}", event.code, event.text));
            break;
        case Kind::policy_malformed:
            ++statistics_.policies_failed_total;
            count_error("policy document: " + event.text);
            break;
        case Kind::policy_timeout:
            // A server without shadows does not answer; that is a fact and no error.
            ++statistics_.policies_unanswered_total;
            break;
        case Kind::policy_refused:
            ++statistics_.policies_failed_total;
            count_error("policy topics refused");
            break;
    }
}

bool FleetSimulation::has_room(const Device& device) const {
    const client::ClientSession& session = device.agent.session();
    if (!session.is_connected()) return false;
    if (options_.qos != mqtt::QoS::at_most_once) return session.window_free() > 0;
    return device.pending.size() + output_.transport.bytes.size() < receive_bytes_max;
}

bool FleetSimulation::publish(Device& device, const std::string& payload, Instant intended) {
    const auto token = static_cast<std::uint64_t>(intended.since_start_ns());
    const auto sent =
        device.agent.publish_telemetry(as_bytes(payload), options_.qos, token, now_, output_);
    if (!sent) {
        count_error(fmt::format("publish: {}", client::to_text(sent.error())));
        return false;
    }
    ++statistics_.published_total;
    return true;
}

void FleetSimulation::send_generated(Device& device, Instant intended) {
    if (!has_room(device)) {
        ++statistics_.skipped_total;
        return;
    }
    if (!publish(device, device.generator.next(options_.payload_bytes_min), intended)) {
        ++statistics_.failed_total;
    }
}

void FleetSimulation::send_rows(Device& device) {
    while (device.next_row <= rows_released_ && has_room(device)) {
        const bool is_paced = !pace_from_.is_never();
        const Instant intended = is_paced ? row_due(device.next_row) : now_;
        const bool sent = publish(device, replay_->payload(device.next_row), intended);
        device.next_row += devices_.size();
        if (!sent) ++statistics_.failed_total;
        if (!sent || options_.qos == mqtt::QoS::at_most_once) ++statistics_.rows_done;
        last_advance_at_ = now_;
    }
}

// --- pace --------------------------------------------------------------------------------------

Instant FleetSimulation::row_due(std::uint64_t row) const {
    const double seconds = options_.rate_per_s > 0
                               ? static_cast<double>(row - 1) / options_.rate_per_s
                               : row_times_s_[static_cast<std::size_t>(row - 1)] / options_.speedup;
    return pace_from_ + Duration::from_seconds(seconds);
}

Instant FleetSimulation::next_pace() const {
    if (pace_from_.is_never()) return Instant::never();
    if (!replay_) return row_due(paced_ + 1);
    return rows_released_ < replay_->row_count() ? row_due(rows_released_ + 1) : Instant::never();
}

void FleetSimulation::pace() {
    const bool is_paced = options_.rate_per_s > 0 || (replay_ && options_.speedup > 0);
    if (!is_paced) return;
    if (pace_from_.is_never()) {
        // Open loop: the clock starts once the fleet is there, or could have been.
        const Duration ramp =
            Duration::from_seconds(static_cast<double>(devices_.size()) / options_.ramp_per_s);
        const bool all_there = statistics_.connected_now + failed_devices_ == devices_.size();
        if (!all_there && now_ < started_at_ + ramp + Duration::seconds(10)) return;
        pace_from_ = now_;
    }
    while (next_pace() <= now_) {
        const Instant intended = next_pace();
        const std::uint64_t number = replay_ ? ++rows_released_ : ++paced_;
        const auto index = static_cast<std::uint32_t>(number % devices_.size());
        Device& device = devices_[index];
        if (!replay_) send_generated(device, intended);
        settle(index);
        reschedule(index);
    }
}

// --- the end, and the way there ----------------------------------------------------------------

std::uint64_t FleetSimulation::count_in_step() const {
    return static_cast<std::uint64_t>(
        std::count_if(devices_.begin(), devices_.end(), [](const Device& device) {
            return device.agent.applied_revision() != 0 && device.agent.is_settled();
        }));
}

std::optional<ExitCode> FleetSimulation::is_over() {
    const bool has_failures = statistics_.failed_total > 0 || failed_devices_ > 0;
    if (signals_.interrupted()) {
        const bool is_through = !replay_ || statistics_.rows_done == statistics_.rows_total;
        return has_failures || !is_through ? ExitCode::failed : ExitCode::ok;
    }
    if (options_.duration > Duration{} && now_ >= started_at_ + options_.duration) {
        const bool is_through = !replay_ || statistics_.rows_done == statistics_.rows_total;
        if (statistics_.connected_total == 0) {
            return complain(ExitCode::connection,
                            cannot_connect(options_.connection.endpoint, last_connect_error_));
        }
        return has_failures || !is_through ? ExitCode::failed : ExitCode::ok;
    }
    if (failed_devices_ == devices_.size()) {
        return complain(ExitCode::failed, fmt::format("no device may connect: {}", last_refusal_));
    }
    if (statistics_.connected_total == 0 && !last_connect_error_.empty() &&
        now_ >= started_at_ + options_.connection.connect_timeout) {
        return complain(ExitCode::connection,
                        cannot_connect(options_.connection.endpoint, last_connect_error_));
    }
    if (!replay_ || options_.keep_running) return std::nullopt;
    if (statistics_.rows_done == statistics_.rows_total) {
        if (finish_by_.is_never()) finish_by_ = now_ + settle_time;
        const bool is_quiet =
            std::all_of(devices_.begin(), devices_.end(), [](const Device& device) {
                return !device.is_connected ||
                       (device.agent.is_settled() && device.pending.empty());
            });
        if (is_quiet || now_ >= finish_by_) return has_failures ? ExitCode::failed : ExitCode::ok;
        return std::nullopt;
    }
    const bool waits_for_time = next_pace() != Instant::never();
    if (!waits_for_time && now_ >= last_advance_at_ + options_.stall_timeout) {
        return complain(ExitCode::failed,
                        fmt::format("the replay stands still at {} of {} rows since {:g} s",
                                    statistics_.rows_done, statistics_.rows_total,
                                    options_.stall_timeout.as_seconds()));
    }
    return std::nullopt;
}

void FleetSimulation::progress(bool is_last) {
    statistics_.elapsed = now_ - started_at_;
    statistics_.devices_in_step = count_in_step();
    next_progress_ = now_ + options_.progress_interval;
    if (!options_.is_quiet) {
        const std::string line = progress_line(statistics_, printed_, recent_);
        if (is_terminal_) {
            std::fprintf(stderr, "\r%s\x1B[K%s", line.c_str(), is_last ? "\n" : "");
        } else if (!is_last) {
            std::fprintf(stderr, "%s\n", line.c_str());
        }
        std::fflush(stderr);
    }
    printed_ = statistics_;
    recent_.clear();
}

void FleetSimulation::leave() {
    is_leaving_ = true;
    client::DisconnectRequest request;
    // Nobody comes back for these sessions.
    const client::ConnectOptions& options = options_.connection.options;
    if (options.version == mqtt::ProtocolVersion::v5 && options.session_expiry_interval_s > 0) {
        request.session_expiry_interval_s = 0;
    }
    for (std::uint32_t i = 0; i < devices_.size(); ++i) {
        Device& device = devices_[i];
        if (device.phase != Device::Phase::open) {
            go_offline(i);
            continue;
        }
        device.agent.disconnect(request, output_);
        // The server closes: closing first could turn the goodbye into a reset.
        output_.transport.close = false;
        settle(i);
        if (device.socket && device.pending.empty()) ::shutdown(device.socket.get(), SHUT_WR);
    }
    const Instant deadline = monotonic_now() + Duration::seconds(2);
    const auto is_open = [](const Device& device) { return bool{device.socket}; };
    while (monotonic_now() < deadline && !signals_.poll() &&
           std::any_of(devices_.begin(), devices_.end(), is_open)) {
        epoll_event events[events_per_turn_max];
        const int count = ::epoll_wait(epoll_.get(), events, events_per_turn_max, 100);
        now_ = monotonic_now();
        for (int i = 0; i < count; ++i) {
            if (events[i].data.u32 != signal_index) {
                on_network(events[i].data.u32, events[i].events);
            }
        }
    }
}

}  // namespace mitu::cli
