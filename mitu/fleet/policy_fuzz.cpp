// Any text as a policy file: no crash, and what loads keeps its promises.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mitu/base/check.hpp"
#include "mitu/base/hash.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/fleet/templates.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mitu::fleet;
    namespace identity = mitu::identity;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const SourceFile file{"fuzz.yaml", text};
    const auto templates = load_templates({&file, 1});
    if (!templates) {
        MITU_CHECK(!templates.error().empty());
        for (const Problem& problem : templates.error()) MITU_CHECK(!problem.text.empty());
        return 0;
    }
    for (const auto& policy : templates->policies) {
        if (policy->heartbeat)
            MITU_CHECK(policy->heartbeat->timeout >= policy->heartbeat->interval);
        for (const auto* rules : {&policy->access.publish, &policy->access.subscribe}) {
            for (const auto& filter : rules->allow)
                MITU_CHECK(!identity::check_access_filter(filter));
            for (const auto& filter : rules->deny)
                MITU_CHECK(!identity::check_access_filter(filter));
        }
        if (policy->desired) {
            MITU_CHECK(policy->desired->hash() == mitu::hash_bytes(policy->desired->json()));
        }
    }
    // The same text over itself is no change.
    MITU_CHECK(load_templates({&file, 1}, {&file, 1}).has_value());
    (void)Catalog::build(*templates);
    return 0;
}
