// Any text as a configuration: no crash, and what loads keeps its promises.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "mitu/base/check.hpp"
#include "mitu/config/diff.hpp"
#include "mitu/config/documents.hpp"
#include "mitu/config/load.hpp"
#include "mitu/config/managed.hpp"

/// The file, then, behind a line `%%`, managed.yaml.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mitu;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const std::size_t cut = text.find("\n%%\n");
    config::Sources sources;
    sources.file = yaml::SourceFile{"f.yaml", text.substr(0, cut)};
    if (cut != std::string_view::npos) {
        sources.managed = yaml::SourceFile{"managed.yaml", text.substr(cut + 4)};
        (void)config::ManagedFile::parse(*sources.managed);
    }
    const auto loaded = config::load(sources);
    if (!loaded) {
        MITU_CHECK(!loaded.error().empty());
        for (const auto& problem : loaded.error()) MITU_CHECK(!problem.text.empty());
        return 0;
    }
    MITU_CHECK(config::diff(loaded->config, loaded->config).empty());
    (void)config::diff(config::Config{}, loaded->config);
    const std::string shown = config::show(*loaded, {.origins = true});
    // What is shown is a configuration again, the same but for its secrets.
    config::Sources again;
    again.file = yaml::SourceFile{"shown.yaml", shown};
    if (shown.find("***") == std::string::npos) {
        const auto reloaded = config::load(again);
        MITU_CHECK(reloaded && reloaded->content_hash == loaded->content_hash);
    }
    return 0;
}
