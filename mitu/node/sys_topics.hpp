#pragma once
// SysTopics: publishes the `$SYS` tree of each tenant.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mitu/admission/control.hpp"
#include "mitu/config/config.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/node/sys_tree.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::node {

class ShardHost;

/// Every interval, for each tenant that has sessions: what has changed, as retained messages from
/// the home shard of each topic, so that a subscriber hears each value once. A tenant sees its own
/// numbers; the whole server's are shown to `default` while no other tenant has had a client.
///
/// Cost       reads counters that are kept anyway; a shard gets one question each interval.
/// Threading  one thread at a time, not a shard's.
/// Lifetime   what it is given outlives it.
class SysTopics {
public:
    SysTopics(std::shared_ptr<const fleet::Catalog> catalog, const ports::Clock& clock,
              std::vector<ShardHost*> hosts, admission::Control& admission, std::string version);

    /// Holds from now on. What was said is taken back when it is switched off.
    void configure(const config::SysTopics& options);
    /// Whether it is time is for this to know; call it about once a second.
    void tick();

private:
    struct Message {
        TenantId tenant;
        std::string topic;
        std::string payload;  // empty: the value is taken back
    };

    void send(std::vector<Message> messages);
    void take_back();
    [[nodiscard]] SysFigures::Server server_figures() const;

    std::shared_ptr<const fleet::Catalog> catalog_;
    const ports::Clock& clock_;
    std::vector<ShardHost*> hosts_;
    admission::Control& admission_;
    std::string version_;
    config::SysTopics options_;
    Instant last_;
    std::map<TenantId, SysTree> trees_;
};

}  // namespace mitu::node
