#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "mitu/runtime/clock.hpp"
#include "mitu/runtime/listener.hpp"
#include "mitu/runtime/server_network.hpp"

namespace mitu::runtime {
namespace {

const SystemClock system_clock;

struct Directory {
    Directory() {
        std::string name = (std::filesystem::temp_directory_path() / "mitu-unix-XXXXXX").string();
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        path = name;
    }
    ~Directory() { std::filesystem::remove_all(path); }
    [[nodiscard]] ListenAddress address(const char* file) const {
        return parse_listen_address("unix:" + (path / file).string()).value();
    }
    std::filesystem::path path;
};

UniqueFd connect_to(const std::string& path) {
    UniqueFd fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, path.data(), path.size());
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) fd.reset();
    return fd;
}

}  // namespace

TEST(unix_listener, reads_addresses_and_says_what_is_wrong) {
    const auto address = parse_listen_address("unix:/run/mitu/mqtt.sock");
    ASSERT_TRUE(address.has_value()) << address.error();
    EXPECT_TRUE(address->is_unix());
    EXPECT_EQ(address->to_text("tcp"), "unix:/run/mitu/mqtt.sock");
    const std::pair<std::string, const char*> rows[] = {
        {"unix:", "must begin with /"},
        {"unix:mqtt.sock", "must begin with /"},
        {"unix://host/path/", "name a file"},
        {"unix:/" + std::string(107, 'x'), "108 bytes; the kernel takes 107"},
        {std::string("unix:/a\0b", 9), "zero byte"},
    };
    for (const auto& [text, says] : rows) {
        const auto refused = parse_listen_address(text);
        ASSERT_FALSE(refused.has_value()) << text;
        EXPECT_NE(refused.error().find(says), std::string::npos) << refused.error();
    }
}

TEST(unix_listener, each_shard_accepts_from_one_queue_and_knows_who_connects) {
    const Directory directory;
    const ListenAddress address = directory.address("mqtt.sock");
    auto listeners = listen_on(address, 3);
    ASSERT_TRUE(listeners.has_value()) << listeners.error();
    ASSERT_EQ(listeners->sockets.size(), 3u);
    for (const Io io : {Io::epoll, Io::io_uring}) {
        if (io == Io::io_uring && !io_uring_problem().empty()) continue;
        std::vector<UniqueFd> sockets;
        sockets.push_back(std::move(listeners->sockets.back()));
        listeners->sockets.pop_back();
        const auto network =
            make_server_network(io, system_clock, {std::move(sockets), {}, nullptr});
        ASSERT_TRUE(network.has_value()) << network.error();
        const UniqueFd client = connect_to(address.path);
        ASSERT_TRUE(client.is_open());
        std::vector<ports::NetworkEvent> events;
        for (int i = 0; i < 1'000 && events.empty(); ++i) {
            (*network)->poll(system_clock.now() + Duration::milliseconds(5), events);
        }
        ASSERT_FALSE(events.empty());
        EXPECT_TRUE(events[0].peer.is_none());
        EXPECT_EQ(ports::address_text(events[0].peer), "unix");
        const ports::PeerFacts* const facts = (*network)->facts(events[0].connection);
        ASSERT_TRUE(facts != nullptr && facts->local);
        EXPECT_EQ(facts->transport, ports::TransportKind::unix_socket);
        EXPECT_EQ(facts->local->uid, getuid());
        EXPECT_EQ(facts->local->pid, getpid());
    }
}

TEST(unix_listener, the_file_has_the_mode_and_owner_that_were_asked_for) {
    const Directory directory;
    const ListenAddress address = directory.address("mqtt.sock");
    UnixSocketOptions options;
    options.mode = 0640;
    options.owner = std::to_string(getuid());
    options.group = std::to_string(getgid());
    const auto listeners = listen_on(address, 1, options);
    ASSERT_TRUE(listeners.has_value()) << listeners.error();
    struct stat status{};
    ASSERT_EQ(stat(address.path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640u);
    EXPECT_EQ(status.st_uid, getuid());
}

TEST(unix_listener, replaces_the_file_of_a_server_that_is_gone_and_no_other) {
    const Directory directory;
    const ListenAddress address = directory.address("mqtt.sock");
    {
        ASSERT_TRUE(listen_on(address, 2).has_value());
    }
    ASSERT_TRUE(std::filesystem::exists(address.path));
    const auto live = listen_on(address, 1);
    ASSERT_TRUE(live.has_value()) << live.error();
    const auto second = listen_on(address, 1);
    ASSERT_FALSE(second.has_value());
    EXPECT_NE(second.error().find("another process listens there"), std::string::npos);
    EXPECT_TRUE(connect_to(address.path).is_open());

    const ListenAddress file = directory.address("file");
    std::ofstream{file.path} << "precious";
    const auto refused = listen_on(file, 1);
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().find("no socket is in its place"), std::string::npos);
    EXPECT_TRUE(std::filesystem::exists(file.path));
}

TEST(unix_listener, says_what_keeps_it_from_listening) {
    const Directory directory;
    const auto missing = listen_on(directory.address("no/such/dir.sock"), 1);
    ASSERT_FALSE(missing.has_value());
    EXPECT_NE(missing.error().find("make its directory first"), std::string::npos);
    UnixSocketOptions options;
    options.owner = "no-such-user-here";
    const auto nobody = listen_on(directory.address("a.sock"), 1, options);
    ASSERT_FALSE(nobody.has_value());
    EXPECT_NE(nobody.error().find("no user `no-such-user-here`"), std::string::npos);
    options = {};
    options.mode = 01777;
    const auto mode = listen_on(directory.address("a.sock"), 1, options);
    ASSERT_FALSE(mode.has_value());
    EXPECT_NE(mode.error().find("1777; use 0..777"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(directory.address("a.sock").path));
}

}  // namespace mitu::runtime
