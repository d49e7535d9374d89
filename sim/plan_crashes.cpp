// Servers that keep what they are given, and crashes of the process and of the machine. Drawn
// behind everything else, so that the plans of seeds without a store stay.

#include <fmt/format.h>

#include <algorithm>

#include "mitu/base/random.hpp"
#include "sim/plan.hpp"

namespace mitu::sim {
namespace {

using Engine = journal::testing::VirtualStoreOptions::Engine;
using broker::Durability;

// Of all plans: what a start of RocksDB costs bounds it.
constexpr double share_with_store = 0.12;
constexpr double share_on_disk = 0.6;  // of those

class CrashDraw {
public:
    CrashDraw(Plan& plan, Prng& prng) : plan_{plan}, prng_{prng} {}

    void draw() {
        StorePlan store;
        store.engine = prng_.chance(share_on_disk) ? Engine::disk : Engine::memory;
        is_on_disk_ = store.engine == Engine::disk;
        const Durability usual = durability();
        for (Durability& each : store.durability) each = prng_.chance(0.7) ? usual : durability();
        if (prng_.chance(0.3)) store.will_grace = Duration::seconds(1);
        plan_.world.store = store;
        limit();
        crashes();
        if (is_on_disk_ && prng_.chance(0.5)) trouble();
        plan_.crashes_at_the_end = prng_.chance(0.5);
    }

private:
    [[nodiscard]] Durability durability() {
        const std::uint64_t dice = prng_.below(10);
        return dice < 6 ? Durability::sync : dice < 9 ? Durability::async : Durability::none;
    }
    [[nodiscard]] Duration duration(Duration max) {
        return Duration::nanoseconds(
            static_cast<std::int64_t>(prng_.below(static_cast<std::uint64_t>(max.count_ns()) + 1)));
    }

    /// Sessions that break are another subject (model_breaks.cpp), and so are rights that change.
    void limit() {
        auto& world = plan_.world;
        world.faults.erase(ports::Fault::session_breaks);
        world.faults.erase(ports::Fault::session_memory_full);
        world.server.limits.session_bytes_max = broker::Limits{}.session_bytes_max;
        // Where retained messages leave no memory for a single other one, queues stay where they
        // are; a tenant's quota is lifted in the end.
        world.server.limits.message_bytes_max = broker::Limits{}.message_bytes_max;
        std::erase_if(plan_.orders,
                      [](const OrderPlan& order) { return order.kind == OrderPlan::Kind::reload; });
        if (prng_.chance(0.7)) {
            world.server.limits.queue_ahead_messages =
                static_cast<std::uint32_t>(4 + prng_.below(prng_.chance(0.5) ? 8 : 100));
        }
    }

    void crashes() {
        using Kind = ServerPlan::Kind;
        for (std::uint64_t n = 1 + prng_.below(4); n != 0; --n) {
            ServerPlan crash;
            crash.at = duration(plan_.storm);
            // Most are over in a moment; while some last, sessions and messages expire.
            crash.down_for =
                duration(prng_.chance(0.8) ? Duration::seconds(1) : Duration::seconds(30));
            const std::uint64_t dice = prng_.below(10);
            crash.kind = dice < 4   ? Kind::kill
                         : dice < 5 ? Kind::stop
                         : dice < 7 ? Kind::power
                         : dice < 9 ? Kind::in_commit
                                    : Kind::power_in_commit;
            if (!is_on_disk_ && crash.kind != Kind::stop) crash.kind = Kind::kill;
            crash.operations = 1 + prng_.below(8);
            plan_.restarts.push_back(crash);
        }
        std::sort(plan_.restarts.begin(), plan_.restarts.end(),
                  [](const auto& a, const auto& b) { return a.at < b.at; });
        std::uint32_t revision = 1;
        for (ServerPlan& restart : plan_.restarts) {
            revision = restart.revision = std::max(revision, restart.revision);
        }
    }

    void trouble() {
        for (std::uint64_t n = 1 + prng_.below(3); n != 0; --n) {
            DiskPlan disk;
            disk.at = duration(plan_.storm);
            switch (prng_.below(3)) {
                case 0:
                    disk.kind = DiskPlan::Kind::fill;
                    disk.bytes_left = prng_.below(150'000);
                    break;
                case 1:
                    disk.kind = DiskPlan::Kind::fail;
                    disk.faults.append_fails = prng_.chance(0.6) ? 0.05 : 0;
                    disk.faults.sync_fails = prng_.chance(0.6) ? 0.1 : 0;
                    break;
                default:
                    disk.kind = DiskPlan::Kind::slow;
                    disk.commit_time_max = Duration::milliseconds(
                        1 + static_cast<std::int64_t>(prng_.below(prng_.chance(0.5) ? 20 : 2'000)));
            }
            plan_.disk.push_back(disk);
            DiskPlan mended;
            mended.at = disk.at +
                        duration(prng_.chance(0.7) ? Duration::seconds(3) : Duration::seconds(60));
            plan_.disk.push_back(mended);
        }
    }

    Plan& plan_;
    Prng& prng_;
    bool is_on_disk_ = false;
};

}  // namespace

void draw_crashes(Prng& prng, Plan& plan) {
    if (prng.chance(share_with_store)) CrashDraw{plan, prng}.draw();
}

std::string_view to_text(ServerPlan::Kind kind) noexcept {
    switch (kind) {
        case ServerPlan::Kind::kill:
            return "the server is killed";
        case ServerPlan::Kind::stop:
            return "the server is stopped";
        case ServerPlan::Kind::power:
            return "the power goes";
        case ServerPlan::Kind::in_commit:
            return "the server is to be killed within a commit";
        case ServerPlan::Kind::power_in_commit:
            return "the power is to go within a commit";
    }
    return "unknown";
}

std::string to_text(const DiskPlan& disk) {
    switch (disk.kind) {
        case DiskPlan::Kind::fill:
            return fmt::format("the disk has room for {} bytes", disk.bytes_left);
        case DiskPlan::Kind::fail:
            return fmt::format("the disk fails: {} of all appends, {} of all syncs",
                               disk.faults.append_fails, disk.faults.sync_fails);
        case DiskPlan::Kind::slow:
            return fmt::format("a commit takes up to {} ms", disk.commit_time_max.count_ms());
        case DiskPlan::Kind::mend:
            return "the disk is well";
    }
    return "unknown";
}

}  // namespace mitu::sim
