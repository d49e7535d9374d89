#pragma once
// Flags, environment and files of `mitud`, as one configuration.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/config/files.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the name is CLI11's
class App;
}

namespace mitu::daemon {

/// The flags that set a key of the configuration. What was given wins over file and environment.
class ConfigurationFlags {
public:
    /// Adds the flags to `app`, which this outlives.
    explicit ConfigurationFlags(CLI::App& app);
    ConfigurationFlags(const ConfigurationFlags&) = delete;
    ConfigurationFlags& operator=(const ConfigurationFlags&) = delete;

    /// Everything, checked. Errors: all problems, one a line.
    [[nodiscard]] Result<config::FromFiles, std::string> load() const;

private:
    struct Flag {
        std::string name;  // --shards
        std::string path;  // node.shards
        std::string value;
    };
    void add(CLI::App& app, const std::string& name, const std::string& path,
             const std::string& text);
    [[nodiscard]] Result<std::optional<config::Override>, std::string> listeners() const;

    std::optional<std::string> file_;
    std::vector<std::string> listen_;
    std::vector<Flag> given_;
};

}  // namespace mitu::daemon
