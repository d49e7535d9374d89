#pragma once
// The JSON Schema of policy templates, and what its verdicts mean to a person. Inside mitu/fleet
// only.

#include <memory>
#include <string>
#include <string_view>

#include "mitu/fleet/problem.hpp"
#include "mitu/yaml/document.hpp"

namespace mitu::fleet {

/// valijson gives the verdict; what to do is read from the schema itself: `x-use` beside a
/// constraint, `properties` for keys that are near an unknown one.
/// Threading  one thread at a time (valijson caches regular expressions).
class TemplateSchema {
public:
    /// From the schema compiled in.
    TemplateSchema();
    ~TemplateSchema();
    TemplateSchema(const TemplateSchema&) = delete;
    TemplateSchema& operator=(const TemplateSchema&) = delete;

    /// "Tenant" or "Policy" if the document is a valid one; empty if not, with its problems added.
    [[nodiscard]] std::string_view check(const yaml::Document& document, const std::string& file,
                                         Problems& problems);

    /// What `x-use` of the value at `path` ("heartbeat.interval") says.
    [[nodiscard]] std::string use_of(std::string_view kind, std::string_view path) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace mitu::fleet
