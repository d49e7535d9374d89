#include "mitu/runtime/service_manager.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "mitu/runtime/unique_fd.hpp"

namespace mitu::runtime {
namespace {

/// systemd's end, under a name that is no file.
class Manager {
public:
    Manager() : name_{"@mitu-test-" + std::to_string(getpid())} {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, name_.data(), name_.size());
        address.sun_path[0] = '\0';
        const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
        EXPECT_EQ(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
        ::setenv("NOTIFY_SOCKET", name_.c_str(), 1);
    }
    ~Manager() { ::unsetenv("NOTIFY_SOCKET"); }
    /// Shape  empty: it was told nothing.
    std::string heard() {
        char bytes[512];
        const ssize_t count = recv(fd_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
        return count < 0 ? std::string{} : std::string(bytes, static_cast<std::size_t>(count));
    }

private:
    std::string name_;
    UniqueFd fd_{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

}  // namespace

TEST(service_manager, hears_what_the_service_does) {
    Manager manager;
    EXPECT_TRUE(has_service_manager());
    notify_ready("serving\nMAINPID=1");
    EXPECT_EQ(manager.heard(), "READY=1\nSTATUS=serving MAINPID=1") << "a status is one line";
    notify_reloading();
    EXPECT_TRUE(manager.heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    notify_status("the worker\ndied");
    EXPECT_EQ(manager.heard(), "STATUS=the worker died");
    notify_stopping();
    EXPECT_EQ(manager.heard(), "STOPPING=1");
    EXPECT_EQ(manager.heard(), "");
}

TEST(service_manager, that_is_not_there_is_nobodys_trouble) {
    EXPECT_FALSE(has_service_manager());
    notify_ready("serving");
    for (const char* path : {"", "relative", "/no/such/socket", "@nobody-listens-here"}) {
        ::setenv("NOTIFY_SOCKET", path, 1);
        notify_stopping();
    }
    ::setenv("NOTIFY_SOCKET", ("/" + std::string(300, 'x')).c_str(), 1);
    notify_stopping();
    ::unsetenv("NOTIFY_SOCKET");
}

}  // namespace mitu::runtime
