#pragma once
// Node: one server process. Shards on threads, wired to the fleet, watched over HTTP.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/broker/shard.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/node/live_config.hpp"
#include "mitu/node/options.hpp"

namespace mitu::node {

/// Loads and checks everything that a node is configured by: policies (compiled in, overlaid by
/// `policy_directory`) and the registry.
/// Errors  all problems, one a line, with file, line, value and remedy.
[[nodiscard]] Result<std::shared_ptr<const fleet::Catalog>, std::string> load_catalog(
    const NodeOptions& options);

struct NodePorts {
    std::uint16_t mqtt = 0;  // of the first listener
    std::uint16_t http = 0;  // 0: none
};

/// Owns threads, listeners, shards and the HTTP server.
/// Threading  create(), stop(): the owner. ask(): any thread but a shard's.
class Node {
public:
    /// Starts to serve. Errors: a sentence that names what could not be had, and the remedy.
    [[nodiscard]] static Result<std::unique_ptr<Node>, std::string> create(
        const NodeOptions& options, std::shared_ptr<const fleet::Catalog> catalog);
    ~Node();  // as stop()
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    [[nodiscard]] NodePorts ports() const noexcept;

    /// Reads the configuration anew (NodeOptions::read_files) and applies what can be applied while
    /// clients are connected: certificates, methods, chains, users and ACL files are read anew,
    /// bans, limits of tenants and listeners that go on or off hold at once, and clients that are
    /// here go by what is so now.
    /// Errors  all that is wrong; then all stays as it was, but for certificates.
    /// Threading  any thread but a shard's.
    [[nodiscard]] Result<Reloaded, std::string> reload();

    /// Lets clients go at a pace of at least 2,000 a second, for another process to serve them, and
    /// stops. Who has messages under way goes last. Bounded: 10 s and then stop().
    void drain();

    /// Tells v5 clients why (0x8B), closes, and waits for the threads. Bounded by
    /// Limits::shutdown_timeout.
    void stop();

private:
    class Impl;
    explicit Node(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace mitu::node
