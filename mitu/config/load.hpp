#pragma once
// load(): every source of the configuration, laid over each other and checked.
//
//   defaults < file, or managed.yaml where the file says nothing < environment < flags

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/base/result.hpp"
#include "mitu/config/config.hpp"
#include "mitu/config/origins.hpp"
#include "mitu/yaml/problem.hpp"

namespace mitu::config {

/// One value set beside the files.
/// Shape  `text`: of a text key, the text itself; of any other, YAML: `12`, `true`, `[a, b]`.
struct Override {
    std::string path;  // listeners[0].bind
    std::string text;
    std::string name;  // as problems show it: `--shards`, `MITU__NODE__SHARDS`
};

struct Sources {
    std::optional<yaml::SourceFile> file;     // what people wrote
    std::optional<yaml::SourceFile> managed;  // what the API wrote (managed.hpp)
    std::vector<Override> environment;
    std::vector<Override> flags;
    /// Declared elsewhere, by policies; nullopt: any tenant will do.
    std::optional<std::vector<std::string>> tenants = std::nullopt;
};

struct Loaded {
    Config config;
    Origins origins;
    /// What managed.yaml says in vain: the file sets it otherwise, or there is no such thing any
    /// more. The configuration is good without it.
    yaml::Problems notices;
    std::uint64_t content_hash =
        0;  // of all values, defaults too; where they come from does not count
    std::uint64_t revision =
        1;  // grows whenever the hash has changed since managed.yaml was stamped
    bool is_new_revision = true;  // managed.yaml is to be stamped with it
};

/// Errors  everything that is wrong, in the order of the sources and of their lines: YAML syntax,
///         unknown keys, types, ranges, keys twice, references to what does not exist.
[[nodiscard]] Result<Loaded, yaml::Problems> load(const Sources& sources);

/// Overrides from variables named MITU__SECTION__KEY: two underscores between the parts of a path,
/// upper or lower case, list items by number: MITU__LISTENERS__0__BIND. Others are left alone.
/// Errors  names that begin so and are no key, added to `problems`.
[[nodiscard]] std::vector<Override> overrides_from_environment(
    std::span<const std::pair<std::string, std::string>> variables, yaml::Problems& problems);

/// MITU__LISTENERS__0__BIND for listeners[0].bind.
[[nodiscard]] std::string environment_name(std::string_view path);

/// A file that the configuration names, and the key that does.
struct NamedFile {
    std::string key;
    std::string path;
};
/// Every file that must be there for the configuration to work.
[[nodiscard]] std::vector<NamedFile> named_files(const Config& config);

/// The methods that are asked for clients of a listener, in order: its own, the chain, or all.
[[nodiscard]] std::vector<std::string> chain_of(const Config& config, const Listener& listener);

}  // namespace mitu::config
