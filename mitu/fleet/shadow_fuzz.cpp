// Any sequence of requests to one shadow: no crash, answers are JSON, and drift is what the last
// document says.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "mitu/base/check.hpp"
#include "mitu/fleet/shadow.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mitu::fleet;
    using nlohmann::json;
    std::string_view text{reinterpret_cast<const char*>(data), size};
    const auto first = DesiredState::create(1, R"({"a":1,"b":{"c":"x"}})");
    const auto second = DesiredState::create(2, R"({"a":2,"d":[1]})");
    DeviceShadow shadow{first, mitu::WallTime{1'000}};
    for (std::int64_t turn = 2; !text.empty(); ++turn) {
        const mitu::WallTime now{turn * 1'000};
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line == "1") (void)shadow.set_desired(first, now);
        if (line == "2") (void)shadow.set_desired(second, now);
        const bool was_drifted = shadow.drifted();
        const std::uint32_t version = shadow.version();
        const auto messages = shadow.on_request("update", line, now);
        MITU_CHECK(!messages.empty());
        for (const auto& message : messages) MITU_CHECK(json::accept(message.payload));
        if (messages[0].suffix == "update/rejected") {
            MITU_CHECK(shadow.version() == version && shadow.drifted() == was_drifted);
        } else {
            MITU_CHECK(shadow.version() == version + 1);
        }
        const json whole = json::parse(shadow.on_request("get", "", now)[0].payload);
        MITU_CHECK(whole.at("state").contains("delta") == shadow.drifted());
        MITU_CHECK(shadow.on_connected(now).empty() != shadow.drifted());
    }
    return 0;
}
