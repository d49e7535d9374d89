// Any text as a registry: no crash; a record that passes is written and read back the same.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "mitu/base/check.hpp"
#include "mitu/fleet/names.hpp"
#include "mitu/fleet/registry.hpp"

namespace {

using namespace mitu::fleet;

void check_round_trip(const DeviceRecord& record, RegistryFormat format, const char* name) {
    const std::string text = std::string{registry_header(format)} + format_record(record, format);
    std::size_t count = 0;
    const Problems problems = parse_registry({name, text}, {}, [&](DeviceRecord& again) {
        ++count;
        MITU_CHECK(again.device == record.device && again.tenant == record.tenant &&
                   again.class_name == record.class_name && again.labels == record.labels &&
                   again.credential == record.credential);
    });
    MITU_CHECK(problems.empty() && count == 1);
}

void parse(const char* name, std::string_view text) {
    (void)parse_registry({name, text}, {.allow_passwords = true}, [](DeviceRecord& record) {
        MITU_CHECK(is_valid_device_id(record.device) && is_valid_name(record.tenant));
        record.password.clear();
        check_round_trip(record, RegistryFormat::csv, "again.csv");
        check_round_trip(record, RegistryFormat::yaml, "again.yaml");
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
    parse((data[0] & 1) != 0 ? "fuzz.csv" : "fuzz.yaml", text);
    return 0;
}
