// A message from one shard to another: copied through a lane into the receiver's heap, beside what
// others do, a message allocated by one thread and freed by another. Both begin with the content in
// the sender's read buffer and end with it read and given back.
//
// Both contain what no way spares: the content is written by one core and read by another. That
// alone is `bare`: memory that both own for ever, written and read in place, with nothing
// allocated, copied out, or freed; the cheaper of little and of as much as a lane has. What a way
// costs above it is what it charges for itself. Figures are nanoseconds of CPU for a message;
// `share_of_best_...` are the lane's beside the cheapest allocator's.
//
// Sender and receiver are threads on cores of their own that take turns, 256 messages each. What is
// reported is the CPU time of both, by message; waiting for each other is not in it.
#include <benchmark/benchmark.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mitu/base/check.hpp"
#include "mitu/memory/general_allocators.hpp"
#include "mitu/memory/lane.hpp"
#include "mitu/memory/record_heap.hpp"

namespace mitu::memory {
namespace {

constexpr std::size_t turn_messages = 256;
constexpr std::uint32_t lane_bytes = 1u << 21;

void pin(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    // On a machine with one core both stay where they are.
    static_cast<void>(pthread_setaffinity_np(pthread_self(), sizeof set, &set));
}

double thread_cpu_s() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::uint64_t read_all(ByteView bytes) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + i, sizeof word);
        sum += word;
    }
    return sum;
}

/// The content in memory that belongs to both for ever: in as little of it as a turn takes, or
/// round and round in as much as a lane has.
class Bare {
public:
    explicit Bare(std::size_t ring_bytes) : ring_(ring_bytes) {}
    void send(const std::vector<std::uint8_t>& content) {
        size_ = content.size();
        std::memcpy(ring_.data() + sent_, content.data(), size_);
        sent_ += size_;
    }
    void end_sending() {}
    std::uint64_t receive() {
        std::uint64_t sum = 0;
        for (; received_ < sent_; received_ += size_) {
            sum += read_all({ring_.data() + received_, size_});
        }
        if (sent_ + turn_messages * size_ > ring_.size()) sent_ = received_ = 0;
        return sum;
    }

private:
    std::vector<std::uint8_t> ring_;
    std::size_t size_ = 0;
    std::size_t sent_ = 0;
    std::size_t received_ = 0;
};

/// As between shards: one copy into the lane, one out of it.
class Copied {
public:
    void send(const std::vector<std::uint8_t>& content) {
        const auto room = lane_.try_reserve(1, static_cast<std::uint32_t>(content.size()));
        MITU_CHECK(room.has_value());
        std::memcpy(room->data(), content.data(), content.size());
        lane_.commit();
    }
    void end_sending() { lane_.publish(); }
    std::uint64_t receive() {
        std::uint64_t sum = 0;
        std::size_t count = 0;
        while (const auto record = lane_.peek()) {
            const auto handle = heap_.add(static_cast<std::uint32_t>(record->bytes.size()));
            MITU_CHECK(handle.has_value());
            std::memcpy(heap_.data(*handle), record->bytes.data(), record->bytes.size());
            lane_.pop();
            held_[count++] = *handle;
        }
        lane_.release();
        for (std::size_t i = 0; i < count; ++i) {
            sum += read_all(heap_.bytes(held_[i]));
            heap_.release(held_[i]);
        }
        return sum;
    }

private:
    Lane lane_{lane_bytes};
    RecordHeap heap_;
    std::array<RecordHandle, turn_messages> held_{};
};

/// A pointer travels; who received it frees. Header and payload are one allocation each, as in
/// record_heap_bench and in most brokers.
class Handed {
public:
    explicit Handed(const GeneralAllocator& allocator) : allocator_{allocator} {}
    void send(const std::vector<std::uint8_t>& content) {
        auto* const message = static_cast<Message*>(allocator_.allocate(sizeof(Message)));
        message->payload = static_cast<std::uint8_t*>(allocator_.allocate(content.size()));
        message->size = content.size();
        std::memcpy(message->payload, content.data(), content.size());
        sent_[count_++] = message;
    }
    void end_sending() {}
    std::uint64_t receive() {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            sum += read_all({sent_[i]->payload, sent_[i]->size});
            allocator_.free(sent_[i]->payload);
            allocator_.free(sent_[i]);
        }
        count_ = 0;
        return sum;
    }

private:
    struct Message {
        std::uint8_t* payload;
        std::size_t size;
        std::uint64_t rest[2];
    };
    GeneralAllocator allocator_;
    std::array<Message*, turn_messages> sent_{};
    std::size_t count_ = 0;
};

/// One way to hand a turn's messages over, so that all of them can take turns in one run.
class Way {
public:
    explicit Way(std::string name) : name_{std::move(name)} {}
    virtual ~Way() = default;
    Way(const Way&) = delete;
    Way& operator=(const Way&) = delete;

    virtual void send_turn(const std::vector<std::uint8_t>& content) = 0;
    virtual std::uint64_t receive() = 0;
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

private:
    std::string name_;
};

template <class Kind>
class WayOf final : public Way {
public:
    template <class... Arguments>
    explicit WayOf(std::string name, Arguments&&... arguments)
        : Way{std::move(name)}, kind_{std::forward<Arguments>(arguments)...} {}
    void send_turn(const std::vector<std::uint8_t>& content) override {
        for (std::size_t i = 0; i < turn_messages; ++i) kind_.send(content);
        kind_.end_sending();
    }
    std::uint64_t receive() override { return kind_.receive(); }

private:
    Kind kind_;
};

constexpr std::size_t bares = 2;
constexpr std::size_t copied = 2;  // then those with an allocator

std::vector<std::unique_ptr<Way>> all_ways(std::size_t content_bytes) {
    std::vector<std::unique_ptr<Way>> ways;
    const std::size_t turn_bytes = turn_messages * content_bytes;
    ways.push_back(std::make_unique<WayOf<Bare>>("bare_of_a_turn", turn_bytes));
    ways.push_back(std::make_unique<WayOf<Bare>>("bare_of_a_lane", lane_bytes));
    ways.push_back(std::make_unique<WayOf<Copied>>("copied"));
    for (const GeneralAllocator& allocator : general_allocators()) {
        ways.push_back(std::make_unique<WayOf<Handed>>("handed_" + allocator.name, allocator));
    }
    return ways;
}

double median(std::vector<double>& numbers) {
    const auto middle = numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() / 2);
    std::nth_element(numbers.begin(), middle, numbers.end());
    return *middle;
}

/// Sender and receiver; a turn of one way is the CPU time of both.
class Pair {
public:
    Pair()
        : receiver_{[this] {
              pin(1);
              for (;;) {
                  may_receive_.acquire();
                  if (way_ == nullptr) return;
                  const double begin = thread_cpu_s();
                  sum_ += way_->receive();
                  received_s_ = thread_cpu_s() - begin;
                  may_send_.release();
              }
          }} {
        pin(0);
    }
    ~Pair() {
        way_ = nullptr;
        may_receive_.release();
        receiver_.join();
        benchmark::DoNotOptimize(sum_);
    }
    double turn_s(Way& way, const std::vector<std::uint8_t>& content) {
        way_ = &way;
        const double begin = thread_cpu_s();
        way.send_turn(content);
        const double sent_s = thread_cpu_s() - begin;
        may_receive_.release();
        may_send_.acquire();
        return sent_s + received_s_;
    }

private:
    std::binary_semaphore may_receive_{0};
    std::binary_semaphore may_send_{0};
    Way* way_ = nullptr;
    double received_s_ = 0;
    std::uint64_t sum_ = 0;
    std::thread receiver_;
};

/// Every way has so many turns before the next one: enough to be warm, few enough that what the
/// machine does to one of them it does to all.
constexpr int turns_of_a_way = 64;

void between_shards(benchmark::State& state) {
    const std::vector<std::uint8_t> content(static_cast<std::size_t>(state.range(0)), 'x');
    const auto ways = all_ways(content.size());
    std::vector<std::vector<double>> seconds(ways.size());
    {
        Pair pair;
        for (auto _ : state) {
            for (std::size_t k = 0; k < ways.size(); ++k) {
                std::vector<double> turns;
                for (int turn = 0; turn < turns_of_a_way; ++turn) {
                    turns.push_back(pair.turn_s(*ways[k], content));
                }
                seconds[k].push_back(median(turns));
            }
        }
    }
    const auto ns = [&](std::size_t k) { return median(seconds[k]) * 1e9 / turn_messages; };
    double bare_ns = std::numeric_limits<double>::infinity();
    double best_ns = bare_ns;
    for (std::size_t k = 0; k < ways.size(); ++k) {
        const double each_ns = ns(k);
        state.counters[ways[k]->name()] = each_ns;
        if (k < bares) bare_ns = std::min(bare_ns, each_ns);
        if (k > copied) best_ns = std::min(best_ns, each_ns);
    }
    const double copied_ns = ns(copied);
    state.counters["copied_above_bare"] = copied_ns - bare_ns;
    state.counters["best_allocator_above_bare"] = best_ns - bare_ns;
    state.counters["share_of_best_whole"] = copied_ns / best_ns;
    state.counters["share_of_best_above_bare"] = (copied_ns - bare_ns) / (best_ns - bare_ns);
}
BENCHMARK(between_shards)->Arg(64)->Arg(256)->Arg(1'024)->UseRealTime();

}  // namespace
}  // namespace mitu::memory
