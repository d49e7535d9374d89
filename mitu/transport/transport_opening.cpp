// From accept to `opened`: PROXY header, the wait for a turn, the handshake, the upgrade.

#include <algorithm>
#include <utility>

#include "mitu/trace/log.hpp"
#include "mitu/transport/channel.hpp"
#include "mitu/transport/client_hello.hpp"
#include "mitu/transport/proxy_header.hpp"
#include "mitu/transport/transport_network.hpp"

namespace mitu::transport {

using ports::ConnectionId;
using ports::NetworkEvent;
using Phase = Channel::Phase;

// --- the beginning ---

void TransportNetwork::on_opened(const NetworkEvent& event, Events& events) {
    const ListenerTransport* const settings = settings_of(event.listener_index);
    const bool has_filters = settings != nullptr && settings->has_filters();
    if (!has_filters) {
        if (doorkeeper_ != nullptr &&
            !doorkeeper_->admits(event.peer, event.listener_index, now_)) {
            counters_.not_admitted_total.add();
            inner_->close(event.connection);
            return;
        }
        events.push_back(event);
        return;
    }
    Channel& channel = put(std::make_unique<Channel>(), event.connection);
    channel.listener_index = event.listener_index;
    channel.peer = event.peer;
    channel.heard_at = now_;
    set_deadline(channel, headers_, options_.limits.header_time_max);
    if (settings->proxy_headers != ProxyHeaders::off) {
        const bool is_proxy = event.peer.is_none() || contains(settings->proxies, event.peer.ip);
        if (is_proxy) {
            channel.phase = Phase::proxy_header;
            return;
        }
        if (settings->proxy_headers == ProxyHeaders::required) {
            fail(channel, HandshakeFailure::proxy_header, "the peer is not listed as a proxy");
            return;
        }
    }
    if (!admit(channel)) return;
    begin_filters(channel);
    // Nothing is left to wait for: a peer that may send a PROXY header, and is none that does.
    if (channel.phase == Phase::open) open(channel, {}, events);
}

/// False: it is gone.
bool TransportNetwork::admit(Channel& channel) {
    if (doorkeeper_ == nullptr) return true;
    if (doorkeeper_->admits(channel.peer, channel.listener_index, now_)) {
        channel.is_on_its_way = true;
        return true;
    }
    counters_.not_admitted_total.add();
    finish_closing(channel);
    return false;
}

void TransportNetwork::tell_arrival(Channel& channel, bool is_open) {
    if (!channel.is_on_its_way) return;
    channel.is_on_its_way = false;
    doorkeeper_->on_arrived(channel.listener_index, is_open);
}

void TransportNetwork::begin_filters(Channel& channel) {
    const ListenerTransport& settings = options_.listeners[channel.listener_index];
    if (settings.tls) {
        channel.phase = Phase::client_hello;
    } else if (settings.websocket) {
        channel.phase = Phase::upgrade;
        set_deadline(channel, handshakes_, options_.limits.handshake_time_max);
    } else {
        channel.phase = Phase::open;
    }
}

void TransportNetwork::advance(Channel& channel, ByteView input, Events& events) {
    Bytes joined;
    // An HTTP request is kept decrypted, and read_upgrade() puts it together itself.
    if (!channel.kept.empty() && channel.phase != Phase::upgrade) {
        joined = std::exchange(channel.kept, Bytes{});
        joined.insert(joined.end(), input.begin(), input.end());
        input = joined;
    }
    if (channel.phase == Phase::proxy_header && !read_proxy_header(channel, input)) return;
    if (channel.phase == Phase::client_hello) {
        read_client_hello(channel, input);
        return;
    }
    if (channel.phase == Phase::tls && !step_tls(channel, input)) return;
    if (channel.phase == Phase::upgrade && !read_upgrade(channel, input)) return;
    open(channel, input, events);
}

void TransportNetwork::open(Channel& channel, ByteView input, Events& events) {
    channel.phase = Phase::open;
    channel.deadline = Instant::never();
    tell_arrival(channel, true);
    NetworkEvent event;
    event.kind = NetworkEvent::Kind::opened;
    event.connection = channel.id;
    event.peer = channel.peer;
    event.listener_index = channel.listener_index;
    events.push_back(event);
    if (channel.websocket) {
        // Frames that came right behind the request, decrypted.
        const Bytes frames = std::exchange(channel.kept, Bytes{});
        deliver_frames(channel, frames, events);
        if (channel.has_said_all && !channel.is_ended) end(channel, false);
    } else {
        deliver(channel, input, events);
    }
}

/// Keeps input for later; more than `bytes_max` in all is more than anybody needs to say.
void TransportNetwork::keep(Channel& channel, ByteView input, std::size_t bytes_max) {
    if (channel.kept.size() + input.size() > bytes_max) {
        fail(channel, HandshakeFailure::protocol, "more bytes than a beginning has");
        return;
    }
    channel.kept.insert(channel.kept.end(), input.begin(), input.end());
}

// --- PROXY header ---

/// False: it waits for more, or is gone.
bool TransportNetwork::read_proxy_header(Channel& channel, ByteView& input) {
    const auto header = parse_proxy_header(input);
    if (!header) {
        const bool may_be_plain =
            header.error() == ProxyHeaderError::not_a_header &&
            options_.listeners[channel.listener_index].proxy_headers == ProxyHeaders::optional;
        if (!may_be_plain) {
            fail(channel, HandshakeFailure::proxy_header, to_text(header.error()));
            return false;
        }
    } else if (!*header) {
        keep(channel, input, proxy_header_bytes_max);
        return false;
    } else {
        const ProxyHeader& found = **header;
        counters_.proxy_headers_total.add();
        input = input.subspan(found.bytes);
        channel.proxy = std::make_unique<ports::ProxyFacts>(found.facts);
        channel.proxy->proxy = channel.peer;
        if (found.names_source) channel.peer = found.source;
    }
    if (!admit(channel)) return false;
    begin_filters(channel);
    return true;
}

// --- TLS ---

void TransportNetwork::read_client_hello(Channel& channel, ByteView input) {
    const auto peeked = peek_server_name(input);
    if (!peeked) {
        fail(channel, HandshakeFailure::not_tls, "the first bytes are no TLS ClientHello");
        return;
    }
    if (!*peeked) {
        keep(channel, input, 2 * client_hello_bytes_max);
        return;
    }
    const std::string& server_name = **peeked;
    const TlsStore& store = *options_.listeners[channel.listener_index].tls;
    // Names that anybody may think of do not make queues: certificates do.
    const std::uint32_t otherwise =
        std::uint32_t{channel.listener_index} << 16 | (store.certificate_of(server_name) & 0xFFFF);
    channel.group = doorkeeper_ == nullptr
                        ? otherwise
                        : doorkeeper_->group_of(channel.listener_index, server_name, otherwise);
    const auto pushed = waiting_.push(channel.group, channel.id);
    if (!pushed.accepted) {
        fail(channel, HandshakeFailure::shed, "too many wait for their handshake");
        return;
    }
    channel.kept.assign(input.begin(), input.end());
    channel.phase = Phase::waiting;
    counters_.handshakes_waiting.add();
    set_deadline(channel, waits_, options_.limits.wait_time_max);
    if (pushed.shed) {
        Channel* const other = find(*pushed.shed);
        if (other != nullptr) {
            fail(*other, HandshakeFailure::shed, "its group has more waiting than any other");
        }
    }
}

bool TransportNetwork::is_out_of_time() const noexcept {
    return handshake_time_ >= options_.limits.handshake_time_per_poll;
}

void TransportNetwork::start_handshakes(Events& events) {
    while (!waiting_.empty()) {
        if (is_out_of_time()) {
            counters_.handshake_polls_cut_total.add();
            return;
        }
        if (active_ >= options_.limits.handshakes_max) make_room();
        if (active_ >= options_.limits.handshakes_max) return;
        const auto id = waiting_.pop();
        Channel* const channel = find(*id);
        if (channel == nullptr) continue;
        counters_.handshakes_waiting.subtract();
        counters_.handshakes_started_total.add();
        counters_.handshakes_active.add();
        ++active_;
        const auto& settings = options_.listeners[channel->listener_index];
        channel->tls = std::make_unique<TlsStream>(settings.tls->contexts());
        channel->phase = Phase::tls;
        channel->heard_at = now_;
        set_deadline(*channel, handshakes_, options_.limits.handshake_time_max);
        advance(*channel, {}, events);
    }
}

/// Others wait and all places are taken: who began long ago and says nothing gives up its own.
void TransportNetwork::make_room() {
    for (const Deadlines::Entry& entry : handshakes_.queue) {
        Channel* const channel = find(entry.id);
        if (channel == nullptr || channel->phase != Phase::tls) continue;
        const Instant idle_at = channel->heard_at + options_.limits.handshake_idle_max;
        if (idle_at > now_ || channel->is_deferred) return;  // the oldest one is still talking
        fail(*channel, HandshakeFailure::timed_out, "silent, while others wait");
        return;
    }
}

void TransportNetwork::run_deferred(Events& events) {
    for (std::size_t count = deferred_.size(); count > 0 && !is_out_of_time(); --count) {
        const ConnectionId id = deferred_.front();
        deferred_.pop_front();
        Channel* const channel = find(id);
        if (channel == nullptr || !channel->is_deferred) continue;
        channel->is_deferred = false;
        advance(*channel, {}, events);
    }
}

/// False: it waits for more, or is gone.
bool TransportNetwork::step_tls(Channel& channel, ByteView& input) {
    const Instant begin = clock_.now();
    const TlsStream::Handshake result = channel.tls->handshake(input, output_);
    const Duration spent = clock_.now() - begin;
    handshake_time_ = handshake_time_ + spent;
    counters_.handshake_ns_total.add(static_cast<std::uint64_t>(spent.count_ns()));
    if (result == TlsStream::Handshake::failed) {
        fail(channel, channel.tls->failure(), channel.tls->failure_text());
        return false;
    }
    static_cast<void>(flush_output(channel));
    if (result == TlsStream::Handshake::wants_input) return false;
    counters_.handshakes_done_total.add();
    if (channel.tls->is_resumed()) counters_.handshakes_resumed_total.add();
    leave_phase(channel);
    const bool upgrades = options_.listeners[channel.listener_index].websocket.has_value();
    channel.phase = upgrades ? Phase::upgrade : Phase::open;
    return true;
}

// --- WebSocket ---

/// False: it waits for more, or is gone. Frames that came with the request stand in `kept`.
bool TransportNetwork::read_upgrade(Channel& channel, ByteView& input) {
    if (channel.tls && !input.empty()) {
        plain_.resize(std::max(plain_.size(), input.size() + 2 * TlsStream::record_bytes_max));
        const TlsStream::Read read = channel.tls->read(input, plain_, output_);
        static_cast<void>(flush_output(channel));
        if (read.status == TlsStream::Status::failed) {
            fail(channel, HandshakeFailure::protocol, "TLS broke");
            return false;
        }
        channel.has_said_all = read.status == TlsStream::Status::ended;
        input = ByteView{plain_}.first(read.count);
    }
    const std::size_t kept_max = upgrade_bytes_max + 4 * TlsStream::record_bytes_max;
    if (channel.kept.size() + input.size() > kept_max) {
        fail(channel, HandshakeFailure::websocket, "more bytes than an HTTP request has");
        return false;
    }
    channel.kept.insert(channel.kept.end(), input.begin(), input.end());
    const WebSocketSettings& settings = *options_.listeners[channel.listener_index].websocket;
    const UpgradeAnswer answer = answer_upgrade(channel.kept, settings);
    if (answer.verdict == UpgradeAnswer::Verdict::incomplete) {
        if (channel.has_said_all) {
            fail(channel, HandshakeFailure::gone, "ended before its HTTP request was whole");
        }
        return false;
    }
    if (!encode(channel, as_bytes(answer.response))) {
        fail(channel, HandshakeFailure::protocol, "TLS broke");
        return false;
    }
    if (answer.verdict == UpgradeAnswer::Verdict::refused) {
        fail(channel, HandshakeFailure::websocket,
             answer.response.substr(0, answer.response.find('\r')));
        return false;
    }
    static_cast<void>(flush_output(channel));
    counters_.websocket_upgrades_total.add();
    channel.kept = Bytes(channel.kept.begin() + static_cast<std::ptrdiff_t>(answer.used_bytes),
                         channel.kept.end());
    channel.websocket = std::make_unique<WebSocketStream>(settings.frame_bytes_max);
    return true;
}

// --- not opened ---

void TransportNetwork::leave_phase(Channel& channel) {
    if (channel.phase == Phase::waiting) {
        waiting_.erase(channel.group, channel.id);
        counters_.handshakes_waiting.subtract();
    } else if (channel.phase == Phase::tls) {
        --active_;
        counters_.handshakes_active.subtract();
    }
}

void TransportNetwork::fail(Channel& channel, HandshakeFailure why, std::string_view text) {
    counters_.failed_total[static_cast<std::size_t>(why)].add();
    if (trace::log_enabled(trace::Level::debug)) {
        trace::log(trace::Level::debug, "handshake_failed",
                   {{"peer", ports::address_text(channel.peer)},
                    {"listener", channel.listener_index},
                    {"reason", to_text(why)},
                    {"detail", text}});
    }
    tell_arrival(channel, false);
    leave_phase(channel);
    start_closing(channel);
}

void TransportNetwork::set_deadline(Channel& channel, Deadlines& deadlines, Duration span) {
    channel.deadline = now_ + span;
    deadlines.queue.push_back({channel.deadline, channel.id});
}

void TransportNetwork::expire(Deadlines& deadlines) {
    while (!deadlines.queue.empty()) {
        const auto [deadline, id] = deadlines.queue.front();
        Channel* const channel = find(id);
        const bool is_stale = channel == nullptr || channel->deadline != deadline;
        if (!is_stale && deadline > now_) return;
        deadlines.queue.pop_front();
        if (is_stale) continue;
        if (channel->phase == Phase::closing) {
            finish_closing(*channel);
        } else {
            const bool waited = channel->phase == Phase::waiting;
            fail(*channel, waited ? HandshakeFailure::shed : HandshakeFailure::timed_out,
                 waited ? "its turn did not come in time" : "the beginning took too long");
        }
    }
}

}  // namespace mitu::transport
