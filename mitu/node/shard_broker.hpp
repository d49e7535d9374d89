#pragma once
// ShardBroker: what the API asks, answered by the shards on their own threads.

#include <memory>
#include <vector>

#include "mitu/api/broker.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::node {

class ShardHost;

/// A question goes to the shard that has the answer, or to one after the other, in pieces that are
/// small for each shard (broker::ShardInspector); each has a second to answer.
/// Threading  any thread but a shard's.
/// Lifetime   hosts and clock outlive it.
class ShardBroker final : public api::Broker {
public:
    ShardBroker(std::shared_ptr<const fleet::Catalog> catalog, const ports::Clock& clock,
                std::vector<ShardHost*> hosts);
    ~ShardBroker() override;

    [[nodiscard]] std::vector<api::TenantInfo> tenants() override;
    [[nodiscard]] api::Answer<api::Listing<api::ClientInfo>> clients(
        const api::ClientQuery& query, const api::Page& page) override;
    [[nodiscard]] api::Answer<api::ClientInfo> client(const api::TenantName& tenant,
                                                      const std::string& client_id) override;
    [[nodiscard]] api::Answer<api::Listing<api::RefusalInfo>> refusals(
        const api::RefusalQuery& query, const api::Page& page) override;
    [[nodiscard]] api::Answer<void> kick(const api::TenantName& tenant,
                                         const std::string& client_id) override;
    [[nodiscard]] api::Answer<api::Listing<api::SubscriptionInfo>> subscriptions_of(
        const api::TenantName& tenant, const std::string& client_id,
        const api::Page& page) override;
    [[nodiscard]] api::Answer<api::Listing<api::SubscriptionInfo>> subscriptions(
        const api::SubscriptionQuery& query, const api::Page& page) override;
    [[nodiscard]] api::Answer<api::Listing<api::TopicInfo>> topics(const api::TopicQuery& query,
                                                                   const api::Page& page) override;
    [[nodiscard]] api::Answer<api::Listing<api::RetainedInfo>> retained(
        const api::TopicQuery& query, const api::Page& page) override;
    [[nodiscard]] api::Answer<api::Message> retained_message(const api::TenantName& tenant,
                                                             const std::string& topic) override;
    [[nodiscard]] api::Answer<void> delete_retained(const api::TenantName& tenant,
                                                    const std::string& topic) override;
    [[nodiscard]] api::Answer<api::PublishInfo> publish(const api::Message& message) override;
    [[nodiscard]] api::Answer<std::shared_ptr<http::BodyStream>> trace(
        const api::TraceRequest& request) override;
    [[nodiscard]] std::string fleet_status(const api::TenantScope& tenant) override;
    [[nodiscard]] std::string overview() override;

private:
    class Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace mitu::node
