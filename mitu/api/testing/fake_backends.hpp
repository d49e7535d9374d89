#pragma once
// Backends in memory, for tests of the API alone: they do what theirs would, or fail as told.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "mitu/api/administration.hpp"
#include "mitu/api/text.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::api::testing {

/// The next calls fail with this, if it is set.
struct Failing {
    std::optional<Code> failure{};
    [[nodiscard]] std::unexpected<Error> fail() const { return refuse(*failure, "as told"); }
};

template <class T>
Answer<Listing<T>> page_of(std::vector<T> all, const Page& page) {
    std::size_t begin = 0;
    if (!page.cursor.empty()) {
        const auto numbers = read_cursor(page.cursor, 1);
        if (!numbers) return refuse(Code::cursor_invalid, "no such cursor");
        begin = std::min<std::size_t>(numbers->front(), all.size());
    }
    Listing<T> listing;
    for (std::size_t i = begin; i < all.size() && listing.items.size() < page.limit; ++i) {
        listing.items.push_back(all[i]);
    }
    const std::size_t end = begin + listing.items.size();
    if (end < all.size()) listing.next_cursor = make_cursor({static_cast<std::uint32_t>(end)});
    return listing;
}

inline bool is_in(const TenantScope& scope, const TenantName& tenant) {
    return !scope || *scope == tenant;
}

class FakeStream final : public http::BodyStream {
public:
    std::optional<std::string> next() override { return std::nullopt; }
};

class FakeBroker final : public Broker, public Failing {
public:
    std::vector<ClientInfo> all_clients;
    std::vector<RefusalInfo> all_refusals;
    std::vector<TraceRequest> traced;
    std::vector<SubscriptionInfo> all_subscriptions;
    std::map<std::pair<std::string, std::string>, Message> kept;  // by tenant and topic
    std::vector<Message> published;

    std::vector<TenantInfo> tenants() override {
        return {{"default", "anonymous clients"}, {"acme", "one"}, {"borealis", "two"}};
    }
    Answer<Listing<ClientInfo>> clients(const ClientQuery& query, const Page& page) override {
        if (failure) return fail();
        std::vector<ClientInfo> found;
        for (const ClientInfo& c : all_clients) {
            const bool is_wanted = is_in(query.tenant, c.tenant) &&
                                   c.connected == query.connected.value_or(c.connected) &&
                                   c.client_id.starts_with(query.prefix);
            if (is_wanted) found.push_back(c);
        }
        return page_of(std::move(found), page);
    }
    Answer<ClientInfo> client(const TenantName& tenant, const std::string& id) override {
        if (failure) return fail();
        for (const ClientInfo& c : all_clients) {
            if (c.tenant == tenant && c.client_id == id) return c;
        }
        return refuse(Code::client_unknown, "no such client");
    }
    Answer<Listing<RefusalInfo>> refusals(const RefusalQuery& query, const Page& page) override {
        if (failure) return fail();
        std::vector<RefusalInfo> found;
        for (const RefusalInfo& r : all_refusals) {
            const bool is_its = !r.tenant ? !query.tenant || query.includes_unknown_tenants
                                          : is_in(query.tenant, *r.tenant);
            const bool is_asked = query.client_id.empty() || r.client_id == query.client_id;
            if (is_its && is_asked) found.push_back(r);
        }
        return page_of(std::move(found), page);
    }
    Answer<void> kick(const TenantName& tenant, const std::string& id) override {
        if (failure) return fail();
        for (ClientInfo& c : all_clients) {
            if (c.tenant != tenant || c.client_id != id) continue;
            if (!c.connected) return refuse(Code::client_not_connected, "away");
            c.connected = false;
            return {};
        }
        return refuse(Code::client_unknown, "no such client");
    }
    Answer<Listing<SubscriptionInfo>> subscriptions_of(const TenantName& tenant,
                                                       const std::string& id,
                                                       const Page& page) override {
        if (auto found = client(tenant, id); !found) return std::unexpected(found.error());
        std::vector<SubscriptionInfo> all;
        for (const auto& s : all_subscriptions) {
            if (s.tenant == tenant && s.client_id == id) all.push_back(s);
        }
        return page_of(std::move(all), page);
    }
    Answer<Listing<SubscriptionInfo>> subscriptions(const SubscriptionQuery& query,
                                                    const Page& page) override {
        if (failure) return fail();
        std::vector<SubscriptionInfo> all;
        for (const auto& s : all_subscriptions) {
            if (!is_in(query.tenant, s.tenant)) continue;
            if (!query.filter.empty() && query.filter != s.filter) continue;
            if (!query.topic.empty() && !mqtt::matches(s.filter, query.topic)) continue;
            all.push_back(s);
        }
        return page_of(std::move(all), page);
    }
    Answer<Listing<TopicInfo>> topics(const TopicQuery& query, const Page& page) override {
        if (failure) return fail();
        std::vector<TopicInfo> all;
        for (const auto& [key, message] : kept) {
            if (!is_in(query.tenant, key.first)) continue;
            if (!query.filter.empty() && !mqtt::matches(query.filter, key.second)) continue;
            all.push_back({key.first, key.second, true, 2});
        }
        return page_of(std::move(all), page);
    }
    Answer<Listing<RetainedInfo>> retained(const TopicQuery& query, const Page& page) override {
        if (failure) return fail();
        std::vector<RetainedInfo> all;
        for (const auto& [key, message] : kept) {
            if (!is_in(query.tenant, key.first)) continue;
            if (!query.filter.empty() && !mqtt::matches(query.filter, key.second)) continue;
            RetainedInfo info{key.first, key.second, message.qos, message.payload.size(), {}};
            if (message.expiry_s) info.expires_in_s = *message.expiry_s;
            all.push_back(info);
        }
        return page_of(std::move(all), page);
    }
    Answer<Message> retained_message(const TenantName& tenant, const std::string& topic) override {
        if (failure) return fail();
        const auto found = kept.find({tenant, topic});
        if (found == kept.end()) return refuse(Code::retained_unknown, "nothing there");
        return found->second;
    }
    Answer<void> delete_retained(const TenantName& tenant, const std::string& topic) override {
        if (failure) return fail();
        if (kept.erase({tenant, topic}) == 0) {
            return refuse(Code::retained_unknown, "nothing there");
        }
        return {};
    }
    Answer<PublishInfo> publish(const Message& message) override {
        if (failure) return fail();
        published.push_back(message);
        if (message.retain) kept[{message.tenant, message.topic}] = message;
        return PublishInfo{3};
    }
    Answer<std::shared_ptr<http::BodyStream>> trace(const TraceRequest& request) override {
        if (failure) return fail();
        traced.push_back(request);
        return std::make_shared<FakeStream>();
    }
    std::string fleet_status(const TenantScope& tenant) override {
        return fmt::format(
            R"({{"revision":1,"totals":{{"devices":0}},"groups":[{{"tenant":"{}"}}]}})",
            tenant.value_or("all"));
    }
    std::string overview() override {
        return R"({"uptime_s":1.5,"resident_bytes":7,"clients":2,"shards":[{"clients":2}]})";
    }
};

class FakeBans final : public Bans, public Failing {
public:
    std::vector<Ban> all;

    Answer<Listing<Ban>> list(const TenantScope& scope, const Page& page) override {
        if (failure) return fail();
        std::vector<Ban> seen;
        for (const Ban& ban : all) {
            if (!scope || ban.tenant == scope) seen.push_back(ban);
        }
        return page_of(std::move(seen), page);
    }
    Answer<Ban> find(const std::string& id) override {
        for (const Ban& ban : all) {
            if (ban.id == id) return ban;
        }
        return refuse(Code::ban_unknown, "no such ban");
    }
    Answer<Ban> add(const Ban& ban) override {
        if (failure) return fail();
        for (const Ban& one : all) {
            if (one.kind == ban.kind && one.value == ban.value && one.tenant == ban.tenant) {
                return refuse(Code::exists_already, "is banned already");
            }
        }
        all.push_back(ban);
        all.back().id = fmt::format("b{}", all.size());
        return all.back();
    }
    Answer<void> remove(const std::string& id) override {
        if (failure) return fail();
        const auto gone = std::erase_if(all, [&](const Ban& ban) { return ban.id == id; });
        if (gone == 0) return refuse(Code::ban_unknown, "no such ban");
        return {};
    }
};

class FakeUsers final : public Users, public Failing {
public:
    std::map<std::pair<std::string, std::string>, User> all;
    std::uint64_t revision = 0;

    Answer<Listing<User>> list(const TenantScope& scope, const Page& page) override {
        if (failure) return fail();
        std::vector<User> seen;
        for (const auto& [key, user] : all) {
            if (is_in(scope, key.first)) seen.push_back(user);
        }
        return page_of(std::move(seen), page);
    }
    Answer<User> find(const TenantName& tenant, const std::string& name) override {
        if (failure) return fail();
        const auto found = all.find({tenant, name});
        if (found == all.end()) return refuse(Code::user_unknown, "no such user");
        return found->second;
    }
    Answer<User> add(const TenantName& tenant, const std::string& name, const std::string&,
                     bool enabled) override {
        if (failure) return fail();
        const auto [at, is_new] =
            all.try_emplace({tenant, name}, User{tenant, name, enabled, ++revision});
        if (!is_new) return refuse(Code::exists_already, "is there already");
        return at->second;
    }
    Answer<User> change(const TenantName& tenant, const std::string& name, const UserChange& change,
                        std::optional<std::uint64_t> expected) override {
        auto found = find(tenant, name);
        if (!found) return found;
        if (expected && *expected != found->revision) {
            return refuse(Code::revision_conflict, "read it again");
        }
        if (change.enabled) found->enabled = *change.enabled;
        found->revision = ++revision;
        return all[{tenant, name}] = *found;
    }
    Answer<void> remove(const TenantName& tenant, const std::string& name,
                        std::optional<std::uint64_t> expected) override {
        auto found = find(tenant, name);
        if (!found) return std::unexpected(found.error());
        if (expected && *expected != found->revision) {
            return refuse(Code::revision_conflict, "read it again");
        }
        all.erase({tenant, name});
        return {};
    }
};

class FakeListeners final : public Listeners, public Failing {
public:
    std::vector<ListenerInfo> all{{"mqtt", "tcp://0.0.0.0:1883", true, 5},
                                  {"tls", "mqtts://0.0.0.0:8883", true, std::nullopt}};

    Answer<std::vector<ListenerInfo>> list() override {
        if (failure) return fail();
        return all;
    }
    Answer<ListenerInfo> set_enabled(const std::string& name, bool enabled) override {
        if (failure) return fail();
        for (ListenerInfo& listener : all) {
            if (listener.name != name) continue;
            listener.enabled = enabled;
            return listener;
        }
        return refuse(Code::listener_unknown, "no such listener");
    }
};

class FakeConfiguration final : public Configuration, public Failing {
public:
    std::uint64_t revision = 4;
    Answer<ConfigView> view() override {
        if (failure) return fail();
        return ConfigView{revision, R"({"limits":{"clients":10},"password":"***"})"};
    }
    Answer<ReloadReport> reload() override {
        if (failure) return fail();
        return ReloadReport{++revision, {"limits.clients"}, {"listeners"}};
    }
};

class FakeUpgrades final : public Upgrades, public Failing {
public:
    UpgradeState now{4'711, "1.2.3", ""};
    int begun = 0;
    Answer<UpgradeState> state() override {
        if (failure) return fail();
        return now;
    }
    Answer<UpgradeState> begin() override {
        if (failure) return fail();
        ++begun;
        return now;
    }
};

class FakeStore final : public Store, public Failing {
public:
    std::vector<std::string> copies;

    Answer<std::string> numbers() override {
        if (failure) return fail();
        return std::string{
            R"({"schema":2,"starts":4,"disk_bytes":1,"log_bytes":2,"memory_bytes":3,)"
            R"("free_bytes":null,"accepts_new":true,)"
            R"("families":{"queue":{"rows_estimate":1,"disk_bytes":1,"memory_bytes":2}}})"};
    }
    Answer<std::string> start_check() override {
        if (failure) return fail();
        return std::string{
            R"({"state":"running","started_at":"2026-01-01T00:00:00.000Z","error":null,"report":null})"};
    }
    Answer<std::string> last_check() override {
        if (failure) return fail();
        return std::string{R"({"state":"none","started_at":null,"error":null,"report":null})"};
    }
    Answer<std::string> back_up(const std::string& directory) override {
        if (failure) return fail();
        copies.push_back(directory);
        return R"({"directory":")" + directory + R"(","files":3,"bytes":1000})";
    }
};

}  // namespace mitu::api::testing
