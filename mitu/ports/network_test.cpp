#include "mitu/ports/network.hpp"

#include <gtest/gtest.h>

namespace mitu::ports {

TEST(peer_address, reads_as_people_write_it) {
    PeerAddress peer;
    peer.port = 1883;
    peer.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 7};
    EXPECT_EQ(address_text(peer), "192.0.2.7:1883");
    peer.ip = {0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7};
    EXPECT_EQ(address_text(peer), "[2001:db8:0:0:0:0:0:7]:1883");
}

}  // namespace mitu::ports
