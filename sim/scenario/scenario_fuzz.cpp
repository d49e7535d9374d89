// Any bytes are a scenario or have mistakes; nothing is read outside, nothing is told without a
// line that exists.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mitu/base/bytes.hpp"
#include "mitu/base/check.hpp"
#include "sim/scenario/scenario.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mitu;
    const std::string_view text = as_text({data, size});
    const auto lines = static_cast<std::uint32_t>(std::count(text.begin(), text.end(), '\n')) + 1;
    const auto scenario = sim::scenario::parse_scenario("x.scn", text);
    if (!scenario) {
        MITU_CHECK(!scenario.error().empty());
        for (const auto& problem : scenario.error()) {
            MITU_CHECK(problem.file == "x.scn" && problem.line <= lines && !problem.text.empty());
        }
        return 0;
    }
    MITU_CHECK(!scenario->steps.empty());
    for (const auto& step : scenario->steps) {
        MITU_CHECK(step.line >= 1 && step.line <= lines);
        if (const auto* act = std::get_if<sim::scenario::ActStep>(&step.what)) {
            MITU_CHECK(act->actor < scenario->actors.size());
        }
    }
    return 0;
}
