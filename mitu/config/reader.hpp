#pragma once
// Values that the files hold, checked against the table, into a Config. Inside mitu/config only.

#include <string>
#include <string_view>
#include <vector>

#include "mitu/config/config.hpp"
#include "mitu/config/key.hpp"
#include "mitu/config/origins.hpp"
#include "mitu/yaml/problem.hpp"

namespace mitu::config {

/// Adds problems at the place that a path comes from.
class Complaints {
public:
    Complaints(const Origins& origins, yaml::Problems& problems, std::string default_file)
        : origins_{origins}, problems_{problems}, default_file_{std::move(default_file)} {}
    void add(std::string_view path, std::string text);
    /// Whether something was added at `path` or below.
    [[nodiscard]] bool has_at(std::string_view path) const;

private:
    std::vector<std::string> paths_;
    const Origins& origins_;
    yaml::Problems& problems_;
    std::string default_file_;  // what is named where a default is at fault
};

/// Sets in `config` what `value` holds; the rest stays as it is.
/// Errors  added to `complaints`; what is wrong is not set.
void read_config(const nlohmann::json& value, Config& config, Complaints& complaints);

/// "X is not known; did you mean Y?", or which keys there are.
[[nodiscard]] std::string unknown_key(std::string_view path, std::string_view name,
                                      const Shape& shape);

}  // namespace mitu::config
