#pragma once
// What is made of the table and published: the JSON schema, the reference page, `show`.

#include <string>

#include "mitu/config/load.hpp"

namespace mitu::config {

/// JSON Schema, draft 7, as docs/config.schema.json holds it: for editors and CI.
/// What a schema cannot say (that a name exists) only `mitu config check` finds.
[[nodiscard]] std::string json_schema();

/// docs/configuration.md: every key with type, range, default, and whether it applies live.
[[nodiscard]] std::string reference_page();

struct ShowOptions {
    bool origins = false;  // where each value comes from
    bool as_json = false;
    bool only_set = false;  // leaves out what is as by default
};

/// Every key with its value; secrets are ***.
/// Shape  YAML that reads back, with origins as comments; or JSON: {revision, content_hash, config,
///        origins}.
[[nodiscard]] std::string show(const Loaded& loaded, const ShowOptions& options = {});

}  // namespace mitu::config
