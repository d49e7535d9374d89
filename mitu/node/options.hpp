#pragma once
// What a node is told at start.

#include <cstdint>
#include <string>
#include <vector>

#include "mitu/broker/limits.hpp"

namespace mitu::node {

struct NodeOptions {
    std::vector<std::string> listen{"tcp://127.0.0.1:1883"};
    std::string http = "127.0.0.1:9880";  // empty: no HTTP
    std::uint16_t shards = 0;             // 0: one per core
    bool allow_anonymous = false;
    std::string registry_file;     // empty: no registered devices
    std::string policy_directory;  // overlays the policies compiled in; empty: none
    std::string port_file;         // written once connections are taken: {"mqtt":PORT,"http":PORT}
    std::uint64_t connections_wanted = 1'000'000;  // open files asked of the kernel
    std::uint32_t login_threads = 1;               // check passwords (argon2id)
    std::uint32_t logins_waiting_max = 20'000;
    broker::Limits limits;
};

}  // namespace mitu::node
