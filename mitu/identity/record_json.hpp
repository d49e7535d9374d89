#pragma once
// How tables are written: {"version", "revision", LIST: [one object a line]}. Inside mitu/identity
// only.

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mitu::identity {

/// Reads the members of one object; the first problem stays. Members that are not asked for are a
/// problem too.
class RecordReader {
public:
    /// Lifetime  borrows `object`.
    explicit RecordReader(const nlohmann::json& object);

    void text(const char* name, std::string& value);
    void flag(const char* name, bool& value);
    void number(const char* name, std::int64_t& value);  // 0..2^53
    [[nodiscard]] std::optional<std::string> problem() const;

private:
    const nlohmann::json* take(const char* name);

    const nlohmann::json& object_;
    std::vector<std::string> asked_;
    std::string problem_;
};

/// Calls `read` for every object of the list.
/// Errors  what is wrong and where (`users[3]: ...`), in the document or by `read`'s word.
[[nodiscard]] std::optional<std::string> read_records(
    std::string_view text, const char* list, std::uint64_t version, std::uint64_t& revision,
    const std::function<std::optional<std::string>(const nlohmann::json&)>& read);

class RecordWriter {
public:
    RecordWriter(const char* list, std::uint64_t version, std::uint64_t revision);
    void add(const nlohmann::ordered_json& object);
    [[nodiscard]] std::string text() const;

private:
    std::string text_;
    bool is_first_ = true;
};

/// A tenant or class: 1..64 of a-z 0-9 _ -.
[[nodiscard]] bool is_record_name(std::string_view text) noexcept;

}  // namespace mitu::identity
