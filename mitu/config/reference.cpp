#include <fmt/format.h>

#include "mitu/config/documents.hpp"
#include "mitu/config/encode.hpp"
#include "mitu/config/use.hpp"
#include "mitu/yaml/document.hpp"

namespace mitu::config {
namespace {

constexpr std::string_view introduction = R"(# Configuration

<!-- Written by `mitu config reference` from the table in mitu/config; do not edit. -->

`mitud --config FILE` reads one YAML file. Without it, `mitud.yaml` in the data directory is read if it
exists, else `/etc/mitu/mitud.yaml` if that exists, else everything is as by default. Examples:
[deploy/dev.yaml](../deploy/dev.yaml), [deploy/mitud.yaml](../deploy/mitud.yaml); for editors:
[config.schema.json](config.schema.json).

```console
$ mitu config check FILE              # all that is wrong, with file, line, value and remedy
$ mitu config show FILE --origins     # every value, and where it comes from
$ mitu config diff OLD NEW            # what changes, and whether it applies live
```

**What wins.** Flags of `mitud`, then the environment, then the file, then `managed.yaml`, then the
defaults. `managed.yaml` in the data directory is the one place where the server writes what its API
changes: users, bans, limits of tenants, which listeners are enabled. A key that the file sets is the
file's: the API refuses to change it, and what `managed.yaml` says about it has no effect and is reported.

**Environment.** `MITU__` and the path, with two underscores between its parts:
`MITU__LIMITS__CONNECTIONS_MAX=5000`, `MITU__LISTENERS__0__BIND=*:1883`. Lists and maps are YAML:
`MITU__AUTHENTICATION__CHAIN='[jwt, registry]'`.

**Values.** Durations are a whole number and a unit: `250ms`, `30s`, `5m`, `24h`, `7d`. Sizes are bytes, or
`64KiB`, `4MiB`, `16GiB`, `1TiB`. Unknown keys, keys twice, and values out of range are refused.
For a secret, the key that ends in `_file` names a file that holds it; `show` and `diff` print secrets as `***`.

**Live or restart.** *live*: a reload (SIGHUP, or the API) applies it, and no connection is dropped for
it. *restart*: it applies when the server starts; a reload says so. *managed*: the API may change it.

)";

std::string unit_of(const Key& key) {
    return key.unit.empty() ? std::string{} : fmt::format(" {}", key.unit);
}

std::string type_of(const Key& key) {
    switch (key.kind) {
        case Kind::flag:
            return "flag";
        case Kind::integer:
            return fmt::format("{}..{}{}", key.min, key.max, unit_of(key));
        case Kind::size:
            return fmt::format("size, {}", use_of(key));
        case Kind::duration:
            return fmt::format("duration, {}", use_of(key));
        case Kind::time:
            return "time in UTC";
        case Kind::choice: {
            std::string words;
            for (const std::string_view word : key.choices) {
                words += fmt::format("{}`{}`", words.empty() ? "" : ", ", word);
            }
            return words;
        }
        case Kind::text:
            if (key.is_path) return "path";
            return std::string{key.rule != nullptr ? key.rule->use : "text"};
        case Kind::texts:
            if (key.is_path) return "list of paths";
            return key.rule != nullptr ? fmt::format("list, each {}", key.rule->use)
                                       : "list of text";
        case Kind::text_map:
            return "map of text";
        case Kind::section:
            return "section";
        case Kind::list:
            return "list";
    }
    return {};
}

std::string default_of(const Key& key, const Shape& shape) {
    if (key.is_required) return "required";
    const Json value = encode_member(key, shape.defaults);
    if (value.is_null() || value == "" ||
        ((value.is_array() || value.is_object()) && value.empty())) {
        return key.none.empty() ? "not set" : std::string{key.none};
    }
    return value.is_string() ? fmt::format("`{}`", value.get<std::string>())
                             : fmt::format("`{}`", value.dump());
}

/// A text as a cell: a bar would end it.
std::string cell(std::string_view text) {
    std::string escaped;
    for (const char c : text) {
        if (c == '|') escaped += '\\';
        escaped += c;
    }
    return escaped;
}

void section(std::string& page, const Shape& shape, const std::string& path, std::string_view doc) {
    std::string rows;
    for (const Key& key : shape.keys) {
        if (key.shape != nullptr) continue;
        std::string applies = key.applies == Applies::live ? "live" : "restart";
        if (key.is_managed) applies += ", managed";
        if (key.is_secret) applies += ", secret";
        std::string type = type_of(key);
        // "or null" is what "not set" says already.
        if (const std::size_t at = type.find(", or null"); at != std::string::npos) type.erase(at);
        rows += fmt::format("| `{}` | {} | {} | {} | {} |\n", key.name, cell(type),
                            cell(default_of(key, shape)), applies, cell(key.doc));
    }
    if (!path.empty()) page += fmt::format("## {}\n\n{}\n\n", path, doc);
    if (!rows.empty()) {
        page +=
            "| Key | Type and range | Default | Applies | |\n|---|---|---|---|---|\n" + rows + "\n";
    }
    for (const Key& key : shape.keys) {
        if (key.shape == nullptr) continue;
        const bool is_list = key.kind == Kind::list;
        std::string text = key.doc;
        if (key.is_required) text += " Required.";
        if (is_list) {
            text += fmt::format(" Items are added and removed {}{}.",
                                key.applies == Applies::live ? "live" : "on restart",
                                key.is_managed ? ", by the API too" : "");
        } else if (!key.none.empty()) {
            text += fmt::format(" Not set: {}.", key.none);
        }
        section(page, key.shape(), yaml::join_path(path, key.name) + (is_list ? "[]" : ""), text);
    }
}

}  // namespace

std::string reference_page() {
    std::string page{introduction};
    section(page, root_shape(), "", "");
    while (page.ends_with("\n\n")) page.pop_back();
    return page;
}

}  // namespace mitu::config
