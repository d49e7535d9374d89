#pragma once
// Fleet: pairs of clients that talk, and know what each must have heard.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "mitu/base/random.hpp"
#include "mitu/broker/testing/client.hpp"
#include "mitu/broker/testing/world.hpp"

namespace mitu::chaos {

/// Publisher k to subscriber k, QoS 1, and everybody to one listener of all; in rounds. Whoever was
/// not disconnected in a round must have heard all of it, once and in order.
class Fleet {
public:
    Fleet(broker::testing::World& world, std::size_t pairs);

    /// Connects whoever is not connected.
    void make_ready();
    /// One round; `step` is called after each step of the world.
    /// Shape  how many messages were heard by those whole; what is missing or wrong goes to
    /// losses().
    void talk(const std::function<void()>& step);
    /// All disconnect.
    void leave();

    [[nodiscard]] std::uint64_t heard_total() const noexcept { return heard_total_; }
    [[nodiscard]] const std::vector<std::string>& losses() const noexcept { return losses_; }

private:
    struct Pair {
        broker::testing::Client* from = nullptr;
        broker::testing::Client* to = nullptr;
        std::string topic;
        bool was_whole = false;
    };
    static constexpr int messages_per_round = 8;

    broker::testing::World& world_;
    std::vector<Pair> pairs_;
    std::uint64_t round_ = 0;
    std::uint64_t heard_total_ = 0;
    std::vector<std::string> losses_;
};

}  // namespace mitu::chaos
