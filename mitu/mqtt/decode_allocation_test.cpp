// Decoding and encoding never allocate. Its own binary, because it replaces operator new.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <new>
#include <vector>

#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/encode.hpp"
#include "mitu/mqtt/packet.hpp"
#include "mitu/mqtt/testing/random_packet.hpp"

namespace {

std::size_t allocations = 0;

void* counted(std::size_t size) {
    ++allocations;
    void* const memory = std::malloc(size == 0 ? 1 : size);
    if (memory == nullptr) throw std::bad_alloc{};
    return memory;
}

}  // namespace

// The analyzer takes free() in operator delete for a second release.
// NOLINTBEGIN(clang-analyzer-cplusplus.NewDelete)
void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t /*size*/) noexcept { std::free(memory); }

// NOLINTEND(clang-analyzer-cplusplus.NewDelete)

namespace mitu::mqtt {

TEST(decode, and_encode_never_allocate) {
    testing::PacketMaker maker{11};
    std::vector<std::uint8_t> out(65'536);
    std::size_t packets = 0;
    for (const Sender sender : {Sender::client, Sender::server}) {
        for (const ProtocolVersion version : {ProtocolVersion::v3_1_1, ProtocolVersion::v5}) {
            for (int i = 0; i < 2'000; ++i) {
                const Packet packet = maker.draw(sender, version);
                const std::size_t before = allocations;
                const std::uint32_t size = encode(packet, version, out);
                out[2 + (i % 7U)] ^= static_cast<std::uint8_t>(i % 3);  // faults do not either
                const auto decoded = decode(ByteView{out}.first(size), {sender, version});
                ASSERT_EQ(allocations, before);
                packets += decoded.has_value() ? 1 : 0;
            }
        }
    }
    EXPECT_GT(packets, 1'000U);
    const std::size_t before = allocations;
    const std::vector<int> one(1);
    EXPECT_GT(allocations, before) << "the counter counts";
}

}  // namespace mitu::mqtt
