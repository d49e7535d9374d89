// A message from one shard to another: copied through a lane into the receiver's heap, beside what
// others do, a message allocated by one thread and freed by another. Both begin with the content in
// the sender's read buffer and end with it read and given back.
//
// Sender and receiver are threads on cores of their own that take turns, 256 messages each. What is
// reported is the CPU time of both, by message; waiting for each other is not in it.
#include <benchmark/benchmark.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <array>
#include <cstring>
#include <memory>
#include <semaphore>
#include <thread>
#include <vector>

#include "mitu/base/check.hpp"
#include "mitu/memory/general_allocators.hpp"
#include "mitu/memory/lane.hpp"
#include "mitu/memory/record_heap.hpp"

namespace mitu::memory {
namespace {

constexpr std::size_t turn_messages = 256;

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
    Lane lane_{1u << 21};
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

template <class Way>
void between_shards(benchmark::State& state, Way& way) {
    const std::vector<std::uint8_t> content(static_cast<std::size_t>(state.range(0)), 'x');
    std::binary_semaphore may_receive{0};
    std::binary_semaphore may_send{0};
    bool is_over = false;
    double received_s = 0;
    double cpu_s = 0;
    std::uint64_t sum = 0;
    std::thread receiver{[&] {
        pin(1);
        for (;;) {
            may_receive.acquire();
            if (is_over) return;
            const double begin = thread_cpu_s();
            sum += way.receive();
            received_s = thread_cpu_s() - begin;
            may_send.release();
        }
    }};
    pin(0);
    for (auto _ : state) {
        const double begin = thread_cpu_s();
        for (std::size_t i = 0; i < turn_messages; ++i) way.send(content);
        way.end_sending();
        const double sent_s = thread_cpu_s() - begin;
        may_receive.release();
        may_send.acquire();
        state.SetIterationTime(sent_s + received_s);
        cpu_s += sent_s + received_s;
    }
    is_over = true;
    may_receive.release();
    receiver.join();
    benchmark::DoNotOptimize(sum);
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * turn_messages));
    state.counters["ns_per_message"] =
        cpu_s * 1e9 / static_cast<double>(state.iterations() * turn_messages);
}

template <class Way>
void add(const std::string& name, const std::shared_ptr<Way>& way) {
    benchmark::RegisterBenchmark(("between_shards/" + name).c_str(),
                                 [way](benchmark::State& state) { between_shards(state, *way); })
        ->Arg(64)
        ->Arg(256)
        ->Arg(1'024)
        ->UseManualTime();
}

const bool registered = [] {
    add("copied", std::make_shared<Copied>());
    for (const GeneralAllocator& allocator : general_allocators()) {
        add("handed_" + allocator.name, std::make_shared<Handed>(allocator));
    }
    return true;
}();

}  // namespace
}  // namespace mitu::memory
