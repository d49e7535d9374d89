#include "mitu/node/shard_traces.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "mitu/api/text.hpp"
#include "mitu/identity/secret.hpp"
#include "mitu/mqtt/topic.hpp"
#include "mitu/node/refusal_answers.hpp"
#include "mitu/node/shard_host.hpp"

namespace mitu::node {
namespace {

using Json = nlohmann::ordered_json;

/// What says that nothing has happened, so that a reader who is gone is noticed.
constexpr Duration quiet_max = Duration::seconds(5);

std::string line_of(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

class TraceStream final : public http::BodyStream {
public:
    TraceStream(std::uint64_t id, broker::TraceQuery query, std::vector<ShardHost*> hosts,
                const ports::Clock& clock, std::shared_ptr<std::atomic<int>> open)
        : id_{id},
          until_{query.until},
          hosts_{std::move(hosts)},
          clock_{clock},
          open_{std::move(open)},
          said_at_{clock.now()} {
        for (ShardHost* host : hosts_) {
            host->post([id, query, sink = sink_](broker::Shard& shard, Instant) {
                shard.tracer().begin(id, query, sink);
            });
        }
    }
    ~TraceStream() override {
        for (ShardHost* host : hosts_) {
            host->post([id = id_](broker::Shard& shard, Instant) { shard.tracer().end(id); });
        }
        open_->fetch_sub(1, std::memory_order_relaxed);
    }
    TraceStream(const TraceStream&) = delete;
    TraceStream& operator=(const TraceStream&) = delete;

    std::optional<std::string> next() override {
        if (has_ended_) return std::nullopt;
        const Instant now = clock_.now();
        sink_->drain(events_);
        // Shards push as they come to it; within one they are in order.
        order_.clear();
        for (std::size_t i = 0; i < events_.size(); ++i) order_.emplace_back(events_[i].at, i);
        std::ranges::sort(order_);
        std::string text;
        for (const auto& [at, i] : order_) {
            text += trace_line(events_[i], wall_time_of(at, clock_));
        }
        if (const std::uint64_t lost = sink_->take_lost(); lost != 0) {
            text += line_of(
                {{"at", api::time_text(clock_.wall())}, {"event", "lost"}, {"count", lost}});
        }
        if (now >= until_) {
            text += line_of({{"at", api::time_text(clock_.wall())}, {"event", "end"}});
            has_ended_ = true;
        }
        if (text.empty() && now - said_at_ >= quiet_max) text = "\n";
        if (!text.empty()) said_at_ = now;
        return text;
    }

private:
    std::uint64_t id_;
    Instant until_;
    std::vector<ShardHost*> hosts_;
    const ports::Clock& clock_;
    std::shared_ptr<std::atomic<int>> open_;
    std::shared_ptr<broker::TraceSink> sink_ = std::make_shared<broker::TraceSink>();
    std::vector<broker::TraceEvent> events_;
    std::vector<std::pair<Instant, std::size_t>> order_;
    Instant said_at_;
    bool has_ended_ = false;
};

}  // namespace

std::shared_ptr<http::BodyStream> ShardTraces::begin(broker::TraceQuery query) {
    if (open_->fetch_add(1, std::memory_order_relaxed) >= traces_max) {
        open_->fetch_sub(1, std::memory_order_relaxed);
        return nullptr;
    }
    const std::uint64_t id = next_id_.fetch_add(1, std::memory_order_relaxed);
    return std::make_shared<TraceStream>(id, std::move(query), hosts_, clock_, open_);
}

std::string trace_line(const broker::TraceEvent& event, WallTime at) {
    Json json{
        {"at", api::time_text(at)}, {"event", to_text(event.kind)}, {"shard", event.shard.value}};
    const auto add = [&](const char* name, const std::string& text) {
        if (!text.empty()) json[name] = text;
    };
    add("client_id", event.client_id);
    add("packet", event.packet);
    if (event.packet_id != 0) json["packet_id"] = event.packet_id;
    add("topic", event.topic);
    if (event.qos) json["qos"] = *event.qos;
    if (event.dup) json["dup"] = true;
    if (event.retain) json["retain"] = true;
    if (event.qos || event.bytes != 0) json["bytes"] = event.bytes;
    if (event.payload) {
        const bool is_text = mqtt::is_valid_utf8(*event.payload);
        json["payload"] = is_text ? *event.payload : identity::to_base64(*event.payload);
        json["payload_encoding"] = is_text ? "text" : "base64";
    }
    add("reason", event.reason);
    add("text", event.text);
    if (event.recipients) json["recipients"] = *event.recipients;
    return line_of(json);
}

}  // namespace mitu::node
