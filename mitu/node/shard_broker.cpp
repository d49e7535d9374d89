#include "mitu/node/shard_broker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "mitu/api/text.hpp"
#include "mitu/broker/placement.hpp"
#include "mitu/broker/shard_inspect.hpp"
#include "mitu/fleet/status.hpp"
#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/encode.hpp"
#include "mitu/node/ask.hpp"
#include "mitu/node/refusal_answers.hpp"
#include "mitu/node/shard_traces.hpp"
#include "mitu/runtime/process.hpp"

namespace mitu::node {

using api::Answer;
using api::Code;
using api::Listing;
using api::Page;
using api::refuse;
using broker::InspectPosition;
using broker::ShardInspector;

namespace {

/// How long a listing looks before it answers with what it has.
constexpr Duration listing_time_max = Duration::seconds(2);

std::unexpected<api::Error> silent(ShardId shard) {
    return std::unexpected(api::Error{
        Code::shard_silent,
        fmt::format("shard {} did not answer within {} s", shard.value, answer_time_max.count_s()),
        {{"shard", std::to_string(shard.value)}}});
}

std::string version_text(mqtt::ProtocolVersion version) {
    return version == mqtt::ProtocolVersion::v5 ? "5.0" : "3.1.1";
}

/// Back from forwarded properties to what a person may read: by way of the packet that would carry
/// them.
void read_properties(ByteView properties, api::Message& message) {
    mqtt::OutgoingPublish publish;
    publish.topic = message.topic;
    publish.forwarded_properties = properties;
    Bytes packet(mqtt::publish_size(publish, mqtt::ProtocolVersion::v5).packet_bytes);
    const auto written = mqtt::encode_publish_header(publish, mqtt::ProtocolVersion::v5, packet);
    if (written == 0 || written != packet.size()) return;
    const auto decoded = mqtt::decode(packet, {mqtt::Sender::server});
    if (!decoded || !*decoded) return;
    const auto* const read = std::get_if<mqtt::Publish>(&(*decoded)->packet);
    if (read == nullptr) return;
    const mqtt::PublishProperties& p = read->properties;
    message.payload_is_utf8 = p.payload_is_utf8;
    if (p.content_type) message.content_type = std::string{*p.content_type};
    if (p.response_topic) message.response_topic = std::string{*p.response_topic};
    if (p.correlation_data) message.correlation_data = to_bytes(*p.correlation_data);
    p.user.for_each([&](const mqtt::UserProperties::Pair& pair) {
        message.user_properties.emplace_back(pair.name, pair.value);
    });
}

/// nullopt: a text is too long to be encoded.
std::optional<Bytes> write_properties(const api::Message& message) {
    mqtt::PublishProperties properties;
    properties.payload_is_utf8 = message.payload_is_utf8;
    if (message.content_type) properties.content_type = *message.content_type;
    if (message.response_topic) properties.response_topic = *message.response_topic;
    if (message.correlation_data) properties.correlation_data = *message.correlation_data;
    Bytes user;
    for (const auto& [name, value] : message.user_properties) {
        if (!mqtt::append_user_property(user, name, value)) return std::nullopt;
    }
    properties.user.block = user;
    Bytes encoded(mqtt::forwarded_properties_size(properties));
    if (mqtt::encode_forwarded_properties(properties, encoded) != encoded.size()) {
        return std::nullopt;
    }
    return encoded;
}

nlohmann::ordered_json shard_overview(const broker::Counters& c) {
    std::uint64_t dropped = 0;
    for (const auto& reason : c.dropped) dropped += reason.read();
    return {{"connections", c.connections.read()},
            {"clients", c.clients.read()},
            {"sessions", c.sessions.read()},
            {"messages_received_total", c.messages_received_total.read()},
            {"messages_sent_total", c.messages_sent_total.read()},
            {"bytes_received_total", c.bytes_received_total.read()},
            {"bytes_sent_total", c.bytes_sent_total.read()},
            {"messages_dropped_total", dropped},
            {"subscriptions", c.subscriptions.read()},
            {"retained", c.retained_messages.read()},
            {"stored_bytes", c.stored_bytes.read()}};
}

}  // namespace

class ShardBroker::Parts {
public:
    std::shared_ptr<const fleet::Catalog> catalog;
    const ports::Clock& clock;
    std::vector<ShardHost*> hosts;
    ShardTraces traces{hosts, clock};

    [[nodiscard]] std::uint16_t shard_count() const {
        return static_cast<std::uint16_t>(hosts.size());
    }
    [[nodiscard]] ShardHost& host(ShardId shard) const { return *hosts[shard.value]; }
    /// The API has looked it up.
    [[nodiscard]] TenantId id_of(const api::TenantName& name) const {
        return catalog->find_tenant(name).value_or(tenant_default);
    }
    [[nodiscard]] std::optional<TenantId> id_of(const api::TenantScope& scope) const {
        return scope ? std::optional{id_of(*scope)} : std::nullopt;
    }
    [[nodiscard]] std::string name_of(TenantId tenant) const {
        return tenant.value < catalog->tenants().size() ? catalog->tenants()[tenant.value].name
                                                        : std::to_string(tenant.value);
    }

    /// Goes through the shards from where the cursor says, `begin`..`end`.
    /// `look(inspector, position, items_max)` runs on the shard's thread and gives a Chunk.
    template <class Look, class Convert>
    auto walk(const Page& page, std::uint32_t begin, std::uint32_t end, Look look, Convert convert)
        -> Answer<Listing<decltype(convert(
            look(std::declval<ShardInspector&>(), InspectPosition{}, 1u).items.front()))>> {
        using Chunk = decltype(look(std::declval<ShardInspector&>(), InspectPosition{}, 1u));
        Listing<decltype(convert(std::declval<Chunk&>().items.front()))> listing;
        std::uint32_t shard = begin;
        InspectPosition from;
        if (!page.cursor.empty()) {
            const auto numbers = api::read_cursor(page.cursor, 4);
            if (!numbers || (*numbers)[0] < begin || (*numbers)[0] >= end) {
                return refuse(Code::cursor_invalid, "cursor is not one of this listing");
            }
            shard = (*numbers)[0];
            from = {(*numbers)[1], (*numbers)[2], (*numbers)[3]};
        }
        const Instant until = clock.now() + listing_time_max;
        while (shard < end) {
            const auto left = static_cast<std::uint32_t>(page.limit - listing.items.size());
            if (left == 0 || clock.now() >= until) {
                listing.next_cursor =
                    api::make_cursor({shard, from.phase, from.index, from.offset});
                return listing;
            }
            auto chunk = ask<Chunk>(*hosts[shard], [=](broker::Shard& asked, Instant now) {
                ShardInspector inspector{asked, now};
                return look(inspector, from, left);
            });
            if (!chunk) listing.silent_shards.push_back(static_cast<std::uint16_t>(shard));
            if (chunk) {
                for (auto& item : chunk->items) listing.items.push_back(convert(item));
            }
            if (chunk && chunk->next) {
                from = *chunk->next;
            } else {
                ++shard;
                from = {};
            }
        }
        return listing;
    }

    [[nodiscard]] api::ClientInfo client_info(const broker::ClientFacts& facts) const {
        api::ClientInfo info;
        info.tenant = name_of(facts.tenant);
        info.client_id = facts.client_id;
        info.connected = facts.connected;
        info.peer = facts.peer;
        info.protocol_version = version_text(facts.version);
        info.policy = facts.policy;
        info.device_class = facts.device_class;
        info.idle_s = facts.idle.as_seconds();
        info.subscriptions = facts.subscriptions;
        info.queued = facts.queued;
        info.inflight = facts.inflight;
        for (std::size_t i = 0; i < facts.dropped.size(); ++i) {
            if (facts.dropped[i] == 0) continue;
            info.dropped[std::string{to_text(static_cast<broker::DropReason>(i))}] =
                facts.dropped[i];
        }
        for (const broker::RefusalFacts& refusal : facts.refusals) {
            info.refusals.push_back(refusal_info(refusal, clock));
            info.refusals.back().tenant = info.tenant;
            info.refusals.back().client_id = info.client_id;
        }
        return info;
    }

    [[nodiscard]] api::SubscriptionInfo subscription_info(
        const broker::SubscriptionFacts& facts) const {
        api::SubscriptionInfo info;
        info.tenant = name_of(facts.tenant);
        info.filter = facts.group.empty() ? facts.filter
                                          : fmt::format("$share/{}/{}", facts.group, facts.filter);
        info.qos = static_cast<std::uint8_t>(facts.subscriber.qos);
        info.no_local = facts.subscriber.no_local;
        info.retain_as_published = facts.subscriber.retain_as_published;
        info.identifier = facts.subscriber.subscription_identifier;
        return info;
    }

    [[nodiscard]] api::RetainedInfo retained_info(const broker::RetainedFacts& facts) const {
        api::RetainedInfo info{name_of(facts.tenant),
                               facts.topic,
                               static_cast<std::uint8_t>(facts.qos),
                               facts.payload_bytes,
                               {}};
        if (facts.expires_in) info.expires_in_s = facts.expires_in->as_seconds();
        return info;
    }

    /// Whose sessions they are: each shard is asked once for all of its own.
    void name_clients(const std::vector<broker::SessionRef>& sessions,
                      Listing<api::SubscriptionInfo>& listing) const {
        std::map<std::uint16_t, std::vector<std::size_t>> by_shard;
        for (std::size_t i = 0; i < sessions.size(); ++i) {
            by_shard[sessions[i].shard.value].push_back(i);
        }
        for (const auto& [shard, places] : by_shard) {
            std::vector<broker::SessionRef> refs;
            for (const std::size_t place : places) refs.push_back(sessions[place]);
            const auto names = ask<std::vector<std::string>>(
                *hosts[shard], [refs = std::move(refs)](broker::Shard& asked, Instant now) {
                    return ShardInspector{asked, now}.client_ids(refs);
                });
            if (!names) {
                listing.silent_shards.push_back(shard);
                continue;
            }
            for (std::size_t i = 0; i < places.size(); ++i) {
                listing.items[places[i]].client_id = (*names)[i];
            }
        }
    }
};

ShardBroker::ShardBroker(std::shared_ptr<const fleet::Catalog> catalog, const ports::Clock& clock,
                         std::vector<ShardHost*> hosts)
    : parts_{new Parts{std::move(catalog), clock, std::move(hosts)}} {}
ShardBroker::~ShardBroker() = default;

std::vector<api::TenantInfo> ShardBroker::tenants() {
    std::vector<api::TenantInfo> all;
    for (const auto& tenant : parts_->catalog->tenants()) {
        all.push_back({tenant.name, tenant.description});
    }
    return all;
}

Answer<Listing<api::ClientInfo>> ShardBroker::clients(const api::ClientQuery& query,
                                                      const Page& page) {
    broker::ClientQuery asked{parts_->id_of(query.tenant), query.connected, query.prefix};
    return parts_->walk(
        page, 0, parts_->shard_count(),
        [asked](ShardInspector& shard, InspectPosition from, std::uint32_t items_max) {
            return shard.clients(asked, from, items_max);
        },
        [this](const broker::ClientFacts& facts) { return parts_->client_info(facts); });
}

Answer<api::ClientInfo> ShardBroker::client(const api::TenantName& tenant,
                                            const std::string& client_id) {
    const TenantId id = parts_->id_of(tenant);
    const ShardId home = broker::session_home(id, client_id, parts_->shard_count());
    const auto facts = ask<std::optional<broker::ClientFacts>>(
        parts_->host(home), [id, client_id](broker::Shard& shard, Instant now) {
            return ShardInspector{shard, now}.client(id, client_id);
        });
    if (!facts) return silent(home);
    if (!*facts) return refuse(Code::client_unknown, "no such client in this tenant");
    return parts_->client_info(**facts);
}

/// All there are, and a piece of them: they are few, and what counts is who was refused last.
Answer<Listing<api::RefusalInfo>> ShardBroker::refusals(const api::RefusalQuery& query,
                                                        const Page& page) {
    std::size_t begin = 0;
    if (!page.cursor.empty()) {
        const auto numbers = api::read_cursor(page.cursor, 1);
        if (!numbers) return refuse(Code::cursor_invalid, "cursor is not one of this listing");
        begin = numbers->front();
    }
    const auto tenant = parts_->id_of(query.tenant);
    using Attempts = std::vector<admission::RefusedAttempt>;
    Listing<api::RefusalInfo> listing;
    std::vector<api::RefusalInfo> all;
    for (std::uint16_t i = 0; i < parts_->shard_count(); ++i) {
        const auto attempts =
            ask<Attempts>(*parts_->hosts[i], [](broker::Shard& shard, Instant now) {
                return ShardInspector{shard, now}.refused_attempts();
            });
        if (!attempts) {
            listing.silent_shards.push_back(i);
            continue;
        }
        for (const admission::RefusedAttempt& attempt : *attempts) {
            const bool is_its = !tenant || (attempt.has_tenant ? attempt.tenant == *tenant
                                                               : query.includes_unknown_tenants);
            // What is remembered of a name is its beginning.
            const bool is_asked =
                query.client_id.empty() || query.client_id.substr(0, 64) == attempt.client_id;
            if (!is_its || !is_asked) continue;
            all.push_back(refusal_info(attempt, parts_->name_of(attempt.tenant), parts_->clock));
        }
    }
    std::ranges::sort(all, std::ranges::greater{}, &api::RefusalInfo::at);
    begin = std::min(begin, all.size());
    const std::size_t end = std::min(all.size(), begin + page.limit);
    for (std::size_t i = begin; i < end; ++i) listing.items.push_back(std::move(all[i]));
    if (end < all.size()) listing.next_cursor = api::make_cursor({static_cast<std::uint32_t>(end)});
    return listing;
}

Answer<void> ShardBroker::kick(const api::TenantName& tenant, const std::string& client_id) {
    const TenantId id = parts_->id_of(tenant);
    const ShardId home = broker::session_home(id, client_id, parts_->shard_count());
    enum class Outcome : std::uint8_t { kicked, away, unknown };
    const auto outcome =
        ask<Outcome>(parts_->host(home), [id, client_id](broker::Shard& shard, Instant now) {
            if (shard.sessions().find(id, client_id) == nullptr) return Outcome::unknown;
            return shard.kick(id, client_id, now) ? Outcome::kicked : Outcome::away;
        });
    if (!outcome) return silent(home);
    if (*outcome == Outcome::unknown) {
        return refuse(Code::client_unknown, "no such client in this tenant");
    }
    if (*outcome == Outcome::away) {
        return refuse(Code::client_not_connected, "the client has a session, but no connection");
    }
    return {};
}

Answer<Listing<api::SubscriptionInfo>> ShardBroker::subscriptions_of(const api::TenantName& tenant,
                                                                     const std::string& client_id,
                                                                     const Page& page) {
    std::uint32_t begin = 0;
    if (!page.cursor.empty()) {
        const auto numbers = api::read_cursor(page.cursor, 1);
        if (!numbers) return refuse(Code::cursor_invalid, "cursor is not one of this listing");
        begin = numbers->front();
    }
    const TenantId id = parts_->id_of(tenant);
    const ShardId own = broker::session_home(id, client_id, parts_->shard_count());
    const auto found = ask<std::optional<broker::FilterPage>>(
        parts_->host(own),
        [id, client_id, begin, limit = page.limit](broker::Shard& shard, Instant now) {
            return ShardInspector{shard, now}.filters(id, client_id, begin, limit);
        });
    if (!found) return silent(own);
    if (!*found) return refuse(Code::client_unknown, "no such client in this tenant");
    const broker::FilterPage& filters = **found;

    // What each is like, the home of its filter knows.
    Listing<api::SubscriptionInfo> listing;
    std::map<std::uint16_t, std::vector<std::size_t>> by_shard;
    for (const std::string& text : filters.filters) {
        api::SubscriptionInfo info;
        info.tenant = tenant;
        info.client_id = client_id;
        info.filter = text;
        const auto shared = mqtt::parse_shared(text);
        const std::string_view filter = shared ? shared->filter : std::string_view{text};
        const auto home = broker::filter_home(id, filter, parts_->shard_count());
        by_shard[home.value_or(own).value].push_back(listing.items.size());
        listing.items.push_back(std::move(info));
    }
    using Found = std::vector<std::optional<broker::Subscriber>>;
    for (const auto& [shard, places] : by_shard) {
        std::vector<std::string> texts;
        for (const std::size_t place : places) texts.push_back(listing.items[place].filter);
        const auto known = ask<Found>(
            *parts_->hosts[shard],
            [id, texts, session = filters.session](broker::Shard& asked, Instant now) {
                const ShardInspector inspector{asked, now};
                Found answers;
                for (const std::string& text : texts) {
                    const auto shared = mqtt::parse_shared(text);
                    answers.push_back(
                        shared ? inspector.subscription(id, shared->filter, shared->group, session)
                               : inspector.subscription(id, text, {}, session));
                }
                return answers;
            });
        if (!known) listing.silent_shards.push_back(shard);
        for (std::size_t i = 0; known && i < places.size(); ++i) {
            if (!(*known)[i]) continue;
            api::SubscriptionInfo& info = listing.items[places[i]];
            info.qos = static_cast<std::uint8_t>((*known)[i]->qos);
            info.no_local = (*known)[i]->no_local;
            info.retain_as_published = (*known)[i]->retain_as_published;
            info.identifier = (*known)[i]->subscription_identifier;
        }
    }
    const auto end = static_cast<std::uint32_t>(begin + filters.filters.size());
    if (!filters.filters.empty() && end < filters.total) {
        listing.next_cursor = api::make_cursor({end});
    }
    return listing;
}

Answer<Listing<api::SubscriptionInfo>> ShardBroker::subscriptions(
    const api::SubscriptionQuery& query, const Page& page) {
    std::vector<broker::SessionRef> sessions;
    const auto convert = [&](const broker::SubscriptionFacts& facts) {
        sessions.push_back(facts.subscriber.session);
        return parts_->subscription_info(facts);
    };
    const auto named = [&](Answer<Listing<api::SubscriptionInfo>> listing) {
        if (listing) parts_->name_clients(sessions, *listing);
        return listing;
    };
    const auto tenant = parts_->id_of(query.tenant);
    if (!query.topic.empty()) {
        const TenantId id = tenant.value_or(tenant_default);
        const auto home = broker::topic_home(id, query.topic, parts_->shard_count());
        return named(parts_->walk(
            page, home.value, home.value + 1u,
            [id, topic = query.topic](ShardInspector& shard, InspectPosition from,
                                      std::uint32_t items_max) {
                return shard.subscribers_of(id, topic, from, items_max);
            },
            convert));
    }
    broker::SubscriptionQuery asked{tenant, query.filter};
    if (const auto shared = mqtt::parse_shared(query.filter)) asked.filter = shared->filter;
    return named(parts_->walk(
        page, 0, parts_->shard_count(),
        [asked](ShardInspector& shard, InspectPosition from, std::uint32_t items_max) {
            return shard.subscriptions(asked, from, items_max);
        },
        convert));
}

Answer<Listing<api::TopicInfo>> ShardBroker::topics(const api::TopicQuery& query,
                                                    const Page& page) {
    const broker::TopicQuery asked{parts_->id_of(query.tenant), query.filter};
    return parts_->walk(
        page, 0, parts_->shard_count(),
        [asked](ShardInspector& shard, InspectPosition from, std::uint32_t items_max) {
            return shard.topics(asked, from, items_max);
        },
        [this](const broker::TopicFacts& facts) {
            return api::TopicInfo{parts_->name_of(facts.tenant), facts.topic, facts.has_retained,
                                  facts.subscriptions};
        });
}

Answer<Listing<api::RetainedInfo>> ShardBroker::retained(const api::TopicQuery& query,
                                                         const Page& page) {
    const broker::TopicQuery asked{parts_->id_of(query.tenant), query.filter};
    return parts_->walk(
        page, 0, parts_->shard_count(),
        [asked](ShardInspector& shard, InspectPosition from, std::uint32_t items_max) {
            return shard.retained(asked, from, items_max);
        },
        [this](const broker::RetainedFacts& facts) { return parts_->retained_info(facts); });
}

Answer<api::Message> ShardBroker::retained_message(const api::TenantName& tenant,
                                                   const std::string& topic) {
    const TenantId id = parts_->id_of(tenant);
    const ShardId home = broker::topic_home(id, topic, parts_->shard_count());
    const auto found = ask<std::optional<broker::RetainedContent>>(
        parts_->host(home), [id, topic](broker::Shard& shard, Instant now) {
            return ShardInspector{shard, now}.retained_message(id, topic);
        });
    if (!found) return silent(home);
    if (!*found) return refuse(Code::retained_unknown, "nothing is retained for this topic");
    const broker::RetainedContent& content = **found;
    api::Message message;
    message.tenant = tenant;
    message.topic = topic;
    message.payload = content.payload;
    message.qos = static_cast<std::uint8_t>(content.facts.qos);
    message.retain = true;
    if (content.facts.expires_in) {
        message.expiry_s = static_cast<std::uint32_t>(
            std::max<std::int64_t>(content.facts.expires_in->count_s(), 1));
    }
    read_properties(content.properties, message);
    return message;
}

Answer<void> ShardBroker::delete_retained(const api::TenantName& tenant, const std::string& topic) {
    const TenantId id = parts_->id_of(tenant);
    const ShardId home = broker::topic_home(id, topic, parts_->shard_count());
    const auto erased =
        ask<bool>(parts_->host(home), [id, topic](broker::Shard& shard, Instant now) {
            return ShardInspector{shard, now}.erase_retained(id, topic);
        });
    if (!erased) return silent(home);
    if (!*erased) return refuse(Code::retained_unknown, "nothing is retained for this topic");
    return {};
}

Answer<api::PublishInfo> ShardBroker::publish(const api::Message& message) {
    auto properties = write_properties(message);
    if (!properties) {
        return refuse(Code::body_invalid, "a property has more than 65535 bytes");
    }
    const TenantId id = parts_->id_of(message.tenant);
    const ShardId home = broker::topic_home(id, message.topic, parts_->shard_count());
    // The question may outlive this call: all that it works with is its own.
    const auto own = std::make_shared<const api::Message>(message);
    const auto outcome = ask<std::optional<broker::PublishOutcome>>(
        parts_->host(home),
        [own, id, encoded = std::move(*properties)](broker::Shard& shard, Instant now) {
            broker::MessageView view;
            view.tenant = id;
            view.topic = own->topic;
            view.payload = own->payload;
            view.properties = encoded;
            view.qos = static_cast<mqtt::QoS>(own->qos);
            view.retain = own->retain;
            if (own->expiry_s) view.expires_at = now + Duration::seconds(*own->expiry_s);
            return ShardInspector{shard, now}.publish(view);
        });
    if (!outcome) return silent(home);
    if (!*outcome) {
        return refuse(Code::overloaded, "deliveries to other shards are held up; try again");
    }
    if ((*outcome)->reason == mqtt::ReasonCode::quota_exceeded) {
        return refuse(Code::quota_exceeded, "no room for the message, or for one more retained");
    }
    return api::PublishInfo{(*outcome)->recipients};
}

std::string ShardBroker::fleet_status(const api::TenantScope& tenant) {
    std::vector<const fleet::ShardStatus*> status;
    for (const ShardHost* host : parts_->hosts) status.push_back(&host->status());
    std::string text = fleet::status_json(*parts_->catalog, status);
    if (!tenant) return text;
    auto body = nlohmann::ordered_json::parse(text);
    auto rows = nlohmann::ordered_json::array();
    for (auto& [name, total] : body["totals"].items()) total = std::uint64_t{0};
    for (const auto& row : body["groups"]) {
        if (row["tenant"] != *tenant) continue;
        for (auto& [name, total] : body["totals"].items()) {
            total = total.get<std::uint64_t>() + row[name].get<std::uint64_t>();
        }
        rows.push_back(row);
    }
    body["groups"] = std::move(rows);
    return body.dump() + "\n";
}

Answer<std::shared_ptr<http::BodyStream>> ShardBroker::trace(const api::TraceRequest& request) {
    broker::TraceQuery query;
    query.tenant = parts_->id_of(request.tenant);
    query.client_id = request.client_id;
    query.filter = request.filter;
    query.with_payload = request.with_payload;
    query.sees_unknown_tenants = request.includes_unknown_tenants;
    query.until = parts_->clock.now() + request.duration;
    auto stream = parts_->traces.begin(std::move(query));
    if (stream) return stream;
    return refuse(Code::too_many_traces,
                  fmt::format("{} traces are open already; end one, or wait until one ends",
                              ShardTraces::traces_max));
}

std::string ShardBroker::overview() {
    nlohmann::ordered_json total{
        {"uptime_s", static_cast<double>(parts_->clock.now().since_start_ns()) / 1e9},
        {"resident_bytes", runtime::resident_bytes()}};
    auto shards = nlohmann::ordered_json::array();
    for (const ShardHost* host : parts_->hosts) {
        auto one = shard_overview(host->counters());
        for (const auto& [key, value] : one.items()) {
            total[key] = total.value(key, std::uint64_t{0}) + value.get<std::uint64_t>();
        }
        shards.push_back(std::move(one));
    }
    total["shards"] = std::move(shards);
    return total.dump() + "\n";
}

}  // namespace mitu::node
