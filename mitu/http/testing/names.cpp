#include "mitu/http/testing/names.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "mitu/base/mutex.hpp"

namespace mitu::http::testing {
namespace {

struct Gate {
    Mutex mutex;
    Condition changed;
    int closed MITU_GUARDED_BY(mutex) = 0;
};
Gate& gate() {
    static Gate one;
    return one;
}

struct Entry {
    addrinfo info{};
    sockaddr_in address{};
};

addrinfo* make_entry(const char* address, const char* port, addrinfo* next) {
    auto* const entry = new Entry;
    entry->address.sin_family = AF_INET;
    entry->address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    ::inet_pton(AF_INET, address, &entry->address.sin_addr);
    entry->info.ai_family = AF_INET;
    entry->info.ai_socktype = SOCK_STREAM;
    entry->info.ai_protocol = IPPROTO_TCP;
    entry->info.ai_addrlen = sizeof entry->address;
    entry->info.ai_addr = reinterpret_cast<sockaddr*>(&entry->address);
    entry->info.ai_next = next;
    return &entry->info;
}

}  // namespace

SlowNames::SlowNames() {
    const MutexLock lock{gate().mutex};
    ++gate().closed;
}
SlowNames::~SlowNames() {
    const MutexLock lock{gate().mutex};
    --gate().closed;
    gate().changed.notify_all();
}

}  // namespace mitu::http::testing

// In front of the C library's, for this binary.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* /*hints*/,
                           addrinfo** result) {
    using namespace mitu::http::testing;
    const std::string_view name = node != nullptr ? node : "";
    if (name == "slow.test") {
        const mitu::MutexLock lock{gate().mutex};
        while (gate().closed > 0) gate().changed.wait(gate().mutex);
    } else if (name != "one.test" && name != "other.test" && name != "two.test") {
        return EAI_NONAME;
    }
    *result = make_entry("127.0.0.1", service, nullptr);
    if (name == "two.test") *result = make_entry("127.0.0.2", service, *result);
    return 0;
}

extern "C" void freeaddrinfo(addrinfo* info) {
    while (info != nullptr) {
        auto* const entry =
            reinterpret_cast<mitu::http::testing::Entry*>(info);  // its first member
        info = info->ai_next;
        delete entry;
    }
}
