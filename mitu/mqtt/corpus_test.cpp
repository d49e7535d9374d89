// Replays the fuzzers' corpora, so that what they once found stays found without a fuzzer.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "mitu/mqtt/decode.hpp"
#include "mitu/mqtt/packet.hpp"
#include "mitu/mqtt/testing/stream_check.hpp"

namespace mitu::mqtt {
namespace {

std::vector<std::filesystem::path> files_of(const std::string& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator{MITU_MQTT_CORPUS "/" + folder}) {
        files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

Bytes read(const std::filesystem::path& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

/// Reads the whole file as packets; false: one was refused, or the last one is cut.
bool decodes(ByteView bytes, const DecodeOptions& options) {
    while (!bytes.empty()) {
        const auto decoded = decode(bytes, options);
        if (!decoded.has_value() || !decoded->has_value()) return false;
        bytes = bytes.subspan((*decoded)->size_bytes);
    }
    return true;
}

void expect_files_hold_what_they_are_named_for(const std::string& folder, Sender sender) {
    const auto files = files_of(folder);
    EXPECT_GE(files.size(), 10U);
    for (const auto& path : files) {
        SCOPED_TRACE(path.filename().string());
        const Bytes bytes = read(path);
        testing::check_stream(bytes, sender);
        const std::string name = path.stem().string();
        const ProtocolVersion version = name.contains("_3_1_1") ? ProtocolVersion::v3_1_1
                                        : name.contains("_3_1") ? ProtocolVersion::v3_1
                                                                : ProtocolVersion::v5;
        EXPECT_EQ(decodes(bytes, {sender, version}), !name.starts_with("invalid_"));
    }
}

}  // namespace

TEST(corpus, of_clients_holds_what_its_names_say) {
    expect_files_hold_what_they_are_named_for("client", Sender::client);
}

TEST(corpus, of_servers_holds_what_its_names_say) {
    expect_files_hold_what_they_are_named_for("server", Sender::server);
}

}  // namespace mitu::mqtt
