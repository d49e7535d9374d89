#pragma once
// The scenario filters: what a publish costs beside very many overlapping wildcard filters, and
// what a filter costs in memory.

#include <cstdint>
#include <string>
#include <vector>

#include "bench/options.hpp"
#include "bench/pattern.hpp"
#include "bench/report.hpp"
#include "bench/swarm.hpp"

namespace mitu::bench {

/// options.count distinct filters, held by clients with some thousands each. There are half as many
/// topics as filters; each is matched by exactly two, of two clients, so that every broker has two
/// copies to send and none has a choice. A wildcard stands at the first, second or last level, and
/// publishes go through the topics in a stride, so that neighbours are not warm in any cache.
///
/// Pace      a publisher sends options.window messages and a PINGREQ, and the next as many when the
///           PINGRESP and all copies have come: misses have no other sign of being done. There are
///           enough publishers for the broker never to wait.
/// Checks    every copy of a batch comes once, to whom it is for, before the next batch is sent.
///           Order is promised within a topic [MQTT-4.6.0-6], and a publisher comes back to a topic
///           only in a later batch (unless filters are few), so none is left to check: a broker may
///           match different topics on different threads.
/// Threading one thread.
class FiltersRun {
public:
    explicit FiltersRun(const Options& options);

    /// The report counts publishes as delivered, whether they hit two filters or none.
    [[nodiscard]] Report run();

    // For Swarm::turn().
    [[nodiscard]] bool on_frame(Link& link, const Frame& frame, Instant now);
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

private:
    static constexpr std::uint32_t copies_per_hit = 2;

    struct Holder {
        std::uint32_t topic_begin = 0;  // next to subscribe to
        std::uint32_t topic_end = 0;
        std::uint16_t packet_id = 0;
    };
    struct Publisher {
        std::uint64_t sent = 0;             // a whole number of batches
        std::uint64_t copies_expected = 0;  // of all that was sent
        std::uint64_t copies = 0;
        bool ping_answered = true;
        std::vector<std::uint8_t> owed;  // bit g: the copy of group g of each message of the batch
    };

    [[nodiscard]] Result<void, Failure> go();
    [[nodiscard]] Result<void, Failure> subscribe_all();
    void subscribe_more(std::uint32_t holder);
    [[nodiscard]] std::string filter_of(std::uint32_t group, std::uint32_t topic) const;
    [[nodiscard]] Result<void, Failure> turn();
    [[nodiscard]] bool is_done(const Publisher& publisher) const noexcept;
    void send_batch(std::uint32_t number);
    [[nodiscard]] std::uint32_t topic_of(std::uint32_t publisher,
                                         std::uint64_t sequence) const noexcept;
    [[nodiscard]] bool on_suback(Link& link, const Frame& frame);
    [[nodiscard]] bool on_publish(Link& link, const Frame& frame);
    [[nodiscard]] bool on_pingresp(Link& link);
    [[nodiscard]] bool wrong(const char* what);
    void sum_up();

    const Options& options_;
    std::uint32_t topics_;
    std::uint32_t holders_per_group_;
    Swarm swarm_;
    PublishPattern pattern_;
    Report report_;
    std::string fault_;
    std::vector<Holder> holders_;        // links 0 ..: first those of group 0, then of group 1
    std::vector<Publisher> publishers_;  // links after them
    bool sending_ = false;
    std::uint64_t subscribed_ = 0;  // filters
    std::uint64_t published_ = 0;   // and done with
    std::uint64_t progress_ = 0;
    Instant progress_at_;
};

}  // namespace mitu::bench
