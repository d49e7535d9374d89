#pragma once
// Where each value of a configuration comes from.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace mitu::config {

struct Origin {
    enum class Kind : std::uint8_t { by_default, file, managed, environment, flag };
    Kind kind = Kind::by_default;
    std::string name{};      // the file, MITU__NODE__SHARDS, --shards
    std::uint32_t line = 0;  // of a file

    bool operator==(const Origin&) const = default;
};

/// `/etc/mitu/mitud.yaml:12`, `--shards`, `default`.
[[nodiscard]] std::string to_text(const Origin& origin);

/// By path: `listeners[0].tls.ca_file`.
class Origins {
public:
    void add(std::string path, Origin origin) {
        by_path_.insert_or_assign(std::move(path), origin);
    }
    /// Forgets `path` and what is below it.
    void erase(std::string_view path);
    /// Of the value at `path`; by_default: nobody has set it.
    [[nodiscard]] Origin of(std::string_view path) const;
    /// Of the value, or of the nearest thing around it that somebody has set.
    [[nodiscard]] Origin near(std::string_view path) const;

private:
    std::map<std::string, Origin, std::less<>> by_path_;
};

}  // namespace mitu::config
