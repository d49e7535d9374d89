// Any text as an ACL file: no crash, and every filter that comes out is one the broker takes.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mitu/base/check.hpp"
#include "mitu/identity/acl_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mitu::identity;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const auto file = AclFile::parse(text);
    if (!file) {
        MITU_CHECK(!file.error().empty());
        return 0;
    }
    for (const auto& access : {file->access_of(std::nullopt), file->access_of("ann")}) {
        for (const auto* rules : {&access->publish, &access->subscribe}) {
            for (const auto* filters : {&rules->allow, &rules->deny}) {
                for (const auto& filter : *filters) {
                    MITU_CHECK(!check_access_filter(filter, login_variables));
                    MITU_CHECK(filter != "#");
                }
            }
        }
        // A denial in this format denies both ways.
        MITU_CHECK(access->publish.deny == access->subscribe.deny);
    }
    return 0;
}
